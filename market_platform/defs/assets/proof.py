"""The nightly proof of a streamed pair: minute candles as streamed = made of the lake's trades = the exchange's own.

A report asset with one check. It runs before the night's history, which writes the exchange's own candles over streamed ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.assets.compaction import compacted_key
from market_platform.defs.assets.exchange import source_key
from market_platform.defs.assets.layers import Results, Step, layer_key, layer_spec
from market_platform.defs.assets.results import Made, layer_result, log_partitions
from market_platform.defs.checks import Finding, Outcome
from market_platform.defs.failures import as_failure, is_last_attempt, typed_failures
from market_platform.defs.metadata import Metadata
from market_platform.defs.names import pool_name
from market_platform.defs.partitions import Partitions, partition_dates
from market_platform.defs.policies import Policies, daily_freshness
from market_platform.defs.quality import record_outcomes
from market_platform.defs.resources import PLATFORM
from market_platform.defs.table_schemas import proof_schema
from market_platform.domain.errors import DayFailedError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import PROOF_VERSION

if TYPE_CHECKING:
    from market_platform.domain.proof import Difference
    from market_platform.pipeline.proof import ProofReport

PROOF = "proof"
CANDLES_AGREE = "candles_agree"
MINUTE = parse_interval("1m")
_SHOWN = 20


def proof_key(pair: TradingPair) -> dg.AssetKey:
    """Key of a pair's proof: `binance/BTCUSDT/proof`."""
    return layer_key(pair, PROOF)


def has_proof(pair: TradingPair) -> bool:
    """Whether there is something to compare: a streamed pair's minute candles."""
    return MINUTE in pair.intervals


def proof_asset(pair: TradingPair, partitions: Partitions, policies: Policies) -> dg.AssetsDefinition:
    """The proof of a pair, a partition a day, any number of days a run."""
    spec = layer_spec(
        pair,
        PROOF,
        partitions.streamed_days,
        deps=[candle_key(pair, MINUTE), compacted_key(pair), source_key(pair.exchange)],
        storage="postgres",
        schema=proof_schema(),
        table="proof_differences",
        freshness=daily_freshness(),
        code_version=PROOF_VERSION,
        description=(
            f"The minute candles of {pair.trading_pair} on {pair.exchange}, compared three ways: as streamed, made of the day's trades in "
            "the lake, and asked of the exchange itself. Every value that differs is a row of `proof_differences`, by minute, "
            "with both values and a reason; `proof_days` sums them up."
        ),
    )
    agree = dg.AssetCheckSpec(
        CANDLES_AGREE,
        asset=spec.key,
        description=(
            "Every minute candle of the day is the same as it was streamed, as the lake's trades make it, and as the "
            "exchange has it now. Fails for differences that nothing explains, warns for those that something does, and "
            "for a side that could not be had."
        ),
    )
    work = partial(_materialise, pair=pair, policies=policies)
    return Step([spec], work, PLATFORM, [agree], pool_name(pair.exchange)).as_assets(policies)


def _materialise(context: dg.AssetExecutionContext, pair: TradingPair, policies: Policies) -> Results:
    from market_platform.pipeline.platform import Provenance
    from market_platform.pipeline.proof import prove_days

    platform = context.resources.platform
    provenance = Provenance(context.run.run_id, PROOF_VERSION)
    reports: list[ProofReport] = []

    def on_report(report: ProofReport) -> None:
        reports.append(report)
        context.log.info(
            f"{pair.name} {report.day}: {report.minutes:,} minutes, {len(report.differences):,} differences, "
            f"{len(report.unexplained):,} of them unexplained"
        )

    last_attempt = is_last_attempt(context, policies.retry)
    with typed_failures(f"{pair.name} proof"):
        try:
            prove_days(platform, pair, partition_dates(context), provenance, on_report, last_attempt=last_attempt)
        except DayFailedError as error:
            failure = as_failure(error, last_attempt=last_attempt)
            if not failure.allow_retries:
                log_partitions(context, proof_key(pair), [_made(report) for report in reports])
            raise failure from error
        outcome = Outcome(CANDLES_AGREE, tuple(proof_finding(report) for report in reports))
        record_outcomes(platform, pair, {MINUTE: [outcome]}, context.run.run_id)
    yield layer_result(context, proof_key(pair), [_made(report) for report in reports], [outcome])


def _made(report: ProofReport) -> Made:
    return Made(report.day, proof_metadata(report), _version(report))


def proof_finding(report: ProofReport) -> Finding:
    """What a day's proof comes to: an error for what nothing explains, a warning for the rest."""
    unexplained = report.unexplained
    parts = [f"{count:,} {reason}" for reason, count in report.reasons.items()]
    if unexplained:
        first = unexplained[0]
        where = f"{_time(first)} {first.sides} {first.field}"
        values = f"{_shown(first.left_value)} and {_shown(first.right_value)}"
        counts = f"{len(unexplained):,} of {len(report.differences):,} differences"
        parts = [f"{counts} are unexplained, the first at {where}: {values}"]
    parts += [f"{side} left out: {why}" for side, why in unplanned(report)]
    severity = dg.AssetCheckSeverity.ERROR if unexplained else dg.AssetCheckSeverity.WARN
    return Finding(report.day, "; ".join(parts) or None, severity)


def unplanned(report: ProofReport) -> Iterator[tuple[str, str]]:
    """Sides that should have been compared and could not be had."""
    from market_platform.pipeline.proof_sides import CONFLATED

    for side, why in report.left_out.items():
        if why != CONFLATED:
            yield side.value, why


def proof_metadata(report: ProofReport) -> Metadata:
    """A day's proof as a person reads it: minutes by sides, differences by reason, and the first of them."""
    metadata: Metadata = {
        "dagster/partition_row_count": dg.MetadataValue.int(len(report.differences)),
        "minutes": dg.MetadataValue.int(report.minutes),
        "differences": dg.MetadataValue.int(len(report.differences)),
        "unexplained": dg.MetadataValue.int(len(report.unexplained)),
        "reasons": dg.MetadataValue.text(
            ", ".join(f"{count:,} {reason}" for reason, count in report.reasons.items()) or "none"
        ),
        "data_version": dg.MetadataValue.text(_version(report)),
        "code_version": dg.MetadataValue.text(PROOF_VERSION),
    }
    for sides, minutes in report.compared.items():
        metadata[f"compared_{sides.replace('/', '_')}"] = dg.MetadataValue.int(minutes)
    for side, why in report.left_out.items():
        metadata[f"left_out_{side}"] = dg.MetadataValue.text(why)
    for name in ("note", "exchange_says"):
        if name in report.inputs:
            metadata[name] = dg.MetadataValue.text(str(report.inputs[name]))
    if report.differences:
        shown = sorted(report.differences, key=lambda each: each.reason.is_explained)[:_SHOWN]
        metadata["first_differences"] = dg.MetadataValue.table([_record(each) for each in shown])
    return metadata


def _record(each: Difference) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "time": _time(each),
            "sides": each.sides,
            "field": each.field,
            "left": _shown(each.left_value),
            "right": _shown(each.right_value),
            "reason": each.reason.value,
            "detail": each.detail,
        }
    )


def _version(report: ProofReport) -> str:
    """Changes when a difference does, or what was compared."""
    told = "\n".join(
        (
            *(f"{sides} {minutes}" for sides, minutes in sorted(report.compared.items())),
            *(
                f"{each.time_ms} {each.sides} {each.field} {each.left_value} {each.right_value} {each.reason}"
                for each in report.differences
            ),
        )
    )
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _time(each: Difference) -> str:
    from market_platform.domain.clock import from_ms

    return f"{from_ms(each.time_ms):%H:%M}"


def _shown(value: str | None) -> str:
    return "nothing" if value is None else value

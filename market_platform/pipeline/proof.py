"""The nightly proof of a streamed pair's day: stored minute candles = those its trades make = the exchange's own.

Belongs here: bringing the three sides and the evidence together, storing what was found. Does not: getting the sides
(proof_sides.py), comparing (domain/proof.py), why values differ (domain/proof_reasons.py), when it runs (defs/).

A side that can't be had is left out, and the row says why; nothing is compared with something made up. Quotes make no candles
here: an exchange that streams quotes conflates them, so that candles of them would differ from its own by right.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from market_platform.domain.clock import day_start_ms, to_ms
from market_platform.domain.errors import ConfigError, DayFailedError, MarketPlatformError
from market_platform.domain.intervals import DAY_MS
from market_platform.domain.pairs import TradingPair
from market_platform.domain.proof import Comparison, Difference, Side, compare_sides
from market_platform.domain.proof_reasons import Evidence, KnownGap, explain
from market_platform.domain.trade_minutes import id_holes
from market_platform.exchanges.codes import NUMBERED_TRADES
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.platform import Platform, Provenance, failure_summary
from market_platform.pipeline.proof_sides import MINUTE, Sides, Stored, ask_exchange, load_stored, our_sides
from market_platform.warehouse.gaps import Gap
from market_platform.warehouse.proofs import ProofDay, save_proof


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What was found of a day: what the row of `proof_days` says, and every difference, by time."""

    pair: str
    day: date
    minutes: int
    compared: Mapping[str, int]
    left_out: Mapping[Side, str]
    inputs: Mapping[str, Any]
    differences: tuple[Difference, ...]

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        """Differences without a reason."""
        return tuple(each for each in self.differences if not each.reason.is_explained)

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many differences have which reason."""
        return dict(sorted(Counter(each.reason.value for each in self.differences).items()))


def prove_days(
    platform: Platform,
    pair: TradingPair,
    days: Sequence[date],
    provenance: Provenance,
    on_report: Callable[[ProofReport], None],
    *,
    last_attempt: bool = True,
) -> list[ProofReport]:
    """Compare a pair's days (UTC, over) minute by minute and store what was found, each day in one transaction.

    `on_report` hears of each day once it is committed. An exchange that does not answer is an error while there is another
    attempt to come, and left out in the `last_attempt`. To be called where no event loop runs.

    Raises:
        DayFailedError: after all days were tried, naming those that failed.
        ConfigError: the database does not list the pair's minute candles as the config does, or the exchange can't be asked.
    """
    return asyncio.run(_prove(platform, pair, days, provenance, on_report, last_attempt=last_attempt))


async def _prove(
    platform: Platform,
    pair: TradingPair,
    days: Sequence[date],
    provenance: Provenance,
    on_report: Callable[[ProofReport], None],
    *,
    last_attempt: bool,
) -> list[ProofReport]:
    reports: list[ProofReport] = []
    failures: dict[date, Exception] = {}
    async with platform.open_history(pair) as source:
        for day in days:
            try:
                stored = await asyncio.to_thread(load_stored, platform, pair, day)
                sides = await asyncio.to_thread(our_sides, platform, pair, day, stored)
                await ask_exchange(source, pair, day, sides, last_attempt=last_attempt)
                report = await asyncio.to_thread(_conclude, platform, pair, day, stored, sides, provenance)
            except ConfigError:
                raise
            except MarketPlatformError as error:
                failures[day] = error
                continue
            reports.append(report)
            on_report(report)
    if failures:
        message = failure_summary(f"{pair.name} proof", failures, len(days))
        raise DayFailedError(message, failures={day.isoformat(): error for day, error in failures.items()})
    return reports


def _conclude(
    platform: Platform, pair: TradingPair, day: date, stored: Stored, sides: Sides, provenance: Provenance
) -> ProofReport:
    comparison = compare_sides(sides.frames)
    differences = explain(comparison.differences, _evidence(platform, pair, day, stored, sides, comparison))
    report = ProofReport(
        pair.name, day, comparison.minutes, comparison.compared, sides.left_out, sides.inputs, differences
    )
    row = ProofDay(
        stored.pair_id,
        day,
        report.minutes,
        len(differences),
        len(report.unexplained),
        report.compared,
        {side.value: why for side, why in report.left_out.items()},
        report.inputs,
        provenance.run_id,
        provenance.code_version,
    )
    with platform.warehouse.begin() as connection:
        save_proof(connection, row, differences)
    return report


def _evidence(
    platform: Platform, pair: TradingPair, day: date, stored: Stored, sides: Sides, comparison: Comparison
) -> Evidence:
    """What may explain differences; nothing is looked up for a day without any."""
    if not comparison.differences:
        return Evidence()
    numbered = pair.exchange in NUMBERED_TRADES
    holes = []
    if sides.trades is not None and numbered:
        holes = id_holes(sides.trades, _last_id_before(platform, day, stored, sides, comparison))
    return Evidence(
        gaps=[known for gap in stored.gaps for known in _known_gaps(pair, gap, day)],
        holes=holes,
        begins=sides.begins,
        confirmed=sides.confirmed,
        trades=sides.trades,
        numbered=numbered,
        all_sides=len(sides.frames) == len(Side),
    )


def _last_id_before(platform: Platform, day: date, stored: Stored, sides: Sides, comparison: Comparison) -> int | None:
    """The last trade of the day before, read only when a minute up to this day's first trade differs."""
    before = stored.lake.get(day - timedelta(days=1))
    assert sides.trades is not None
    if before is None or before.object_key is None or comparison.differences[0].time_ms > int(sides.trades.time[0]):
        return None
    trades = TRADE_DAYS.read(platform.lake, before.object_key, expect_hash=before.content_hash)
    return int(trades.trade_id.max())


def _known_gaps(pair: TradingPair, gap: Gap, day: date) -> list[KnownGap]:
    """Which sides a gap spoils: candles made here of a stream's trades are missed with the trades."""
    if gap.kind == "candles":
        spoilt = [Side.STREAMED] if gap.interval in (None, MINUTE.name) else []
    else:
        spoilt = [Side.REBUILT, *([Side.STREAMED] if pair.candles_from == "trades" else [])]
    end_ms = to_ms(gap.end) if gap.end is not None else day_start_ms(day) + DAY_MS
    until = f"{gap.end:%H:%M:%S}" if gap.end is not None else "now"
    name = f"gap {gap.id} ({gap.kind} {gap.reason} {gap.start:%Y-%m-%d %H:%M:%S} to {until})"
    return [KnownGap(side, to_ms(gap.start), end_ms, name, gap.state == "repaired") for side in spoilt]

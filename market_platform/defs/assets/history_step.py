"""What a step of a pair's past does: fetch the selected layers' days, keep the good ones, report each, judge them.

Belongs here: from a run's selection to events. Does not: the assets (history.py), fetching and writing (pipeline/).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.layers import Results
from market_platform.defs.assets.results import Made, layer_result, log_partitions
from market_platform.defs.checks import Outcome, check_history_days
from market_platform.defs.failures import as_failure, is_last_attempt, typed_failures
from market_platform.defs.history_metadata import history_metadata
from market_platform.defs.names import shown_name
from market_platform.defs.partitions import partition_dates
from market_platform.defs.policies import Policies
from market_platform.defs.quality import record_outcomes
from market_platform.defs.resources import platform_of
from market_platform.domain.errors import DayFailedError
from market_platform.domain.history import SeriesKind
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import HISTORY_VERSION

if TYPE_CHECKING:
    from market_platform.pipeline.history_reports import HistoryCandleReport, HistoryReport

_SAY_EVERY_S = 2.0
Reports = dict[tuple[str, date], "HistoryReport"]
"""Reports by layer (an interval's name, or a series) and day."""
KeptReports = dict[str, Reports]
"""What a run has committed so far, by run: a retry in the same process does not fetch it again."""


def materialise(
    context: dg.AssetExecutionContext,
    pair: TradingPair,
    candles: Mapping[Interval, dg.AssetKey],
    series: Mapping[SeriesKind, dg.AssetKey],
    policies: Policies,
    kept: KeptReports,
) -> Results:
    """Fetch the run's days. When some fail the others are kept and reported one by one, and the run names the bad."""
    days = partition_dates(context)
    selected = context.selected_asset_keys
    intervals = [interval for interval, key in candles.items() if key in selected]
    kinds = [kind for kind, key in series.items() if key in selected]
    done = kept.setdefault(context.run.run_id, {})
    keys = {**{each.name: candles[each] for each in intervals}, **{each.value: series[each] for each in kinds}}
    with typed_failures(f"{shown_name(pair)} history"):
        try:
            _fetch(context, pair, days, intervals, kinds, done)
        except DayFailedError as error:
            failure = as_failure(error, last_attempt=is_last_attempt(context, policies.retry))
            if not failure.allow_retries:
                _log_days(context, keys, kept.pop(context.run.run_id))
            raise failure from error
    kept.pop(context.run.run_id)
    changed = sum(report.changed_rows for report in done.values())
    context.log.info(f"{shown_name(pair)}: {len(days)} days of {len(keys)} layers, {changed:,} rows changed")
    yield from _results(context, pair, days, keys, {each.name: each for each in intervals}, done)


def _fetch(
    context: dg.AssetExecutionContext,
    pair: TradingPair,
    days: Sequence[date],
    intervals: Sequence[Interval],
    kinds: Sequence[SeriesKind],
    done: Reports,
) -> None:
    """Fetch what is not done yet, one series after the other, whatever fails of another.

    Raises:
        DayFailedError: naming every day that failed, and of what.
    """
    from market_platform.pipeline.history_answers import Failures
    from market_platform.pipeline.history_candles import build_history_candles
    from market_platform.pipeline.history_context import build_history_series
    from market_platform.pipeline.history_trades import build_history_trades
    from market_platform.pipeline.platform import Provenance

    platform, provenance = platform_of(context, pair), Provenance(context.run.run_id, HISTORY_VERSION)
    said_at = 0.0

    def on_report(layer: str, report: HistoryReport) -> None:
        nonlocal said_at
        done[layer, report.day] = report
        if time.monotonic() - said_at >= _SAY_EVERY_S or not report.condition.is_final or report.reissued:
            said_at = time.monotonic()
            context.log.info(_line(pair, layer, report))  # an event in the database: not every day has one

    failures = Failures()

    def tried(layer: str, build: Callable[[], object]) -> None:
        try:
            build()
        except DayFailedError as error:
            failures.add(layer, {date.fromisoformat(day): each for day, each in error.failures.items()})

    if intervals:

        def candles() -> None:
            def told(report: HistoryCandleReport) -> None:
                on_report(report.interval, report)

            build_history_candles(platform, pair, days, intervals, provenance, told, frozenset(done))

        tried(SeriesKind.CANDLES, candles)
    for kind in kinds:
        missing = [day for day in days if (kind.value, day) not in done]
        told = partial(on_report, kind.value)
        if kind is SeriesKind.TRADES:
            tried(kind, partial(build_history_trades, platform, pair, missing, provenance, told))
        else:
            tried(kind, partial(build_history_series, platform, pair, kind, missing, provenance, told))
    failures.raise_for(shown_name(pair), len(days))


def _results(
    context: dg.AssetExecutionContext,
    pair: TradingPair,
    days: Sequence[date],
    keys: Mapping[str, dg.AssetKey],
    intervals: Mapping[str, Interval],
    done: Reports,
) -> Results:
    """One result a layer, with its days' metadata and its checks' outcomes."""
    selected = context.op_execution_context.selected_asset_check_keys
    reports = {layer: [done[layer, day] for day in days] for layer in keys}
    outcomes = {
        layer: check_history_days(mine, [check.name for check in selected if check.asset_key == keys[layer]])
        for layer, mine in reports.items()
    }
    with typed_failures(f"{shown_name(pair)} history checks"):
        recorded: dict[Interval | None, Sequence[Outcome]] = {
            interval: outcomes[name] for name, interval in intervals.items()
        }
        recorded[None] = [each for layer, found in outcomes.items() if layer not in intervals for each in found]
        record_outcomes(platform_of(context, pair), pair, recorded, context.run.run_id)
    for layer, mine in reports.items():
        yield layer_result(context, keys[layer], [made_history(each) for each in mine], outcomes[layer])


def made_history(report: HistoryReport) -> Made:
    """A fetched day, of whatever series."""
    return Made(report.day, history_metadata(report), report.data_version)


def _log_days(context: dg.AssetExecutionContext, keys: Mapping[str, dg.AssetKey], done: Reports) -> None:
    """Report the good partitions of a failing run by events of their own."""
    for (layer, _), report in sorted(done.items()):
        log_partitions(context, keys[layer], [made_history(report)])


def _line(pair: TradingPair, layer: str, report: HistoryReport) -> str:
    changed = f"{report.changed_rows:,} changed" if report.changed_rows else "unchanged"
    again = f", issued again: {'; '.join(report.reissued)}" if report.reissued else ""
    what = layer.replace("_", " ")
    return f"{shown_name(pair)} {report.day} {what}: {report.rows:,} rows, {report.condition}, {changed}{again}"

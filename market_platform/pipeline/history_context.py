"""Funding rates, open interest, dividends and splits of an exchange's past → warehouse, and which days are there.

A value that the exchange sends replaces the one stored; what it does not send (a mark price, in a history of rates) never
overwrites what a live stream brought. Only dividends and splits that the exchange took back are deleted. The row of `history_days` moves with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import Connection

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, BadRequestError
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair, SeriesKind
from market_platform.domain.intervals import DAY_MS
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.history import HistorySource
from market_platform.pipeline.history_answers import asked_pair, by_month, kept_answers
from market_platform.pipeline.history_reports import SeriesDayReport, times_of, told_reissues
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.warehouse import history_days
from market_platform.warehouse.corporate_actions import write_corporate_actions
from market_platform.warehouse.history_days import DaySeries, lock_history_days, move_history_days
from market_platform.warehouse.history_inputs import Reissue, record_inputs_of_days
from market_platform.warehouse.market_context import FundingRow, OpenInterestRow, write_funding, write_open_interest
from market_platform.warehouse.reference import load_pair
from market_platform.warehouse.series import SeriesBump

_Day = HistoryDay[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Series:
    """How one series is asked for and written; `write` returns how many rows changed, `value` is what its picture shows."""

    kind: SeriesKind
    table: DaySeries
    ask: Callable[[HistorySource, HistoryPair, Sequence[date]], Any]
    write: Callable[[Connection, int, _Day, SeriesBump, str], int]
    value: Callable[[Any], Any]


def _write_funding(conn: Connection, pair_id: int, day: _Day, series: SeriesBump, _run_id: str) -> int:
    return write_funding(conn, [FundingRow(pair_id, each.time_ms, each) for each in day.rows], series=series)


def _write_open_interest(conn: Connection, pair_id: int, day: _Day, series: SeriesBump, _run_id: str) -> int:
    return write_open_interest(conn, [OpenInterestRow(pair_id, each.time_ms, each) for each in day.rows], series=series)


def _write_actions(conn: Connection, pair_id: int, day: _Day, _series: SeriesBump, run_id: str) -> int:
    complete = day.condition is Condition.AVAILABLE
    return write_corporate_actions(conn, pair_id, {day.day: day.rows}, run_id=run_id, complete=complete)


_SERIES: Mapping[SeriesKind, _Series] = {
    SeriesKind.FUNDING: _Series(
        SeriesKind.FUNDING,
        "funding_rates",
        lambda source, pair, days: source.funding(pair, days),
        _write_funding,
        lambda row: row.funding_rate,
    ),
    SeriesKind.OPEN_INTEREST: _Series(
        SeriesKind.OPEN_INTEREST,
        "open_interest",
        lambda source, pair, days: source.open_interest(pair, days),
        _write_open_interest,
        lambda row: row.open_interest,
    ),
    SeriesKind.ACTIONS: _Series(
        SeriesKind.ACTIONS,
        "corporate_actions",
        lambda source, pair, days: source.actions(pair, days),
        _write_actions,
        lambda row: row.value,
    ),
}


@dataclass(frozen=True, slots=True)
class _Target:
    """Whose series it is, and who writes it."""

    platform: Platform
    pair: TradingPair
    pair_id: int
    series: _Series
    provenance: Provenance


def build_history_series(
    platform: Platform,
    pair: TradingPair,
    kind: SeriesKind,
    days: Sequence[date],
    provenance: Provenance,
    on_report: Callable[[SeriesDayReport], None],
) -> list[SeriesDayReport]:
    """Fetch `kind` (funding rates, open interest, or dividends and splits) of the days (UTC, over), and write it.

    Twice changes nothing. `on_report` hears of each day once it is committed. To be called where no event loop runs.

    Raises:
        DayFailedError: after all days were tried, naming those that could not be fetched or written.
        ConfigError: the database does not know the pair, or the exchange can't be asked.
    """
    if kind not in _SERIES:
        raise BadRequestError(f"{kind} are not written by days of history")
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
    target, asked = _Target(platform, pair, row.id, _SERIES[kind], provenance), asked_pair(pair)

    async def ask(source: HistorySource, _: SeriesKind, part: Sequence[date]) -> HistoryDays[tuple[Any, ...]]:
        answer: HistoryDays[tuple[Any, ...]] = await target.series.ask(source, asked, part)
        return answer

    def keep(_: SeriesKind, batch: Sequence[_Day]) -> list[SeriesDayReport]:
        return _write(target, batch)

    questions = [(kind, part) for part in by_month(days)]
    what = f"{pair.name} {kind.replace('_', ' ')}"
    return asyncio.run(kept_answers(platform, pair, questions, ask, keep, on_report, what=what))


def _write(target: _Target, batch: Sequence[_Day]) -> list[SeriesDayReport]:
    for each in batch:
        _check(target, each)
    table, run_id = target.series.table, target.provenance.run_id
    with target.platform.warehouse.begin() as connection:
        lock_history_days(connection, target.pair_id, table)
        bump = SeriesBump()
        changed = {each.day: target.series.write(connection, target.pair_id, each, bump, run_id) for each in batch}
        moved = move_history_days(
            connection,
            target.pair_id,
            table,
            {each.day: (each.condition, each.reason) for each in batch},
            run_id=run_id,
            code_version=target.provenance.code_version,
        )
        made_of = {each.day: each.inputs for each in batch if not moved[each.day].kept}
        reissues = record_inputs_of_days(connection, target.pair_id, table, made_of, run_id)
        bump.save(connection)
    return [_report(target, each, moved[each.day], changed[each.day], reissues) for each in batch]


def _check(target: _Target, day: _Day) -> None:
    """Refuse rows of another day, which would be stored and belong to no report."""
    start = day_start_ms(day.day)
    for row in day.rows:
        if row.time_ms is None or not start <= row.time_ms < start + DAY_MS:
            raise BadPayloadError(
                f"{target.pair.name} {day.day}: {target.series.kind.replace('_', ' ')} of {row.time_ms} ms are not of that day"
            )


def _report(
    target: _Target,
    fetched: _Day,
    committed: history_days.HistoryDay,
    changed: int,
    reissues: Sequence[Reissue],
) -> SeriesDayReport:
    kept = None
    if committed.kept:
        kept = (
            f"the exchange now sends {fetched.count:,} rows ({fetched.condition}), {committed.rows:,} are stored "
            f"({committed.condition}) and stay"
        )
    return SeriesDayReport(
        pair=target.pair.name,
        series=target.series.kind,
        day=fetched.day,
        condition=committed.condition,
        rows=committed.rows,
        changed_rows=changed,
        first_time=committed.first_time,
        last_time=committed.last_time,
        data_version=committed.data_version,
        reason=fetched.reason,
        missing=times_of(fetched.missing),
        flags=fetched.flags,
        inputs=fetched.inputs,
        reissued=told_reissues(reissues, fetched.day),
        kept=kept,
        outline=_outline(target.series, fetched.rows),
    )


def _outline(series: _Series, rows: Sequence[Any]) -> pl.DataFrame:
    """Times and values of a day, to draw; floats are good enough for that."""
    schema = {"time": pl.Datetime("ms", "UTC"), "value": pl.Float64()}
    return pl.DataFrame(
        {"time": [from_ms(row.time_ms) for row in rows], "value": [float(series.value(row)) for row in rows]},
        schema=schema,
    )

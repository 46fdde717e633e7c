"""An exchange's own candles → warehouse: day by day at each interval, a few days in one transaction.

A day that is not `available` never deletes what is stored: an exchange that has lost candles, or is late, takes none from
us. Which raw answers a day was made of is recorded in the transaction that writes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from market_platform.domain.conditions import Condition
from market_platform.domain.history import HistoryDay, HistoryDays
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.domain.quality import ohlc_errors
from market_platform.domain.ranks import CandleRank
from market_platform.exchanges.history import HistorySource
from market_platform.pipeline.history_answers import asked_pair, by_month, kept_answers
from market_platform.pipeline.history_reports import HistoryCandleReport, times_of, told_reissues
from market_platform.pipeline.platform import Platform, Provenance, starlisting_ids
from market_platform.warehouse.candles import CandleDay, CandleWrite, write_candle_days
from market_platform.warehouse.history_inputs import Reissue, record_inputs_of_days
from market_platform.warehouse.reference import load_pair

_OUTLINED_FROM = 300
"""Reports carry the frame of intervals of 5m and longer; a day of 1m candles is too long for a small chart."""

_Day = HistoryDay[pl.DataFrame]


@dataclass(frozen=True, slots=True)
class _Target:
    """Where an interval's candles go, and who writes them."""

    platform: Platform
    pair: TradingPair
    pair_id: int
    interval: Interval
    starlisting_id: int
    provenance: Provenance

    @property
    def series(self) -> str:
        """What the inputs are recorded under."""
        return f"candles_{self.interval}"


def build_history_candles(
    platform: Platform,
    pair: TradingPair,
    days: Sequence[date],
    intervals: Sequence[Interval],
    provenance: Provenance,
    on_report: Callable[[HistoryCandleReport], None],
    done: Collection[tuple[str, date]] = (),
) -> list[HistoryCandleReport]:
    """Fetch the exchange's own candles of the days (UTC, over) at each of `intervals` (1d or shorter), and write them.

    Only rows that differ are written, and `candle_days` moves in the same transaction; twice changes nothing. `on_report`
    hears of each day and interval once it is committed, in the order of `intervals` and then of days; those that are `done`
    (by an interval's name and the day) are not asked for. To be called where no event loop runs.

    Raises:
        DayFailedError: after all days were tried at all intervals, naming those that could not be fetched or written.
        ConfigError: the database does not list the pair's candles as the config does, or the exchange can't be asked.
    """
    questions = [
        (interval, part)
        for interval in intervals
        for part in by_month([day for day in days if (interval.name, day) not in done])
    ]
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
    ids = starlisting_ids(row, pair, intervals)
    asked = asked_pair(pair)

    async def ask(source: HistorySource, interval: Interval, part: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        return await source.candles(asked, interval, part)

    def keep(interval: Interval, batch: Sequence[_Day]) -> list[HistoryCandleReport]:
        return _write(_Target(platform, pair, row.id, interval, ids[interval], provenance), batch)

    return asyncio.run(kept_answers(platform, pair, questions, ask, keep, on_report, what=f"{pair.name} candles"))


def _write(target: _Target, batch: Sequence[_Day]) -> list[HistoryCandleReport]:
    writes = [
        CandleWrite(
            starlisting_id=target.starlisting_id,
            day=each.day,
            candles=each.rows,
            condition=each.condition,
            rank=CandleRank.EXCHANGE,
            input_version=each.input_version,
            complete=each.condition is Condition.AVAILABLE,
        )
        for each in batch
    ]
    run_id = target.provenance.run_id
    with target.platform.warehouse.begin() as connection:
        written = write_candle_days(connection, writes, run_id=run_id, code_version=target.provenance.code_version)
        committed = {each.day: written[target.starlisting_id, each.day] for each in batch}
        made_of = {each.day: each.inputs for each in batch if not _is_kept(each, committed[each.day])}
        reissues = record_inputs_of_days(connection, target.pair_id, target.series, made_of, run_id)
    return [_report(target, each, committed[each.day], reissues) for each in batch]


def _is_kept(fetched: _Day, committed: CandleDay) -> bool:
    """Whether what was stored is better than what came, and stays."""
    return committed.condition is not fetched.condition


def _report(target: _Target, fetched: _Day, committed: CandleDay, reissues: Sequence[Reissue]) -> HistoryCandleReport:
    kept = None
    if _is_kept(fetched, committed):
        kept = (
            f"the exchange now sends {fetched.count:,} candles ({fetched.condition}), {committed.rows:,} are stored "
            f"({committed.condition}) and stay"
        )
    made = HistoryCandleReport.of(
        target.pair, target.interval, fetched.day, committed, ohlc_errors(_without_rest(fetched.rows))
    )
    return replace(
        made,
        reason=fetched.reason or None,
        outline=fetched.rows if target.interval.seconds >= _OUTLINED_FROM else None,
        missing=times_of(fetched.missing),
        flags=fetched.flags,
        inputs=fetched.inputs,
        reissued=told_reissues(reissues, fetched.day),
        kept=kept,
    )


def _without_rest(candles: pl.DataFrame) -> pl.DataFrame:
    """The candles, of which those without a trade (an exchange that sends flat ones) say nothing of their number."""
    traded = pl.when(pl.col("volume") != 0).then(pl.col("num_trades"))
    return candles.with_columns(num_trades=traded)

"""Trades of an exchange's past → lake: the day's file, merged by id with what is committed, its manifest row the commit.

No trade is ever lost: what was streamed and what is fetched are one day. Two different trades of one id are a failure that
names it. Parts that a streamer left are not touched; compaction merges them with the file.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from market_platform.domain.clock import from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    CorruptObjectError,
    WarehouseUnavailableError,
)
from market_platform.domain.history import HistoryDay, HistoryDays, SeriesKind
from market_platform.domain.pairs import TradingPair
from market_platform.domain.trades import Trades, concat_trades
from market_platform.exchanges.history import HistorySource
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.history_answers import asked_pair, kept_answers
from market_platform.pipeline.history_reports import SeriesDayReport, times_of, told_reissues
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.warehouse.history_inputs import Reissue, record_inputs_of_days
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day, load_lake_days, lock_lake_day
from market_platform.warehouse.reference import load_pair

_KIND = SeriesKind.TRADES.value


@dataclass(frozen=True, slots=True)
class _Target:
    """Whose trades they are, and who writes them."""

    platform: Platform
    pair: TradingPair
    pair_id: int
    provenance: Provenance


@dataclass(frozen=True, slots=True, eq=False)
class _Merged:
    """A day's trades as they are to be committed; `added` came now, `beside` are stored and did not come."""

    trades: Trades
    condition: Condition
    added: int
    beside: int
    kept: str | None


def build_history_trades(
    platform: Platform,
    pair: TradingPair,
    days: Sequence[date],
    provenance: Provenance,
    on_report: Callable[[SeriesDayReport], None],
) -> list[SeriesDayReport]:
    """Fetch every trade of the days (UTC, over), a day at a time, and commit each day's file; twice changes nothing.

    `on_report` hears of each day once it is committed. To be called where no event loop runs. Two days are in memory at once,
    one coming and one being written: about 60 bytes a trade each.

    Raises:
        DayFailedError: after all days were tried, naming those that could not be fetched, merged or written.
        ConfigError: the database does not know the pair, or the exchange can't be asked.
    """
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
    target, asked = _Target(platform, pair, row.id, provenance), asked_pair(pair)

    async def ask(source: HistorySource, _: SeriesKind, part: Sequence[date]) -> HistoryDays[Trades]:
        return await source.trades(asked, part)

    def keep(_: SeriesKind, batch: Sequence[HistoryDay[Trades]]) -> list[SeriesDayReport]:
        return [_commit_day(target, each) for each in batch]

    questions = [(SeriesKind.TRADES, [day]) for day in sorted(set(days))]
    what = f"{pair.name} trades"
    return asyncio.run(kept_answers(platform, pair, questions, ask, keep, on_report, what=what, days_together=1))


def _commit_day(target: _Target, fetched: HistoryDay[Trades]) -> SeriesDayReport:
    with target.platform.warehouse.connect() as connection:
        before = load_lake_days(connection, target.pair_id, fetched.day, fetched.day, kind=_KIND).get(fetched.day)
    stored = _stored(target, fetched.day, before)
    merged = _merge(target, fetched, stored, before)
    manifest = before if before is not None and _says(before, merged) else _written(target, fetched, merged)
    with target.platform.warehouse.begin() as connection:
        current = lock_lake_day(connection, target.pair_id, fetched.day, kind=_KIND)
        if current is not None and current.content not in (before.content if before else None, manifest.content):
            raise WarehouseUnavailableError(
                f"{target.pair.name} {fetched.day}: another run committed other trades of the day meanwhile; run it again"
            )
        if manifest is not before:
            commit_lake_day(connection, manifest)
        made_of = {} if merged.kept else {fetched.day: fetched.inputs}
        reissues = record_inputs_of_days(connection, target.pair_id, _KIND, made_of, target.provenance.run_id)
    return _report(target, fetched, merged, manifest, reissues)


def _stored(target: _Target, day: date, before: LakeDay | None) -> Trades:
    """The trades to merge with: the committed ones; without a manifest, those of the newest file a lost one may have named."""
    lake, pair = target.platform.lake, target.pair
    if before is not None:
        key: str | None = before.object_key
    else:
        files = TRADE_DAYS.files(lake, pair.exchange, pair.symbol, day)
        key = files[-1].key if files else None
    if key is None:
        return Trades.empty()
    return TRADE_DAYS.read(lake, key, before.content_hash if before else None)


def _merge(target: _Target, fetched: HistoryDay[Trades], stored: Trades, before: LakeDay | None) -> _Merged:
    try:
        trades, shared = concat_trades([fetched.rows, stored]).sorted_unique()
    except BadPayloadError as error:
        raise BadPayloadError(
            f"{target.pair.name} {fetched.day}: {error}; what is committed stays. Compare it with the exchange's"
        ) from error
    condition, kept = fetched.condition, None
    worse = condition is not Condition.AVAILABLE
    if worse and before is not None and before.condition is Condition.AVAILABLE and len(stored):
        condition = before.condition
    elif condition is Condition.MISSING and len(trades):
        condition = Condition.DEGRADED
    if condition is not fetched.condition:
        kept = f"the exchange now sends {fetched.count:,} trades ({fetched.condition}), {len(stored):,} are committed and stay"
    return _Merged(trades, condition, len(trades) - len(stored), len(stored) - shared, kept)


def _says(before: LakeDay, merged: _Merged) -> bool:
    """Whether the manifest says what is to be committed already."""
    content = merged.trades.content_hash() if len(merged.trades) else ""
    return (before.content_hash, before.condition) == (content, merged.condition)


def _written(target: _Target, fetched: HistoryDay[Trades], merged: _Merged) -> LakeDay:
    """Put the day's file into the lake and prove it; the manifest row that would commit it (no file without trades)."""
    raw_inputs = [
        {"source": "history", "name": each.name, "sha256": each.sha256, "bytes": each.bytes, "rows": each.rows}
        for each in fetched.inputs
    ]
    provenance, pair, trades = target.provenance, target.pair, merged.trades
    file = None
    if len(trades):
        description = {
            "condition": merged.condition.value,
            "raw_inputs": json.dumps(raw_inputs, separators=(",", ":")),
            "code_version": provenance.code_version,
            "run_id": provenance.run_id,
        }
        file = TRADE_DAYS.write(target.platform.lake, pair.exchange, pair.symbol, fetched.day, trades, description)
        back = TRADE_DAYS.read(target.platform.lake, file.object_key, file.content_hash)
        if len(back) != len(trades) or file.content_hash != trades.content_hash():
            raise CorruptObjectError(
                f"lake object {file.object_key} does not hold the day's trades; nothing was committed"
            )
    return LakeDay(
        trading_pair_id=target.pair_id,
        day=fetched.day,
        object_key=file.object_key if file else None,
        content_hash=file.content_hash if file else "",
        rows=len(trades),
        bytes=file.bytes if file else 0,
        first_time=from_ms(int(trades.time[0])) if len(trades) else None,
        last_time=from_ms(int(trades.time[-1])) if len(trades) else None,
        condition=merged.condition,
        run_id=provenance.run_id,
        code_version=provenance.code_version,
        kind=_KIND,
        raw_inputs=raw_inputs,
    )


def _report(
    target: _Target, fetched: HistoryDay[Trades], merged: _Merged, manifest: LakeDay, reissues: Sequence[Reissue]
) -> SeriesDayReport:
    beside = (
        (f"{merged.beside:,} committed trades did not come from the exchange now; they stay",)
        if merged.beside and fetched.condition is Condition.AVAILABLE
        else ()
    )
    return SeriesDayReport(
        pair=target.pair.name,
        series=SeriesKind.TRADES,
        day=fetched.day,
        condition=manifest.condition,
        rows=manifest.rows,
        changed_rows=merged.added,
        first_time=manifest.first_time,
        last_time=manifest.last_time,
        data_version=manifest.content_hash,
        reason=fetched.reason,
        missing=times_of(fetched.missing),
        flags=(*fetched.flags, *beside),
        inputs=fetched.inputs,
        reissued=told_reissues(reissues, fetched.day),
        kept=merged.kept,
        object_key=manifest.object_key,
        bytes=manifest.bytes,
    )

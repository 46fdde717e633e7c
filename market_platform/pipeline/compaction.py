"""The parts of a streamed day → one file: sorted, each tick once, proved, committed by its manifest row; then the parts go.

Killed at any point and run again, the outcome is the same: parts go only after the commit, and a day's file is merged with
whatever parts there are, so parts that come later (a repair, a journal that had to wait) are taken in by another run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Generic

from market_platform.domain.clock import day_start_ms, from_ms, to_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadRequestError, CorruptObjectError, WarehouseUnavailableError
from market_platform.domain.gaps import GapKind
from market_platform.domain.intervals import DAY_MS
from market_platform.domain.quotes import concat_quote_ticks
from market_platform.domain.ticks import Ticks
from market_platform.domain.trades import Trades, concat_trades
from market_platform.lake.day_files import DayFile, DayFiles
from market_platform.lake.parts import list_parts
from market_platform.lake.row_file import R
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.pipeline.reports import CompactionReport
from market_platform.warehouse.gaps import count_gaps_of_days
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day, load_lake_days, lock_lake_day
from market_platform.warehouse.reference import PairRow

REQUESTS_IN_FLIGHT = 8
"""Parts read or deleted at the same time: a day may have a thousand, and a store far away answers each in 50 ms."""
SETTLE_MS = 600_000
"""How long after its end parts of a day may still be on their way, when all is well."""
_STREAMED_BEFORE = 7
"""Days back in which a pair must have had ticks, for its stream not to have begun within the day (markets close)."""


@dataclass(frozen=True, slots=True)
class _Kind(Generic[R]):
    """How one kind of ticks is kept and merged; `merge` returns them sorted and unique, and how many repetitions went."""

    name: str
    gap_kind: GapKind
    days: DayFiles[R]
    merge: Callable[[Sequence[R]], tuple[R, int]]


def _merge_trades(parts: Sequence[Trades]) -> tuple[Trades, int]:
    return concat_trades(parts).sorted_unique()


def _merge_ticks(parts: Sequence[Ticks]) -> tuple[Ticks, int]:
    return concat_quote_ticks(parts).sorted_unique()


_TRADES = _Kind("trades", "trades", TRADE_DAYS, _merge_trades)
_TICKS = _Kind("ticks", "quotes", TICK_DAYS, _merge_ticks)


def compact_day(
    platform: Platform,
    row: PairRow,
    day: date,
    kind: str,
    provenance: Provenance,
    *,
    condition: Condition | None = None,
) -> CompactionReport:
    """Make one file of a day's parts (`kind` is `trades` or `ticks`) and of the file there was; running twice changes nothing.

    Without a `condition` given, the day is `pending` until it is over and its parts had time to come, `degraded` when the gap
    ledger has an open or lost gap in it or the pair's stream began within it, else `available`. A day without ticks is not
    committed.

    Raises:
        BadPayloadError: the parts have two different trades of one id.
        CorruptObjectError: a part or the day's file is damaged, or what was written does not read back whole.
        WarehouseUnavailableError: Postgres does not answer, or another run committed the day meanwhile.
        LakeError: the lake does not answer or refuses.
    """
    if kind == _TRADES.name:
        return _compact(platform, row, day, _TRADES, provenance, condition)
    if kind == _TICKS.name:
        return _compact(platform, row, day, _TICKS, provenance, condition)
    raise BadRequestError(f"{kind!r} can't be compacted; use trades or ticks")


def _compact(
    platform: Platform,
    row: PairRow,
    day: date,
    kind: _Kind[R],
    provenance: Provenance,
    given: Condition | None,
) -> CompactionReport:
    before, gaps, streamed_before = _known(platform, row, day, kind)
    lake = platform.lake
    keys = list_parts(kind.days, lake, row.exchange, row.symbol, day)
    stored = _stored_key(platform, row, day, kind, before)
    if not keys and stored is None:
        return _report(row, day, kind, _without_ticks(platform, day, kind), None, gaps)
    with ThreadPoolExecutor(REQUESTS_IN_FLIGHT, thread_name_prefix="compaction") as pool:
        inputs = list(pool.map(lambda key: kind.days.read(lake, key, None), keys))
    if stored is not None:
        inputs.append(kind.days.read(lake, stored, before.content_hash if before else None))
    merged, duplicates = kind.merge(inputs)
    condition = given or _condition(platform, row, day, kind, gaps, began=not streamed_before)
    file, changed = None, False
    if before is None or (before.content_hash, before.condition) != (merged.content_hash(), condition):
        file = _write(platform, row, day, kind, merged, condition, provenance)
        _prove(platform, kind, file, inputs)
        manifest = _manifest(row, day, kind, file, condition, provenance, len(keys))
        changed = _commit(platform, row, kind, before, manifest)
        before = manifest
    with ThreadPoolExecutor(REQUESTS_IN_FLIGHT, thread_name_prefix="compaction") as pool:
        list(pool.map(lake.delete, keys))
    return _report(row, day, kind, condition, before, gaps, parts=len(keys), duplicates=duplicates, changed=changed)


def _known(platform: Platform, row: PairRow, day: date, kind: _Kind[R]) -> tuple[LakeDay | None, int, bool]:
    """The day's manifest, its gaps that are open or lost, and whether the pair was streamed in the days before."""
    with platform.warehouse.connect() as connection:
        week = load_lake_days(connection, row.id, day - timedelta(days=_STREAMED_BEFORE), day, kind=kind.name)
        gaps = count_gaps_of_days(connection, day, day).get((row.id, kind.gap_kind, day), 0)
    return week.get(day), gaps, any(each < day and known.rows for each, known in week.items())


def _stored_key(platform: Platform, row: PairRow, day: date, kind: _Kind[R], before: LakeDay | None) -> str | None:
    """The day's file to merge with: the committed one; without a manifest, the newest that a lost one may have named."""
    if before is not None:
        return before.object_key
    files = kind.days.files(platform.lake, row.exchange, row.symbol, day)
    return files[-1].key if files else None


def _condition(platform: Platform, row: PairRow, day: date, kind: _Kind[R], gaps: int, *, began: bool) -> Condition:
    if not _is_over(platform, day):
        return Condition.PENDING
    if gaps:
        return Condition.DEGRADED
    if began and not list_parts(kind.days, platform.lake, row.exchange, row.symbol, day - timedelta(days=1)):
        return Condition.DEGRADED
    return Condition.AVAILABLE


def _without_ticks(platform: Platform, day: date, kind: _Kind[R]) -> Condition:
    """The condition to report of a day that has nothing; quotes rest on Saturdays."""
    if not _is_over(platform, day):
        return Condition.PENDING
    return Condition.CLOSED if kind.gap_kind == "quotes" and day.weekday() == 5 else Condition.MISSING


def _is_over(platform: Platform, day: date) -> bool:
    return to_ms(platform.clock()) >= day_start_ms(day) + DAY_MS + SETTLE_MS


def _write(
    platform: Platform,
    row: PairRow,
    day: date,
    kind: _Kind[R],
    merged: R,
    condition: Condition,
    provenance: Provenance,
) -> DayFile:
    description = {
        "condition": condition.value,
        "code_version": provenance.code_version,
        "run_id": provenance.run_id,
    }
    return kind.days.write(platform.lake, row.exchange, row.symbol, day, merged, description)


def _prove(platform: Platform, kind: _Kind[R], file: DayFile, inputs: Sequence[R]) -> None:
    """Read the file back and find every tick of every input in it, and nothing else.

    Raises:
        CorruptObjectError: it is not what was written, or lacks a tick.
    """
    back = kind.days.read(platform.lake, file.object_key, file.content_hash)
    together, _ = kind.merge([back, *inputs])
    if len(back) != file.rows or together.content_hash() != file.content_hash:
        raise CorruptObjectError(
            f"lake object {file.object_key} does not hold the {kind.name} of its parts; nothing was committed, the parts stay"
        )


def _manifest(
    row: PairRow, day: date, kind: _Kind[R], file: DayFile, condition: Condition, provenance: Provenance, parts: int
) -> LakeDay:
    assert file.first_ms is not None
    assert file.last_ms is not None
    return LakeDay(
        trading_pair_id=row.id,
        day=day,
        object_key=file.object_key,
        content_hash=file.content_hash,
        rows=file.rows,
        bytes=file.bytes,
        first_time=from_ms(file.first_ms),
        last_time=from_ms(file.last_ms),
        condition=condition,
        run_id=provenance.run_id,
        code_version=provenance.code_version,
        kind=kind.name,
        raw_inputs=[{"source": "stream", "parts": parts}],
    )


def _commit(platform: Platform, row: PairRow, kind: _Kind[R], before: LakeDay | None, manifest: LakeDay) -> bool:
    with platform.warehouse.begin() as connection:
        current = lock_lake_day(connection, row.id, manifest.day, kind=kind.name)
        if current is not None and current.content not in (before.content if before else None, manifest.content):
            raise WarehouseUnavailableError(
                f"{row.name} {manifest.day}: another run committed other {kind.name} of the day meanwhile; run it again"
            )
        return commit_lake_day(connection, manifest)


def _report(
    row: PairRow,
    day: date,
    kind: _Kind[R],
    condition: Condition,
    manifest: LakeDay | None,
    gaps: int,
    *,
    parts: int = 0,
    duplicates: int = 0,
    changed: bool = False,
) -> CompactionReport:
    return CompactionReport(
        pair=row.name,
        day=day,
        kind=kind.name,
        condition=condition,
        rows=manifest.rows if manifest else 0,
        bytes=manifest.bytes if manifest else 0,
        parts=parts,
        duplicates=duplicates,
        first_time=manifest.first_time if manifest else None,
        last_time=manifest.last_time if manifest else None,
        object_key=manifest.object_key if manifest else None,
        content_hash=manifest.content_hash if manifest else "",
        changed=changed,
        gaps=gaps,
    )

"""`market_ticks` → lake, day by day: copied, read back and verified, and only then, if asked, dropped.

A day goes `copied` (its file is committed) → `verified` (the file, read back, has the hash and the count of Postgres's rows)
→ `dropped` (the very rows that the DELETE returned had that hash, or it was rolled back). A process may end anywhere: what
is recorded is true, and the next run goes on from there.

Belongs here: a run over days, reading ahead, the order of a day's steps. Does not: what a day holds (legacy_day.py), what becomes
of it in the lake (legacy_store.py), proving and deleting (legacy_drop.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date

from market_platform.domain.errors import (
    DayFailedError,
    LakeUnavailableError,
    MarketPlatformError,
    WarehouseUnavailableError,
)
from market_platform.lake.store import Lake
from market_platform.pipeline.legacy_day import Allowances, LegacyDay
from market_platform.pipeline.legacy_drop import Drop
from market_platform.pipeline.legacy_store import MovedDay, Store
from market_platform.pipeline.platform import Provenance
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import LakeDay, load_lake_days
from market_platform.warehouse.market_ticks import count_day, read_day
from market_platform.warehouse.reference import PairRow
from market_platform.warehouse.tick_moves import TickMove, load_move

DAYS_AHEAD = 2
"""Days that are read while another one is written."""
PIECES_IN_FLIGHT = 4
"""Pieces of text of a day that wait for the parser."""


@dataclass(frozen=True, slots=True)
class Mover:
    """What every day of a run needs. `drop` deletes the rows of every day that is verified."""

    lake: Lake
    warehouse: Warehouse
    provenance: Provenance
    allow: Allowances = field(default_factory=Allowances)
    drop: bool = False
    still_alone: Callable[[], None] = lambda: None
    """Raises when the run does not hold the lock on the table any more."""

    def move(self, days: Sequence[tuple[PairRow, date]], on_day: Callable[[MovedDay], None]) -> list[MovedDay]:
        """Move each day; `on_day` hears of every good one, in order, as soon as it is done.

        Raises:
            DayFailedError: after all days were tried, naming those that failed.
            LakeUnavailableError: the lake does not answer.
            WarehouseUnavailableError: Postgres does not answer.
        """
        done: list[MovedDay] = []
        failures: dict[str, Exception] = {}
        with closing(self._read(days)) as reads:
            for pair, day, reading in reads:
                try:
                    moved = self._finish(pair, day, reading.result())
                except (LakeUnavailableError, WarehouseUnavailableError):
                    raise
                except MarketPlatformError as error:
                    failures[f"{pair.name} {day}"] = error
                    continue
                done.append(moved)
                on_day(moved)
        if failures:
            raise DayFailedError(_summary(failures, len(days)), failures=failures)
        return done

    def _read(self, days: Sequence[tuple[PairRow, date]]) -> Generator[tuple[PairRow, date, Future[_Read]]]:
        """Read days ahead of the one in work: Postgres and the parser have threads of their own."""
        waiting: deque[tuple[PairRow, date, Future[_Read]]] = deque()
        parser = ThreadPoolExecutor(1, "parse-ticks")
        reader = ThreadPoolExecutor(1, "read-ticks")
        try:
            for pair, day in days:
                waiting.append((pair, day, reader.submit(self._read_day, pair, day, parser)))
                if len(waiting) > DAYS_AHEAD:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            reader.shutdown(cancel_futures=True)
            parser.shutdown(cancel_futures=True)

    def _read_day(self, pair: PairRow, day: date, parser: ThreadPoolExecutor) -> _Read:
        """The day's rows, or none of them when it was done before and neither they nor the lake's day have changed."""
        with self.warehouse.connect() as conn:
            move = load_move(conn, pair.id, day)
            before = load_lake_days(conn, pair.id, day, day).get(day)
            settled = move is not None and move.state in ("verified", "kept") and move.is_of(before)
            if settled and move is not None and count_day(conn, pair.id, day) == move.rows:
                return _Read(move, before, None)
            reading = _Reading(LegacyDay(f"{pair.name} {day}", self.allow), parser)
            try:
                with closing(read_day(conn, pair.id, day)) as arriving:
                    for piece in arriving:
                        reading.add(piece)
            except BaseException:
                reading.close()
                raise
            return _Read(move, before, reading)

    def _finish(self, pair: PairRow, day: date, read: _Read) -> MovedDay:
        drop = Drop(self.lake, self.warehouse, self.provenance.run_id, self.still_alone)
        if read.reading is None:
            assert read.move is not None
            moved = MovedDay(pair.name, read.move, again=True)
        else:
            with closing(read.reading):
                rows = read.reading.result()
                if not rows.rows:
                    raise WarehouseUnavailableError(f"{pair.name} {day}: its rows went while it was read; try again")
                store = Store(self.lake, self.warehouse, self.provenance, self.still_alone)
                moved = _going_on(pair, read, rows) or store.store(pair, day, rows, read.before)
            if moved.move.state == "copied":
                moved = replace(moved, move=drop.verify(pair, moved.move))
        if self.drop and moved.move.state == "verified":
            moved = replace(moved, move=drop.drop(pair, moved.move))
        return moved


class _Reading:
    """A day whose pieces are parsed on another thread, a few of them waiting at most."""

    def __init__(self, day: LegacyDay, parser: ThreadPoolExecutor) -> None:
        self._day = day
        self._parser = parser
        self._waiting: deque[Future[None]] = deque()

    def add(self, piece: bytes) -> None:
        """Have the next piece parsed. Raises what an earlier one raised."""
        self._waiting.append(self._parser.submit(self._day.add, piece))
        if len(self._waiting) > PIECES_IN_FLIGHT:
            self._waiting.popleft().result()

    def result(self) -> LegacyDay:
        """The day, finished. Raises what a piece raised, and as `LegacyDay.finish`."""
        while self._waiting:
            self._waiting.popleft().result()
        self._day.finish()
        return self._day

    def close(self) -> None:
        """Let the day go, as soon as no thread is at it."""
        for each in self._waiting:
            each.cancel()
        wait(self._waiting)
        self._day.close()


@dataclass(frozen=True, slots=True)
class _Read:
    """A day as it was read: its earlier move, its manifest, and its rows (None when the day is done already)."""

    move: TickMove | None
    before: LakeDay | None
    reading: _Reading | None


def _going_on(pair: PairRow, read: _Read, rows: LegacyDay) -> MovedDay | None:
    """The day as an earlier run left it, copied and not verified, when its rows and its file are still the same."""
    move = read.move
    if move is None or move.state != "copied" or not move.is_of(read.before):
        return None
    same = (move.rows, move.source_hash) == (rows.rows, rows.source_hash)
    return MovedDay(pair.name, move, rows.examples) if same else None


def _summary(failures: dict[str, Exception], of: int) -> str:
    shown = [f"  {error}" for _, error in list(failures.items())[:5]]
    more = f"\n  … and {len(failures) - 5} more" if len(failures) > 5 else ""
    return (
        f"legacy ticks: {len(failures)} of {of} days could not be moved, and stay in Postgres:\n"
        + "\n".join(shown)
        + more
    )

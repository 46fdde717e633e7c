"""The streamer's side of the gap ledger: gaps are noted at once, and reach Postgres when it answers.

Belongs here: opening and ending gaps, keeping them through an outage of Postgres and through a kill, and ending those that an
earlier streamer left open. Does not: knowing that there is a gap (supervisor, router), repairing it (repair.py).

A gap is in a file before `open` and `end` return, and in Postgres within a second of Postgres answering. Both hold it as one
and the same, so nothing is lost or doubled however a streamer ends.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from market_platform.domain.clock import from_ms
from market_platform.domain.errors import WarehouseError
from market_platform.domain.gaps import GapKind, Missed
from market_platform.domain.live import LivePair
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.gaps import Gap, GapRecord, load_unended_gaps, record_gaps
from streamer.gaps.file import GapFile
from streamer.gaps.records import joined, key_of, record_of, unended

log = structlog.get_logger("streamer")

_RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)
_BATCH = 500
_MS = timedelta(milliseconds=1)
_SPARE_LINES = 1_000

Sleep = Callable[[float], Awaitable[None]]
_Stream = tuple[int, GapKind]


@dataclass(slots=True)
class _Kept:
    """A gap in memory. `written` is what Postgres has of it, None before anything; `left`: an earlier streamer opened it."""

    gap: GapRecord
    written: GapRecord | None = None
    left: bool = False

    @property
    def waits(self) -> bool:
        return self.gap != self.written


class GapLog:
    """Gaps of one streamer; used from one event loop.

    `folder` is where the file is (`settings.journal_dir`), `exchanges` those whose left gaps are this streamer's to end.
    Beyond `most` gaps in memory those of a stream are joined.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        folder: Path,
        exchanges: Sequence[str],
        *,
        most: int = 5_000,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._warehouse = warehouse
        self._exchanges = tuple(exchanges)
        self._most = most
        self._sleep = sleep
        self._file = GapFile(folder)
        self._kept = {key: _Kept(gap, left=gap.end is None) for key, gap in self._file.load().items()}
        self._resumed: dict[_Stream, datetime] = {}
        self._asked_for_left = False
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self.alarm: str | None = None
        """A sentence for a person while gaps can't be kept on disk; None when all is well."""
        self._wake.set()

    @property
    def pending(self) -> int:
        """Gaps, or changes of gaps, that Postgres does not have yet."""
        return sum(kept.waits for kept in self._kept.values())

    def open(self, pair: LivePair, missed: Missed) -> str:
        """Note that the pair's stream misses something; the key to end it with is returned.

        The same gap again is the same key, until it ended; then it is another one.
        """
        gap = record_of(pair, missed)
        key = key_of(gap)
        kept = self._kept.get(key)
        while kept is not None and kept.gap.end is not None:  # an earlier one of the same start that is over
            gap = replace(gap, start=gap.start + _MS)
            key = key_of(gap)
            kept = self._kept.get(key)
        if kept is None:
            self._keep(key, _Kept(gap))
            self._bound()
        else:
            kept.left = False
        return key

    def end(self, key: str, end_ms: int, *, last_id: int | None = None) -> None:
        """Note that the gap ended (exclusive): the stream is back.

        `last_id` is the last trade that was missed, if known; one below the gap's `first_id` says that none was. Gaps that an
        earlier streamer left open for the same pair and kind end then, too. A later end of the same gap counts, an earlier one
        does not.
        """
        kept = self._kept.get(key)
        if kept is None:
            return
        gap = kept.gap
        end = max(gap.start, from_ms(end_ms), *([gap.end] if gap.end else []))
        last = max((each for each in (gap.last_id, last_id) if each is not None), default=None)
        if gap.first_id is not None and last is not None and last < gap.first_id:
            kept.gap = replace(gap, end=end, missed=False)
        else:
            kept.gap = replace(gap, end=end, last_id=last)
        self._keep(key, kept)
        self._end_left((gap.trading_pair_id, gap.kind), end)

    def resumed(self, pair: LivePair, kind: GapKind, at_ms: int) -> None:
        """The stream of that kind brings something again: end what an earlier streamer left open of it."""
        self._end_left((pair.id, kind), from_ms(at_ms))

    def end_left_of_others(self, streamed: Collection[LivePair], at_ms: int) -> None:
        """End what was left open of pairs that are not streamed any more; nothing else would."""
        ids = {pair.id for pair in streamed}
        for stream in {(kept.gap.trading_pair_id, kept.gap.kind) for kept in self._kept.values() if kept.left}:
            if stream[0] not in ids:
                self._end_left(stream, from_ms(at_ms))

    async def run(self) -> None:
        """Bring gaps to Postgres as they come, until cancelled."""
        failures = 0
        while True:
            await self._wake.wait()
            if await self.flush():
                failures = 0
                continue
            await self._sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1

    async def flush(self) -> bool:
        """Bring everything to Postgres now; False when it can't be, and then it stays in the file."""
        async with self._writing:
            self._wake.clear()
            while True:
                batch = {key: kept.gap for key, kept in self._kept.items() if kept.waits}
                batch = dict(list(batch.items())[:_BATCH])
                if not batch and self._asked_for_left:
                    self._rewrite()
                    return True
                try:
                    left = await asyncio.to_thread(self._write, list(batch.values()))
                except WarehouseError as error:
                    log.warning("gaps wait in the file", waiting=self.pending, error=str(error))
                    self._wake.set()
                    return False
                self._written(batch)
                self._adopt(left)

    def close(self) -> None:
        """Close the file; what it holds is for the next streamer."""
        self._file.close()

    def _write(self, gaps: Sequence[GapRecord]) -> list[Gap]:
        with self._warehouse.begin() as conn:
            left = [] if self._asked_for_left else load_unended_gaps(conn, self._exchanges)
            record_gaps(conn, gaps)
        return left

    def _written(self, batch: Mapping[str, GapRecord]) -> None:
        for key, gap in batch.items():
            kept = self._kept.get(key)
            if kept is None:
                continue
            kept.written = gap
            if kept.gap == gap and gap.end is not None:
                del self._kept[key]

    def _adopt(self, left: Sequence[Gap]) -> None:
        """Take over gaps without an end that only Postgres knew of."""
        self._asked_for_left = True
        for each in left:
            gap = unended(each)
            key = key_of(gap)
            if key not in self._kept:
                self._kept[key] = _Kept(gap, written=gap, left=True)
                resumed = self._resumed.get((gap.trading_pair_id, gap.kind))
                if resumed is not None:
                    self._end_left((gap.trading_pair_id, gap.kind), resumed)

    def _end_left(self, stream: _Stream, end: datetime) -> None:
        self._resumed.setdefault(stream, end)
        for key, kept in list(self._kept.items()):
            if kept.left and kept.gap.end is None and (kept.gap.trading_pair_id, kept.gap.kind) == stream:
                kept.left = False
                kept.gap = replace(kept.gap, end=max(kept.gap.start, end))
                self._keep(key, kept)

    def _keep(self, key: str, kept: _Kept) -> None:
        self._kept[key] = kept
        self._wake.set()
        try:
            self._file.append(key, kept.gap)
            if self._file.lines > _SPARE_LINES + 4 * len(self._kept):
                self._rewrite()
        except OSError as error:
            self._disk_refused(error)

    def _rewrite(self) -> None:
        waiting = {key: kept.gap for key, kept in self._kept.items() if kept.waits}
        try:
            self._file.rewrite(waiting)
        except OSError as error:
            self._disk_refused(error)
        else:
            self.alarm = None

    def _disk_refused(self, error: OSError) -> None:
        if self.alarm is None:
            log.error("gaps can't be kept on disk", path=str(self._file.path), error=str(error))
        self.alarm = f"gaps can't be kept in {self._file.path}: {error.strerror}; free space on its disk"

    def _bound(self) -> None:
        """Join ended gaps that wait, of the stream that has the most of them, once there are too many."""
        if len(self._kept) <= self._most:
            return
        groups: defaultdict[tuple[int, GapKind, str | None], list[str]] = defaultdict(list)
        for key, kept in self._kept.items():
            if kept.gap.end is not None and kept.written is None:
                groups[kept.gap.trading_pair_id, kept.gap.kind, kept.gap.interval].append(key)
        keys = max(groups.values(), key=len, default=[])
        if len(keys) < 2:
            return
        gaps = [self._kept.pop(key).gap for key in keys]
        one = joined(gaps)
        self._kept[key_of(one)] = _Kept(one)
        self._rewrite()

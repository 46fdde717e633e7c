"""The sink of the running streamer: a journal on disk, and behind it one thread to Postgres and one to the lake.

Belongs here: putting them together, starting and stopping them. Does not: what each does (journal/,
delivery/).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from market_platform.domain.clock import Clock, from_ms, utc_now
from market_platform.domain.events import Candle, Funding, OpenInterest, Quote, Trade
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from market_platform.lake.store import Lake
from market_platform.pipeline.platform import Provenance
from market_platform.settings import Settings
from market_platform.warehouse.engine import Warehouse
from streamer.delivery.drain import RetryDelays
from streamer.delivery.part_drain import PartDrain
from streamer.delivery.row_drain import RowDrain
from streamer.delivery.writer import RowWriter
from streamer.journal.journal import Journal
from streamer.journal.records import (
    CandleRecord,
    DeadLetterRecord,
    FundingRecord,
    JournalPair,
    Kind,
    OpenInterestRecord,
)
from streamer.journal.space import FreeBytes, free_bytes
from streamer.journal.waiters import Waiters
from streamer.sink import DeadLetter, IntakeStoppedError, SinkState

log = structlog.get_logger(__name__)

CODE_VERSION = "stream-1"
"""Raised when the same messages would give other rows."""


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """Where the journal is and when parts are made; see the settings of the same names."""

    folder: Path
    part_ticks: int = 1_000
    part_s: float = 300.0
    stop_s: float = 8.0
    min_free_mb: int = 200
    provenance: Provenance = field(default_factory=lambda: Provenance("streamer", CODE_VERSION))
    delays: RetryDelays = field(default_factory=RetryDelays)
    free: FreeBytes = free_bytes

    @classmethod
    def from_settings(cls, settings: Settings) -> JournalConfig:
        """What the settings say."""
        return cls(
            folder=settings.journal_dir,
            part_ticks=settings.stream_part_ticks,
            part_s=settings.stream_part_s,
            stop_s=settings.stream_stop_s,
            min_free_mb=settings.journal_min_free_mb,
        )


class JournalSink:
    """`Sink` on a journal. Between `start` and `stop`, on one event loop."""

    def __init__(self, config: JournalConfig, lake: Lake, warehouse: Warehouse, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._waiters = Waiters()
        self._stopping = False
        self._dropped_letters = 0
        self._pairs: dict[int, JournalPair] = {}
        self._journal = Journal(
            config.folder, min_free_mb=config.min_free_mb, clock=clock, on_change=self._on_change, free=config.free
        )
        writer = RowWriter(warehouse, config.provenance, clock)
        self._to_postgres = RowDrain(self._journal, writer, config.delays, clock)
        self._to_lake = PartDrain(
            self._journal,
            lake,
            config.provenance,
            part_ticks=config.part_ticks,
            part_s=config.part_s,
            delays=config.delays,
            clock=clock,
        )

    async def start(self) -> None:
        """Open the journal and begin to deliver what it holds from before.

        Raises:
            ConfigError: the journal can't be used: another process has it, another version wrote it, it is damaged.
        """
        await asyncio.to_thread(self._journal.open)
        self._to_postgres.start()
        self._to_lake.start()
        self._to_postgres.wake()
        self._to_lake.wake()

    async def stop(self) -> None:
        """Take nothing more, deliver everything if that can be done in time, and close; the rest stays in the journal."""
        self._stopping = True
        try:
            if not await self.delivered(0.8 * self._config.stop_s):
                waiting = self.state()
                log.warning("stopped_before_all_was_delivered", rows=waiting.journal_rows, bytes=waiting.journal_bytes)
        finally:
            await asyncio.to_thread(self._close)

    def trades(self, pair: LivePair, trades: Sequence[Trade]) -> None:
        """Trades for the lake."""
        self._add(pair, Kind.TRADES, trades)

    def quotes(self, pair: LivePair, quotes: Sequence[Quote]) -> None:
        """Quotes for the lake."""
        self._add(pair, Kind.QUOTES, quotes)

    def candles(self, pair: LivePair, candles: Sequence[Candle], rank: CandleRank) -> None:
        """Closed candles for Postgres; those of intervals that the pair does not list (any more) are left out."""
        listed = pair.starlistings
        records = [CandleRecord(listed[each.interval], rank, each) for each in candles if each.interval in listed]
        self._add(pair, Kind.CANDLES, records)

    def funding(self, pair: LivePair, minute_ms: int, row: Funding) -> None:
        """The last funding of a minute for Postgres."""
        self._add(pair, Kind.FUNDING, [FundingRecord(minute_ms, row)])

    def open_interest(self, pair: LivePair, minute_ms: int, row: OpenInterest) -> None:
        """The last open interest of a minute for Postgres."""
        self._add(pair, Kind.OPEN_INTEREST, [OpenInterestRecord(minute_ms, row)])

    def dead_letter(self, letter: DeadLetter) -> None:
        """A message that could not be used; when nothing can be written and many wait, it is only counted in the log."""
        if not self._journal.add_letter(DeadLetterRecord.of(letter)):
            self._dropped_letters += 1
            if self._dropped_letters & (self._dropped_letters - 1) == 0:
                log.warning("dead_letters_dropped", count=self._dropped_letters, reason=letter.reason)

    async def committed(self) -> None:
        """Return when everything handed in before is in the journal on disk.

        Raises:
            IntakeStoppedError: it can't be written just now. It is kept in memory and written when that is possible.
        """
        journal, number = self._journal, self._journal.hurry()
        await self._waiters.until(lambda: journal.is_committed(number) or journal.write_problem is not None)
        if not journal.is_committed(number):
            raise IntakeStoppedError(journal.write_problem or "the journal can't be written")

    async def delivered(self, timeout_s: float) -> bool:
        """Whether everything handed in before is in Postgres and the lake, within that time."""
        journal = self._journal
        try:
            async with asyncio.timeout(timeout_s):
                await self._committed(journal.hurry())
                ticks = {key: waiting.last_seq for key, waiting in journal.backlog().items()}
                self._to_lake.flush(ticks)
                await self._waiters.until(
                    lambda: all(journal.ticks_done(key) >= through for key, through in ticks.items())
                )
                await self._committed(journal.hurry())  # parts tell Postgres of themselves
                rows = journal.rows_backlog.last_seq
                await self._waiters.until(lambda: journal.rows_done >= rows)
        except TimeoutError:
            return False
        return True

    async def _committed(self, number: int) -> None:
        await self._waiters.until(lambda: self._journal.is_committed(number))

    def last_trade_id(self, pair: LivePair) -> int | None:
        """The highest trade id of the pair that was ever in the journal on disk."""
        return self._journal.last_trade_id(JournalPair.of(pair))

    @property
    def accepting(self) -> bool:
        """Whether it takes anything at present."""
        return not self._stopping and self._journal.accepting

    def state(self) -> SinkState:
        """How far behind it is, and why."""
        backlog, rows = self._journal.backlog(), self._journal.rows_backlog
        oldest = [each.oldest_ms for each in backlog.values()] + ([rows.oldest_ms] if rows.count else [])
        problems = (self._journal.alarm, self._to_postgres.problem, self._to_lake.problem)
        return SinkState(
            accepting=self.accepting,
            journal_rows=rows.count + sum(each.count for each in backlog.values()),
            journal_bytes=self._journal.file.bytes,
            oldest_pending_at=from_ms(min(oldest)) if oldest else None,
            alarm="; ".join(each for each in problems if each) or None,
        )

    def _add(self, pair: LivePair, kind: Kind, items: Sequence[object]) -> None:
        if self._stopping:
            raise IntakeStoppedError("the streamer is stopping")
        known = self._pairs.get(pair.id)
        if known is None or (known.exchange, known.symbol) != (pair.exchange, pair.symbol):
            known = self._pairs[pair.id] = JournalPair.of(pair)
        self._journal.add(known, kind, items)

    def _on_change(self) -> None:
        """After every commit, failure and delivery, on whichever thread."""
        rows = self._journal.rows_backlog
        if rows.last_seq > self._journal.rows_done:
            self._to_postgres.wake()
        self._to_lake.wake_if_due()
        self._waiters.check()

    def _close(self) -> None:
        stopped = [each.stop(0.1 * self._config.stop_s) for each in (self._to_postgres, self._to_lake)]
        if not all(stopped):
            log.warning("delivery_did_not_stop", to_postgres=stopped[0], to_lake=stopped[1])
        self._journal.close()

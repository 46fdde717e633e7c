"""Closed candles, funding, open interest and dead letters, from the journal to Postgres, in the order they came."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from market_platform.domain.clock import Clock
from streamer.delivery.drain import Drain, RetryDelays
from streamer.delivery.writer import RowWriter, is_refusal
from streamer.journal.file import Entry, JournalReader
from streamer.journal.journal import Journal
from streamer.journal.records import NO_PAIR, JournalPair, Row, decode_rows

log = structlog.get_logger(__name__)

BATCH = 2_000
"""Records a transaction at most, so that a backlog goes in few large ones and each stays short."""


class RowDrain(Drain):
    """Takes entries from the journal as soon as they are on disk."""

    idle_s = 1.0

    def __init__(self, journal: Journal, writer: RowWriter, delays: RetryDelays, clock: Clock) -> None:
        super().__init__("Postgres", journal.file, delays, clock)
        self._journal = journal
        self._writer = writer
        self._pairs: dict[int, JournalPair] = {}

    def deliver(self, reader: JournalReader, is_stopping: Callable[[], bool]) -> None:
        """Write everything that waits; what Postgres refuses for its content becomes a dead letter."""
        self._pairs = {}  # a number may be another pair's by now
        while not is_stopping():
            entries = reader.rows(self._journal.rows_done, BATCH)
            if not entries:
                return
            self._write(self._rows(reader, entries))
            self.moved()
            last = entries[-1]
            self._journal.rows_delivered(last.seq, sum(entry.count for entry in entries), last.arrived_ms)

    def _rows(self, reader: JournalReader, entries: Sequence[Entry]) -> list[Row]:
        if any(entry.pair_id not in self._pairs for entry in entries):
            self._pairs = reader.pairs()
        rows: list[Row] = []
        for entry in entries:
            try:
                records = decode_rows(entry.kind, entry.content)
            except ValueError as error:
                self._journal.add_damaged(entry, error)
                continue
            pair = self._pairs.get(entry.pair_id, NO_PAIR)
            rows += [Row(pair, record) for record in records]
        return rows

    def _write(self, rows: Sequence[Row]) -> None:
        """Write them; halve again and again what is refused, until each refused record stands alone."""
        try:
            self._writer.write(rows)
        except Exception as error:
            if not is_refusal(error):
                raise
            if len(rows) == 1:
                log.warning("row_refused", pair=f"{rows[0].pair.exchange}/{rows[0].pair.symbol}", reason=str(error))
                self._writer.refuse(rows[0], error)
                return
            middle = len(rows) // 2
            self._write(rows[:middle])
            self._write(rows[middle:])

"""Trades and quotes, from the journal to the lake: a part a pair and UTC day, when enough wait or the oldest waited enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import structlog

from market_platform.domain.clock import Clock, to_ms
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Quote, Trade
from market_platform.domain.quotes import ticks_from_quotes
from market_platform.domain.ticks import Ticks
from market_platform.domain.trades import Trades
from market_platform.lake.parts import PartFile, write_tick_parts, write_trade_parts
from market_platform.lake.store import Lake
from market_platform.pipeline.platform import Provenance
from streamer.delivery.drain import Drain, RetryDelays
from streamer.journal.file import Backlog, Entry, JournalReader
from streamer.journal.group import Key
from streamer.journal.journal import Journal
from streamer.journal.records import (
    DeadLetterRecord,
    JournalPair,
    Kind,
    StreamDayRecord,
    decode_quotes,
    decode_trades,
)
from streamer.sink import DeadLetter

log = structlog.get_logger(__name__)

LARGE_PART = 50_000
"""Ticks of a part at most when a backlog is delivered."""

T = TypeVar("T", Trade, Quote)


class PartDrain(Drain):
    """Makes parts; an entry of the journal is never cut, so a part may have some ticks more than `part_ticks`."""

    def __init__(
        self,
        journal: Journal,
        lake: Lake,
        provenance: Provenance,
        *,
        part_ticks: int,
        part_s: float,
        delays: RetryDelays,
        clock: Clock,
    ) -> None:
        super().__init__("the lake", journal.file, delays, clock)
        self._journal = journal
        self._lake = lake
        self._description = {"run_id": provenance.run_id, "code_version": provenance.code_version}
        self._part_ticks = part_ticks
        self._part_ms = part_s * 1000
        self._wanted: Mapping[Key, int] = {}
        self._pairs: dict[int, JournalPair] = {}

    @property
    def idle_s(self) -> float:
        """Often enough to notice ticks that waited long enough."""
        return min(1.0, self._part_ms / 1000)

    def flush(self, through: Mapping[Key, int]) -> None:
        """Deliver entries up to those numbers though few wait."""
        self._wanted = {**self._wanted, **through}
        self.wake()

    def wake_if_due(self) -> None:
        """Wake when a pair has enough for a part."""
        if any(waiting.count >= self._part_ticks for waiting in self._journal.backlog().values()):
            self.wake()

    def deliver(self, reader: JournalReader, is_stopping: Callable[[], bool]) -> None:
        """Write every part that is due."""
        self._pairs = {}  # a number may be another pair's by now
        for key in self._journal.backlog():
            while not is_stopping():
                waiting = self._journal.backlog().get(key)
                if waiting is None or not self._is_due(key, waiting):
                    break
                wanted = max(self._part_ticks, min(waiting.count, LARGE_PART))
                self.moved()
                self._deliver(reader, key, reader.ticks(*key, self._journal.ticks_done(key), wanted))

    def _is_due(self, key: Key, waiting: Backlog) -> bool:
        return (
            waiting.count >= self._part_ticks
            or abs(to_ms(self._clock()) - waiting.oldest_ms) >= self._part_ms  # the clock may have been set back
            or self._journal.ticks_done(key) < self._wanted.get(key, 0)
        )

    def _deliver(self, reader: JournalReader, key: Key, entries: Sequence[Entry]) -> None:
        pair_id, kind = key
        if pair_id not in self._pairs:
            self._pairs = reader.pairs()
        pair = self._pairs[pair_id]
        write = self._write_trades if kind is Kind.TRADES else self._write_quotes
        parts = write(pair, entries)
        layer = "trades" if kind is Kind.TRADES else "ticks"
        now = to_ms(self._clock())
        days = [
            StreamDayRecord(layer, part.day, part.rows, part.first_ms, part.last_ms, float(now - part.last_ms))
            for part in parts
        ]
        last = entries[-1]
        following = reader.oldest_tick_ms(pair_id, kind, last.seq)
        count = sum(entry.count for entry in entries)
        self._journal.ticks_delivered(key, last.seq, count, now if following is None else following, days)

    def _write_trades(self, pair: JournalPair, entries: Sequence[Entry]) -> list[PartFile]:
        events = self._events(pair, entries, decode_trades)
        try:
            trades, _ = Trades.from_events(events).sorted_unique()
        except BadPayloadError:
            trades = Trades.from_events(self._possible(pair, self._once(pair, events), Trades.from_events))
        if not len(trades):
            return []
        return write_trade_parts(self._lake, pair.exchange, pair.symbol, trades, self._description)

    def _write_quotes(self, pair: JournalPair, entries: Sequence[Entry]) -> list[PartFile]:
        events = self._events(pair, entries, decode_quotes)
        try:
            ticks = ticks_from_quotes(events)
        except BadPayloadError:
            possible = self._possible(pair, events, ticks_from_quotes)
            ticks = ticks_from_quotes(possible) if possible else Ticks.empty()
        if not len(ticks):
            return []
        return write_tick_parts(self._lake, pair.exchange, pair.symbol, ticks, self._description)

    def _events(self, pair: JournalPair, entries: Sequence[Entry], decode: Callable[[bytes, str], list[T]]) -> list[T]:
        events: list[T] = []
        for entry in entries:
            try:
                events += decode(entry.content, pair.symbol)
            except ValueError as error:
                self._journal.add_damaged(entry, error)
        return events

    def _once(self, pair: JournalPair, events: Sequence[Trade]) -> list[Trade]:
        """Each id once: the first that came; another one of the same id that differs is a dead letter."""
        first: dict[int, Trade] = {}
        for event in events:
            known = first.setdefault(event.trade_id, event)
            if known != event:
                self._refuse(pair, event, f"trade {event.trade_id} came twice with different content")
        return list(first.values())

    def _possible(self, pair: JournalPair, events: Sequence[T], convert: Callable[[Sequence[T]], Any]) -> list[T]:
        """The events that fit columns, as long as they fit together; the others are dead letters."""
        kept: list[T] = []
        halves: list[list[T]] = [list(events)]
        while halves:
            taken = halves.pop()
            try:
                convert(kept + taken)
            except BadPayloadError as error:
                if len(taken) == 1:
                    self._refuse(pair, taken[0], str(error))
                    continue
                middle = len(taken) // 2
                halves += [taken[middle:], taken[:middle]]
            else:
                kept += taken
        return kept

    def _refuse(self, pair: JournalPair, event: Trade | Quote, reason: str) -> None:
        log.warning("tick_refused", pair=f"{pair.exchange}/{pair.symbol}", reason=reason)
        letter = DeadLetter(pair.exchange, f"{pair.symbol} ticks", reason, repr(event), self._clock())
        self._journal.add_letter(DeadLetterRecord.of(letter))

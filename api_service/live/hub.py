"""Which topics there are, and the way of every change to them: read once, made into a message once, given to all.

Belongs here: topics, ticks, catching up. Does not: when to read (listener.py), what is shared of it (reads.py), one client (session.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import structlog

from api_service.database import Database
from api_service.live.listings import Listing
from api_service.live.messages import tick_frame
from api_service.live.metrics import LiveMetrics
from api_service.live.outbox import Outbox
from api_service.live.reads import History, Missed, Reads
from api_service.live.sharing import SingleFlight
from api_service.live.topic import Topic
from market_platform.domain.errors import WarehouseUnavailableError
from market_platform.domain.live_frames import LiveFrame, LiveTick
from market_platform.warehouse.series_queries import (
    Connection,
    SeriesUpdates,
    load_changes,
    load_series_state,
)

UNUSED_S = 60.0
"""How long a topic is followed without a subscriber: whoever comes back soon resumes from memory."""
_TRIES = 8

_log = structlog.get_logger("api.live")


@dataclass(eq=False, slots=True)
class TickTopic:
    """The ticks of one pair: only the newest matters."""

    exchange: str
    symbol: str
    key: tuple[str, int]
    readers: set[Outbox]


class Hub:
    """The topics of this process.

    Args:
        database: whose pool histories and catching up use.
        metrics: what is counted.
    """

    def __init__(self, database: Database, metrics: LiveMetrics) -> None:
        self._reads = Reads(database)
        self._metrics = metrics
        self._topics: dict[int, Topic] = {}
        self._ticks: dict[int, TickTopic] = {}
        self._numbers = SingleFlight(self._read_numbers)

    async def open(self, listings: Sequence[Listing]) -> list[Topic]:
        """The topics of starlistings, each with its number; join them before anything else is awaited.

        Raises:
            WarehouseUnavailableError: a number has to be read and can't be.
        """
        now = monotonic()
        topics = [self._topics.setdefault(each.id, Topic(each)) for each in listings]
        for topic in topics:
            if topic.unused_since is not None:
                topic.unused_since = now
        while any(each.seq is None for each in topics):
            await self._numbers.result()
        return topics

    def find(self, starlisting_id: int) -> Topic | None:
        """The topic of a starlisting, if there is one."""
        return self._topics.get(starlisting_id)

    def hint(self, starlisting_id: int, seq: int) -> bool:
        """Postgres says that a starlisting is at `seq`: whether its changes have to be read."""
        topic = self._topics.get(starlisting_id)
        if topic is None:
            return False
        topic.hinted = max(topic.hinted, seq)
        return topic.seq is not None and seq > topic.seq

    async def read(self, connection: Connection, ids: Iterable[int]) -> None:
        """Read what changed of those starlistings and give it to their subscribers."""
        since = {each: topic.seq for each in ids if (topic := self._topics.get(each)) and topic.seq is not None}
        if since:
            self._apply(await load_changes(connection, since))

    async def check(self, connection: Connection) -> None:
        """Compare every topic with Postgres: read what was missed, and restart where the numbering is another one."""
        before = {each: (topic.epoch, topic.seq) for each, topic in self._topics.items() if topic.seq is not None}
        if not before:
            return
        behind: list[int] = []
        for each, state in (await load_series_state(connection, list(before))).items():
            topic = self._topics.get(each)
            epoch, seq = before[each]
            if topic is None or topic.seq is None or seq is None:
                continue
            if (epoch and state.epoch != epoch) or state.seq < seq:
                self._restart(topic, state.epoch, state.seq)
            elif state.seq > topic.seq:
                behind.append(each)
        await self.read(connection, behind)

    def show(self, frame: LiveFrame) -> None:
        """Give the forming candles and ticks of a frame to their subscribers."""
        messages = size = 0
        for candle in frame.c:
            topic = self._topics.get(candle.starlisting_id)
            if topic is not None and topic.used:
                count, sent = topic.show(candle)
                messages, size = messages + count, size + sent
        for tick in frame.t:
            count, sent = self._show_tick(tick)
            messages, size = messages + count, size + sent
        self._metrics.sent(messages, size)

    def join_ticks(self, listing: Listing, outbox: Outbox) -> None:
        """Give the pair's ticks, from now on."""
        pair_id = listing.trading_pair_id
        made = TickTopic(listing.exchange, listing.symbol, ("tick", pair_id), set())
        self._ticks.setdefault(pair_id, made).readers.add(outbox)

    def leave_ticks(self, trading_pair_id: int, outbox: Outbox) -> None:
        """The reader wants no more ticks."""
        topic = self._ticks.get(trading_pair_id)
        if topic is not None:
            topic.readers.discard(outbox)
            outbox.drop_state(topic.key)
            if not topic.readers:
                del self._ticks[trading_pair_id]

    async def history(self, topic: Topic, limit: int, at_least: int = 0) -> History:
        """The newest rows of a starlisting, of `at_least` or later.

        Raises:
            WarehouseUnavailableError: they can't be read.
        """
        for _ in range(_TRIES):
            found = await self._reads.history(topic.listing, limit)
            if found.seq >= at_least and (not topic.epoch or found.epoch == topic.epoch):
                return found
            self._reads.forget(topic.listing.id)
            await asyncio.sleep(0.25)  # until the topic has heard of the other numbering, too
        raise WarehouseUnavailableError(f"the numbering of starlisting {topic.listing.id} is unclear")

    async def missed(self, topic: Topic, seq: int) -> Missed:
        """What changed of a starlisting after `seq`, by Postgres.

        Raises:
            WarehouseUnavailableError: it can't be read.
        """
        return await self._reads.missed(topic.listing, seq)

    def sweep(self) -> None:
        """Forget topics that nobody wanted for `UNUSED_S`, and old reads."""
        now = monotonic()
        for each, topic in list(self._topics.items()):
            if not topic.used and topic.unused_since is not None and now - topic.unused_since > UNUSED_S:
                del self._topics[each]
        self._reads.sweep()

    async def _read_numbers(self) -> None:
        """Read the number of every topic that has none, and what they missed meanwhile."""
        unread = [each for each in self._topics.values() if each.seq is None]
        states = await self._reads.states([each.listing.id for each in unread])
        for topic in unread:
            topic.epoch, topic.seq = states[topic.listing.id]
        behind = {each.listing.id: each.seq for each in unread if each.seq is not None and each.hinted > each.seq}
        if behind:
            self._apply(await self._reads.changes(behind))

    def _apply(self, updates: Mapping[int, SeriesUpdates]) -> None:
        messages = size = 0
        for each, update in updates.items():
            topic = self._topics.get(each)
            if topic is None or topic.seq is None or update.seq <= topic.seq:
                continue  # somebody was quicker; `check` finds a numbering that went back
            if (topic.epoch and update.epoch != topic.epoch) or update.changes is None:
                self._restart(topic, update.epoch, update.seq)
            else:
                topic.epoch = update.epoch
                count, sent = topic.publish(update.changes)
                messages, size = messages + count, size + sent
        self._metrics.sent(messages, size)

    def _restart(self, topic: Topic, epoch: int, seq: int) -> None:
        self._reads.forget(topic.listing.id)
        told = topic.restart(epoch, seq)
        self._metrics.resyncs.inc(told)
        _log.info("subscribers read anew", starlisting=topic.listing.id, seq=seq, clients=told)

    def _show_tick(self, tick: LiveTick) -> tuple[int, int]:
        topic = self._ticks.get(tick.trading_pair_id)
        if topic is None:
            return 0, 0
        frame = tick_frame(topic.exchange, topic.symbol, tick)
        for outbox in list(topic.readers):
            outbox.send_state(topic.key, frame)
        return len(topic.readers), len(frame) * len(topic.readers)

"""One client of `/ws`: its requests, and its history before the live messages.

Belongs here: the order of what one client gets. Does not: shapes (messages.py, actions.py), numbers (topic.py).

A request is carried out before the next one is read, so a client that asks faster than it reads is slowed by its own
socket. What a topic starts (reading anew) runs beside it, a task a starlisting.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from api_service.live.actions import (
    Action,
    Auth,
    Ping,
    Subscribe,
    SubscribeSymbols,
    Unsubscribe,
    UnsubscribeSymbols,
    parse_action,
)
from api_service.live.conversation import AWAY, Services, converse
from api_service.live.errors import ActionError, ClientGoneError
from api_service.live.listings import Listing, Listings
from api_service.live.messages import clock_frame, resync_frame, success_frame
from api_service.live.outbox import Outbox
from api_service.live.topic import Reader, Topic

MAX_SUBSCRIPTIONS = 1000


@dataclass(eq=False, slots=True)
class Subscription:
    """A starlisting that the client follows, and how far it is.

    `history` is how many rows it gets whenever it begins anew. `at` is the number of the last change it has, None before its
    history; `is_ours` when that came from us, not from the client. Its history has to be of `at_least` or later.
    """

    listing: Listing
    history: int
    at: int | None
    is_ours: bool
    at_least: int = 0

    def reach(self, seq: int) -> None:
        """The client has everything up to `seq`."""
        self.at, self.is_ours = seq, True

    def rewind(self, seq: int) -> None:
        """The client was told that everything up to `seq` has to be read anew."""
        self.at, self.is_ours = (None if self.history else seq), True
        self.at_least = seq


class Session:
    """A client of `/ws`; see `run`."""

    def __init__(self, services: Services, outbox: Outbox) -> None:
        self._services = services
        self._hub = services.hub
        self._outbox = outbox
        self._subscriptions: dict[int, Subscription] = {}
        self._candles: dict[int, Listing] = {}
        self._ticks: dict[int, Listing] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Serve until the client is gone."""
        try:
            await converse(receive, self._outbox, self._services, self._do)
        finally:
            for task in self._tasks:
                task.cancel()
            for each in list(self._subscriptions):
                self._drop(each)
            for listing in self._candles.values():
                self._leave_candles(listing)
            for pair_id in self._ticks:
                self._hub.leave_ticks(pair_id, self._outbox)

    async def _do(self, text: str | None) -> None:
        action: Action = parse_action(text)
        match action:
            case Ping():
                self._outbox.send(clock_frame("pong", self._services.clock()))
            case Auth():
                self._outbox.send(success_frame("No key is needed here"))
            case Subscribe():
                await self._subscribe(action)
            case Unsubscribe():
                self._unsubscribe(action)
            case SubscribeSymbols():
                await self._subscribe_symbols(action)
            case UnsubscribeSymbols():
                self._unsubscribe_symbols(action)

    async def _subscribe(self, action: Subscribe) -> None:
        ids = list(dict.fromkeys(action.starlisting_ids))
        listings = await self._services.listings.by_id(ids)
        self._check_room(len(self._subscriptions.keys() | set(ids)) + len(self._candles) + len(self._ticks))
        begins = await self._numbers(listings) if not action.history else {}
        for each in listings:
            self._drop(each.id)
            since = action.since.get(each.id)
            known = since is None and each.id in begins
            at = begins[each.id] if known else since
            self._subscriptions[each.id] = Subscription(each, action.history, at, is_ours=known)
        told: dict[str, Any] = {"starlisting_ids": ids}
        if numbers := {str(each): seq for each, seq in begins.items() if each not in action.since}:
            told["seq"] = numbers
        self._outbox.send(success_frame(f"Subscribed to {len(ids)} starlisting(s)", **told))
        left = [self._subscriptions[each] for each in ids]
        try:
            while left:
                await self._begin(left[0])
                left.pop(0)
        except AWAY:
            for subscription in left:
                self._begin_later(subscription)

    async def _numbers(self, listings: Sequence[Listing]) -> dict[int, int]:
        """Where each starlisting is now; nothing while Postgres can't be asked."""
        try:
            topics = await self._hub.open(listings)
        except AWAY:
            return {}
        return {each.listing.id: each.seq for each in topics if each.seq is not None}

    def _unsubscribe(self, action: Unsubscribe) -> None:
        ids = list(dict.fromkeys(action.starlisting_ids))
        for each in ids:
            self._drop(each)
        self._outbox.send(success_frame(f"Unsubscribed from {len(ids)} starlisting(s)", starlisting_ids=ids))

    async def _subscribe_symbols(self, action: SubscribeSymbols) -> None:
        interval = action.interval if "candle" in action.types else None
        listings = await self._services.listings.by_symbols(action.broker, action.symbols, interval)
        candles = {each.id: each for each in listings} if interval is not None else {}
        ticks = {each.trading_pair_id: each for each in listings} if "tick" in action.types else {}
        wanted = len(self._candles.keys() | candles.keys()) + len(self._ticks.keys() | ticks.keys())
        self._check_room(len(self._subscriptions) + wanted)
        for topic in await self._hub.open(list(candles.values())):
            topic.join_symbol(self._outbox)
        self._candles.update(candles)
        for each in ticks.values():
            self._hub.join_ticks(each, self._outbox)
        self._ticks.update(ticks)
        told = {"broker": listings[0].exchange, "symbols": [each.symbol for each in listings], "types": action.types}
        if interval is not None:
            told["interval"] = interval
        self._outbox.send(success_frame(f"Subscribed to {len(listings)} symbol(s)", **told))

    def _unsubscribe_symbols(self, action: UnsubscribeSymbols) -> None:
        broker = action.broker.strip().lower()
        symbols = list(dict.fromkeys(map(Listings.plain_symbol, action.symbols)))

        def is_meant(listing: Listing) -> bool:
            return listing.exchange == broker and listing.symbol in symbols

        if "candle" in action.types:
            for listing in [each for each in self._candles.values() if is_meant(each)]:
                if action.interval in (None, listing.interval):
                    self._leave_candles(self._candles.pop(listing.id))
        if "tick" in action.types:
            for listing in [each for each in self._ticks.values() if is_meant(each)]:
                del self._ticks[listing.trading_pair_id]
                self._hub.leave_ticks(listing.trading_pair_id, self._outbox)
        told = {"broker": broker, "symbols": symbols, "types": action.types}
        self._outbox.send(success_frame(f"Unsubscribed from {len(symbols)} symbol(s)", **told))

    async def _begin(self, subscription: Subscription) -> None:
        """Bring the client to a number, by history or by what changed since, and let it join the topic there.

        Raises:
            WarehouseUnavailableError: Postgres can't be asked; call it again, and it goes on where it was.
            ClientGoneError: nobody is there.
        """
        reader = Reader(self._outbox, partial(self._restart, subscription))
        while self._follows(subscription):
            await self._outbox.ready()
            [topic] = await self._hub.open([subscription.listing])
            at = subscription.at
            if at is None:
                subscription.reach(await self._send_history(topic, subscription))
            elif not subscription.is_ours and at > (topic.seq or 0):  # given by Postgres a moment ago, or never
                await self._send_changes(topic, subscription, at)
            elif self._follows(subscription) and topic.join(reader, at):
                return
            else:
                await self._send_changes(topic, subscription, at)
                if subscription.at == at:
                    await asyncio.sleep(0.1)  # the topic is about to hear of another numbering

    async def _send_changes(self, topic: Topic, subscription: Subscription, at: int) -> None:
        """Send what changed after `at`, or a resync."""
        missed = await self._hub.missed(topic, at)
        if not self._follows(subscription):
            return
        if missed.pieces is None:
            self._outbox.send(resync_frame(topic.listing.id, missed.seq))
            self._services.metrics.resyncs.inc()
            subscription.rewind(missed.seq)
            return
        for piece in missed.pieces:
            await self._send_piece(subscription, piece)
        subscription.reach(missed.seq)

    async def _send_history(self, topic: Topic, subscription: Subscription) -> int:
        """Send the newest rows, if the client wants any; returns the number they are of."""
        if not subscription.history:
            return max(subscription.at_least, topic.seq or 0)
        history = await self._hub.history(topic, subscription.history, subscription.at_least)
        for frame in history.frames:
            await self._send_piece(subscription, frame)
        return history.seq

    async def _send_piece(self, subscription: Subscription, frames: bytes) -> None:
        await self._outbox.ready()
        if self._follows(subscription):
            self._outbox.send(frames)
            self._services.metrics.sent(1, len(frames))

    def _restart(self, subscription: Subscription, seq: int) -> None:
        """The topic let us go at `seq`: begin anew there."""
        subscription.rewind(seq)
        self._begin_later(subscription)

    def _begin_later(self, subscription: Subscription) -> None:
        task = asyncio.create_task(self._keep_beginning(subscription))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_beginning(self, subscription: Subscription) -> None:
        while self._follows(subscription):
            try:
                await self._begin(subscription)
            except AWAY:
                await asyncio.sleep(random.uniform(0.2, 1.5))  # noqa: S311
            except ClientGoneError:
                return
            else:
                return

    def _follows(self, subscription: Subscription) -> bool:
        return self._subscriptions.get(subscription.listing.id) is subscription

    def _drop(self, starlisting_id: int) -> None:
        self._subscriptions.pop(starlisting_id, None)
        topic = self._hub.find(starlisting_id)
        if topic is not None:
            topic.leave(self._outbox)

    def _leave_candles(self, listing: Listing) -> None:
        topic = self._hub.find(listing.id)
        if topic is not None:
            topic.leave_symbol(self._outbox)

    def _check_room(self, count: int) -> None:
        if count > MAX_SUBSCRIPTIONS:
            raise ActionError(
                "validation_error", f"a connection may hold {MAX_SUBSCRIPTIONS} subscriptions; open another"
            )

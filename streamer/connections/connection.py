"""One connection to an exchange: reads, parses and routes its messages, subscribes, pings, and notices when it is dead.

Belongs here: the life of one connection, from open to its end. Does not: when to connect again (slot.py), what events mean
(routing/). A reader only takes messages off the socket; a second task parses what waits, a batch at a time; when too much
waits, the reader stops and TCP slows the exchange down.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from aiolimiter import AsyncLimiter

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Control, Quote, Trade
from market_platform.domain.live import ConnectionPlan, Subscription
from market_platform.exchanges.live import StreamDialect
from streamer.connections.failures import SilentError
from streamer.connections.lanes import Lanes, Settling
from streamer.connections.receiver import Delivery, Receiver
from streamer.connections.transports import Transport, open_transport
from streamer.times import Times

_WAITING = 4_096
_BATCH = 256
_LOOK_S = 0.5
_ERRORS_S = 10.0

log = structlog.get_logger("streamer")


@dataclass(slots=True)
class Traffic:
    """What went over a connection."""

    messages: int = 0
    last_message_at: float | None = None


class Connection:
    """A connection of a plan. `open()`, then `run()` until it ends; `close()` in any case."""

    def __init__(self, plan: ConnectionPlan, dialect: StreamDialect, receiver: Receiver, times: Times) -> None:
        self.plan = plan
        self.dialect = dialect
        self.traffic = Traffic()
        self.opened_at: float | None = None
        self.delivered_at: float | None = None
        self.delivering = asyncio.Event()
        self._receiver = receiver
        self._times = times
        self._transport: Transport | None = None
        self.lanes = Lanes(dialect, plan.name)
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._filled, self._room, self._drained = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._room.set()
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._limiter = AsyncLimiter(1, 1 / dialect.limits.messages_per_s)
        self._settling = Settling()
        self._silent_until = 0.0

    def mute_s(self) -> float:
        """For how long it has said nothing at all."""
        last = self.traffic.last_message_at
        return 0.0 if last is None else self._times.monotonic() - last

    async def open(self) -> None:
        """Connect and ask for what the plan says. What it raises, `failures.judge` understands."""
        self._transport = await open_transport(self.plan, self.dialect.limits)
        self.opened_at = self.traffic.last_message_at = self._times.monotonic()
        self._ask(self.plan.subscriptions)

    def follow(self, before: ConnectionPlan, after: ConnectionPlan) -> None:
        """Ask for more and end some, while it is open, where that can be done; the others are of pairs as they are now."""
        if before is after:
            return
        old = {each.name: each for each in before.subscriptions}
        new = {each.name: each for each in after.subscriptions}
        self.lanes.replace([each for name, each in new.items() if name in old])
        added = [each for name, each in new.items() if name not in old]
        removed = [each for name, each in old.items() if name not in new]
        if not self.dialect.resubscribes:
            return
        if removed:
            self.lanes.change([], removed, self._times.monotonic())
            self._send(self.dialect.unsubscribe(removed))
        if added:
            self._ask(added)

    def subscribe_again(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask anew for what has fallen silent."""
        self._send(self.dialect.unsubscribe(subscriptions))
        self._send(self.dialect.subscribe(subscriptions))

    async def run(self) -> None:
        """Read until it ends; always raises why."""
        assert self._transport is not None
        steps = (self._read(self._transport), self._parse(), self._speak(self._transport), self._ping(), self._watch())
        tasks = [asyncio.create_task(step, name=f"{self.dialect.exchange} {self.plan.name}") for step in steps]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def close(self) -> None:
        """Close, within a second or two; never raises."""
        if self._transport is not None:
            await self._transport.close()

    # ------------------------------------------------------------------------------------------------------------ sending

    def _ask(self, subscriptions: Iterable[Subscription]) -> None:
        wanted, now = list(subscriptions), self._times.monotonic()
        self.lanes.change(wanted, [], now)
        frames = self.dialect.subscribe(wanted)
        self._settling.ask(wanted, len(frames), now)
        self._send(frames)

    def _send(self, frames: Iterable[str]) -> None:
        for frame in frames:
            self._outbox.put_nowait(frame)

    async def _speak(self, transport: Transport) -> None:
        while True:
            frame = await self._outbox.get()
            await self._limiter.acquire()
            async with asyncio.timeout(self.dialect.limits.open_timeout_s):
                await transport.send(frame)

    async def _ping(self) -> None:
        frame, every = self.dialect.ping(), self.dialect.limits.ping_s
        while frame is not None and every is not None:
            await asyncio.sleep(every)
            self._send([frame])

    # ---------------------------------------------------------------------------------------------------------- receiving

    async def _read(self, transport: Transport) -> None:
        monotonic, waiting = self._times.monotonic, self._waiting
        try:
            while True:
                raw = await transport.receive()
                waiting.append((raw, monotonic()))
                self._filled.set()
                if len(waiting) >= _WAITING:
                    self._room.clear()
                    await self._room.wait()
        except Exception:
            self._drained.clear()
            self._filled.set()
            with contextlib.suppress(TimeoutError):  # what came before the end counts
                async with asyncio.timeout(self.dialect.limits.open_timeout_s):
                    await self._drained.wait()
            raise

    async def _parse(self) -> None:
        waiting = self._waiting
        while True:
            await self._filled.wait()
            while waiting:
                self._take([waiting.popleft() for _ in range(min(_BATCH, len(waiting)))])
                if len(waiting) < _WAITING // 2:
                    self._room.set()
                await asyncio.sleep(0)
            self._filled.clear()
            self._drained.set()

    def _take(self, batch: Sequence[tuple[bytes, float]]) -> None:
        """Parse messages and hand their events on."""
        parse, name, lane_of = self.dialect.parse, self.plan.name, self.lanes.of
        deliveries: list[Delivery] = []
        timely = True
        for raw, at in batch:
            try:
                events = parse(raw, name)
            except BadPayloadError as error:
                self._receiver.refuse(self, str(error), raw)
                continue
            except Exception as error:
                log.exception("a parser failed", exchange=self.dialect.exchange, connection=name)
                self._receiver.refuse(self, f"fault of the parser: {type(error).__name__}: {error}", raw)
                continue
            for event in events:
                if isinstance(event, Control):
                    self._control(event)
                    continue
                lane = lane_of(event, event.symbol)
                if lane is not None:
                    if not lane.began:
                        lane.began = True
                        # an exchange may begin with trades of before, or with the last price of a market that is closed
                        timely = timely and not isinstance(event, Trade | Quote)
                    lane.seen, lane.subscribed_again, lane.brought = at, False, True
                    deliveries.append((lane.subscription, event, raw, at))
        self.traffic.messages += len(batch)
        self.traffic.last_message_at = batch[-1][1]
        if self._settling.wanted and self._settling.settled(events=bool(deliveries)):
            self._settle()
        if deliveries:
            self._receiver.receive(self, deliveries, timely=timely)

    def _control(self, control: Control) -> None:
        if control.time_ms is not None:
            self._receiver.told(control.time_ms)
        if control.kind == "subscribed":
            self._settling.answers += 1
        elif control.kind == "shutdown":
            self._receiver.leaving(self)
        elif control.kind == "error" and self._times.monotonic() >= self._silent_until:
            self._silent_until = self._times.monotonic() + _ERRORS_S
            log.warning(
                "the exchange refused", exchange=self.dialect.exchange, connection=self.plan.name, text=control.text
            )

    # ----------------------------------------------------------------------------------------------------------- watching

    async def _watch(self) -> None:
        limits = self.dialect.limits
        while True:
            await asyncio.sleep(min(_LOOK_S, limits.silence_s / 4))
            now, last = self._times.monotonic(), self.traffic.last_message_at
            if last is not None and not self._waiting and now - last > limits.silence_s:
                raise SilentError(f"silent for {now - last:.0f} s")
            if self._settling.wanted and self.traffic.messages and self._settling.settled(now=now):
                self._settle()
            self._look_for_stale(now)

    def _settle(self) -> None:
        subscriptions, self._settling = self._settling.wanted, Settling()
        self.delivering.set()
        self._receiver.live(self, subscriptions)

    def _look_for_stale(self, now: float) -> None:
        again, hopeless = self.lanes.stale(now)
        if again:
            self.subscribe_again(again)
        if hopeless:
            suspects = self.lanes.suspects_beside(hopeless, now)
            for lane in hopeless:
                lane.seen, lane.subscribed_again = now, False
            self._receiver.stale(self, hopeless, suspects)

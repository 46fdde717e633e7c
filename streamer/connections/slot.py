"""One place for a connection: keeps it connected, and replaces one that still works before it is cut, with an overlap.

Belongs here: when to connect, wait, hand over. Does not: reading (connection.py), which connections there are (supervisor.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from market_platform.domain.live import ConnectionPlan, Subscription
from market_platform.exchanges.live import StreamDialect
from streamer.connections.backoff import Backoff
from streamer.connections.connection import Connection
from streamer.connections.failures import StreamEndedError, Verdict, judge
from streamer.connections.gate import Gate
from streamer.connections.lanes import Lane, Sleepers
from streamer.connections.market import LossReason, Market, Report
from streamer.connections.receiver import Delivery
from streamer.sink import IntakeStoppedError
from streamer.times import Times

_OVERLAP_S = 1.0
_HANDOVER_S = 30.0
_MUTE_S = 10.0
"""A connection that said nothing at all for so long before it is replaced may have been dead as long."""

log = structlog.get_logger("streamer")


class Slot:
    """Keeps one connection of a plan up until it is cancelled; then closes it."""

    def __init__(
        self,
        plan: ConnectionPlan,
        dialect: StreamDialect,
        market: Market,
        gate: Gate,
        times: Times,
        *,
        overlap_s: float | None = None,
    ) -> None:
        self.plan = plan
        self.report = Report()
        self._dialect = dialect
        self._market = market
        self._gate = gate
        self._times = times
        self._overlap_s = _OVERLAP_S if overlap_s is None else overlap_s
        self._backoff = Backoff()
        self._pause_s = 0.0
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._current: Connection | None = None
        self._hand_over = asyncio.Event()
        self._replacing = False
        self._past_messages = 0
        self._sleepers = Sleepers()

    # --------------------------------------------------------------------------------------------------- what others want

    def change(self, plan: ConnectionPlan) -> None:
        """Follow another plan: by subscribing on what is open, or by another connection where only that can."""
        before, self.plan = self.plan, plan
        other = {each.name for each in before.subscriptions} != {each.name for each in plan.subscriptions}
        for connection in self._open:
            connection.follow(before, plan)
        if other and not self._dialect.resubscribes:
            self.hand_over()

    def hand_over(self) -> None:
        """Replace the connection, without missing anything."""
        self._hand_over.set()

    @property
    def delivering(self) -> bool:
        """Whether what was asked for comes."""
        return any(each.delivering.is_set() for each in self._open)

    def stale_count(self) -> int:
        """How many subscriptions are silent for longer than a live one is."""
        return len(self._current.lanes.quiet(self._times.monotonic())) if self._current is not None else 0

    def refresh(self) -> Report:
        """The report, counted up to now."""
        report, current = self.report, self._current
        report.messages = self._past_messages + sum(each.traffic.messages for each in self._open)
        if current is not None and current.traffic.last_message_at is not None and current.traffic.messages:
            ago = self._times.monotonic() - current.traffic.last_message_at
            report.last_message_at = self._times.now() - timedelta(seconds=ago)
        return report

    # ------------------------------------------------------------------------------------------- what its connections say

    def receive(self, connection: Connection, deliveries: Sequence[Delivery], *, timely: bool = True) -> None:  # noqa: ARG002
        """Events; of two connections during a handover too, the market knows duplicates."""
        self._market.receive(deliveries, timely=timely)

    def refuse(self, connection: Connection, reason: str, raw: bytes) -> None:
        """A message that can't be used."""
        self.report.dead_letters += 1
        self._market.refuse(connection.plan.name, reason, raw)

    def told(self, at_ms: int) -> None:
        """The exchange said what time it is there."""
        self._market.told(at_ms)

    def live(self, connection: Connection, subscriptions: Sequence[Subscription]) -> None:
        """They deliver: nothing is missed from here on."""
        if connection.delivered_at is None:
            connection.delivered_at = self._times.monotonic()
            self._gate.succeeded()
            self.report.alarm = None
        self._market.live(self.plan.name, subscriptions)

    def stale(self, connection: Connection, lanes: Sequence[Lane], suspects: Sequence[Subscription]) -> None:
        """Some are silent though asked for again: what they may have missed is a gap, and another connection is tried.

        What is silent beside them (`suspects`) may have missed as much.
        """
        tried = self._sleepers.worth_trying(lanes)
        replaced = any(each.delivering.is_set() for each in self._open if each is not connection)
        if connection is not self._current or not tried or replaced:
            return
        names = ", ".join(each.name for each in tried[:5])
        log.warning("subscriptions are stale", exchange=self._dialect.exchange, connection=self.plan.name, names=names)
        self._market.lost(self.plan.name, [*tried, *suspects], "stale", names)
        if not self._replacing:
            self.hand_over()

    def leaving(self, connection: Connection) -> None:
        """It will be cut: replace it now."""
        if connection is self._current:
            log.info("the exchange will cut it", exchange=self._dialect.exchange, connection=self.plan.name)
            self.hand_over()

    # ----------------------------------------------------------------------------------------------------------- its life

    async def run(self) -> None:
        """Keep it up until cancelled."""
        connection: Connection | None = None
        try:
            while True:
                if connection is None:
                    self.report.state = "backing_off" if self._pause_s else "connecting"
                    connection = await self._connect(self._pause_s)
                else:
                    self._adopt(connection)
                    connection = await self._serve(connection)
        finally:
            await self._end(*self._open)
            self.report.state = "stopped"

    async def _connect(self, pause_s: float) -> Connection | None:
        """A connection that is open and being read; None when there is none, and `_pause_s` says how long to wait."""
        await asyncio.sleep(pause_s)
        await self._gate.enter()
        plan = self.plan
        connection = Connection(plan, self._dialect, self, self._times)
        try:
            await connection.open()
        except BaseException as error:
            self._gate.leave()
            await connection.close()
            if not isinstance(error, Exception):
                self._gate.abandoned()
                raise
            self._failed(error, None)
            return None
        connection.follow(plan, self.plan)  # which may have changed meanwhile
        name = f"{self._dialect.exchange} {plan.name}"
        self._open[connection] = asyncio.create_task(self._read(connection), name=name)
        return connection

    async def _read(self, connection: Connection) -> None:
        """Read it to its end; always raises."""
        try:
            await connection.run()
        finally:
            self._gate.leave()
            self._past_messages += connection.traffic.messages
            del self._open[connection]
            await connection.close()

    def _adopt(self, connection: Connection) -> None:
        self.report.reconnects += self._current is not None
        self.report.state = "open"
        self.report.connected_at = self._times.now()
        self._current, self._replacing = connection, False

    async def _serve(self, connection: Connection) -> Connection | None:
        """Until it ends or is replaced; what takes its place, None for nothing yet."""
        reader = self._open.get(connection)
        if reader is None:  # it ended at once
            self._lost(connection, ConnectionResetError("ended at once"))
            return None
        replacement = asyncio.create_task(self._replace(connection))
        try:
            await asyncio.wait({reader, replacement}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            replacement.cancel()
            await asyncio.gather(replacement, return_exceptions=True)
        if connection not in self._open:
            self._lost(connection, reader.exception() if reader.done() else None)
            return next(iter(self._open), None)  # one that is being opened beside it
        await self._end(connection)
        new = replacement.result()
        if new is None:
            self._lost(connection, StreamEndedError("replaced; no other connection may be open beside it"))
        return new

    async def _replace(self, old: Connection) -> Connection | None:
        """Wait until it is time; then another connection that delivers. None when none may be open beside the old one."""
        age_s, now = self._dialect.limits.age_s, self._times.monotonic()
        left_s = None if age_s is None or old.opened_at is None else max(0.0, old.opened_at + age_s - now)
        try:
            async with asyncio.timeout(left_s):
                await self._hand_over.wait()
        except TimeoutError:
            log.info("connection is old", exchange=self._dialect.exchange, connection=self.plan.name)
        self._hand_over.clear()
        self._replacing = True
        if self._gate.full:
            return None
        pause_s = 0.0
        while True:
            if (mute_s := old.mute_s()) > _MUTE_S:
                detail = f"it said nothing for {mute_s:.0f} s before it was replaced"
                self._market.lost(self.plan.name, self.plan.subscriptions, "stale", detail)
            new = await self._connect(pause_s)
            if new is not None and await self._delivers(new):
                await asyncio.sleep(self._overlap_s)  # what is on its way over the old one
                if new in self._open:
                    return new
            pause_s = max(1.0, self._pause_s)

    async def _delivers(self, connection: Connection) -> bool:
        """Wait for it to bring something; one that does not is closed."""
        reader = self._open.get(connection)
        if reader is None:
            return False
        ready = asyncio.create_task(connection.delivering.wait())
        try:
            await asyncio.wait({ready, reader}, timeout=_HANDOVER_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if connection in self._open and connection.delivering.is_set():
            return True
        await self._end(connection)
        error = reader.exception() if reader.done() and not reader.cancelled() else None
        self._failed(error or TimeoutError(), connection)
        return False

    async def _end(self, *connections: Connection) -> None:
        """Close them, and let their last words be."""
        readers = [self._open[each] for each in connections if each in self._open]
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    def _lost(self, connection: Connection, error: BaseException | None) -> None:
        """The connection is gone, and everything on it is missed from now on."""
        verdict = self._failed(error or ConnectionResetError("gone"), connection)
        reason: LossReason = "intake_stopped" if isinstance(error, IntakeStoppedError) else "disconnect"
        self._market.lost(self.plan.name, self.plan.subscriptions, reason, verdict.text)
        self.report.connected_at = None

    def _failed(self, error: BaseException, connection: Connection | None) -> Verdict:
        delivered_at = None if connection is None else connection.delivered_at
        verdict = judge(error)
        lived_s = 0.0 if delivered_at is None else self._times.monotonic() - delivered_at
        self._pause_s = self._backoff.lost(lived_s, verdict.wait_s)
        if verdict.ours:
            self._gate.abandoned()
        elif delivered_at is None:
            self._gate.failed()
        self.report.last_error = verdict.text
        self.report.alarm = f"{self._dialect.exchange} {self.plan.name}: {verdict.text}" if verdict.fatal else None
        (log.error if verdict.fatal else log.warning)(
            "no connection" if connection is None else "connection lost",
            exchange=self._dialect.exchange,
            connection=self.plan.name,
            reason=verdict.text,
            again_in_s=round(self._pause_s, 1),
        )
        return verdict

"""An exchange's streams: which connections there are, for the pairs there are now.

Belongs here: from pairs to connections, checking names, one router, one REST side and its polls. Does not: the life of a
connection (connections/slot.py), which pairs there are (pairs.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import structlog

from market_platform.domain.errors import ConfigError, ExchangeError
from market_platform.domain.live import ConnectionPlan, LivePair, Subscription
from market_platform.exchanges.codes import QUOTE_STREAMS
from market_platform.exchanges.live import LiveExchange, LiveRest
from streamer.connections.gate import Gate
from streamer.connections.slot import Slot
from streamer.gaps.keeper import GapKeeper
from streamer.rest.confirmations import Confirmations, LastCandles
from streamer.rest.polls import Polls
from streamer.routing.exchange_clock import ExchangeClock
from streamer.routing.outlet import Shows
from streamer.routing.pair_state import Traits
from streamer.routing.router import Router
from streamer.sink import IntakeStoppedError, Sink
from streamer.times import Times
from streamer.watch import Watch

TICK_S = 0.25
_NAMES_S = 3_600.0
_ASK_AGAIN_S = 10.0
_UNCHECKED_S = 15.0
_UNKNOWN_S = 600.0

log = structlog.get_logger("streamer")


class ExchangeSupervisor:
    """One exchange. `set_pairs` may be called at any time; `run` until it is cancelled.

    `problem` names pairs for which the exchange has no room; None when there is room for all.
    """

    def __init__(
        self,
        exchange: LiveExchange,
        rest: LiveRest,
        sink: Sink,
        keeper: GapKeeper,
        shows: Shows,
        times: Times,
        *,
        known_until: Callable[[LivePair], int | None],
        last_candles: LastCandles | None = None,
        check_future: bool = True,
        overlap_s: float | None = None,
    ) -> None:
        self.code = exchange.dialect.exchange
        self.gate = Gate(exchange.dialect.limits, lambda: sink.accepting, times)
        self.watch = Watch(self.code)
        self.problem: str | None = None
        self.unknown: dict[str, str] = {}
        self.slots: dict[str, Slot] = {}
        self.pairs: list[LivePair] = []
        self._exchange = exchange
        self._rest = rest
        self._times = times
        self._overlap_s = overlap_s
        self._changed = asyncio.Event()
        self._unchecked = False
        self._wanted: list[LivePair] = []
        self._names: dict[str, tuple[float, frozenset[str]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._connection_of: dict[tuple[int, str], str] = {}
        traits = Traits(
            trades_by_id=exchange.trade_history == "by_id",
            candles_flagged=not exchange.confirms_candles,
            polls_candles=exchange.polls_candles,
            quotes_are_ticks=self.code in QUOTE_STREAMS,
        )
        self.clock = ExchangeClock(times.now_ms, times.monotonic)
        self.polls = Polls(rest, self.clock.now)
        self.router = Router(
            self.code,
            traits,
            sink,
            keeper,
            shows,
            self.polls,
            times,
            self.clock,
            known_until=known_until,
            check_future=check_future,
        )
        self.polls.answers = self.router
        self._confirmations = (
            Confirmations(last_candles, self.polls, self.clock.now)
            if last_candles is not None and exchange.confirms_candles
            else None
        )

    def set_pairs(self, pairs: Sequence[LivePair]) -> None:
        """The pairs to stream from now on."""
        if list(pairs) != self._wanted:
            self._wanted = list(pairs)
            self._changed.set()

    async def run(self) -> None:
        """Stream until cancelled; what fails in an unforeseen way begins anew and is told in `watch.problems`."""
        try:
            await self.watch.forever("streams", self._stream)
        finally:
            self._finish()

    async def _stream(self) -> None:
        polls = partial(self._dated, partial(self.polls.run, every_candle=self._exchange.polls_candles))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.watch.forever("polls", polls))
                group.create_task(self.watch.forever("clock", self._tick))
                if self._confirmations is not None:
                    confirm = partial(self._dated, partial(self._confirmations.run, lambda: self.pairs))
                    group.create_task(self.watch.forever("confirmations", confirm))
                group.create_task(self._follow(group))
        except Exception:
            self._start_over()
            raise

    async def _dated(self, run: Callable[[], Awaitable[None]]) -> None:
        """Ask for what is over only once it is known what time it is at the exchange."""
        while not self.clock.known:  # noqa: ASYNC110  # time alone may make it known
            await asyncio.sleep(TICK_S)
        await run()

    def _start_over(self) -> None:
        """All connections are gone: what comes until there are others is missed."""
        gone, self.slots = self.slots, {}
        self._tasks.clear()
        self._changed.set()
        for name, slot in gone.items():
            self.router.lost(name, slot.plan.subscriptions, "disconnect", "the streamer failed")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self.router.tick()
            except IntakeStoppedError:
                continue

    def _finish(self) -> None:
        try:
            self.router.flush()
        except IntakeStoppedError:
            log.warning("the unfinished minute is not kept", exchange=self.code)

    # -------------------------------------------------------------------------------------------------------------- pairs

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        """Change connections as pairs change; ask again about names that could not be checked, or are not known (yet)."""
        applied: list[LivePair] | None = None
        while True:
            again_s = _UNCHECKED_S if self._unchecked else _UNKNOWN_S if self.unknown else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(again_s):
                    await self._changed.wait()
            self._changed.clear()
            pairs = await self._known(self._wanted)
            if pairs != applied:
                await self._apply(group, pairs)
                applied = pairs

    async def _known(self, pairs: Sequence[LivePair]) -> list[LivePair]:
        """Those whose names the exchange knows; all when it can't be asked."""
        self._unchecked = False
        known: list[LivePair] = []
        unknown: dict[str, str] = {}
        for pair in pairs:
            names = await self._names_of(pair.market_type, pair.wire)
            if not names or pair.wire in names:
                self._unchecked = self._unchecked or not names
                known.append(pair)
                continue
            unknown[pair.name] = f"{self.code} knows no {pair.wire!r} among its {pair.market_type} markets"
            if pair.name not in self.unknown:
                log.error("pair is left out", pair=pair.name, reason=unknown[pair.name])
        self.unknown = unknown
        return known

    async def _names_of(self, market_type: str, wire: str) -> frozenset[str]:
        """The exchange's names, not much older than an hour, and asked for anew when one is missing."""
        now = self._times.monotonic()
        asked_at, names = self._names.get(market_type, (-_NAMES_S, frozenset[str]()))
        age_s = now - asked_at
        if age_s >= _NAMES_S or (wire not in names and age_s >= _ASK_AGAIN_S):
            try:
                names = await self._rest.known_symbols(market_type) or names
            except ExchangeError as error:
                log.warning("names can't be checked", exchange=self.code, market_type=market_type, reason=str(error))
            self._names[market_type] = (now, names)
        return names

    def _fitting(self, pairs: Sequence[LivePair]) -> tuple[list[LivePair], dict[str, ConnectionPlan]]:
        """The pairs that the exchange has room for, those that came last left out, and the connections for them."""
        dialect, fitting, problem = self._exchange.dialect, sorted(pairs, key=lambda each: each.id), None
        while True:
            subscriptions = [each for pair in fitting for each in dialect.subscriptions(pair)]
            try:
                plans = {plan.name: plan for plan in dialect.plan(subscriptions)}
            except ConfigError as error:
                if not fitting:
                    raise
                fitting.pop()
                problem = problem or str(error)
                continue
            kept = {each.id for each in fitting}
            left = ", ".join(each.name for each in pairs if each.id not in kept)
            self.problem = f"{problem}; left out: {left}" if problem else None
            if problem:
                log.error("there is no room for every pair", exchange=self.code, reason=self.problem)
            return [each for each in pairs if each.id in kept], plans

    async def _apply(self, group: asyncio.TaskGroup, wanted: Sequence[LivePair]) -> None:
        """Make the connections those of these pairs."""
        dialect = self._exchange.dialect
        pairs, plans = self._fitting(wanted)
        self.pairs = pairs
        self.router.set_pairs(pairs)
        self.polls.set_pairs(pairs)
        self._tell_moves(plans)
        for name, plan in plans.items():
            slot = self.slots.get(name)
            if slot is not None:
                slot.change(plan)
                continue
            slot = self.slots[name] = Slot(
                plan, dialect, self.router, self.gate, self._times, overlap_s=self._overlap_s
            )
            self._tasks[name] = group.create_task(slot.run(), name=f"{self.code} {name}")
        for name in [name for name in self.slots if name not in plans]:
            del self.slots[name]
            task = self._tasks.pop(name)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        subscriptions = len(self._connection_of)
        log.info("streaming", exchange=self.code, pairs=len(pairs), connections=len(plans), subscriptions=subscriptions)

    def _tell_moves(self, plans: Mapping[str, ConnectionPlan]) -> None:
        """What is new, or will come over another connection than before, is missed until it comes."""
        before, self._connection_of = self._connection_of, {}
        for name, plan in plans.items():
            new: list[Subscription] = []
            moved: dict[str, list[Subscription]] = {}
            for each in plan.subscriptions:
                key = each.pair.id, each.name
                self._connection_of[key] = name
                was = before.get(key)
                if was is None:
                    new.append(each)
                elif was != name:
                    moved.setdefault(was, []).append(each)
            if new:
                self.router.lost(name, new, "start")
            for was, subscriptions in moved.items():
                self.router.moved(was, name, subscriptions)

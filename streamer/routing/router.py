"""From events of an exchange's streams to its pairs, and from there on.

Belongs here: which pair an event is of, whether it makes sense, when a pair is asked what follows. Does not: what an event
changes for its pair (pair_state.py), who wants to know of it (outlet.py), connections (connections/slot.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

from market_platform.domain.events import Candle, Funding, OpenInterest, Quote, Trade
from market_platform.domain.gaps import Missed
from market_platform.domain.intervals import bucket_end, bucket_start
from market_platform.domain.live import Channel, LivePair, Subscription
from market_platform.domain.live_frames import LiveTick
from market_platform.domain.ranks import CandleRank
from streamer.connections.market import LossReason
from streamer.connections.receiver import Delivery
from streamer.gaps.keeper import GapKeeper
from streamer.routing.absurd import IN_THE_FUTURE, absurdity
from streamer.routing.exchange_clock import ExchangeClock
from streamer.routing.outages import MARGIN_MS, Outages
from streamer.routing.outlet import Asked, Outlet, Shows
from streamer.routing.pair_state import PairState, Traits
from streamer.routing.refusals import Refusals
from streamer.routing.tallies import Tallies
from streamer.routing.timekeeper import Timekeeper, told_ms
from streamer.sink import DeadLetter, IntakeStoppedError, Sink
from streamer.times import Times

_MAX_TEXT = 65_536


class Router:
    """All pairs of one exchange. Everything is synchronous; `tick` is to be called a few times a second."""

    def __init__(
        self,
        exchange: str,
        traits: Traits,
        sink: Sink,
        keeper: GapKeeper,
        shows: Shows,
        asked: Asked,
        times: Times,
        clock: ExchangeClock,
        *,
        known_until: Callable[[LivePair], int | None],
        check_future: bool = True,
    ) -> None:
        self.exchange = exchange
        self.clock = clock
        self.tallies = Tallies(times)
        self.refusals = Refusals(exchange, times)
        self._traits = traits
        self._sink = sink
        self._keeper = keeper
        self._times = times
        self._asked = asked
        self._outages = Outages(traits, sink, keeper, known_until)
        self._outlet = Outlet(traits, sink, keeper, shows, asked, self._outages, self.tallies, clock)
        self._pairs: dict[int, PairState] = {}
        self._time = Timekeeper(self, clock, times, check_future=check_future)

    # -------------------------------------------------------------------------------------------------------------- pairs

    def set_pairs(self, pairs: Iterable[LivePair]) -> None:
        """The pairs to take events of; of others, events are dropped."""
        wanted = {pair.id: pair for pair in pairs}
        gone = set(self._pairs) - set(wanted)
        for pair_id in gone:
            state = self._pairs.pop(pair_id)
            state.give_up()
            with contextlib.suppress(IntakeStoppedError):  # its last minute is not kept
                self._flush_pair(state)
            self._outages.forget(state.pair, self.clock.now())
        for pair_id, pair in wanted.items():
            known = self._pairs.get(pair_id)
            if known is None:
                self._pairs[pair_id] = PairState(pair, self._traits, self._sink.last_trade_id(pair))
            elif known.pair != pair:
                known.describe(pair)

    def lost(
        self, connection: str, subscriptions: Sequence[Subscription], reason: LossReason, detail: str = ""
    ) -> None:
        """Those are missed from now on, and a little longer than that."""
        now_ms = self.clock.now()
        self._time.lost(subscriptions)
        for state, mine in self._by_pair(subscriptions):
            if reason == "intake_stopped":
                state.forget(self._sink.last_trade_id(state.pair))
            self._outages.began(connection, state, mine, reason, now_ms, detail)
            state.lost(mine)

    def live(self, connection: str, subscriptions: Sequence[Subscription]) -> None:
        """Those are there from now on; before the exchange has told its time, from its first event on."""
        if not self._time.can_date(connection, subscriptions):
            return
        now_ms = self.clock.now()
        for state, mine in self._by_pair(subscriptions):
            state.live(mine, now_ms)
            if self._traits.polls_candles:  # polls begin with the next candles, the gap ends before these
                for interval in state.pair.intervals:
                    start_ms = bucket_start(now_ms, interval)
                    self._asked.want(state.pair, interval.name, start_ms, bucket_end(start_ms, interval))
            for each in mine:  # what it has missed before is known; the next gap begins after this moment
                state.seen_ms[each.channel] = max(now_ms, state.seen_ms.get(each.channel, now_ms))
            self._outages.ended(connection, state, mine, now_ms)

    def moved(self, before: str, connection: str, subscriptions: Sequence[Subscription]) -> None:
        """Those come over another connection from now on, and are missed until they do."""
        for state, _ in self._by_pair(subscriptions):
            self._keeper.left(before, state.pair, self.clock.now())
        self.lost(connection, subscriptions, "disconnect", f"moved from connection {before}")

    def _by_pair(self, subscriptions: Sequence[Subscription]) -> list[tuple[PairState, list[Subscription]]]:
        grouped: dict[int, list[Subscription]] = {}
        for each in subscriptions:
            grouped.setdefault(each.pair.id, []).append(each)
        return [(self._pairs[pair_id], mine) for pair_id, mine in grouped.items() if pair_id in self._pairs]

    # ------------------------------------------------------------------------------------------------------------- events

    def receive(self, deliveries: Sequence[Delivery], *, timely: bool = True) -> None:
        """Events in the order they came; those that are not `timely` say nothing of lag, and may be of before.

        Before the exchange's time is known they are held until one says it: some have no time but now.

        Raises:
            IntakeStoppedError: the sink takes nothing more.
        """
        latest_ms = self._time.latest_ms()
        if not self._time.is_known_for(deliveries, latest_ms, timely=timely):
            return
        now_ms = self.clock.now()
        pairs = self._pairs
        touched: dict[int, PairState] = {}
        newest_ms = 0
        future: list[Delivery] = []
        for delivery in deliveries:
            subscription, event, raw, _ = delivery
            pair_id = subscription.pair.id
            state = pairs.get(pair_id)
            if state is None:
                continue
            reason = absurdity(event, latest_ms)
            if reason is IN_THE_FUTURE:
                future.append(delivery)
                continue
            if reason is not None:
                self.refuse(subscription.name, reason, raw)
                continue
            touched[pair_id] = state
            state.seen_ms[subscription.channel] = now_ms
            self._take(state, event, now_ms)
            event_ms = told_ms(event)
            if event_ms is not None and event_ms > newest_ms and (latest_ms is None or event_ms <= latest_ms):
                newest_ms = event_ms
        if newest_ms:
            self._time.learn(newest_ms, current=timely)
            self.tallies.event(newest_ms, deliveries[-1][3] if timely else None)
        self.tallies.events += len(deliveries)
        for state in touched.values():
            self._outlet.hand_on(state)
        self._time.doubt(future, contradicted=timely and newest_ms > 0)

    def _take(self, state: PairState, event: object, now_ms: int) -> None:
        """Let the pair know."""
        if isinstance(event, Trade):
            state.trade(event)
        elif isinstance(event, Quote):
            state.quote(event, now_ms)
        elif isinstance(event, Candle):
            state.candle(event, now_ms)
        elif isinstance(event, Funding):
            state.funding(event, now_ms)
        elif isinstance(event, OpenInterest):
            state.open_interest(event, now_ms)

    def refuse(self, channel: str, reason: str, raw: bytes) -> None:
        """A message that can't be used goes to the dead letters."""
        self.refusals.note(reason)
        text = raw[:_MAX_TEXT].decode("utf-8", "backslashreplace")
        self._sink.dead_letter(DeadLetter(self.exchange, channel, reason, text, self._times.now()))

    def told(self, at_ms: int) -> None:
        """The exchange said what time it is, beside the market (a heartbeat).

        Raises:
            IntakeStoppedError: the sink takes nothing more.
        """
        self._time.told(at_ms)

    def forget_times(self, subscriptions: Sequence[Subscription]) -> None:
        """The times at which those were there were wrong."""
        for state, _ in self._by_pair(subscriptions):
            state.forget_times()

    def asked_for(self, pair: LivePair, rows: Sequence[Candle | Funding | OpenInterest]) -> None:
        """What the REST side said: closed candles, or the context of the minute.

        Raises:
            IntakeStoppedError: the sink takes nothing more.
        """
        state = self._pairs.get(pair.id)
        if state is None:
            return
        candles = [row for row in rows if isinstance(row, Candle)]
        for row in rows:
            if not isinstance(row, Candle):
                self._take(state, row, self.clock.now())
        if candles:
            self._outlet.candles(state.pair, candles, CandleRank.EXCHANGE)
        self._outlet.hand_on(state)

    # --------------------------------------------------------------------------------------------------------------- time

    def tick(self) -> None:
        """What follows from time alone.

        Raises:
            IntakeStoppedError: the sink takes nothing more.
        """
        if not self._sink.accepting or not self._time.tick():
            return
        now_ms = self.clock.now()
        for state in self._pairs.values():
            state.due(now_ms)
            first_id = state.unseen_trades(now_ms)
            if first_id is not None:
                before_ms = state.seen_ms.get(Channel.TRADES, now_ms) - MARGIN_MS
                detail = "a closed candle names trades that never came"
                missed = Missed("trades", before_ms, "stale", first_id=first_id, detail=detail)
                self._keeper.within(state.pair, missed, now_ms)
            self._outlet.hand_on(state)
        self._outages.tick(now_ms)
        self.refusals.tell()

    def flush(self) -> None:
        """Hand on what waits for the end of its minute; before the end of the process.

        Raises:
            IntakeStoppedError: the sink takes nothing more.
        """
        for state in self._pairs.values():
            self._flush_pair(state)

    def ticks(self) -> list[LiveTick]:
        """The newest trade and quote of each pair that has another one than when last asked."""
        found = (state.tick() for state in self._pairs.values())
        return [tick for tick in found if tick is not None]

    def _flush_pair(self, state: PairState) -> None:
        state.flush()
        self._outlet.hand_on(state)

"""What time it is at an exchange, and what follows from knowing it or not.

Belongs here: who is believed, and what waits for the time: streams that came to life, events without a time of their own.
Does not: the estimate (exchange_clock.py), what events mean (router.py).

Before the exchange told its time nothing is concluded from ours. Only when it says none for a minute ours has to do, and what
was concluded is put right by the first that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog

from market_platform.domain.events import Candle, Control, Event, Trade
from market_platform.domain.live import Subscription
from streamer.connections.market import Market
from streamer.connections.receiver import Delivery
from streamer.routing.absurd import EARLIEST_MS, FUTURE_MS, IN_THE_FUTURE, absurdity
from streamer.routing.exchange_clock import ExchangeClock
from streamer.routing.waiting import Doubts, Revivals
from streamer.times import Times

_RIGHT_MS = 2_000
"""A clock of ours that is off by less is right."""

log = structlog.get_logger("streamer")


class Dated(Market, Protocol):
    """What is told when: the router."""

    @property
    def exchange(self) -> str:
        """Its code."""
        ...

    def forget_times(self, subscriptions: Sequence[Subscription]) -> None:
        """The times at which those were there were wrong."""
        ...


class Timekeeper:
    """Of one exchange. Methods may raise IntakeStoppedError, from the market that is told what has waited."""

    def __init__(self, market: Dated, clock: ExchangeClock, times: Times, *, check_future: bool) -> None:
        self._market = market
        self._clock = clock
        self._times = times
        self._check_future = check_future
        self._undated = Revivals()
        """What came to life before anybody knew what time it is."""
        self._held: list[Delivery] = []
        """Events that came before."""
        self._dated_by_us = Revivals()
        """What came to life when only our own clock told a time."""
        self._doubts = Doubts(times.monotonic)
        self._was_told = clock.told

    def latest_ms(self) -> int | None:
        """The latest time that is no nonsense, by our own clock or the exchange's; None where any time makes sense."""
        if not self._check_future:
            return None
        now_ms = self._times.now_ms()
        return FUTURE_MS + (max(now_ms, self._clock.now()) if self._clock.told else now_ms)

    def can_date(self, connection: str, subscriptions: Sequence[Subscription]) -> bool:
        """Whether those that are there now can be told since when; else they wait until they can."""
        if not self._clock.known:
            self._undated.add(connection, subscriptions)
            return False
        if not self._clock.told:
            self._dated_by_us.add(connection, subscriptions)
        return True

    def lost(self, subscriptions: Sequence[Subscription]) -> None:
        """Those are gone again."""
        self._undated.lost(subscriptions)
        self._dated_by_us.lost(subscriptions)

    # -------------------------------------------------------------------------------------------------- what tells the time

    def is_known_for(self, deliveries: Sequence[Delivery], latest_ms: int | None, *, timely: bool) -> bool:
        """Whether it is known when those came, from themselves if need be; else they wait until it is."""
        if self._clock.told:
            return True
        newest_ms = _newest_ms(deliveries, latest_ms)
        if newest_ms is not None:
            self.learn(newest_ms, current=timely)
        if not self._clock.known:
            self._hold(deliveries, latest_ms)
        return self._clock.known

    def told(self, at_ms: int) -> None:
        """The exchange said so, beside the market."""
        latest_ms = self.latest_ms()
        if latest_ms is not None and at_ms > latest_ms:
            self._doubts.add([], at_ms)
            self._decide()
        elif at_ms >= EARLIEST_MS:
            self._refuse([])
            self.learn(at_ms)

    def learn(self, at_ms: int, *, current: bool = True) -> None:
        """It is that time; or it was, for what is not `current`."""
        self._clock.saw(at_ms, current=current)
        self._go_on_when_told()

    def doubt(self, future: Sequence[Delivery], *, contradicted: bool) -> None:
        """Those say that it is much later than anybody thought; `contradicted` when others beside them do not."""
        if contradicted:
            self._refuse(future)
        elif future:
            self._doubts.add(future, _newest_ms(future, None))
        self._decide()

    def tick(self) -> bool:
        """Whether the time is known by now; then what waited for it has gone on."""
        self._decide()
        self._go_on_when_told()
        if self._clock.known:
            self._go_on()
        return self._clock.known

    # --------------------------------------------------------------------------------------------------------- what follows

    def _go_on_when_told(self) -> None:
        if self._clock.told and not self._was_told:
            self._was_told = True
            self._date_anew(self._times.now_ms() - self._clock.now())
            self._go_on()

    def _go_on(self) -> None:
        """Tell of what waited."""
        for connection, subscriptions in self._undated.take():
            self._market.live(connection, subscriptions)
        held, self._held = self._held, []
        if held:
            self._market.receive(held, timely=False)

    def _date_anew(self, ahead_ms: int) -> None:
        """Our own clock was wrong by that: what came to life by it is missed from the start until now."""
        revived = self._dated_by_us.take()
        if abs(ahead_ms) < _RIGHT_MS:
            return
        detail = f"our clock was {ahead_ms / 1000:+.0f} s from the exchange's"
        for connection, subscriptions in revived:
            self._market.forget_times(subscriptions)
            self._market.lost(connection, subscriptions, "start", detail)
            self._market.live(connection, subscriptions)

    def _hold(self, deliveries: Sequence[Delivery], latest_ms: int | None) -> None:
        future: list[Delivery] = []
        for delivery in deliveries:
            of_future = absurdity(delivery[1], latest_ms) is IN_THE_FUTURE
            (future if of_future else self._held).append(delivery)
        self.doubt(future, contradicted=False)

    def _decide(self) -> None:
        """Believe or refuse what says that it is much later, when it has waited for long enough."""
        if not self._doubts.ripe:
            return
        agreed_ms = self._doubts.agreed_ms()
        if agreed_ms is None:
            self._refuse([])
            return
        behind_s = round((agreed_ms - self._times.now_ms()) / 1000, 1)
        log.warning("our clock is behind the exchange's", exchange=self._market.exchange, by_s=behind_s)
        doubted = self._doubts.take()
        self.learn(agreed_ms)
        self._market.receive(doubted, timely=False)

    def _refuse(self, deliveries: Sequence[Delivery]) -> None:
        """Events of the future are nonsense: others, of now, say so."""
        for subscription, _, raw, _ in [*self._doubts.take(), *deliveries]:
            self._market.refuse(subscription.name, IN_THE_FUTURE, raw)


def told_ms(event: Event) -> int | None:
    """When an event was, by the exchange's clock; None for one that does not say."""
    if isinstance(event, Trade):
        return event.event_ms or event.time_ms
    if isinstance(event, Candle):
        return event.event_ms
    return None if isinstance(event, Control) else event.time_ms


def _newest_ms(deliveries: Sequence[Delivery], latest_ms: int | None) -> int | None:
    """The newest time that events tell, of those that make sense; None when none does."""
    newest_ms: int | None = None
    for _, event, _, _ in deliveries:
        at_ms = told_ms(event)
        if at_ms is None or (latest_ms is not None and at_ms > latest_ms) or absurdity(event, latest_ms) is not None:
            continue
        newest_ms = at_ms if newest_ms is None else max(newest_ms, at_ms)
    return newest_ms

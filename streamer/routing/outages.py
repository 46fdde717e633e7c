"""When a pair's stream went and when it came back: from which moment and trade id on, and up to which, things were missed.

Belongs here: the ends of such gaps. Does not: gaps within a stream (pair_state.py), noting them (gaps/keeper.py). Times are the
exchange's, in ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from market_platform.domain.events import Trade
from market_platform.domain.gaps import GapKind, Missed
from market_platform.domain.intervals import bucket_start
from market_platform.domain.live import Channel, LivePair, Subscription
from streamer.connections.market import LossReason
from streamer.gaps.keeper import GapKeeper
from streamer.routing.pair_state import PairState, Traits
from streamer.sink import Sink

MARGIN_MS = 60_000
"""How much earlier than its last sign of life a lost stream counts as missed: what was on its way was lost, too."""
_FRESH_MS = 6 * 3_600_000
"""How far back a pair begins of which nothing is stored yet."""
_QUIET_MS = 5_000
"""How long after an outage the first trade is waited for, to say by its id what was missed."""


class Outages:
    """Of one exchange's pairs. `known_until` says until when candles of a pair were stored when we started."""

    def __init__(
        self, traits: Traits, sink: Sink, keeper: GapKeeper, known_until: Callable[[LivePair], int | None]
    ) -> None:
        self._traits = traits
        self._sink = sink
        self._keeper = keeper
        self._known_until = known_until
        self._waiting: dict[int, tuple[str, PairState, int | None]] = {}
        self._fresh: set[int] = set()
        """Pairs of which nothing was stored when they started: how far back they begin is known when the time is."""

    def began(
        self,
        connection: str,
        state: PairState,
        subscriptions: Sequence[Subscription],
        reason: LossReason,
        now_ms: int,
        detail: str,
    ) -> None:
        """Those of the pair are missed from now on, and a little longer than that."""
        for kind, channel in self._kinds(subscriptions, reason).items():
            start_ms = self._start_of(state, kind, channel, reason, now_ms)
            if start_ms is None:
                continue
            first_id = state.next_trade_id if kind == "trades" else None
            if first_id is not None:
                self._waiting[state.pair.id] = (connection, state, None)
            missed = Missed(kind, start_ms, reason, first_id=first_id, detail=detail)
            self._keeper.lost(connection, state.pair, missed)

    def ended(self, connection: str, state: PairState, subscriptions: Sequence[Subscription], now_ms: int) -> None:
        """They are there from now on. Of trades with ids, the first that comes says what was missed."""
        for kind in self._kinds(subscriptions, "start"):
            if kind == "trades" and state.pair.id in self._waiting:
                self._waiting[state.pair.id] = (connection, state, now_ms)
            else:
                if kind == "candles":
                    self._begin_fresh(connection, state.pair, now_ms)
                self._keeper.found(connection, state.pair, kind, now_ms)

    def _begin_fresh(self, connection: str, pair: LivePair, now_ms: int) -> None:
        """What our own clock, ahead of the exchange's, left out of a pair's first hours is missed as well."""
        missed, since_ms = self._keeper.growing(connection, pair.id, "candles"), now_ms - _FRESH_MS
        if pair.id in self._fresh and missed is not None:
            self._fresh.discard(pair.id)
            if missed.start_ms > since_ms:
                self._keeper.within(pair, Missed("candles", since_ms, "start"), min(missed.start_ms, now_ms))

    def trades_came(self, state: PairState, trades: Sequence[Trade]) -> None:
        """If they are the first after an outage: those before them, from the first missing one on, were missed."""
        waiting = self._waiting.pop(state.pair.id, None)
        missed = None if waiting is None else self._keeper.growing(waiting[0], state.pair.id, "trades")
        if waiting is None or missed is None or missed.first_id is None:
            return
        first_id = missed.first_id
        came = min((each.trade_id for each in trades if each.trade_id >= first_id), default=first_id)
        self._keeper.found(waiting[0], state.pair, "trades", trades[0].time_ms, came - 1)
        state.told_until = came - 1

    def tick(self, now_ms: int) -> None:
        """Nobody may trade for long: then the outage ended without saying what was missed."""
        for pair_id, (connection, state, live_ms) in list(self._waiting.items()):
            if live_ms is not None and now_ms >= live_ms + _QUIET_MS:
                del self._waiting[pair_id]
                self._keeper.found(connection, state.pair, "trades", now_ms)

    def forget(self, pair: LivePair, now_ms: int) -> None:
        """The pair is not streamed any more."""
        self._waiting.pop(pair.id, None)
        self._fresh.discard(pair.id)
        self._keeper.forget(pair, now_ms)

    def _start_of(
        self, state: PairState, kind: GapKind, channel: Channel, reason: LossReason, now_ms: int
    ) -> int | None:
        """From when on it is missed; None when nothing is, because there never was anything."""
        pair = state.pair
        if reason != "start":
            start_ms = min(state.seen_ms.get(channel, now_ms), now_ms) - MARGIN_MS
            shortest = min(pair.intervals, default=None)
            return start_ms if shortest is None else bucket_start(start_ms, shortest)
        known_ms = self._known_until(pair)
        if kind == "trades" and self._sink.last_trade_id(pair) is None:
            return None
        if known_ms is None and kind == "candles":
            self._fresh.add(pair.id)
            return now_ms - _FRESH_MS
        if known_ms is None:
            return now_ms - MARGIN_MS if kind == "trades" else None  # their ids say from where on
        return min(known_ms, now_ms) - MARGIN_MS

    def _kinds(self, subscriptions: Sequence[Subscription], reason: LossReason) -> dict[GapKind, Channel]:
        """What is missed without those subscriptions, each once."""
        found: dict[GapKind, Channel] = {}
        for each in subscriptions:
            match each.channel:
                case Channel.TRADES:
                    found["trades"] = each.channel
                    if each.pair.candles_from == "trades":
                        found["candles"] = each.channel
                case Channel.CANDLES:
                    found["candles"] = each.channel
                case Channel.CONTEXT:
                    found["context"] = each.channel
                case Channel.QUOTES if self._traits.quotes_are_ticks:
                    found["quotes"] = each.channel
                    if reason == "start" and self._traits.polls_candles:
                        found["candles"] = each.channel
        return found

"""What is known of one trading pair from its stream, and what each event of it changes.

Belongs here: duplicates, order, which candles and minutes are final, for one pair. Does not: which pair an event is of
(router.py), storing anything (the sink), asking the exchange (rest/polls.py). Times are the exchange's, in ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from market_platform.domain.bars import BarBuilder, Bars
from market_platform.domain.events import Candle, Funding, OpenInterest, Quote, Trade
from market_platform.domain.ids import IdRange, IdTracker, Seen, SeenIds
from market_platform.domain.intervals import parse_interval
from market_platform.domain.live import Channel, LivePair, Subscription
from market_platform.domain.live_frames import LiveTick
from streamer.routing.finalise import Series, Told
from streamer.routing.minutes import Minutes

HOLE_GRACE_MS = 2_000
"""How long a trade may come after its successors."""
BAR_GRACE_MS = 2_000
"""How long after a bar's end its last trades may come."""
_SEEN_MS = 120_000
_QUOTES_REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class Traits:
    """How an exchange differs from others. `quotes_are_ticks`: its ticks are quotes, which are stored (OANDA)."""

    trades_by_id: bool
    candles_flagged: bool
    polls_candles: bool
    quotes_are_ticks: bool


@dataclass(slots=True)
class Outcome:
    """What is to be done after events or time: rows to store, and what was found missing.

    `jumps` are the trade ids that were left out just now and may still come, `holes` those that did not within the grace.
    """

    trades: list[Trade] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    closed: list[Candle] = field(default_factory=list)
    built: list[Candle] = field(default_factory=list)
    forming: list[Candle] = field(default_factory=list)
    funding: list[tuple[int, Funding]] = field(default_factory=list)
    open_interest: list[tuple[int, OpenInterest]] = field(default_factory=list)
    missing: list[tuple[str, int, int]] = field(default_factory=list)
    unconfirmed: list[tuple[str, int, int]] = field(default_factory=list)
    jumps: list[IdRange] = field(default_factory=list)
    holes: list[IdRange] = field(default_factory=list)


class PairState:
    """One pair. `known_trade_id` is the highest trade id that is durable already, of an exchange that counts them."""

    def __init__(self, pair: LivePair, traits: Traits, known_trade_id: int | None) -> None:
        self.pair = pair
        self.out = Outcome()
        self.seen_ms: dict[Channel, int] = {}
        self._shown_ms: int | None = None
        self.trade_before_hole_ms = 0
        self.told_until: int | None = None
        self.suspected: dict[IdRange, str] = {}
        """Trade ids that may still come, and the keys of their gaps: a kill before the grace is over must not forget them."""
        self._traits = traits
        self._minutes = Minutes()
        self._newest_trade: Trade | None = None
        self._last_quote: Quote | None = None
        self._quotes: dict[Quote, None] = {}
        self._single_id: int | None = None
        self._candle_names: tuple[int, int] | None = None
        self._dirty_bars = False
        self._reset(known_trade_id)

    def _reset(self, known_trade_id: int | None) -> None:
        self._ids = IdTracker(known_trade_id) if self._traits.trades_by_id else None
        self._seen = None if self._traits.trades_by_id else SeenIds(_SEEN_MS)
        self._series = {
            name: Series(parse_interval(name), flagged=self._traits.candles_flagged) for name in self.pair.starlistings
        }
        builds = self.pair.candles_from == "trades" and bool(self.pair.starlistings)
        self._bars = BarBuilder(self.pair.wire, self.pair.intervals) if builds else None

    @property
    def next_trade_id(self) -> int | None:
        """The first trade id that was not seen; None where ids do not count, or before any trade."""
        high = None if self._ids is None else self._ids.high
        return None if high is None else high + 1

    def describe(self, pair: LivePair) -> None:
        """Something else is known of the pair now: its intervals, how its candles are made."""
        before, self.pair = self.pair, pair
        for name in pair.starlistings:
            if name not in self._series:
                self._series[name] = Series(parse_interval(name), flagged=self._traits.candles_flagged)
        for name in before.starlistings:
            if name not in pair.starlistings:
                del self._series[name]
        if (before.candles_from, before.intervals) != (pair.candles_from, pair.intervals):
            builds = pair.candles_from == "trades" and bool(pair.starlistings)
            self._bars = BarBuilder(pair.wire, pair.intervals) if builds else None

    def forget_times(self) -> None:
        """The times that were given out were wrong."""
        self.seen_ms.clear()
        self._minutes = Minutes()

    def forget(self, known_trade_id: int | None) -> None:
        """Begin anew: what was seen last was not kept."""
        self.give_up()
        self._reset(known_trade_id)

    # -------------------------------------------------------------------------------------------------- coming and going

    def lost(self, subscriptions: Sequence[Subscription]) -> None:
        """Those are missed from now on."""
        for each in subscriptions:
            if each.channel is Channel.CANDLES and each.interval in self._series:
                self._series[each.interval].interrupted()
            elif each.channel is Channel.TRADES and self._bars is not None:
                self._bars.interrupted()

    def live(self, subscriptions: Sequence[Subscription], now_ms: int) -> None:
        """Those are there from now on."""
        for each in subscriptions:
            if each.channel is Channel.CANDLES and each.interval in self._series:
                self._series[each.interval].resumed(now_ms)
            elif each.channel is Channel.TRADES and self._bars is not None:
                self._bars.resumed(now_ms)

    # ------------------------------------------------------------------------------------------------------------- events

    def trade(self, trade: Trade) -> None:
        """A trade, or a duplicate of one."""
        late = False
        if self._ids is not None:
            high = self._ids.high
            seen = self._ids.observe(trade.trade_id)
            if seen is Seen.DUPLICATE:
                return
            late = seen is Seen.LATE
            if high is not None and trade.trade_id > high + 1:
                newest = self._newest_trade
                self.trade_before_hole_ms = trade.time_ms if newest is None else newest.time_ms
                self.out.jumps.append(IdRange(high + 1, trade.trade_id - 1))
                if self._bars is not None:
                    self._bars.interrupted()
                    self._bars.resumed(trade.time_ms)
        elif self._seen is not None and not self._seen.add(trade.trade_id, trade.time_ms):
            return
        self.out.trades.append(trade)
        if trade.last_id is not None and (self._single_id is None or trade.last_id > self._single_id):
            self._single_id = trade.last_id
        if self._bars is not None:
            self._told_bars(self._bars.add(trade.trade_id, trade.time_ms, trade.price, trade.quantity, _count(trade)))
            self._dirty_bars = True
        newest = self._newest_trade
        if not late and (newest is None or trade.time_ms >= newest.time_ms):
            self._newest_trade = trade
            self._shown_ms = trade.time_ms

    def quote(self, quote: Quote, now_ms: int) -> None:
        """The best bid and ask."""
        time_ms = now_ms if quote.time_ms is None else quote.time_ms
        if self._traits.quotes_are_ticks and quote.time_ms is not None:
            if quote in self._quotes:
                return
            self._quotes[quote] = None
            if len(self._quotes) > _QUOTES_REMEMBERED:
                del self._quotes[next(iter(self._quotes))]
            self.out.quotes.append(quote)
        last = self._last_quote
        if last is None or (quote.update_id or quote.time_ms or 0) >= (last.update_id or last.time_ms or 0):
            self._last_quote = quote
            self._shown_ms = time_ms

    def candle(self, candle: Candle, now_ms: int) -> None:
        """A candle, forming or closed."""
        series = self._series.get(candle.interval)
        if series is not None:
            if candle.closed and candle.last_trade_id is not None:
                self._candle_names = (candle.last_trade_id, now_ms)
            self._told(candle.interval, series.take(candle, now_ms))

    def funding(self, row: Funding, now_ms: int) -> None:
        """Funding and prices."""
        done = self._minutes.funding.take(row, now_ms)
        if done is not None:
            self.out.funding.append(done)

    def open_interest(self, row: OpenInterest, now_ms: int) -> None:
        """Open interest."""
        done = self._minutes.open_interest.take(row, now_ms)
        if done is not None:
            self.out.open_interest.append(done)

    # --------------------------------------------------------------------------------------------------------------- time

    def due(self, now_ms: int) -> None:
        """What follows from time alone."""
        out = self.out
        for name, series in self._series.items():
            self._told(name, series.due(now_ms))
        if self._bars is not None:
            self._told_bars(self._bars.due(now_ms, BAR_GRACE_MS))
            if self._dirty_bars:
                out.forming.extend(self._bars.forming())
                self._dirty_bars = False
        if self._ids is not None:
            out.holes.extend(self._ids.holes(now_ms, HOLE_GRACE_MS))
        self._flush_minutes(now_ms)

    def flush(self) -> None:
        """Give out the minute that is not over; before the end."""
        self._flush_minutes(None)

    def give_up(self) -> None:
        """Trades that were left out are not waited for any more."""
        self.out.holes.extend(self.suspected)

    def misses(self, ids: IdRange) -> bool:
        """Whether any of those trades has not come."""
        return self._ids is not None and self._ids.misses(ids.first, ids.last)

    def unseen_trades(self, now_ms: int) -> int | None:
        """The first id from which on trades are missing, when a closed candle names later ones than ever came."""
        if self._candle_names is None or now_ms < self._candle_names[1] + HOLE_GRACE_MS:
            return None
        last_id, self._candle_names = self._candle_names[0], None
        if self._single_id is None or last_id <= self._single_id:
            return None
        self._single_id = last_id
        return self.next_trade_id

    def _flush_minutes(self, now_ms: int | None) -> None:
        minutes = self._minutes
        funding = minutes.funding.flush() if now_ms is None else minutes.funding.due(now_ms)
        open_interest = minutes.open_interest.flush() if now_ms is None else minutes.open_interest.due(now_ms)
        if funding is not None:
            self.out.funding.append(funding)
        if open_interest is not None:
            self.out.open_interest.append(open_interest)

    def _told(self, interval: str, told: Told) -> None:
        out = self.out
        out.closed.extend(told.closed)
        if told.forming is not None:
            out.forming.append(told.forming)
        out.missing.extend((interval, start, end) for start, end in told.missing)
        out.unconfirmed.extend((interval, start, end) for start, end in told.unconfirmed)

    def _told_bars(self, bars: Bars | None) -> None:
        if bars is not None:
            self.out.built.extend(bars.closed)
            self.out.missing.extend((interval.name, start, end) for interval, start, end in bars.incomplete)

    def tick(self) -> LiveTick | None:
        """The newest trade and quote, once after each change; None in between."""
        if self._shown_ms is None:
            return None
        trade, quote, time_ms, self._shown_ms = self._newest_trade, self._last_quote, self._shown_ms, None
        return LiveTick(
            self.pair.id,
            time_ms,
            None if trade is None else format(trade.price, "f"),
            None if trade is None else format(trade.quantity, "f"),
            None if trade is None else trade.side,
            None if quote is None else format(quote.bid, "f"),
            None if quote is None else format(quote.ask, "f"),
        )


def _count(trade: Trade) -> int:
    """How many trades an aggregate is."""
    if trade.first_id is None or trade.last_id is None:
        return 1
    return max(1, trade.last_id - trade.first_id + 1)

"""Binance's streams. Belongs here: messages of slices of time. Does not: who hears them."""

from __future__ import annotations

import re
from collections.abc import Callable

from market_platform.replay.live.binance.contracts import Contract, next_funding_ms
from market_platform.replay.live.binance.texts import Texts, agg_row, part_ids, parts_of
from market_platform.replay.live.candles import HOUR_MS, Bar, CandleBook, flat_bar
from market_platform.replay.live.feed import Feed, Slice
from market_platform.replay.live.grids import BINANCE_GRIDS, Grid
from market_platform.replay.live.markets import Market

KLINE_PUSH_MS = 2_000
_STREAM = re.compile(
    r"(?P<symbol>[a-z0-9]+)@(?P<kind>aggTrade|trade|bookTicker|kline|markPrice)(?:_(?P<interval>\w+)|(?P<fast>@1s))?"
)


def make_feed(name: str, market: Market, book: CandleBook) -> Feed | None:
    """The feed of a stream's name; None when there is no such stream, which Binance does not tell either."""
    match = _STREAM.fullmatch(name)
    if match is None:
        return None
    kind, interval = match["kind"], match["interval"]
    if kind == "kline":
        grid = BINANCE_GRIDS.get(interval or "")
        return None if grid is None else KlineFeed(name, market, book, grid)
    if kind == "markPrice":
        return MarkPriceFeed(name, market, book) if market.venue == "binance-usdm" and interval is None else None
    if interval is not None or match["fast"] is not None:
        return None
    if kind == "aggTrade":
        return AggTradeFeed(name, market, book)
    return TradeFeed(name, market, book) if kind == "trade" else BookTickerFeed(name, market, book)


def symbol_of(name: str) -> str | None:
    """The symbol in a stream's name, in capitals as REST has it; None when it is no stream's name."""
    match = _STREAM.fullmatch(name)
    return None if match is None else match["symbol"].upper()


class _Feed:
    """What all of them have."""

    def __init__(self, name: str, market: Market, book: CandleBook) -> None:
        self.name = name
        self.book: CandleBook | None = book
        self._book = book
        self._tape = book.tape
        self._market = market
        self._texts = Texts(market)

    def start(self, at_ms: int) -> Callable[[], None] | None:  # noqa: ARG002 - a feed of what happens needs no past
        """Begin."""
        return None


class AggTradeFeed(_Feed):
    """`<symbol>@aggTrade`."""

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:
        """One per aggregate trade."""
        made: list[bytes] = []
        symbol = self._market.symbol
        for each in slices:
            rows = each.rows
            for at in range(each.low, each.high):
                row = agg_row(
                    self._tape,
                    self._texts,
                    rows.first_id + at,
                    rows.prices[at],
                    rows.lots[at],
                    rows.taker_buys[at],
                    rows.times[at],
                )
                made.append(f'{{"e":"aggTrade","E":{now_ms},"s":"{symbol}",{row}}}'.encode())
        return made


class TradeFeed(_Feed):
    """`<symbol>@trade`: the single trades."""

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:
        """One per single trade."""
        made: list[bytes] = []
        texts = self._texts
        for each in slices:
            rows = each.rows
            for at in range(each.low, each.high):
                price, time = texts.price(rows.prices[at]), rows.times[at]
                maker = "false" if rows.taker_buys[at] else "true"
                tail = f'"m":{maker},"M":true' if texts.is_spot else f'"X":"MARKET","m":{maker}'
                made.extend(
                    f'{{"e":"trade","E":{now_ms},"s":"{self._market.symbol}","t":{part},"p":"{price}",'
                    f'"q":"{texts.size(lots)}","T":{time},{tail}}}'.encode()
                    for part, lots in parts_of(self._tape, rows.first_id + at, rows.lots[at])
                )
        return made


class BookTickerFeed(_Feed):
    """`<symbol>@bookTicker`: the quote that stood after the last trade."""

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:
        """One at most; USD-M's also say when."""
        last = next((each for each in reversed(slices) if each.high > each.low), None)
        if last is None:
            return []
        rows, at = last.rows, last.high - 1
        tick, texts = self._market.tick, self._texts
        bid = rows.prices[at] - (tick if rows.taker_buys[at] else 0)
        update = self._tape.first_part(rows.first_id + at) * 10
        there = rows.lots[at]
        body = (
            f'"u":{update},"s":"{self._market.symbol}","b":"{texts.price(bid)}","B":"{texts.size(there * 3)}",'
            f'"a":"{texts.price(bid + tick)}","A":"{texts.size(there * 2 + 1)}"'
        )
        if texts.is_spot:
            return [f"{{{body}}}".encode()]
        return [f'{{"e":"bookTicker",{body},"T":{rows.times[at]},"E":{now_ms}}}'.encode()]


class KlineFeed(_Feed):
    """`<symbol>@kline_<interval>`: every two seconds in which it changed, and once when it has closed."""

    def __init__(self, name: str, market: Market, book: CandleBook, grid: Grid) -> None:
        super().__init__(name, market, book)
        self._grid = grid
        self._bar: Bar | None = None
        self._pushed_ms = 0
        self._pushed_count = 0

    def start(self, at_ms: int) -> Callable[[], None] | None:
        """Take up the candle that forms; one of many hours needs their sums first."""
        open_ms = self._grid.start(at_ms)
        end_ms = self._grid.end(open_ms)
        if self._bar is None and at_ms - open_ms > HOUR_MS:
            return self._first(open_ms, end_ms, at_ms)
        self._bar = self._book.until(open_ms, end_ms, at_ms)
        return None

    def _first(self, open_ms: int, end_ms: int, at_ms: int) -> Callable[[], None]:
        """The work that makes the book remember the hours before; what it finds is out of date when it is done."""

        def work() -> None:
            self._bar = self._book.until(open_ms, end_ms, at_ms)

        return work

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:
        """Forming and closed candles."""
        made: list[bytes] = []
        bar = self._bar
        assert bar is not None, "started before it is asked"
        for each in slices:
            each.add_to(bar)
            if each.end_ms >= bar.end_ms:
                made.append(self._text(bar, max(now_ms, bar.end_ms), closed=True))
                bar = self._next(bar)
        if now_ms - self._pushed_ms >= KLINE_PUSH_MS and bar.count != self._pushed_count:
            self._pushed_ms, self._pushed_count = now_ms, bar.count
            made.append(self._text(bar, now_ms, closed=False))
        self._bar = bar
        return made

    def _next(self, bar: Bar) -> Bar:
        self._pushed_count = 0
        end_ms = self._grid.end(bar.end_ms)
        return flat_bar(bar.end_ms, end_ms, bar.close, bar.first_id + bar.count)

    def _text(self, bar: Bar, event_ms: int, *, closed: bool) -> bytes:
        texts, symbol = self._texts, self._market.symbol
        first, last, count = part_ids(self._tape, bar)
        return (
            f'{{"e":"kline","E":{event_ms},"s":"{symbol}","k":{{"t":{bar.open_ms},"T":{bar.end_ms - 1},"s":"{symbol}",'
            f'"i":"{self._grid.name}","f":{first},"L":{last},"o":"{texts.price(bar.open)}",'
            f'"c":"{texts.price(bar.close)}","h":"{texts.price(bar.high)}","l":"{texts.price(bar.low)}",'
            f'"v":"{texts.size(bar.lots)}","n":{count},"x":{"true" if closed else "false"},'
            f'"q":"{texts.quote(bar.quote)}","V":"{texts.size(bar.buy_lots)}","Q":"{texts.quote(bar.buy_quote)}","B":"0"}}}}'
        ).encode()


class MarkPriceFeed(_Feed):
    """`<symbol>@markPrice@1s`, and without `@1s` all the same."""

    def __init__(self, name: str, market: Market, book: CandleBook) -> None:
        super().__init__(name, market, book)
        self._contract = Contract(book.tape)

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:
        """One for the newest whole second."""
        second = now_ms // 1000
        if second == (slices[0].start_ms - 1) // 1000:
            return []
        mark, index = self._contract.mark_price(second), self._contract.index_price(second)
        return [
            (
                f'{{"e":"markPriceUpdate","E":{second * 1000},"s":"{self._market.symbol}","p":"{mark}","ap":"{mark}",'
                f'"P":"{index}","i":"{index}","r":"{self._contract.funding_rate(second)}","T":{next_funding_ms(second)}}}'
            ).encode()
        ]

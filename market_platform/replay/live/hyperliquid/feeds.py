"""Hyperliquid's channels. Belongs here: messages of slices of time. Does not: who hears them."""

from __future__ import annotations

from collections.abc import Callable

from market_platform.replay.live.candles import HOUR_MS, Bar, CandleBook, flat_bar
from market_platform.replay.live.feed import Slice
from market_platform.replay.live.grids import Grid
from market_platform.replay.live.hyperliquid.contexts import Contexts
from market_platform.replay.live.hyperliquid.texts import Texts
from market_platform.replay.live.tape import MINUTE_MS

CANDLE_PUSH_MS = 500
REPLAYED_MS = 20_000


class TradesFeed:
    """`trades`: the trades of a beat in one message."""

    def __init__(self, name: str, book: CandleBook) -> None:
        self.name = name
        self.book: CandleBook | None = book
        self._book = book
        self._texts = Texts(book.tape.market)

    def start(self, at_ms: int) -> Callable[[], None] | None:  # noqa: ARG002 - a feed of what happens needs no past
        """Begin."""
        return None

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:  # noqa: ARG002
        """One, when there was a trade."""
        trade = self._texts.trade
        rows = [
            trade(
                each.rows.first_id + at,
                each.rows.prices[at],
                each.rows.lots[at],
                each.rows.taker_buys[at],
                each.rows.times[at],
            )
            for each in slices
            for at in range(each.low, each.high)
        ]
        return [f'{{"channel":"trades","data":[{",".join(rows)}]}}'.encode()] if rows else []


class CandleFeed:
    """`candle`: whenever it changed, twice a second at most, and once more when its time is over. It never says so."""

    def __init__(self, name: str, book: CandleBook, grid: Grid) -> None:
        self.name = name
        self.book: CandleBook | None = book
        self._book = book
        self._grid = grid
        self._texts = Texts(book.tape.market)
        self._bar: Bar | None = None
        self._pushed_ms = 0
        self._pushed_count = 0

    def start(self, at_ms: int) -> Callable[[], None] | None:
        """Take up the candle that forms; one of many hours needs their sums first."""
        open_ms = self._grid.start(at_ms)
        end_ms = self._grid.end(open_ms)
        if self._bar is None and at_ms - open_ms > HOUR_MS:
            self._bar = flat_bar(open_ms, end_ms, 0, 0)
            return lambda: self._remember(open_ms, end_ms, at_ms)
        self._bar = self._book.until(open_ms, end_ms, at_ms)
        self._pushed_count = self._bar.count
        return None

    def _remember(self, open_ms: int, end_ms: int, at_ms: int) -> None:
        self._book.until(open_ms, end_ms, at_ms)

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:
        """The candle as it stands, and the one before as it ended."""
        made: list[bytes] = []
        bar = self._bar
        assert bar is not None, "started before it is asked"
        for each in slices:
            each.add_to(bar)
            if each.end_ms >= bar.end_ms:
                if bar.count != self._pushed_count:
                    made.append(self._text(bar))
                bar = flat_bar(bar.end_ms, self._grid.end(bar.end_ms), bar.close, bar.first_id + bar.count)
                self._pushed_count = 0
        if now_ms - self._pushed_ms >= CANDLE_PUSH_MS and bar.count != self._pushed_count:
            self._pushed_ms, self._pushed_count = now_ms, bar.count
            made.append(self._text(bar))
        self._bar = bar
        return made

    def _text(self, bar: Bar) -> bytes:
        return f'{{"channel":"candle","data":{self._texts.candle(bar, self._grid.name)}}}'.encode()


class ContextFeed:
    """`activeAssetCtx`: once a second."""

    def __init__(self, name: str, book: CandleBook) -> None:
        self.name = name
        self.book: CandleBook | None = book
        self._coin = book.tape.market.symbol
        self._contexts = Contexts(book.tape)

    def start(self, at_ms: int) -> Callable[[], None] | None:  # noqa: ARG002 - it follows the clock
        """Begin."""
        return None

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:
        """One for the newest whole second."""
        second = now_ms // 1000
        if second == (slices[0].start_ms - 1) // 1000:
            return []
        body = self._contexts.context(second)
        return [f'{{"channel":"activeAssetCtx","data":{{"coin":"{self._coin}","ctx":{body}}}}}'.encode()]


def replayed(book: CandleBook, until_ms: int) -> list[bytes]:
    """The first `trades` message of a subscription: the last twenty seconds again."""
    start_ms = until_ms - REPLAYED_MS
    texts = Texts(book.tape.market)
    rows: list[str] = []
    for minute in range(start_ms // MINUTE_MS, until_ms // MINUTE_MS + 1):
        trades = book.tape.minute(minute)
        columns = zip(trades.times, trades.prices, trades.lots, trades.taker_buys, strict=True)
        rows += [
            texts.trade(trade_id, price, lots, buys, time)
            for trade_id, (time, price, lots, buys) in enumerate(columns, trades.first_id)
            if start_ms <= time < until_ms
        ]
    return [f'{{"channel":"trades","data":[{",".join(rows)}]}}'.encode()] if rows else []

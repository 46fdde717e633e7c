"""What the exchanges really did, whatever they told whom: `GET /_truth/{market}/{symbol}/trades` and `/candles`.

Belongs here: trades and candles of a span, in exact text, one form for all exchanges. Does not: wire formats, faults (no rule
spoils it). `market` is `binance-spot`, `binance-usdm`, `hyperliquid` or `oanda`; `from` and `to` are milliseconds.

    trades    [{"id", "price", "quantity", "side", "time", "first_id", "last_id"}], ids as the stream has them
    candles   [{"time", "end", "open", "high", "low", "close", "volume", "num_trades", "first_trade_id", "last_trade_id",
              "closed"}], those that open in [from, to) and have begun, of `interval`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import anyio.to_thread
import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from market_platform.replay.live.binance.texts import Texts as BinanceTexts
from market_platform.replay.live.binance.texts import decimal, part_ids
from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.grids import BINANCE_GRIDS, HYPERLIQUID_GRIDS
from market_platform.replay.live.hyperliquid.texts import Texts as HyperliquidTexts
from market_platform.replay.live.hyperliquid.texts import tid_of
from market_platform.replay.live.markets import Venue
from market_platform.replay.live.oanda.alignment import alignment
from market_platform.replay.live.oanda.quotes import INSTRUMENTS
from market_platform.replay.live.tape import MINUTE_MS
from market_platform.replay.live.world import World

Row = dict[str, Any]
_OANDA_WORDS = {"1m": "M1", "5m": "M5", "15m": "M15", "30m": "M30", "1h": "H1", "4h": "H4", "12h": "H12", "1d": "D"}
_OANDA_WORDS |= {"1w": "W", "1M": "M"}


class Truth:
    """The endpoints, and the same to call from a test."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            Route("/_truth/{market}/{symbol}/trades", self._answer_trades),
            Route("/_truth/{market}/{symbol}/candles", self._answer_candles),
        ]

    def trades(self, market: str, symbol: str, start_ms: int, end_ms: int) -> list[Row]:
        """Every trade of [start, end) that has happened, sorted.

        Raises:
            LookupError: there is no such market.
        """
        book = self._book(market, symbol)
        tape, end_ms = book.tape, min(end_ms, self._world.clock.now_ms())
        made: list[Row] = []
        if start_ms >= end_ms:
            return made
        rows = tape.trades(start_ms // MINUTE_MS, (end_ms - 1) // MINUTE_MS + 1)
        low, high = (int(np.searchsorted(rows.time, edge, "left")) for edge in (start_ms, end_ms))
        texts = _texts(book)
        columns = (rows.time, rows.price, rows.lots, rows.taker_buys)
        cut = (column[low:high].tolist() for column in columns)
        for number, (time, price, lots, buys) in enumerate(zip(*cut, strict=True), rows.first_id + low):
            row: Row = {
                "id": tid_of(number) if market == "hyperliquid" else number,
                "price": texts.price(price),
                "quantity": texts.size(lots),
                "side": "buy" if buys else "sell",
                "time": time,
                "first_id": None if market == "hyperliquid" else tape.first_part(number),
                "last_id": None if market == "hyperliquid" else tape.first_part(number + 1) - 1,
            }
            made.append(row)
        return made

    def candles(self, market: str, symbol: str, interval: str, start_ms: int, end_ms: int) -> list[Row]:
        """Every candle that opens in [start, end) and has begun, sorted; of OANDA mid prices on UTC's grid.

        Raises:
            LookupError: there is no such market or interval.
        """
        now = self._world.clock.now_ms()
        end_ms = min(end_ms, now)
        if market == "oanda":
            return self._quote_candles(symbol, interval, start_ms, end_ms, now)
        book = self._book(market, symbol)
        grid = (HYPERLIQUID_GRIDS if market == "hyperliquid" else BINANCE_GRIDS)[interval]
        texts = _texts(book)
        made: list[Row] = []
        at = grid.start(start_ms)
        at = at if at == start_ms else grid.end(at)
        while at < end_ms:
            bar = book.until(at, grid.end(at), min(grid.end(at), now))
            first, last, count = (None, None, bar.count) if market == "hyperliquid" else part_ids(book.tape, bar)
            made.append(
                {
                    "time": at,
                    "end": grid.end(at),
                    "open": texts.price(bar.open),
                    "high": texts.price(bar.high),
                    "low": texts.price(bar.low),
                    "close": texts.price(bar.close),
                    "volume": texts.size(bar.lots),
                    "num_trades": count,
                    "first_trade_id": first,
                    "last_trade_id": last,
                    "closed": grid.end(at) <= now,
                }
            )
            at = grid.end(at)
        return made

    def _quote_candles(self, symbol: str, interval: str, start_ms: int, end_ms: int, now: int) -> list[Row]:
        profile, quotes = INSTRUMENTS[symbol], self._world.quotes
        grid = alignment(_OANDA_WORDS[interval], "0", "UTC", "Monday")
        made: list[Row] = []
        at, end = grid.bucket(start_ms)
        if at < start_ms:
            at, end = grid.bucket(end)
        while at < end_ms:
            closed = end <= now
            bar = quotes.candle(profile, "M", at, end) if closed else quotes.forming(profile, "M", at, now)
            if bar is not None:
                names = ("open", "high", "low", "close")
                scale = profile.price_scale
                made.append(
                    {
                        "time": at,
                        "end": end,
                        **{name: decimal(getattr(bar, name), scale, scale) for name in names},
                        "volume": str(bar.volume),
                        "num_trades": bar.volume,
                        "first_trade_id": None,
                        "last_trade_id": None,
                        "closed": closed,
                    }
                )
            at, end = grid.bucket(end)
        return made

    def _book(self, market: str, symbol: str) -> CandleBook:
        if market not in get_args(Venue):
            raise LookupError(market)
        venue: Venue = market  # type: ignore[assignment]
        found = self._world.market(venue, symbol)
        if found is None:
            raise LookupError(symbol)
        return self._world.book(found)

    async def _answer_trades(self, request: Request) -> Response:
        return await self._answer(request, lambda market, symbol, span: self.trades(market, symbol, *span))

    async def _answer_candles(self, request: Request) -> Response:
        interval = request.query_params.get("interval", "1m")
        return await self._answer(request, lambda market, symbol, span: self.candles(market, symbol, interval, *span))

    async def _answer(self, request: Request, make: Callable[[str, str, tuple[int, int]], list[Row]]) -> Response:
        asked, where = request.query_params, request.path_params
        try:
            span = (int(asked["from"]), int(asked["to"]))
            rows = await anyio.to_thread.run_sync(make, where["market"], where["symbol"], span)
        except (KeyError, ValueError, LookupError) as error:
            return Response(orjson.dumps({"error": f"no such market, span or interval: {error}"}), 404)
        return Response(orjson.dumps(rows), media_type="application/json")


def _texts(book: CandleBook) -> BinanceTexts | HyperliquidTexts:
    market = book.tape.market
    return HyperliquidTexts(market) if market.venue == "hyperliquid" else BinanceTexts(market)

"""Binance's REST side: `/api/v3` of spot, `/fapi/v1` and `/futures/data` of USD-M.

Belongs here: where what is, weights, candles. Does not: trades (trades.py), markets (listing.py), rows (texts.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from market_platform.replay.live.binance.asking import Asked, RestError
from market_platform.replay.live.binance.listing import exchange_info, open_interest, premium_index, server_time
from market_platform.replay.live.binance.past import funding_rates, open_interest_past
from market_platform.replay.live.binance.texts import Texts, rest_kline
from market_platform.replay.live.binance.trades import agg_trades, single_trades
from market_platform.replay.live.grids import BINANCE_GRIDS, Grid
from market_platform.replay.live.history import listed_from_ms
from market_platform.replay.live.markets import Venue
from market_platform.replay.live.weights import WeightMeter
from market_platform.replay.live.world import World


@dataclass(frozen=True, slots=True)
class Weights:
    """What requests weigh on one side, and how many candles a page may have. `klines` by the most rows asked for."""

    klines: tuple[tuple[int, int], ...]
    agg_trades: int
    trades: int
    kline_rows: int


WEIGHTS: dict[Venue, Weights] = {
    "binance-spot": Weights(klines=((1000, 2),), agg_trades=4, trades=25, kline_rows=1000),
    "binance-usdm": Weights(
        klines=((99, 1), (499, 2), (1000, 5), (1500, 10)), agg_trades=20, trades=20, kline_rows=1500
    ),
}


class BinanceRest:
    """The endpoints of one side."""

    def __init__(self, world: World, venue: Venue, limit: int) -> None:
        self._world = world
        self._venue: Venue = venue
        self._weights = WEIGHTS[venue]
        self.meter = WeightMeter(limit, time.monotonic)

    def routes(self, root: str, data: str | None = None) -> list[Route]:
        """Where they are: below the API, and statistics of contracts below `data`; neither those nor funding weigh anything."""
        weights = self._weights
        pages: list[tuple[str, Callable[[Asked], bytes], int | None]] = [
            ("klines", self._klines, None),
            ("aggTrades", agg_trades, weights.agg_trades),
            ("trades", single_trades, weights.trades),
            ("historicalTrades", single_trades, weights.trades),
            (
                "exchangeInfo",
                lambda asked: exchange_info(asked, self.meter.limit),
                20 if self._venue == "binance-spot" else 1,
            ),
            ("time", server_time, 1),
        ]
        if self._venue == "binance-usdm":
            pages += [
                ("openInterest", open_interest, 1),
                ("premiumIndex", premium_index, 1),
                ("fundingRate", funding_rates, 0),
            ]
        routes = [Route(f"{root}/{name}", partial(self._answer, make, weight)) for name, make, weight in pages]
        if data is not None:
            routes.append(Route(f"{data}/openInterestHist", partial(self._answer, open_interest_past, 0)))
        return routes

    async def _answer(self, make: Callable[[Asked], bytes], weight: int | None, request: Request) -> Response:
        """Count, make, and say how much was used; without a weight it is that of candles."""
        verdict = self.meter.weigh(self._klines_weight(request) if weight is None else weight)
        headers = {"x-mbx-used-weight-1m": str(verdict.used)}
        if verdict.status is not None:
            headers["retry-after"] = str(verdict.retry_after_s)
            body = orjson.dumps({"code": -1003, "msg": "Too much request weight used; current limit is exceeded."})
            return Response(body, verdict.status, headers, "application/json")
        try:
            body, status = await anyio.to_thread.run_sync(make, Asked(self._world, self._venue, request)), 200
        except RestError as error:
            body, status = orjson.dumps({"code": error.code, "msg": str(error)}), error.status
        return Response(body, status, headers, "application/json")

    def _klines_weight(self, request: Request) -> int:
        asked = request.query_params.get("limit", "500")
        rows = min(int(asked), self._weights.kline_rows) if asked.isdecimal() else 500
        return next(weight for most, weight in self._weights.klines if rows <= most)

    def _klines(self, asked: Asked) -> bytes:
        market, book = asked.market()
        if asked.recording() is not None:
            return b"[]"
        grid = BINANCE_GRIDS.get(asked.text("interval"))
        if grid is None:
            raise RestError(-1120, "Invalid interval.")
        now = asked.now_ms
        limit = asked.limit(self._weights.kline_rows)
        start, end = asked.number("startTime"), asked.number("endTime")
        opens = _opens(grid, start, now if end is None else min(end, now), limit, listed_from_ms(now))
        texts = Texts(market)
        rows = [
            rest_kline(book.tape, texts, book.until(open_ms, end_ms, min(end_ms, now))) for open_ms, end_ms in opens
        ]
        return f"[{','.join(rows)}]".encode()


def _opens(grid: Grid, start: int | None, last_ms: int, limit: int, oldest_ms: int) -> list[tuple[int, int]]:
    """The buckets that open in [start, last], from the first on; without a start, the last ones."""
    made: list[tuple[int, int]] = []
    if start is None:
        at = grid.start(last_ms)
        while len(made) < limit and at >= oldest_ms:
            made.append((at, grid.end(at)))
            at = grid.start(at - 1)
        return made[::-1]
    at = grid.start(max(start, oldest_ms))
    at = at if at >= max(start, oldest_ms) else grid.end(at)
    while len(made) < limit and at <= last_ms:
        made.append((at, grid.end(at)))
        at = made[-1][1]
    return made

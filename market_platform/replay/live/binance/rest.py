"""Binance's REST side: `/api/v3` of spot and `/fapi/v1` of USD-M.

Belongs here: parameters, pages, weights, errors. Does not: rows (texts.py).
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

from market_platform.replay.live.binance.contracts import Contract, next_funding_ms
from market_platform.replay.live.binance.texts import SPOT_PLACES, Texts, agg_row, decimal, parts_of, rest_kline
from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.grids import BINANCE_GRIDS, Grid
from market_platform.replay.live.history import listed_from_ms
from market_platform.replay.live.markets import Market, Venue
from market_platform.replay.live.recorded import RecordedTrade, Recording
from market_platform.replay.live.tape import MINUTE_MS, Tape
from market_platform.replay.live.weights import WeightMeter
from market_platform.replay.live.world import World

HOUR_MS = 3_600_000


class RestError(Exception):
    """An answer other than 200, with Binance's own code."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


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

    def routes(self, root: str) -> list[Route]:
        """Where they are."""
        weights = self._weights
        pages: list[tuple[str, Callable[[Request], bytes], int | None]] = [
            ("klines", self._klines, None),
            ("aggTrades", self._agg_trades, weights.agg_trades),
            ("trades", self._trades, weights.trades),
            ("historicalTrades", self._trades, weights.trades),
            ("exchangeInfo", self._exchange_info, 20 if self._venue == "binance-spot" else 1),
            ("time", self._time, 1),
        ]
        if self._venue == "binance-usdm":
            pages += [("openInterest", self._open_interest, 1), ("premiumIndex", self._premium_index, 1)]
        return [Route(f"{root}/{name}", partial(self._answer, make, weight)) for name, make, weight in pages]

    async def _answer(self, make: Callable[[Request], bytes], weight: int | None, request: Request) -> Response:
        """Count, make, and say how much was used; without a weight it is that of candles."""
        verdict = self.meter.weigh(self._klines_weight(request) if weight is None else weight)
        headers = {"x-mbx-used-weight-1m": str(verdict.used)}
        if verdict.status is not None:
            headers["retry-after"] = str(verdict.retry_after_s)
            body = orjson.dumps({"code": -1003, "msg": "Too much request weight used; current limit is exceeded."})
            return Response(body, verdict.status, headers, "application/json")
        try:
            body, status = await anyio.to_thread.run_sync(make, request), 200
        except RestError as error:
            body, status = orjson.dumps({"code": error.code, "msg": str(error)}), error.status
        return Response(body, status, headers, "application/json")

    def _klines_weight(self, request: Request) -> int:
        asked = request.query_params.get("limit", "500")
        rows = min(int(asked), self._weights.kline_rows) if asked.isdecimal() else 500
        return next(weight for most, weight in self._weights.klines if rows <= most)

    def _market(self, request: Request) -> tuple[Market, CandleBook]:
        symbol = request.query_params.get("symbol")
        if not symbol:
            raise RestError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        market = self._world.market(self._venue, symbol)
        if market is None:
            raise RestError(-1121, "Invalid symbol.")
        return market, self._world.book(market)

    def _klines(self, request: Request) -> bytes:
        market, book = self._market(request)
        if self._world.recording(self._venue, market.symbol) is not None:
            return b"[]"
        grid = BINANCE_GRIDS.get(request.query_params.get("interval", ""))
        if grid is None:
            raise RestError(-1120, "Invalid interval.")
        now = self._world.clock.now_ms()
        limit = min(_number(request, "limit") or 500, self._weights.kline_rows)
        start, end = _number(request, "startTime"), _number(request, "endTime")
        opens = _opens(grid, start, now if end is None else min(end, now), limit, listed_from_ms(now))
        texts = Texts(market)
        rows = [
            rest_kline(book.tape, texts, book.until(open_ms, end_ms, min(end_ms, now))) for open_ms, end_ms in opens
        ]
        return f"[{','.join(rows)}]".encode()

    def _agg_trades(self, request: Request) -> bytes:
        market, book = self._market(request)
        recording = self._world.recording(self._venue, market.symbol)
        if recording is not None:
            played = (f"{{{recording.aggregate(trade)}}}" for trade in _played(recording, request))
            return f"[{','.join(played)}]".encode()
        tape, now = book.tape, self._world.clock.now_ms()
        newest, oldest = tape.last_before(now), _oldest_id(tape, now)
        first, last, limit = self._span(request, tape, newest)
        texts = Texts(market)
        rows: list[str] = []
        trade_id, last = max(first, oldest), min(last, newest)
        while trade_id <= last and len(rows) < limit:
            minute = tape.minute(tape.minute_of(trade_id))
            low = trade_id - minute.first_id
            high = min(len(minute.times), last - minute.first_id + 1, low + limit - len(rows))
            columns = (minute.prices, minute.lots, minute.taker_buys, minute.times)
            for row in zip(*(column[low:high] for column in columns), strict=True):
                rows.append(f"{{{agg_row(tape, texts, trade_id, *row)}}}")
                trade_id += 1
        return f"[{','.join(rows)}]".encode()

    def _span(self, request: Request, tape: Tape, newest: int) -> tuple[int, int, int]:
        """First and last id asked for, and the most rows."""
        limit = min(_number(request, "limit") or 500, 1000)
        first, start, end = (_number(request, name) for name in ("fromId", "startTime", "endTime"))
        if first is not None:
            if start is not None or end is not None:
                raise RestError(-1128, "Combination of optional parameters invalid.")
            return first, newest, limit
        last = newest if end is None else tape.last_before(end + 1)
        return (max(last - limit + 1, 1) if start is None else tape.last_before(start) + 1), last, limit

    def _trades(self, request: Request) -> bytes:
        market, book = self._market(request)
        recording = self._world.recording(self._venue, market.symbol)
        if recording is not None:
            return orjson.dumps([recording.single(trade) for trade in _played(recording, request)])
        tape, texts, now = book.tape, Texts(market), self._world.clock.now_ms()
        newest = tape.first_part(tape.last_before(now) + 1) - 1
        limit = min(_number(request, "limit") or 500, 1000)
        first = _number(request, "fromId") if request.url.path.endswith("historicalTrades") else None
        first = newest - limit + 1 if first is None else first
        first = max(first, tape.first_part(_oldest_id(tape, now)))
        rows: list[str] = []
        last = min(first + limit - 1, newest)
        for holder in range(tape.holder_of(first), tape.holder_of(last) + 1) if first <= last else ():
            minute = tape.minute(tape.minute_of(holder))
            at = holder - minute.first_id
            for part, lots in parts_of(tape, holder, minute.lots[at]):
                if first <= part <= last:
                    quote = texts.quote(minute.prices[at] * lots)
                    maker = "false" if minute.taker_buys[at] else "true"
                    best = ',"isBestMatch":true' if texts.is_spot else ""
                    rows.append(
                        f'{{"id":{part},"price":"{texts.price(minute.prices[at])}","qty":"{texts.size(lots)}",'
                        f'"quoteQty":"{quote}","time":{minute.times[at]},"isBuyerMaker":{maker}{best}}}'
                    )
        return f"[{','.join(rows)}]".encode()

    def _exchange_info(self, request: Request) -> bytes:
        wanted = request.query_params.get("symbol")
        if wanted is not None and self._world.market(self._venue, wanted) is None:
            raise RestError(-1121, "Invalid symbol.")
        symbols = [
            _described(market)
            for market in self._world.markets(self._venue)
            if wanted is None or market.symbol == wanted
        ]
        return orjson.dumps(
            {
                "timezone": "UTC",
                "serverTime": self._world.clock.now_ms(),
                "rateLimits": [
                    {
                        "rateLimitType": "REQUEST_WEIGHT",
                        "interval": "MINUTE",
                        "intervalNum": 1,
                        "limit": self.meter.limit,
                    }
                ],
                "exchangeFilters": [],
                "symbols": symbols,
            }
        )

    def _time(self, _: Request) -> bytes:
        return b'{"serverTime":%d}' % self._world.clock.now_ms()

    def _open_interest(self, request: Request) -> bytes:
        market, book = self._market(request)
        now = self._world.clock.now_ms()
        interest = Contract(book.tape).open_interest(now // 1000)
        return orjson.dumps({"openInterest": interest, "symbol": market.symbol, "time": now})

    def _premium_index(self, request: Request) -> bytes:
        if request.query_params.get("symbol") is None:
            return orjson.dumps(
                [self._premium(market, self._world.book(market)) for market in self._world.markets(self._venue)]
            )
        return orjson.dumps(self._premium(*self._market(request)))

    def _premium(self, market: Market, book: CandleBook) -> dict[str, str | int]:
        now = self._world.clock.now_ms()
        second, contract = now // 1000, Contract(book.tape)
        return {
            "symbol": market.symbol,
            "markPrice": contract.mark_price(second),
            "indexPrice": contract.index_price(second),
            "estimatedSettlePrice": contract.index_price(second),
            "lastFundingRate": contract.funding_rate(second),
            "interestRate": "0.00010000",
            "nextFundingTime": next_funding_ms(second),
            "time": now,
        }


def _played(recording: Recording, request: Request) -> list[RecordedTrade]:
    """What a request for trades gets of a recording."""
    return recording.trades(_number(request, "fromId"), min(_number(request, "limit") or 500, 1000))


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise RestError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


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


def _oldest_id(tape: Tape, now_ms: int) -> int:
    return tape.first_id(listed_from_ms(now_ms) // MINUTE_MS)


def _described(market: Market) -> dict[str, object]:
    spot = market.venue == "binance-spot"
    tick = decimal(market.tick, market.price_scale, SPOT_PLACES if spot else market.price_scale)
    step = decimal(1, market.lot_scale, SPOT_PLACES if spot else market.lot_scale)
    listed: dict[str, object] = {
        "symbol": market.symbol,
        "status": "TRADING",
        "baseAsset": market.coin,
        "quoteAsset": market.quote,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00000000", "stepSize": step},
        ],
    }
    if spot:
        return listed | {"baseAssetPrecision": 8, "quoteAssetPrecision": 8, "isSpotTradingAllowed": True}
    return listed | {
        "pair": market.symbol,
        "contractType": "PERPETUAL",
        "marginAsset": market.quote,
        "pricePrecision": market.price_scale,
        "quantityPrecision": market.lot_scale,
    }

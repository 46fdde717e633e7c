"""Hyperliquid's `POST /info`. Belongs here: requests, rows, weights. Does not: numbers (contexts.py, texts.py)."""

from __future__ import annotations

import time
from typing import Any

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response

from market_platform.replay.live.grids import HYPERLIQUID_GRIDS, Grid
from market_platform.replay.live.history import listed_from_ms
from market_platform.replay.live.hyperliquid.contexts import HOUR_MS, Contexts
from market_platform.replay.live.hyperliquid.texts import Texts
from market_platform.replay.live.markets import Market
from market_platform.replay.live.weights import WeightMeter
from market_platform.replay.live.world import World

SERVED_CANDLES = 5_000
SERVED_FUNDINGS = 500
_LIGHT = {"allMids": 2, "l2Book": 2, "exchangeStatus": 2}
_DOLLAR = {
    "name": "USDC",
    "szDecimals": 8,
    "weiDecimals": 8,
    "index": 0,
    "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054",
    "isCanonical": True,
    "evmContract": None,
    "fullName": None,
}
"""The one token; there are no spot markets."""


class NotUnderstoodError(Exception):
    """A request that is answered with 422."""


class HyperliquidInfo:
    """The endpoint."""

    def __init__(self, world: World, limit: int) -> None:
        self._world = world
        self.meter = WeightMeter(limit, time.monotonic)

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            asked = orjson.loads(await request.body())
            if not isinstance(asked, dict):
                raise NotUnderstoodError
            if self.meter.weigh(_LIGHT.get(asked.get("type", ""), 20)).status is not None:
                return Response(b"null", 429, media_type="application/json")
            rows, extra = await anyio.to_thread.run_sync(self._rows, asked)
        except (orjson.JSONDecodeError, NotUnderstoodError):
            return Response(b"Failed to deserialize the JSON body into the target type", 422, media_type="text/plain")
        if rows is None:
            return Response(b"null", 500, media_type="application/json")
        self.meter.weigh(extra)
        return Response(rows, media_type="application/json")

    def _rows(self, asked: dict[str, Any]) -> tuple[bytes | None, int]:
        """The body, None for an unknown coin, and what it weighs beyond the request itself."""
        match asked.get("type"):
            case "meta":
                return orjson.dumps(self._meta()), 0
            case "metaAndAssetCtxs":
                second = self._world.clock.now_ms() // 1000
                states = [orjson.loads(self._contexts(market).context(second)) for market in self._markets]
                return orjson.dumps([self._meta(), states]), 0
            case "spotMeta":
                return orjson.dumps({"universe": [], "tokens": [_DOLLAR]}), 0
            case "exchangeStatus":
                return orjson.dumps({"specialStatuses": None, "time": self._world.clock.now_ms()}), 0
            case "allMids":
                second = self._world.clock.now_ms() // 1000
                mids = {market.symbol: self._contexts(market).mid(second) for market in self._markets}
                return orjson.dumps(mids), 0
            case "l2Book":
                return self._book(asked), 0
            case "candleSnapshot":
                return self._candles(asked.get("req"))
            case "fundingHistory":
                return self._fundings(asked)
            case _:
                raise NotUnderstoodError

    @property
    def _markets(self) -> list[Market]:
        return self._world.markets("hyperliquid")

    def _meta(self) -> dict[str, Any]:
        return {"universe": [_described(market) for market in self._markets]}

    def _contexts(self, market: Market) -> Contexts:
        return Contexts(self._world.book(market).tape)

    def _book(self, wanted: dict[str, Any]) -> bytes | None:
        """The book's head and the exchange's time; its levels are not modelled."""
        market, now = self._world.market("hyperliquid", str(wanted.get("coin"))), self._world.clock.now_ms()
        return None if market is None else orjson.dumps({"coin": market.symbol, "time": now, "levels": [[], []]})

    def _candles(self, wanted: Any) -> tuple[bytes | None, int]:
        if not isinstance(wanted, dict) or not isinstance(wanted.get("coin"), str):
            raise NotUnderstoodError
        grid = HYPERLIQUID_GRIDS.get(str(wanted.get("interval")))
        start, now = _moment(wanted, "startTime"), self._world.clock.now_ms()
        end = min(_moment(wanted, "endTime") if wanted.get("endTime") is not None else now, now)
        if grid is None:
            raise NotUnderstoodError
        market = self._world.market("hyperliquid", wanted["coin"])
        if market is None:
            return None, 0
        book, texts = self._world.book(market), Texts(market)
        opens = _opens(grid, max(start, listed_from_ms(now)), end, now)
        rows = [
            texts.candle(book.until(open_ms, grid.end(open_ms), min(grid.end(open_ms), now)), grid.name)
            for open_ms in opens
        ]
        return f"[{','.join(rows)}]".encode(), len(rows) // 60

    def _fundings(self, wanted: dict[str, Any]) -> tuple[bytes | None, int]:
        if not isinstance(wanted.get("coin"), str):
            raise NotUnderstoodError
        start, now = _moment(wanted, "startTime"), self._world.clock.now_ms()
        end = min(_moment(wanted, "endTime") if wanted.get("endTime") is not None else now, now)
        market = self._world.market("hyperliquid", wanted["coin"])
        if market is None:
            return None, 0
        contexts, coin = self._contexts(market), market.symbol
        first = -(-max(start, listed_from_ms(now)) // HOUR_MS) * HOUR_MS
        rows: list[dict[str, Any]] = []
        for hour_ms in range(first, end + 1, HOUR_MS):
            moment, rate, premium = contexts.funding_paid(hour_ms)
            if moment <= end and len(rows) < SERVED_FUNDINGS:
                rows.append({"coin": coin, "fundingRate": rate, "premium": premium, "time": moment})
        return orjson.dumps(rows), len(rows) // 20


def _opens(grid: Grid, start_ms: int, end_ms: int, now_ms: int) -> list[int]:
    """The candles that [start, end] touches, if they are of the newest that are served."""
    at, made = grid.start(start_ms), []
    if grid.length_ms:
        at = max(at, grid.start(now_ms) - (SERVED_CANDLES - 1) * grid.length_ms)
    while at <= end_ms:
        made.append(at)
        at = grid.end(at)
    return made


def _moment(wanted: dict[str, Any], name: str) -> int:
    value = wanted.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise NotUnderstoodError
    return value


def _described(market: Market) -> dict[str, Any]:
    return {"szDecimals": market.lot_scale, "name": market.symbol, "maxLeverage": 40, "marginTableId": 56}

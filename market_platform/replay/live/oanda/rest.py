"""OANDA's REST side, and the door to its stream.

Belongs here: parameters, pages, errors. Does not: prices (quotes.py), lines (texts.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from market_platform.replay.faults import HANDSHAKE_KINDS, FaultBook
from market_platform.replay.generator.profiles import Profile
from market_platform.replay.live.binance.texts import decimal
from market_platform.replay.live.history import listed_from_ms
from market_platform.replay.live.hub import Hub
from market_platform.replay.live.oanda.alignment import Alignment, alignment
from market_platform.replay.live.oanda.quotes import INSTRUMENTS, PriceOf, QuoteBar, Quotes
from market_platform.replay.live.oanda.stream import OPEN_MS, PriceStream
from market_platform.replay.live.oanda.texts import NOT_TRADEABLE, TRADEABLE, moment, price_body
from market_platform.replay.live.oanda.times import read_time

MAX_COUNT = 5_000
DEFAULT_COUNT = 500
_SIDE_NAMES: dict[PriceOf, str] = {"M": "mid", "B": "bid", "A": "ask"}


class RefusedError(Exception):
    """An answer other than 200, in OANDA's words."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Oanda:
    """The endpoints."""

    def __init__(self, hub: Hub, quotes: Quotes, faults: FaultBook) -> None:
        self._hub = hub
        self._quotes = quotes
        self._faults = faults

    def routes(self, root: str) -> list[BaseRoute]:
        """Where they are."""
        return [
            Route(f"{root}/accounts/{{account}}/pricing/stream", self.stream),
            Route(f"{root}/accounts/{{account}}/pricing", self.pricing),
            Route(f"{root}/accounts/{{account}}/instruments", self.instruments),
            Route(f"{root}/instruments/{{instrument}}/candles", self.candles),
        ]

    async def stream(self, request: Request) -> Response:
        """`/pricing/stream`."""
        try:
            _authorize(request)
            names = _instruments(request)
        except RefusedError as error:
            return _refused(error)
        refusal = self._faults.take(f"{request.url.path}?{request.url.query}", HANDSHAKE_KINDS)
        if refusal is not None:
            return _refused(RefusedError("refused", refusal.status))
        return PriceStream(self._hub, self._quotes, self._faults, request, names)  # type: ignore[return-value]

    async def pricing(self, request: Request) -> Response:
        """`/pricing`: the last price of each instrument."""
        return await _answer(request, self._pricing)

    async def instruments(self, request: Request) -> Response:
        """`/instruments` of an account."""
        return await _answer(request, lambda _: _listed())

    async def candles(self, request: Request) -> Response:
        """`/candles` of an instrument."""
        return await _answer(request, self._candles)

    def _pricing(self, request: Request) -> bytes:
        now = self._quotes.clock.now_ms()
        prices: list[str] = []
        for name in _instruments(request):
            last = self._quotes.last(INSTRUMENTS[name], now)
            if last is not None:
                status = TRADEABLE if now - int(last[0].time[last[1]]) < OPEN_MS else NOT_TRADEABLE
                prices.append(f'{{"type":"PRICE",{price_body(name, *last, status)}}}')
        return f'{{"prices":[{",".join(prices)}],"time":"{moment(now)}"}}'.encode()

    def _candles(self, request: Request) -> bytes:
        name = request.path_params["instrument"]
        profile, asked = INSTRUMENTS.get(name), request.query_params
        if profile is None:
            raise RefusedError("Invalid value specified for 'instrument'")
        sides = asked.get("price", "M")
        if not sides or not set(sides) <= set(get_args(PriceOf)):
            raise RefusedError("Invalid value specified for 'price'")
        granularity = asked.get("granularity", "S5")
        try:
            grid = alignment(
                granularity,
                asked.get("dailyAlignment"),
                asked.get("alignmentTimezone"),
                asked.get("weeklyAlignment"),
            )
            start, end = (read_time(asked[edge]) if edge in asked else None for edge in ("from", "to"))
        except ValueError as error:
            raise RefusedError(f"Invalid value specified for '{error}'") from None
        buckets = self._buckets(request, grid, profile, start, end)
        rows = [self._row(profile, sides, bucket) for bucket in buckets]
        head = f'{{"instrument":"{name}","granularity":"{granularity}","candles":['
        return f"{head}{','.join(rows)}]}}".encode()

    def _buckets(
        self, request: Request, grid: Alignment, profile: Profile, start: int | None, end: int | None
    ) -> list[tuple[int, int]]:
        """The buckets asked for that had quotes, in order."""
        now, asked = self._quotes.clock.now_ms(), request.query_params
        count = asked.get("count")
        if count is not None and (not count.isdecimal() or not 1 <= int(count) <= MAX_COUNT):
            raise RefusedError("Maximum value for 'count' exceeded")
        if count is not None and start is not None and end is not None:
            raise RefusedError("'count' cannot be specified when 'to' and 'from' parameters are set")
        if (end is not None and end > now) or (start is not None and start > now):
            raise RefusedError("Invalid value specified for 'to'. Time is in the future")
        most = int(count or (MAX_COUNT if start is not None and end is not None else DEFAULT_COUNT))
        oldest = listed_from_ms(now)
        if start is None:
            return self._backwards(grid, profile, now if end is None else end, oldest, most)
        bucket = grid.bucket(max(start, oldest))
        if bucket[0] < start and asked.get("includeFirst", "true").lower() == "false":
            bucket = grid.bucket(bucket[1])
        made: list[tuple[int, int]] = []
        stop = now if end is None else end
        while bucket[0] < stop and len(made) < most:
            if self._bar(profile, "M", bucket) is not None:
                made.append(bucket)
            bucket = grid.bucket(bucket[1])
        if len(made) == MAX_COUNT and bucket[0] < stop and count is None and end is not None:
            raise RefusedError("Maximum value for 'count' exceeded")
        return made

    def _backwards(self, grid: Alignment, profile: Profile, end: int, oldest: int, most: int) -> list[tuple[int, int]]:
        made: list[tuple[int, int]] = []
        bucket = grid.bucket(end - 1)
        while bucket[0] >= oldest and len(made) < most:
            if self._bar(profile, "M", bucket) is not None:
                made.append(bucket)
            bucket = grid.bucket(bucket[0] - 1)
        return made[::-1]

    def _bar(self, profile: Profile, price: PriceOf, bucket: tuple[int, int]) -> QuoteBar | None:
        now = self._quotes.clock.now_ms()
        if bucket[1] <= now:
            return self._quotes.candle(profile, price, *bucket)
        return self._quotes.forming(profile, price, bucket[0], now)

    def _row(self, profile: Profile, sides: str, bucket: tuple[int, int]) -> str:
        complete = "true" if bucket[1] <= self._quotes.clock.now_ms() else "false"
        scale = profile.price_scale
        parts: list[str] = []
        volume = 0
        for side, name in _SIDE_NAMES.items():
            bar = self._bar(profile, side, bucket) if side in sides else None
            if bar is not None:
                volume = bar.volume
                o, h, l, c = (decimal(units, scale, scale) for units in (bar.open, bar.high, bar.low, bar.close))  # noqa: E741
                parts.append(f'"{name}":{{"o":"{o}","h":"{h}","l":"{l}","c":"{c}"}}')
        return f'{{"complete":{complete},"volume":{volume},"time":"{moment(bucket[0])}",{",".join(parts)}}}'


async def _answer(request: Request, make: Callable[[Request], bytes]) -> Response:
    try:
        _authorize(request)
        body = await anyio.to_thread.run_sync(make, request)
    except RefusedError as error:
        return _refused(error)
    return Response(body, media_type="application/json")


def _refused(error: RefusedError) -> Response:
    return Response(orjson.dumps({"errorMessage": str(error)}), error.status, media_type="application/json")


def _authorize(request: Request) -> None:
    if not request.headers.get("authorization", "").startswith("Bearer "):
        raise RefusedError("Insufficient authorization to perform request.", 401)


def _instruments(request: Request) -> list[str]:
    names = [name for name in request.query_params.get("instruments", "").split(",") if name]
    if not names or any(name not in INSTRUMENTS for name in names):
        raise RefusedError("Invalid value specified for 'instruments'")
    return list(dict.fromkeys(names))


def _listed() -> bytes:
    rows = [
        {
            "name": name,
            "type": "METAL" if name.startswith("X") else "CURRENCY",
            "displayName": name.replace("_", "/"),
            "pipLocation": 1 - profile.price_scale,
            "displayPrecision": profile.price_scale,
        }
        for name, profile in INSTRUMENTS.items()
    ]
    return orjson.dumps({"instruments": rows, "lastTransactionID": "7582"})

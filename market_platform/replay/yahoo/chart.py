"""`/v8/finance/chart/{ticker}`: parameters, ranges, errors and the body, as Yahoo has them.

Belongs here: Yahoo's habits. Does not: what happened at the exchange (market.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import anyio.to_thread
import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from market_platform.domain.clock import day_start_ms
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.middleware import EMPTY_FLAG, WRONG_TYPES_FLAG, spoil_types
from market_platform.replay.yahoo.market import MINUTE_MS, UNITS, StockMarket, day_of
from market_platform.replay.yahoo.stocks import FIRST_DAY, STOCKS

JSON = "application/json"
DAY_S = 86_400
_GRAIN_S = {"1m": 60, "2m": 120, "5m": 300, "15m": 900, "30m": 3600, "60m": 3600, "1h": 3600, "90m": 5400, "1d": DAY_S}
"""Yahoo's intervals; its half hours are hours."""
_NAMES = {"30m": "1h", "60m": "1h"}
_RANGES_DAYS = {"1d": 1, "5d": 5, "1mo": 30, "3mo": 90, "6mo": 180, "1y": 365}
_DEPTH_DAYS = {60: 30, 3600: 730}
_MINUTES_A_QUESTION_DAYS = 8

Row = tuple[int, int, int, int, int, int]
"""Time in seconds, open, high, low, close in units, volume."""


class _RefusedError(Exception):
    """An answer with `chart.error`."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status, self.code = status, code


class YahooCharts:
    """The endpoint, for the stocks of one seed at one exchange's time."""

    def __init__(self, seed: int, clock: ExchangeClock) -> None:
        self._clock = clock
        self._markets = {symbol: StockMarket(seed, stock) for symbol, stock in STOCKS.items()}

    def routes(self, root: str) -> list[BaseRoute]:
        """Where it is."""
        return [Route(f"{root}/v8/finance/chart/{{ticker}}", self.chart)]

    async def chart(self, request: Request) -> Response:
        """One question."""
        state = request.scope.get("state", {})
        try:
            result = await anyio.to_thread.run_sync(self._result, request, bool(state.get(EMPTY_FLAG)))
        except _RefusedError as error:
            told = {"chart": {"result": None, "error": {"code": error.code, "description": str(error)}}}
            return Response(orjson.dumps(told), error.status, media_type=JSON)
        body = orjson.dumps({"chart": {"result": [result], "error": None}})
        return Response(spoil_types(body, JSON) if state.get(WRONG_TYPES_FLAG) else body, media_type=JSON)

    def _result(self, request: Request, empty: bool) -> dict[str, Any]:  # noqa: FBT001 - called by a thread
        asked, ticker = request.query_params, request.path_params["ticker"]
        market = self._markets.get(ticker)
        if market is None:
            raise _RefusedError(404, "Not Found", "No data found, symbol may be delisted")
        interval, now_s = asked.get("interval", "1d"), self._clock.now_ms() // 1000
        if interval not in _GRAIN_S:
            raise _RefusedError(
                422,
                "Unprocessable Entity",
                f"Invalid input - interval={interval} is not supported. Valid intervals: [..]",
            )
        start, end = self._range(market, asked, now_s)
        grain = _GRAIN_S[interval]
        _check_depth(interval, grain, start, end, now_s)
        rows = [] if empty else list(self._rows(market, grain, start, end, now_s))
        result: dict[str, Any] = {"meta": self._meta(market, _NAMES.get(interval, interval), now_s)}
        indicators: dict[str, Any] = {"quote": [{}]}
        if rows:
            times, *prices, volumes = zip(*rows, strict=True)
            names = ("open", "high", "low", "close")
            quote = {name: [_noisy(value) for value in column] for name, column in zip(names, prices, strict=True)}
            result["timestamp"] = times
            indicators["quote"] = [{**quote, "volume": volumes}]
            if grain == DAY_S:
                indicators["adjclose"] = [{"adjclose": self._adjusted(market, rows, now_s)}]
        if not empty and "div" in asked.get("events", "") and (events := self._events(market, start, end, now_s)):
            result["events"] = events
        result["indicators"] = indicators
        return result

    def _range(self, market: StockMarket, asked: Any, now_s: int) -> tuple[int, int]:
        try:
            if "period1" in asked:
                return int(asked["period1"]), int(asked.get("period2", now_s + 1))
            days = _RANGES_DAYS[asked.get("range", "1d")]
        except (ValueError, KeyError):
            raise _RefusedError(422, "Unprocessable Entity", "Invalid input - wrong period or range") from None
        last = _last_session(market, day_of(now_s * 1000), now_s)
        return day_start_ms(last - timedelta(days=days - 1)) // 1000, now_s + 1

    def _rows(self, market: StockMarket, grain: int, start: int, end: int, now_s: int) -> Iterator[Row]:
        """Bars that opened in [start, end) and by now; the last one of a session under way is the price of the moment."""
        day = max(day_of(start * 1000), FIRST_DAY)
        while day <= day_of(min(end, now_s) * 1000):
            session = market.session(day)
            if session is not None and session[0] // 1000 < min(end, now_s):
                rows = list(self._day_rows(market, day, grain, now_s))
                yield from (row for row in rows if start <= row[0] < end)
            day += timedelta(days=1)

    def _day_rows(self, market: StockMarket, day: date, grain: int, now_s: int) -> Iterator[Row]:
        session = market.session(day)
        assert session is not None
        opens, factor, shrunk = session[0] // 1000, self._factor(market, day, now_s), market.mixes_units(day)
        under_way = now_s < session[1] // 1000
        if grain == DAY_S and not under_way:
            opened, high, low, close, volume = market.daily(day)
            yield _row(opens, (opened, high, low, close), volume, factor, shrunk)
            return
        made = market.minutes(day)
        step = min(grain // 60, len(made.time))
        for first in range(0, len(made.time), step):
            last = min(first + step, len(made.time))
            if under_way:
                last = min(last, int(np.searchsorted(made.time, now_s * 1000)))
            if first >= last:
                return
            forming = under_way and int(made.time[last - 1]) + MINUTE_MS > now_s * 1000
            prices = (
                int(made.open[first]),
                int(made.high[first:last].max()),
                int(made.low[first:last].min()),
                int(made.close[last - 1]),
            )
            time = now_s if forming else int(made.time[first]) // 1000
            yield _row(time, prices, int(made.volume[first:last].sum()), factor, shrunk)

    def _factor(self, market: StockMarket, day: date, now_s: int) -> int:
        """By what our prices, which know every split, are multiplied to be those of now."""
        today = day_of(now_s * 1000)
        return market.divided_by(day, date.max) // market.divided_by(day, today)

    def _adjusted(self, market: StockMarket, rows: list[Row], now_s: int) -> list[float]:
        """Closes less every later dividend, as a fraction of the close before it."""
        today = day_of(now_s * 1000)
        factors: list[tuple[date, float]] = []
        for day in market.dividend_days(day_of(rows[0][0] * 1000), today):
            before = _last_session(market, day - timedelta(days=1), now_s)
            if before < day and market.session(before) is not None:
                close = market.daily(before)[3] * self._factor(market, before, now_s) / UNITS
                factors.append((day, 1.0 - self._dividend(market, day, now_s) / close))
        adjusted: list[float] = []
        for row in rows:
            day = day_of(row[0] * 1000)
            share = float(np.prod([factor for paid, factor in factors if paid > day]))
            adjusted.append(float(np.float32(row[4] / UNITS * share)))
        return adjusted

    def _dividend(self, market: StockMarket, day: date, now_s: int) -> float:
        """Per share of now."""
        paid = float(market.stock.dividend)
        return paid * market.divided_by(day, date.max) / market.divided_by(day, day_of(now_s * 1000))

    def _events(self, market: StockMarket, start: int, end: int, now_s: int) -> dict[str, Any]:
        stock, last = market.stock, day_of(min(end, now_s) * 1000)
        events: dict[str, Any] = {}
        dividends = {}
        for day in market.dividend_days(day_of(start * 1000), last):
            at = _opens_s(market, day)
            if start <= at < min(end, now_s):
                dividends[str(at)] = {"amount": self._dividend(market, day, now_s), "date": at}
        if dividends:
            events["dividends"] = dividends
        if stock.split_day is not None and market.session(stock.split_day) is not None:
            at = _opens_s(market, stock.split_day)
            if start <= at < min(end, now_s):
                split = {
                    "date": at,
                    "numerator": float(stock.split),
                    "denominator": 1.0,
                    "splitRatio": f"{stock.split}:1",
                }
                events["splits"] = {str(at): split}
        return events

    def _meta(self, market: StockMarket, granularity: str, now_s: int) -> dict[str, Any]:
        stock = market.stock
        last = _last_session(market, day_of(now_s * 1000), now_s)
        session = market.session(last)
        quoted = now_s if session is None else min(now_s, session[1] // 1000)
        return {
            "currency": stock.currency,
            "symbol": stock.symbol,
            "exchangeName": stock.exchange,
            "instrumentType": stock.kind,
            "firstTradeDate": _opens_s(market, FIRST_DAY),
            "regularMarketTime": quoted,
            "exchangeTimezoneName": stock.timezone,
            "priceHint": 2,
            "dataGranularity": granularity,
            "range": "",
        }


def yahoo_routes(seed: int, clock: ExchangeClock) -> list[BaseRoute]:
    """Every path of Yahoo."""
    return YahooCharts(seed, clock).routes("/yahoo")


def _check_depth(interval: str, grain: int, start: int, end: int, now_s: int) -> None:
    depth = None if grain == DAY_S else _DEPTH_DAYS.get(grain, 60)
    what = f"{interval} data not available for startTime={start} and endTime={end}. "
    if grain == 60 and end - start > _MINUTES_A_QUESTION_DAYS * DAY_S:
        told = (
            f"Only {_MINUTES_A_QUESTION_DAYS} days worth of 1m granularity data are allowed to be fetched per request."
        )
        raise _RefusedError(422, "Unprocessable Entity", what + told)
    if depth is not None and start < now_s - depth * DAY_S:
        told = f"The requested range must be within the last {depth} days."
        raise _RefusedError(422, "Unprocessable Entity", what + told)


def _last_session(market: StockMarket, day: date, now_s: int) -> date:
    """The last day up to that one whose session began by now; the first of all when there is none."""
    while day > FIRST_DAY:
        session = market.session(day)
        if session is not None and session[0] // 1000 <= now_s:
            return day
        day -= timedelta(days=1)
    return FIRST_DAY


def _opens_s(market: StockMarket, day: date) -> int:
    session = market.session(day)
    assert session is not None, f"no session on {day}"
    return session[0] // 1000


def _row(time_s: int, prices: tuple[int, int, int, int], volume: int, factor: int, shrunk: bool) -> Row:  # noqa: FBT001
    opened, high, low, close = (price * factor // (100 if shrunk else 1) for price in prices)
    return time_s, opened, high, low, close, volume // factor


def _noisy(price: int) -> float:
    """A price as Yahoo writes it, having kept it as a 32-bit float."""
    return float(np.float32(price / UNITS))

"""Yahoo's past: bars, dividends and splits of a stock, day by day.

Belongs here: what is asked for, and in which pieces. Does not: HTTP (transport.py), what a day holds (days.py).

Asked is `/v8/finance/chart/{ticker}` by `period1` and `period2`, without trading outside of sessions, together with dividends
and splits. Around the days asked for some more are asked for, so that a price can be judged by its neighbours; they are not
returned. Yahoo serves minutes of the last 30 days (eight a question), other minutes of 60 and hours of 730 days: earlier
days are `missing` and say so.

Prices are Yahoo's own as of the day they were fetched: divided by every split up to then. After a split a pair's past must
be fetched again, which the flags of the split's day say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import polars as pl

from market_platform.domain.clock import Clock, day_start_ms, from_ms, to_ms, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadRequestError, HistoryGoneError, MarketPlatformError, UnknownSymbolError
from market_platform.domain.history import CorporateAction, HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, Interval
from market_platform.exchanges.history import NoHistory
from market_platform.exchanges.yahoo.actions import actions_of, declared_of, split_days_of
from market_platform.exchanges.yahoo.config import YahooConfig
from market_platform.exchanges.yahoo.days import (
    ONE_DAY,
    DayBars,
    DayPlan,
    asked_interval,
    finish_day,
    plan_day,
    split_days,
    without_bars,
)
from market_platform.exchanges.yahoo.suspects import PriceBar, find_suspects
from market_platform.exchanges.yahoo.transport import YahooTransport
from market_platform.exchanges.yahoo.wire import Bar, Chart

Rows = TypeVar("Rows")

HUNDREDTHS = {"GBp": "GBX", "ZAc": "ZAC", "ILA": "ILA"}
"""Yahoo's currencies that are a hundredth of another, and how a pair's quote must name them."""
_EVENTS = "div,splits,capitalGains"
_CLASS_OF_SHARE = re.compile(r"\.([A-BK])$")
_MOST_TOLD = 3


class _Reach(NamedTuple):
    """How an interval may be asked for: at most `days` at once after `before` more, up to `depth` days back (None: all)."""

    days: int
    before: int
    after: int
    depth: int | None


_REACH = {
    "1m": _Reach(4, 3, 0, 29),
    "5m": _Reach(30, 5, 0, 59),
    "15m": _Reach(30, 5, 0, 59),
    "1h": _Reach(180, 5, 0, 729),
    "1d": _Reach(3650, 20, 20, None),
}


class _Listing(NamedTuple):
    """What is known of a ticker before any range is asked for."""

    exchange: str
    currency: str
    first_trade_ms: int | None


class YahooHistory(NoHistory):
    """See `HistorySource`; use as an async context manager. It has candles and actions of stocks, and nothing else."""

    def __init__(self, config: YahooConfig, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._transport: YahooTransport | None = None
        self._listings: dict[str, _Listing] = {}

    async def __aenter__(self) -> Self:
        self._transport = YahooTransport(self._config)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()
        self._transport = None

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """See `HistorySource.candles`. A day that is not final is `pending`, with the bars that are over.

        Raises:
            UnknownSymbolError: Yahoo has no such ticker.
            BadRequestError: it has no such interval, the exchange's calendar is not known (`no_sessions`), or the pair's
                quote is not the currency that Yahoo quotes in (`wrong_quote`).
        """
        ticker, asked = ticker_of(pair), asked_interval(interval)
        reach = _REACH.get(asked.name)
        if reach is None:
            raise BadRequestError(
                f"{pair.name}: Yahoo has no {interval} candles; use one of 1m, 5m, 15m, 30m, 1h, 1d",
                code="invalid_timeframe",
            )
        listing = await self._listing(pair, ticker)
        now_ms = to_ms(self._clock())
        hundredths = listing.currency in HUNDREDTHS
        plans = [plan_day(listing.exchange, day, asked) for day in days]

        def make(chart: Chart, part: Sequence[DayPlan]) -> list[HistoryDay[pl.DataFrame]]:
            return _candle_days(chart, part, interval, ticker, now_ms, hundredths=hundredths)

        return await self._days(pair, listing, asked, reach, plans, now_ms, make, without_bars)

    async def actions(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[CorporateAction, ...]]:
        """See `HistorySource.actions`; times are midnight UTC of the exchange's day from which it counts.

        Raises:
            UnknownSymbolError, BadRequestError: as `candles`.
        """
        ticker = ticker_of(pair)
        listing = await self._listing(pair, ticker)
        now_ms = to_ms(self._clock())
        plans = [plan_day(listing.exchange, day, ONE_DAY) for day in days]

        def make(chart: Chart, part: Sequence[DayPlan]) -> list[HistoryDay[tuple[CorporateAction, ...]]]:
            return actions_of(chart, part, now_ms, ticker)

        def nothing(day: date, condition: Condition, reason: str) -> HistoryDay[tuple[CorporateAction, ...]]:
            return HistoryDay(day, (), 0, condition, reason=reason)

        reach = _REACH["1d"]._replace(before=1, after=1)
        return await self._days(pair, listing, ONE_DAY, reach, plans, now_ms, make, nothing, ask_closed=True)

    async def candles_so_far(self, pair: HistoryPair, interval: Interval, day: date) -> HistoryDay[pl.DataFrame]:
        """The bars of a day in progress that are over; its condition is `pending` until Yahoo changes it no more.

        Raises:
            MarketPlatformError: what made the day fail, besides what `candles` raises.
        """
        found = await self.candles(pair, interval, [day])
        for error in found.failures.values():
            raise error
        return found.days[0]

    async def exchange_name(self, pair: HistoryPair) -> str:
        """Yahoo's code of the exchange that a pair trades at (`NMS`), as `sessions` wants it.

        Raises:
            UnknownSymbolError, BadRequestError: as `candles`.
        """
        return (await self._listing(pair, ticker_of(pair))).exchange

    @property
    def _open(self) -> YahooTransport:
        assert self._transport is not None, "use YahooHistory as an async context manager"
        return self._transport

    async def _listing(self, pair: HistoryPair, ticker: str) -> _Listing:
        if ticker not in self._listings:
            chart = await self._open.chart(ticker, "1d", {"range": "1d"})
            quote = HUNDREDTHS.get(chart.currency, chart.currency)
            if quote != pair.quote:
                raise BadRequestError(
                    f"{pair.name}: Yahoo quotes it in {chart.currency or 'no currency'}, but the pair's quote is "
                    f"{pair.quote}; set it to {quote} in the configuration",
                    code="wrong_quote",
                )
            plan_day(chart.exchange, self._clock().date(), ONE_DAY)  # refuses an exchange without a calendar
            self._listings[ticker] = _Listing(chart.exchange, chart.currency, chart.first_trade_ms)
        return self._listings[ticker]

    async def _days(
        self,
        pair: HistoryPair,
        listing: _Listing,
        asked: Interval,
        reach: _Reach,
        plans: Sequence[DayPlan],
        now_ms: int,
        make: Callable[[Chart, Sequence[DayPlan]], list[HistoryDay[Rows]]],
        nothing: Callable[[date, Condition, str], HistoryDay[Rows]],
        *,
        ask_closed: bool = False,
    ) -> HistoryDays[Rows]:
        """Every day planned, asked for in pieces; days that can't be had are made without asking."""
        done: dict[date, HistoryDay[Rows]] = {}
        failures: dict[date, MarketPlatformError] = {}
        wanted: list[DayPlan] = []
        for plan in plans:
            told = _unavailable(plan, listing, reach, now_ms, ask_closed=ask_closed)
            if told is None:
                wanted.append(plan)
            else:
                done[plan.day] = nothing(plan.day, *told)
        for part in _parts(wanted, reach.days):
            try:
                chart = await self._open.chart(ticker_of(pair), asked.name, _range(part, reach, now_ms))
                done |= {each.day: each for each in make(chart, part)}
            except UnknownSymbolError:
                raise
            except HistoryGoneError as error:
                done |= {plan.day: nothing(plan.day, Condition.MISSING, str(error)) for plan in part}
            except MarketPlatformError as error:
                failures |= dict.fromkeys((plan.day for plan in part), error)
        return HistoryDays(tuple(done[day] for day in sorted(done)), failures)


def ticker_of(pair: HistoryPair) -> str:
    """How Yahoo spells a pair's symbol: as we do, but for a class of shares: `BRK.B` is `BRK-B`."""
    return _CLASS_OF_SHARE.sub(r"-\1", pair.symbol)


def _unavailable(
    plan: DayPlan, listing: _Listing, reach: _Reach, now_ms: int, *, ask_closed: bool
) -> tuple[Condition, str] | None:
    """Why nothing need be asked for a day; None when it must be."""
    first = plan.first_ms or day_start_ms(plan.day)
    if listing.first_trade_ms is not None and first + DAY_MS <= listing.first_trade_ms:
        return Condition.MISSING, f"before its first trade, {from_ms(listing.first_trade_ms):%Y-%m-%d}"
    if not plan.expected and not ask_closed:
        return Condition.CLOSED, "the exchange has no session on this day"
    if reach.depth is not None and first < now_ms - reach.depth * DAY_MS:
        return Condition.MISSING, f"Yahoo serves {plan.interval} bars of the last {reach.depth + 1} days only"
    if now_ms < first:
        return Condition.PENDING, "the session has not begun"
    return None


def _parts(plans: Sequence[DayPlan], most: int) -> list[list[DayPlan]]:
    """Plans in pieces that span at most so many days."""
    parts: list[list[DayPlan]] = []
    for plan in plans:
        if parts and plan.day - parts[-1][0].day < timedelta(days=most):
            parts[-1].append(plan)
        else:
            parts.append([plan])
    return parts


def _range(part: Sequence[DayPlan], reach: _Reach, now_ms: int) -> Mapping[str, str]:
    """`period1` and `period2` around a piece, within what Yahoo serves."""
    start = day_start_ms(part[0].day) - reach.before * DAY_MS
    end = day_start_ms(part[-1].day) + (1 + reach.after) * DAY_MS
    if reach.depth is not None:
        start = max(start, now_ms - reach.depth * DAY_MS)
    return {
        "period1": str(start // 1000),
        "period2": str(min(end, now_ms + DAY_MS) // 1000),
        "includePrePost": "false",
        "events": _EVENTS,
    }


def _candle_days(
    chart: Chart, part: Sequence[DayPlan], interval: Interval, ticker: str, now_ms: int, *, hundredths: bool
) -> list[HistoryDay[pl.DataFrame]]:
    days = split_days(chart, part, now_ms)
    flags = _flags(chart, days, hundredths=hundredths)
    splits = split_days_of(chart)
    made: list[HistoryDay[pl.DataFrame]] = []
    for plan in part:
        held = days[plan.day]
        if plan.day in splits:
            held.notes.append(
                f"split {splits[plan.day]}: earlier days that were fetched before it are not divided by it; fetch them again"
            )
        made.append(finish_day(held, interval, chart.price_hint, ticker, now_ms, flags.get(plan.day, ())))
    return made


def _flags(chart: Chart, days: Mapping[date, DayBars], *, hundredths: bool) -> dict[date, tuple[str, ...]]:
    """What is suspect about each day, in a few lines a day."""
    bars = [_price_bar(bar) for bar in chart.bars if not bar.is_null]
    positive = [bar for bar in bars if min(bar.open, bar.high, bar.low, bar.close) > 0]
    suspects = find_suspects(positive, declared_of(chart), hundredths=hundredths)
    if not suspects:
        return {}
    by_time = {time: day for day, held in days.items() for time in held.sent}
    lines: dict[date, list[str]] = {}
    for suspect in suspects:
        if (day := by_time.get(suspect.time_ms)) is not None:
            when = "" if days[day].plan.interval == ONE_DAY else f"{from_ms(suspect.time_ms):%H:%M} "
            lines.setdefault(day, []).append(f"{when}{suspect.reason}")
    return {
        day: (*told[:_MOST_TOLD], *([f"and {len(told) - _MOST_TOLD} more bars"] if len(told) > _MOST_TOLD else []))
        for day, told in lines.items()
    }


def _price_bar(bar: Bar) -> PriceBar:
    assert bar.open is not None
    assert bar.high is not None
    assert bar.low is not None
    assert bar.close is not None
    return PriceBar(bar.time_ms, bar.open, bar.high, bar.low, bar.close, bar.adj_close)

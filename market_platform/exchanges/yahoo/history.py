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
from collections.abc import Callable, Sequence
from datetime import date
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import polars as pl

from market_platform.domain.clock import Clock, day_start_ms, from_ms, to_ms, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadRequestError, HistoryGoneError, MarketPlatformError, UnknownSymbolError
from market_platform.domain.history import CorporateAction, HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, Interval
from market_platform.exchanges.history import NoHistory
from market_platform.exchanges.yahoo.actions import actions_of, split_days_of
from market_platform.exchanges.yahoo.config import YahooConfig
from market_platform.exchanges.yahoo.days import finish_day, split_days, without_bars
from market_platform.exchanges.yahoo.judging import flags_of
from market_platform.exchanges.yahoo.plans import (
    ONE_DAY,
    REACH,
    DayPlan,
    Reach,
    asked_interval,
    parts_of,
    plan_day,
    range_of,
)
from market_platform.exchanges.yahoo.transport import YahooTransport
from market_platform.exchanges.yahoo.wire import Chart

Rows = TypeVar("Rows")

HUNDREDTHS = {"GBp": "GBX", "ZAc": "ZAC", "ILA": "ILA"}
"""Yahoo's currencies that are a hundredth of another, and how a pair's quote must name them."""
_CLASS_OF_SHARE = re.compile(r"\.([AB])$")


class _Listing(NamedTuple):
    """What is known of a ticker before any range is asked for."""

    exchange: str
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
        reach = REACH.get(asked.name)
        if reach is None:
            raise BadRequestError(
                f"{pair.name}: Yahoo has no {interval} candles; use one of 1m, 5m, 15m, 30m, 1h, 1d",
                code="invalid_timeframe",
            )

        def make(chart: Chart, plans: Sequence[DayPlan], now_ms: int) -> list[HistoryDay[pl.DataFrame]]:
            return _candle_days(chart, plans, interval, ticker, now_ms)

        return await self._days(pair, asked, reach, days, make, without_bars)

    async def actions(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[CorporateAction, ...]]:
        """See `HistorySource.actions`; times are midnight UTC of the exchange's day from which it counts.

        Raises:
            UnknownSymbolError, BadRequestError: as `candles`.
        """
        ticker = ticker_of(pair)

        def make(chart: Chart, plans: Sequence[DayPlan], now_ms: int) -> list[HistoryDay[tuple[CorporateAction, ...]]]:
            return actions_of(chart, plans, now_ms, ticker)

        def nothing(day: date, condition: Condition, reason: str) -> HistoryDay[tuple[CorporateAction, ...]]:
            return HistoryDay(day, (), 0, condition, reason=reason)

        reach = REACH["1d"]._replace(before=1, after=1)
        return await self._days(pair, ONE_DAY, reach, days, make, nothing, ask_closed=True)

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
            self._listings[ticker] = _Listing(chart.exchange, chart.first_trade_ms)
        return self._listings[ticker]

    async def _days(
        self,
        pair: HistoryPair,
        asked: Interval,
        reach: Reach,
        days: Sequence[date],
        make: Callable[[Chart, Sequence[DayPlan], int], list[HistoryDay[Rows]]],
        nothing: Callable[[date, Condition, str], HistoryDay[Rows]],
        *,
        ask_closed: bool = False,
    ) -> HistoryDays[Rows]:
        """The days, asked for in pieces; those that can't be had are made without asking.

        Days without a session are only asked for with `ask_closed`, but seen when they lie between others: what Yahoo has of
        them is worth a flag.
        """
        ticker = ticker_of(pair)
        try:
            listing = await self._listing(pair, ticker)
        except (UnknownSymbolError, BadRequestError):
            raise
        except MarketPlatformError as error:
            return HistoryDays((), dict.fromkeys(days, error))
        now_ms = to_ms(self._clock())
        done: dict[date, HistoryDay[Rows]] = {}
        failures: dict[date, MarketPlatformError] = {}
        wanted: list[DayPlan] = []
        closed: list[DayPlan] = []
        for plan in (plan_day(listing.exchange, day, asked) for day in days):
            told = _unavailable(plan, listing, reach, now_ms)
            if told is None or (ask_closed and told[0] is Condition.CLOSED):
                wanted.append(plan)
                continue
            done[plan.day] = nothing(plan.day, *told)
            if told[0] is Condition.CLOSED:
                closed.append(plan)
        for part in parts_of(wanted, reach.days):
            between = [plan for plan in closed if part[0].day < plan.day < part[-1].day]
            try:
                chart = await self._open.chart(ticker, asked.name, range_of(part, reach, now_ms))
                done |= {each.day: each for each in make(chart, [*part, *between], now_ms)}
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


def _unavailable(plan: DayPlan, listing: _Listing, reach: Reach, now_ms: int) -> tuple[Condition, str] | None:
    """Why nothing need be asked for a day; None when it must be."""
    first = plan.first_ms or day_start_ms(plan.day)
    if listing.first_trade_ms is not None and first + DAY_MS <= listing.first_trade_ms:
        return Condition.MISSING, f"before its first trade, {from_ms(listing.first_trade_ms):%Y-%m-%d}"
    if not plan.expected:
        return Condition.CLOSED, "the exchange has no session on this day"
    if reach.depth is not None and first < now_ms - reach.depth * DAY_MS:
        return Condition.MISSING, f"Yahoo serves {plan.interval} bars of the last {reach.depth + 1} days only"
    if now_ms < first:
        return Condition.PENDING, "the session has not begun"
    return None


def _candle_days(
    chart: Chart, plans: Sequence[DayPlan], interval: Interval, ticker: str, now_ms: int
) -> list[HistoryDay[pl.DataFrame]]:
    days = split_days(chart, plans, now_ms)
    flags = flags_of(chart, days, hundredths=chart.currency in HUNDREDTHS)
    splits = split_days_of(chart)
    made: list[HistoryDay[pl.DataFrame]] = []
    for plan in plans:
        held = days[plan.day]
        if plan.day in splits:
            held.notes.append(
                f"split {splits[plan.day]}: earlier days that were fetched before it are not divided by it; fetch them again"
            )
        made.append(finish_day(held, interval, chart.price_hint, ticker, now_ms, flags.get(plan.day, ())))
    return made

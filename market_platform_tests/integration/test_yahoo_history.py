"""Yahoo's past against the replay exchange: whole days of generated stocks, equal across intervals, finite under faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeVar

import polars as pl
import pytest

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.clock import Clock, day_start_ms, days_between, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadRequestError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.history import CorporateAction, HistoryDay, HistoryPair
from market_platform.domain.intervals import parse_interval
from market_platform.exchanges.history import HistorySource
from market_platform.exchanges.yahoo.config import YahooConfig
from market_platform.exchanges.yahoo.history import YahooHistory
from market_platform.exchanges.yahoo.sessions import sessions_of
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.scripted_past import answer_of

Result = TypeVar("Result")

NOW = datetime(2026, 6, 18, 15, 31, 20, tzinfo=UTC)
"""A Thursday, two hours into New York's session; the Friday after it is a holiday."""
AAPL = HistoryPair("yahoo", "AAPL", "AAPL", "USD", "stock")
MSFT = HistoryPair("yahoo", "MSFT", "MSFT", "USD", "stock")
MIXED = HistoryPair("yahoo", "MIXD.L", "MIXD", "GBX", "stock")
WEDNESDAY = date(2026, 6, 17)
SPLIT_DAY = date(2025, 6, 9)

pytestmark = pytest.mark.usefixtures("instant_retries")


def now() -> datetime:
    return NOW


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=World(7, ExchangeClock(1.0, now))) as running:
        yield running


@pytest.fixture(autouse=True)
def without_faults(replay: RunningReplay) -> None:
    replay.faults.clear()
    replay.log.clear()


def ask(
    replay: RunningReplay, work: Callable[[YahooHistory], Awaitable[Result]], clock: Clock = now, **config: Any
) -> Result:
    settings = {"requests_per_minute": 60_000, **config}
    return answer_of(YahooHistory(YahooConfig(replay.live_url("yahoo"), **settings), clock), work)


def candles(
    replay: RunningReplay, interval: str, first: date, last: date, pair: HistoryPair = AAPL, clock: Clock = now
) -> dict[date, HistoryDay[pl.DataFrame]]:
    async def work(history: HistorySource) -> dict[date, HistoryDay[pl.DataFrame]]:
        found = await history.candles(pair, parse_interval(interval), days_between(first, last))
        assert not found.failures
        return {each.day: each for each in found.days}

    return ask(replay, work, clock)


def actions(replay: RunningReplay, first: date, last: date) -> list[CorporateAction]:
    async def work(history: HistorySource) -> list[CorporateAction]:
        found = await history.actions(AAPL, days_between(first, last))
        return [action for day in found.days for action in day.rows]

    return ask(replay, work)


def test_a_session_is_whole_exact_and_in_order(replay: RunningReplay) -> None:
    day = candles(replay, "1m", WEDNESDAY, WEDNESDAY)[WEDNESDAY]
    assert (day.condition, day.count, day.missing, day.flags) == (Condition.AVAILABLE, 390, (), ())
    assert day.rows.schema == CANDLE_SCHEMA
    times = day.rows["time"].dt.epoch("ms").to_list()
    (session,) = sessions_of("NMS", WEDNESDAY, WEDNESDAY)
    assert times == list(range(session.opens_ms, session.closes_ms, 60_000))
    cents = day.rows.select(pl.col("open", "high", "low", "close") * 100)
    assert cents.select(pl.all().cast(pl.Int64).cast(pl.Decimal(38, 18))).equals(cents.cast(pl.Decimal(38, 18)))
    assert day.rows["num_trades"].is_null().all()


@pytest.mark.parametrize("interval", ["5m", "15m", "30m", "1h", "1d"])
def test_longer_bars_are_those_of_the_minutes(replay: RunningReplay, interval: str) -> None:
    minutes = candles(replay, "1m", WEDNESDAY, WEDNESDAY)[WEDNESDAY].rows
    day = candles(replay, interval, WEDNESDAY, WEDNESDAY)[WEDNESDAY]
    opens = minutes["time"][0]
    length = 390 if interval == "1d" else parse_interval(interval).seconds // 60
    expected = (
        minutes.with_columns(bucket=(pl.col("time") - opens).dt.total_minutes() // length)
        .group_by("bucket", maintain_order=True)
        .agg(
            pl.col("time").first(),
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .drop("bucket")
    )
    if interval == "1d":
        expected = expected.with_columns(pl.col("time").dt.truncate("1d"))
    assert day.condition is Condition.AVAILABLE
    assert day.rows.drop("num_trades").equals(expected)


def test_days_without_a_session_are_closed_and_half_days_end_early(replay: RunningReplay) -> None:
    found = candles(replay, "1h", date(2025, 11, 26), date(2025, 11, 30))
    assert [each.condition.value for each in found.values()] == [
        *("available", "closed", "available", "closed", "closed"),
    ]
    assert [found[date(2025, 11, day)].count for day in (26, 28)] == [7, 4]


def test_the_day_in_progress_is_pending_with_the_bars_that_are_over(replay: RunningReplay) -> None:
    day = ask(replay, lambda history: history.candles_so_far(AAPL, parse_interval("1m"), NOW.date()))
    assert (day.condition, day.count, day.missing) == (Condition.PENDING, 121, ())
    assert day.rows["time"][-1] == NOW.replace(minute=30, second=0)
    half = ask(replay, lambda history: history.candles_so_far(AAPL, parse_interval("30m"), NOW.date()))
    assert half.rows["time"][-1] == NOW.replace(minute=0, second=0)
    daily = ask(replay, lambda history: history.candles_so_far(AAPL, parse_interval("1d"), NOW.date()))
    assert (daily.condition, daily.count) == (Condition.PENDING, 0)
    holiday = ask(replay, lambda history: history.candles_so_far(AAPL, parse_interval("1m"), date(2026, 6, 19)))
    assert holiday.condition is Condition.CLOSED


@pytest.mark.parametrize(("minutes", "condition"), [(-1, Condition.PENDING), (0, Condition.AVAILABLE)])
def test_a_day_is_final_half_an_hour_after_its_close(replay: RunningReplay, minutes: int, condition: Condition) -> None:
    def later() -> datetime:
        return datetime(2026, 6, 17, 20, 30, tzinfo=UTC) + timedelta(minutes=minutes)

    assert candles(replay, "1m", WEDNESDAY, WEDNESDAY, clock=later)[WEDNESDAY].condition is condition


@pytest.mark.parametrize(("interval", "days"), [("1m", 30), ("5m", 60), ("15m", 60), ("30m", 60), ("1h", 730)])
def test_days_that_yahoo_does_not_serve_any_more_are_missing_and_say_so(
    replay: RunningReplay, interval: str, days: int
) -> None:
    edge = NOW.date() - timedelta(days=days)
    found = candles(replay, interval, edge - timedelta(days=4), edge + timedelta(days=4))
    old = [each for day, each in found.items() if day < edge and each.condition is not Condition.CLOSED]
    young = [each for day, each in found.items() if day > edge and each.condition is not Condition.CLOSED]
    assert {each.condition for each in old} == {Condition.MISSING}
    assert all(f"last {days} days only" in each.reason for each in old)
    assert young[-1].condition is Condition.AVAILABLE


def test_a_year_of_minutes_asks_only_for_what_can_be_had(replay: RunningReplay) -> None:
    found = candles(replay, "1m", date(2025, 6, 18), WEDNESDAY)
    assert len(found) == 365
    assert sum(each.condition is Condition.AVAILABLE for each in found.values()) >= 18
    assert replay.log.paths.total() <= 10


def test_days_before_the_first_trade_are_missing(replay: RunningReplay) -> None:
    found = candles(replay, "1d", date(2014, 12, 30), date(2015, 1, 5))
    assert [each.condition.value for each in found.values()] == [
        *("missing", "missing", "missing", "available", "closed", "closed", "available"),
    ]
    assert "before its first trade, 2015-01-02" in found[date(2014, 12, 30)].reason


def test_dividends_and_splits_stand_beside_prices_that_know_the_split(replay: RunningReplay) -> None:
    found = actions(replay, date(2025, 5, 1), date(2025, 8, 31))
    assert found == [
        CorporateAction("dividend", day_start_ms(date(2025, 5, 12)), Decimal("0.26")),
        CorporateAction("split", day_start_ms(SPLIT_DAY), Decimal(4)),
        CorporateAction("dividend", day_start_ms(date(2025, 8, 11)), Decimal("0.26")),
    ]
    days = candles(replay, "1d", date(2025, 6, 2), date(2025, 6, 13))
    assert {each.condition for each in days.values()} == {Condition.AVAILABLE, Condition.CLOSED}
    assert "fetch them again" in days[SPLIT_DAY].flags[0]
    closes = pl.concat([each.rows for each in days.values()])["close"].cast(pl.Float64).to_list()
    assert all(abs(after / before - 1) < 0.1 for before, after in pairwise(closes))


def test_days_a_hundred_times_too_small_are_degraded_and_named_and_stored_as_sent(replay: RunningReplay) -> None:
    found = candles(replay, "1d", date(2026, 1, 1), WEDNESDAY, MIXED)
    flagged = {day: each for day, each in found.items() if each.flags}
    assert 2 <= len(flagged) <= 20
    for each in flagged.values():
        assert each.condition is Condition.DEGRADED
        assert "1/100" in each.flags[0]
        assert each.rows["close"][0] < 100
    assert all(each.rows["close"][0] > 1000 for each in found.values() if each.count and not each.flags)


def test_the_same_day_asked_again_has_the_same_version_while_its_answer_differs(replay: RunningReplay) -> None:
    first = candles(replay, "5m", WEDNESDAY, WEDNESDAY)[WEDNESDAY]
    second = candles(replay, "5m", date(2026, 6, 10), WEDNESDAY)[WEDNESDAY]
    assert first.input_version == second.input_version != ""
    assert first.inputs[0].rows == 78


@pytest.mark.parametrize("kind", ["429", "503", "truncate", "garbage", "reset", "accepted_202_empty", "wrong_types"])
def test_a_passing_fault_is_asked_through(replay: RunningReplay, kind: str) -> None:
    replay.fail("interval=1m", kind, seconds=0)
    day = candles(replay, "1m", WEDNESDAY, WEDNESDAY)[WEDNESDAY]
    assert replay.faults.rules[-1].hits == 1
    assert (day.condition, day.count) == (Condition.AVAILABLE, 390)


def test_a_day_of_which_yahoo_has_nothing_is_missing_and_never_closed(replay: RunningReplay) -> None:
    replay.fail("interval=1m", "empty_once")
    day = candles(replay, "1m", WEDNESDAY, WEDNESDAY)[WEDNESDAY]
    assert replay.faults.rules[-1].hits == 1
    assert (day.condition, day.count, len(day.missing)) == (Condition.MISSING, 0, 390)


def test_lasting_refusals_fail_the_days_then_nothing_is_asked_for_a_while(replay: RunningReplay) -> None:
    replay.fail("interval=1m", "503", times=1000)

    async def work(history: YahooHistory) -> None:
        found = await history.candles(AAPL, parse_interval("1m"), days_between(date(2026, 6, 1), WEDNESDAY))
        assert {day for day in found.failures if day < date(2026, 6, 5)} == set(
            days_between(date(2026, 6, 1), date(2026, 6, 4))
        )
        assert all(isinstance(error, ExchangeUnavailableError) for error in found.failures.values())
        last = found.failures[WEDNESDAY]
        assert isinstance(last, RateLimitedError)
        assert last.retry_after is not None
        assert last.retry_after > 0

    ask(replay, work, attempts=3)
    assert replay.log.statuses["503"] == 5


def test_what_can_not_be_asked_is_refused_in_words_that_help(replay: RunningReplay) -> None:
    def refused(pair: HistoryPair, interval: str = "1d") -> str:
        with pytest.raises((BadRequestError, UnknownSymbolError)) as caught:
            candles(replay, interval, WEDNESDAY, WEDNESDAY, pair)
        return str(caught.value)

    assert "does not know it" in refused(HistoryPair("yahoo", "NOPE", "NOPE", "USD", "stock"))
    assert "set it to GBX" in refused(HistoryPair("yahoo", "MIXD.L", "MIXD", "GBP", "stock"))
    assert "use one of 1m, 5m" in refused(AAPL, "4h")
    for series in ("funding", "open_interest", "trades"):
        with pytest.raises(BadRequestError, match="has no history of"):
            ask(replay, lambda history, series=series: getattr(history, series)(AAPL, [WEDNESDAY]))  # type: ignore[misc]


def test_polling_knows_the_exchange_of_a_pair(replay: RunningReplay) -> None:
    assert ask(replay, lambda history: history.exchange_name(MSFT)) == "NMS"
    assert ask(replay, lambda history: history.exchange_name(MIXED)) == "LSE"


def test_the_generated_market_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    def closes(seed: int) -> list[Decimal]:
        with running_replay(world=World(seed, ExchangeClock(1.0, now))) as running:
            return candles(running, "1h", WEDNESDAY, WEDNESDAY)[WEDNESDAY].rows["close"].to_list()

    assert closes(7) == closes(7) != closes(8)


def test_before_the_split_yahoo_knew_nothing_of_it(replay: RunningReplay) -> None:
    """The same day asked before and after a split: prices differ by its ratio, which is why a past must be fetched again."""
    day = SPLIT_DAY - timedelta(days=3)

    def then() -> datetime:
        return from_ms(day_start_ms(SPLIT_DAY)) - timedelta(days=1)

    with running_replay(world=World(7, ExchangeClock(1.0, then))) as running:
        before = candles(running, "1d", day, day, clock=then)[day].rows
    after = candles(replay, "1d", day, day)[day].rows
    assert before["close"][0] == 4 * after["close"][0]
    assert before["volume"][0] * 4 == after["volume"][0]

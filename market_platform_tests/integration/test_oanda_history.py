"""OANDA's past: equal to what the replay exchange really did, and right or refused when an exchange answers badly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import pytest
import stamina

from market_platform.domain.clock import day_start_ms, days_between, from_ms, to_ms
from market_platform.domain.errors import (
    BadPayloadError,
    BadRequestError,
    ConfigError,
    ExchangeError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryPair
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, parse_interval
from market_platform.exchanges.day_rows import HOUR_MS
from market_platform.exchanges.oanda.config import OandaConfig
from market_platform.exchanges.oanda.history import FOREX_HOURS, METAL_HOURS, OandaHistory, holes, hours_of
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.history import listed_from_ms
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, clock_from, running_replay
from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange, Request, json_answer
from market_platform_tests.fixtures.history_rows import rows_of, span, states, truth_rows
from market_platform_tests.fixtures.live_replay import WEDNESDAY

Result = TypeVar("Result")
Rows = list[dict[str, Any]]

EURUSD = HistoryPair("oanda", "EURUSD", "EUR", "USD", "spot")
TODAY = WEDNESDAY.date()
FRIDAY, MONDAY = date(2026, 11, 13), date(2026, 11, 16)
MINUTE, HOUR, FOUR_HOURS, DAY = (parse_interval(name) for name in ("1m", "1h", "4h", "1d"))


@pytest.fixture(autouse=True)
def instant_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=World(7, ExchangeClock(1.0, clock_from(WEDNESDAY)))) as running:
        yield running


def ask(
    url: str, work: Callable[[OandaHistory], Awaitable[Result]], now: datetime = WEDNESDAY, key: str = "secret"
) -> Result:
    """What `work` gets of a history that asks that server."""

    async def run() -> Result:
        async with OandaHistory(OandaConfig(url, url, key, "101-001-1-001"), clock=lambda: now) as history:
            return await work(history)

    return asyncio.run(run())


# ------------------------------------------------------------------------------------------------- the replay exchange


@pytest.mark.parametrize("interval", [MINUTE, HOUR, FOUR_HOURS, DAY])
def test_candles_are_the_exchange_s_own_in_utc_days(replay: RunningReplay, interval: Any) -> None:
    days = days_between(FRIDAY, MONDAY)
    got = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, interval, days))
    assert rows_of(got) == truth_rows(
        replay.truth.candles("oanda", "EUR_USD", interval.name, *span(*days[:: len(days) - 1]))
    )
    assert list(states(got).values()) == ["available", "closed", "available", "available"]
    assert got.days[1].inputs == ()
    assert all(each.inputs for each in got.days if each.count)


def test_days_go_back_as_far_as_the_replay_exchange_does(replay: RunningReplay) -> None:
    listed = from_ms(listed_from_ms(replay.world.clock.now_ms())).date()
    days = days_between(listed, listed + timedelta(13))
    got = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, HOUR, days))
    assert {state for day, state in states(got).items() if day.weekday() != 5} == {"available"}
    assert {state for day, state in states(got).items() if day.weekday() == 5} == {"closed"}
    before = [day - timedelta(14) for day in days]
    gone = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, HOUR, before))
    assert {state for day, state in states(gone).items() if day.weekday() != 5} == {"missing"}
    assert "before its history" in gone.days[0].reason
    assert len(gone.days[0].missing) >= 2


def test_today_is_pending(replay: RunningReplay) -> None:
    got = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, MINUTE, [TODAY]))
    assert states(got) == {TODAY: "pending"}


@pytest.mark.parametrize("fault", ["429", "503", "reset", "truncate", "garbage"])
def test_a_fault_on_the_way_is_asked_again(replay: RunningReplay, fault: str) -> None:
    replay.fail("oanda/v3/instruments", fault, seconds=0)
    got = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, HOUR, [MONDAY]))
    assert rows_of(got) == truth_rows(replay.truth.candles("oanda", "EUR_USD", "1h", *span(MONDAY, MONDAY)))


def test_what_there_is_not_is_refused_at_once(replay: RunningReplay) -> None:
    url = replay.live_url("oanda_rest")
    unknown = HistoryPair("oanda", "NOPEUSD", "NOPE", "USD", "spot")
    with pytest.raises(UnknownSymbolError, match="OANDA does not know it"):
        ask(url, lambda history: history.candles(unknown, HOUR, [MONDAY]))
    perpetual = HistoryPair("oanda", "EURUSD", "EUR", "USD", "perps")
    with pytest.raises(ConfigError, match="no perpetual"):
        ask(url, lambda history: history.candles(perpetual, HOUR, [MONDAY]))
    with pytest.raises(BadRequestError, match="has no history of funding rates"):
        ask(url, lambda history: history.funding(EURUSD, [MONDAY]))


# --------------------------------------------------------------------------------------------------- the bad exchange


class Oanda:
    """EUR_USD with a price in every minute that is open and not in `silent`; `faults` come first, `meddle` changes rows.

    `most` rows in an answer.
    """

    def __init__(self, most: int = 5000) -> None:
        self.now_ms = to_ms(WEDNESDAY)
        self.most = most
        self.silent: Sequence[int] = ()
        self.faults: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        self.meddle: Callable[[Rows], Rows] = lambda rows: rows

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request.query)
        if self.faults:
            return self.faults.pop(0)
        granularity = request.query["granularity"]
        step = {"M1": MINUTE_MS, "H1": HOUR_MS}[granularity]
        at = to_ms(datetime.fromisoformat(request.query["from"].replace(".000000000Z", "+00:00")))
        rows: Rows = []
        while len(rows) < min(int(request.query["count"]), self.most) and at <= self.now_ms:
            open_ms = 0 if at in self.silent else FOREX_HOURS.open_ms(at, at + step)
            if open_ms:
                rows.append(row(at, complete=at + step <= self.now_ms))
            at += step
        body = {"instrument": "EUR_USD", "granularity": granularity, "candles": self.meddle(rows)}
        return json_answer(body)


def row(open_ms: int, *, complete: bool = True) -> dict[str, Any]:
    mid = {"o": "1.10000", "h": "1.10020", "l": "1.09990", "c": "1.10010"}
    return {"complete": complete, "volume": 42, "time": from_ms(open_ms).strftime("%Y-%m-%dT%H:%M:%SZ"), "mid": mid}


DAYS = days_between(date(2026, 11, 16), date(2026, 11, 17))


def candles_of(server: Oanda, interval: Any = HOUR, days: Sequence[date] = DAYS, now: datetime = WEDNESDAY) -> Any:
    with BadExchange({"/v3/instruments/EUR_USD/candles": server}) as exchange:
        return ask(exchange.url, lambda history: history.candles(EURUSD, interval, days), now)


def test_a_question_says_its_alignment_and_a_candle_more_than_there_may_be() -> None:
    server = Oanda()
    got = candles_of(server)
    assert list(states(got).values()) == ["available", "available"]
    assert server.asked == [
        {
            "granularity": "H1",
            "price": "M",
            "from": "2026-11-16T00:00:00.000000000Z",
            "count": "49",
            "includeFirst": "true",
            "smooth": "false",
            "dailyAlignment": "0",
            "alignmentTimezone": "UTC",
            "weeklyAlignment": "Monday",
        }
    ]
    assert got.days[0].inputs[0].name.startswith("GET /v3/instruments/EUR_USD/candles?granularity=H1&price=M&from=2026")


def test_short_pages_are_followed_to_the_end() -> None:
    server = Oanda(most=17)
    got = candles_of(server)
    assert list(states(got).values()) == ["available", "available"]
    assert [each.count for each in got.days] == [24, 24]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(status=500),
        Answer(b"{", cut=0),
        Answer(reset=True),
        Answer(b"<html>"),
    ],
)
def test_one_failure_is_asked_again(fault: Answer) -> None:
    server = Oanda()
    server.faults = [fault]
    assert list(states(candles_of(server)).values()) == ["available", "available"]
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Answer(status=429, headers={"Retry-After": "600"}), RateLimitedError),
        (Answer(status=503), ExchangeUnavailableError),
        (Answer(b'{"candles": []}'), BadPayloadError),
        (Answer(b'{"errorMessage": "no"}', status=401), ExchangeError),
    ],
)
def test_failures_that_stay_fail_their_days_with_a_type(fault: Answer, kind: type[Exception]) -> None:
    server = Oanda()
    server.faults = [fault] * 5
    got = candles_of(server)
    assert states(got) == dict.fromkeys(DAYS, kind.__name__)


def test_quiet_minutes_are_no_hole_and_a_quiet_hour_is_one() -> None:
    server = Oanda()
    noon = day_start_ms(DAYS[0]) + 12 * HOUR_MS
    server.silent = range(noon, noon + 59 * MINUTE_MS, MINUTE_MS)
    assert candles_of(server, MINUTE).days[0].condition == "available"
    server.silent = range(noon, noon + HOUR_MS, MINUTE_MS)
    got = candles_of(server, MINUTE)
    assert list(states(got).values()) == ["degraded", "available"]
    assert got.days[0].missing == tuple(server.silent)
    server.silent = [noon]
    assert candles_of(server, HOUR).days[0].missing == (noon,)


def test_a_day_without_any_price_is_missing() -> None:
    server = Oanda()
    start = day_start_ms(DAYS[0])
    server.silent = range(start, start + DAY_MS, HOUR_MS)
    got = candles_of(server)
    assert list(states(got).values()) == ["missing", "available"]
    assert "a holiday" in got.days[0].reason


def test_an_end_that_comes_too_early_is_a_failure_and_the_days_before_it_are_kept() -> None:
    server = Oanda()
    end = day_start_ms(DAYS[1]) + 20 * HOUR_MS
    server.meddle = lambda rows: [each for each in rows if each["time"] < from_ms(end).strftime("%Y-%m-%dT%H")]
    got = candles_of(server)
    assert list(states(got).values()) == ["available", "ExchangeUnavailableError"]
    assert "ends with 2026-11-17 19:00 UTC though the market traded after it" in str(got.failures[DAYS[1]])


def test_friday_s_end_is_no_early_end() -> None:
    saturday_noon = datetime(2026, 11, 14, 12, tzinfo=UTC)
    server = Oanda()
    server.now_ms = to_ms(saturday_noon)
    got = candles_of(server, HOUR, [FRIDAY], saturday_noon)
    assert states(got) == {FRIDAY: "available"}
    assert got.days[0].count == 22


def test_what_came_after_a_day_is_no_part_of_its_inputs() -> None:
    versions = set()
    for later in (timedelta(0), timedelta(3)):
        now = datetime(2026, 11, 14, 12, tzinfo=UTC) + later
        server = Oanda()
        server.now_ms = to_ms(now)
        versions.add(candles_of(server, HOUR, [FRIDAY], now).days[0].input_version)
    assert len(versions) == 1


def test_a_day_is_over_when_oanda_says_so_not_our_clock() -> None:
    server = Oanda()
    server.now_ms = day_start_ms(DAYS[1]) + DAY_MS - 90_000
    ahead = from_ms(day_start_ms(DAYS[1]) + DAY_MS + 30_000)
    assert list(states(candles_of(server, MINUTE, DAYS, ahead)).values()) == ["available", "pending"]


@pytest.mark.parametrize("how", ["a row twice", "backwards"])
def test_a_page_in_disorder_is_refused(how: str) -> None:
    server = Oanda()
    server.meddle = (
        (lambda rows: [*rows[:3], rows[2], *rows[3:]]) if how == "a row twice" else (lambda rows: rows[::-1])
    )
    got = candles_of(server)
    assert states(got) == dict.fromkeys(DAYS, "BadPayloadError")


def test_a_page_that_overlaps_the_one_before_gives_each_candle_once() -> None:
    server = Oanda(most=20)
    earlier: Rows = []

    def overlapping(rows: Rows) -> Rows:
        page = [*earlier[-4:], *rows]
        earlier.extend(rows)
        return page

    server.meddle = overlapping
    got = candles_of(server)
    assert [each[0] for each in rows_of(got)] == list(range(*span(DAYS[0], DAYS[-1]), HOUR_MS))


def test_the_same_page_again_fails_what_it_should_have_brought() -> None:
    server = Oanda(most=30)
    first: Rows = []

    def stuck(rows: Rows) -> Rows:
        first.extend(rows if not first else ())
        return list(first)

    server.meddle = stuck
    got = candles_of(server)
    assert list(states(got).values()) == ["available", "BadPayloadError"]
    assert "a page of other times" in str(got.failures[DAYS[1]])


# ------------------------------------------------------------------------------------------------------------ sessions


def test_which_hours_a_pair_has() -> None:
    assert hours_of(EURUSD) is FOREX_HOURS
    assert hours_of(HistoryPair("oanda", "XAUUSD", "XAU", "USD", "spot")) is METAL_HOURS
    assert hours_of(HistoryPair("oanda", "SPX500USD", "SPX500", "USD", "spot")) is None


@pytest.mark.parametrize(("sunday", "opens"), [(date(2026, 3, 1), 22), (date(2026, 3, 8), 21), (date(2026, 11, 8), 22)])
def test_sundays_open_by_new_york_s_clock(sunday: date, opens: int) -> None:
    start = day_start_ms(sunday)
    expected = holes(set(), sunday, HOUR, FOREX_HOURS)
    assert expected == tuple(range(start + opens * HOUR_MS, start + DAY_MS, HOUR_MS))

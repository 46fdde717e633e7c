"""OANDA's past from an exchange that answers badly: right, stated to be incomplete, or refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from market_platform.domain.clock import day_start_ms, from_ms, to_ms
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeError,
    ExchangeUnavailableError,
    RateLimitedError,
)
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, parse_interval
from market_platform.exchanges.day_rows import HOUR_MS
from market_platform_tests.fixtures.bad_exchange import Answer
from market_platform_tests.fixtures.history_rows import rows_of, span, states
from market_platform_tests.fixtures.oanda_past import DAYS, HOUR, Oanda, candles_of
from market_platform_tests.fixtures.scripted_past import backwards, overlapping, row_twice, stuck

FRIDAY = date(2026, 11, 13)
MINUTE = parse_interval("1m")

pytestmark = pytest.mark.usefixtures("instant_retries")


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


@pytest.mark.parametrize(("seconds", "state"), [(30, "pending"), (90, "available")])
def test_a_day_that_ended_less_than_a_minute_ago_and_nothing_after_it_is_pending(seconds: int, state: str) -> None:
    server = Oanda()
    end = day_start_ms(DAYS[1]) + DAY_MS
    server.silent = range(end, end + HOUR_MS, MINUTE_MS)
    server.now_ms = end + seconds * 1000
    got = candles_of(server, MINUTE, DAYS, from_ms(server.now_ms))
    assert list(states(got).values()) == ["available", state]


@pytest.mark.parametrize("how", ["a row twice", "backwards"])
def test_a_page_in_disorder_is_refused(how: str) -> None:
    server = Oanda()
    server.meddle = row_twice if how == "a row twice" else backwards
    got = candles_of(server)
    assert states(got) == dict.fromkeys(DAYS, "BadPayloadError")


def test_a_page_that_overlaps_the_one_before_gives_each_candle_once() -> None:
    server = Oanda(most=20)
    server.meddle = overlapping()
    got = candles_of(server)
    assert [each[0] for each in rows_of(got)] == list(range(*span(DAYS[0], DAYS[-1]), HOUR_MS))


def test_the_same_page_again_fails_what_it_should_have_brought() -> None:
    server = Oanda(most=30)
    server.meddle = stuck()
    got = candles_of(server)
    assert list(states(got).values()) == ["available", "BadPayloadError"]
    assert "a page of other times" in str(got.failures[DAYS[1]])

"""Buckets tile time without holes or overlaps, in both alignments, across every clock change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.clock import from_ms, to_ms
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import (
    DAY_INTERVALS,
    INTERVALS,
    PERIOD_INTERVALS,
    Alignment,
    Interval,
    bucket_end,
    bucket_start,
    parse_interval,
)

NEW_YORK = ZoneInfo("America/New_York")
moments = st.integers(to_ms(datetime(2000, 1, 1, tzinfo=UTC)), to_ms(datetime(2040, 1, 1, tzinfo=UTC)))
intervals = st.sampled_from(INTERVALS)
alignments = st.sampled_from(list(Alignment))


def ms(text: str) -> int:
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def text(ms: int) -> str:
    return from_ms(ms).isoformat()[:16]


@given(moments, intervals, alignments)
def test_each_moment_is_in_exactly_one_bucket(moment: int, interval: Interval, alignment: Alignment) -> None:
    start = bucket_start(moment, interval, alignment)
    end = bucket_end(start, interval, alignment)
    assert start <= moment < end
    assert bucket_start(start, interval, alignment) == start
    assert bucket_start(end - 1, interval, alignment) == start
    assert bucket_start(end, interval, alignment) == end


@given(moments, st.sampled_from([each.name for each in INTERVALS if each.seconds >= 14_400]))
def test_new_york_days_begin_at_17_by_the_local_clock(moment: int, name: str) -> None:
    local = from_ms(bucket_start(moment, parse_interval(name), Alignment.NEW_YORK_17)).astimezone(NEW_YORK)
    if name in ("1d", "1w", "1M"):
        assert (local.hour, local.minute) == (17, 0)
    if name == "1w":
        assert local.weekday() == 6  # Sunday evening: the trading week's Monday
    if name == "1M":
        assert (local + timedelta(days=1)).day == 1


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-07T23:00", 23), ("2026-10-31T22:00", 25), ("2026-06-10T22:00", 24)],
)
def test_new_york_day_is_23_or_25_hours_when_the_clock_changes(day: str, hours: int) -> None:
    start = bucket_start(ms(day), parse_interval("1d"), Alignment.NEW_YORK_17)
    assert bucket_end(start, parse_interval("1d"), Alignment.NEW_YORK_17) - start == hours * 3_600_000


def test_four_hour_buckets_in_new_york_keep_the_local_clock_across_a_change() -> None:
    four, at = parse_interval("4h"), ms("2026-03-07T22:00")
    opens = []
    for _ in range(7):
        opens.append(text(at))
        at = bucket_end(at, four, Alignment.NEW_YORK_17)
    assert opens == [
        "2026-03-07T22:00",
        "2026-03-08T02:00",
        "2026-03-08T06:00",  # 01:00 in New York; at 02:00 the clock goes to 03:00
        "2026-03-08T09:00",
        "2026-03-08T13:00",
        "2026-03-08T17:00",
        "2026-03-08T21:00",
    ]


@given(moments, st.sampled_from(["1m", "5m", "15m", "30m", "1h"]))
def test_short_intervals_are_the_same_in_both_alignments(moment: int, name: str) -> None:
    interval = parse_interval(name)
    assert bucket_start(moment, interval, Alignment.NEW_YORK_17) == bucket_start(moment, interval)


def test_utc_weeks_begin_on_monday_and_months_on_the_first() -> None:
    week, month = parse_interval("1w"), parse_interval("1M")
    assert text(bucket_start(ms("2019-02-10T23:59"), week)) == "2019-02-04T00:00"
    assert text(bucket_start(ms("2019-02-11T00:00"), week)) == "2019-02-11T00:00"
    assert text(bucket_start(ms("2020-02-29T12:00"), month)) == "2020-02-01T00:00"
    assert text(bucket_end(ms("2020-02-01T00:00"), month)) == "2020-03-01T00:00"
    assert text(bucket_end(ms("2019-12-01T00:00"), month)) == "2020-01-01T00:00"


def test_moments_before_the_epoch_are_in_buckets_too() -> None:
    assert text(bucket_start(ms("1969-12-31T23:59"), parse_interval("1h"))) == "1969-12-31T23:00"
    assert text(bucket_start(ms("1969-12-31T23:59"), parse_interval("1w"))) == "1969-12-29T00:00"


def test_names_are_case_sensitive_and_mistakes_say_what_is_allowed() -> None:
    assert parse_interval("1m").seconds == 60
    assert parse_interval("1M").seconds == 2_592_000
    with pytest.raises(BadRequestError, match="unknown interval '2h'; use one of 1m, 5m") as caught:
        parse_interval("2h")
    assert caught.value.code == "invalid_timeframe"


def test_day_and_period_intervals_are_all_of_them() -> None:
    assert [each.name for each in DAY_INTERVALS] == ["1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d"]
    assert [str(each) for each in PERIOD_INTERVALS] == ["1w", "1M"]
    assert sorted(INTERVALS) == list(INTERVALS)

"""When a candle is final, and which buckets never came."""

from __future__ import annotations

import random

import pytest

from market_platform.domain.intervals import parse_interval
from market_platform_tests.fixtures.memory_sink import NOON_MS, made_candle
from streamer.routing.finalise import Series

MINUTE = 60_000


def series(*, flagged: bool = True) -> Series:
    made = Series(parse_interval("1m"), flagged=flagged)
    made.resumed(NOON_MS)
    return made


def test_only_a_closed_candle_is_final_and_only_once() -> None:
    one = series()
    assert one.take(made_candle(0, closed=False), NOON_MS).closed == []
    closed = made_candle(0, closed=True)
    assert one.take(closed, NOON_MS + MINUTE).closed == [closed]
    assert one.take(closed, NOON_MS + MINUTE).closed == []


def test_a_forming_candle_that_is_older_than_a_closed_one_is_dropped() -> None:
    one = series()
    one.take(made_candle(0, closed=True), NOON_MS + MINUTE)
    assert one.take(made_candle(0, closed=False), NOON_MS + MINUTE).forming is None


def test_a_forming_candle_never_goes_back() -> None:
    one = series()
    newer, older = made_candle(0, closed=False, late_ms=20_000), made_candle(0, closed=False, late_ms=10_000)
    assert one.take(newer, NOON_MS).forming == newer
    assert one.take(older, NOON_MS).forming is None
    assert one.take(made_candle(-1, closed=False), NOON_MS).forming is None


def test_a_bucket_that_never_came_is_missing_after_a_grace() -> None:
    one = series()
    one.take(made_candle(0, closed=True), NOON_MS + MINUTE)
    one.take(made_candle(2, closed=True), NOON_MS + 3 * MINUTE)
    assert one.due(NOON_MS + 3 * MINUTE + 2_000).missing == []
    assert one.due(NOON_MS + 3 * MINUTE + 3_000).missing == [(NOON_MS + MINUTE, NOON_MS + 2 * MINUTE)]
    assert one.due(NOON_MS + 3 * MINUTE + 9_000).missing == []  # told once


def test_a_bucket_that_comes_after_its_successor_is_stored_and_not_missing() -> None:
    one = series()
    one.take(made_candle(0, closed=True), NOON_MS + MINUTE)
    one.take(made_candle(2, closed=True), NOON_MS + 3 * MINUTE)
    late = made_candle(1, closed=True)
    assert one.take(late, NOON_MS + 3 * MINUTE + 1_000).closed == [late]
    assert one.due(NOON_MS + 3 * MINUTE + 20_000).missing == []


def test_buckets_before_the_first_that_came_early_are_missing_when_no_gap_tells_of_them() -> None:
    one = Series(parse_interval("1m"), flagged=False)
    early = made_candle(2, closed=None)
    assert one.take(early, NOON_MS + 2 * MINUTE).forming == early
    one.resumed(NOON_MS + 37_000)  # by a clock that was late; the gap ends there
    assert one.due(NOON_MS + 2 * MINUTE + 5_000).missing == [(NOON_MS, NOON_MS + 2 * MINUTE)]


def test_what_is_resumed_twice_misses_nothing_that_is_closed() -> None:
    one = series(flagged=False)
    one.take(made_candle(0, closed=None), NOON_MS)
    one.take(made_candle(1, closed=None), NOON_MS + MINUTE)
    one.resumed(NOON_MS + 59_000)
    assert one.due(NOON_MS + MINUTE + 20_000).missing == []


def test_a_lost_closing_message_shows_as_soon_as_the_next_candle_forms() -> None:
    one = series()
    one.take(made_candle(0, closed=False), NOON_MS + 30_000)
    one.take(made_candle(1, closed=False, late_ms=1_000), NOON_MS + MINUTE + 1_000)
    assert one.due(NOON_MS + MINUTE + 5_000).missing == [(NOON_MS, NOON_MS + MINUTE)]


def test_a_bucket_that_ended_in_silence_is_missing_too() -> None:
    one = series()
    one.take(made_candle(0, closed=True), NOON_MS + MINUTE)
    assert one.due(NOON_MS + 2 * MINUTE + 29_000).missing == []
    assert one.due(NOON_MS + 2 * MINUTE + 30_000).missing == [(NOON_MS + MINUTE, NOON_MS + 2 * MINUTE)]


def test_several_holes_are_told_one_after_the_other() -> None:
    one = series()
    for minute in (1, 3, 4, 7):
        one.take(made_candle(minute, closed=True), NOON_MS + (minute + 1) * MINUTE)
    now, missing = NOON_MS + 8 * MINUTE, []
    for second in range(20):
        missing += one.due(now + second * 1_000).missing
    holes = [((start - NOON_MS) // MINUTE, (end - NOON_MS) // MINUTE) for start, end in missing]
    assert holes == [(0, 1), (2, 3), (5, 7)]


def test_what_closes_while_the_stream_is_away_is_not_its_business() -> None:
    one = series()
    one.take(made_candle(0, closed=True), NOON_MS + MINUTE)
    one.interrupted()
    assert one.due(NOON_MS + 10 * MINUTE).missing == []
    one.resumed(NOON_MS + 10 * MINUTE + 5_000)
    one.take(made_candle(10, closed=True), NOON_MS + 11 * MINUTE)
    assert one.due(NOON_MS + 11 * MINUTE + 10_000).missing == []


def test_a_handover_forgets_nothing() -> None:
    one = series()
    one.resumed(NOON_MS + 5 * MINUTE)  # the other connection is live; the first was never lost
    one.take(made_candle(5, closed=True), NOON_MS + 6 * MINUTE)
    assert one.due(NOON_MS + 6 * MINUTE + 4_000).missing == [(NOON_MS, NOON_MS + 5 * MINUTE)]


def test_without_a_flag_the_next_bucket_closes_the_last_state() -> None:
    one = series(flagged=False)
    last = made_candle(0, closed=None, trades=9)
    one.take(made_candle(0, closed=None, trades=5), NOON_MS)
    one.take(last, NOON_MS)
    assert one.take(made_candle(0, closed=None, trades=7), NOON_MS).forming is None  # older
    told = one.take(made_candle(1, closed=None, trades=1), NOON_MS + MINUTE)
    assert told.closed == [last]
    assert told.unconfirmed == [(NOON_MS, NOON_MS + MINUTE)]
    assert one.take(last, NOON_MS + MINUTE).closed == []


def test_without_a_flag_time_closes_the_last_state() -> None:
    one = series(flagged=False)
    last = made_candle(0, closed=None)
    one.take(last, NOON_MS)
    assert one.due(NOON_MS + MINUTE + 2_000).closed == []
    assert one.due(NOON_MS + MINUTE + 3_000).closed == [last]
    assert one.due(NOON_MS + MINUTE + 3_000).closed == []


def test_without_a_flag_a_silent_bucket_is_asked_for() -> None:
    one = series(flagged=False)
    one.take(made_candle(0, closed=None), NOON_MS)
    one.due(NOON_MS + MINUTE + 3_000)
    told = one.due(NOON_MS + 2 * MINUTE + 30_000)
    assert (told.missing, told.unconfirmed) == ([], [(NOON_MS + MINUTE, NOON_MS + 2 * MINUTE)])


@pytest.mark.parametrize("seed", range(30))
def test_any_disorder_and_repetition_of_messages_gives_each_candle_once(seed: int) -> None:
    dice = random.Random(seed)
    one, now, found, missing = series(), NOON_MS, list[int](), list[tuple[int, int]]()
    messages = [made_candle(minute, closed=closed) for minute in range(40) for closed in (False, True)]
    messages = [each for each in messages for _ in range(dice.choice((1, 1, 2)))]
    messages.sort(key=lambda each: (each.event_ms or 0) + dice.randint(0, 2_500))
    for message in messages:
        now = max(now, message.event_ms or 0)
        found += [each.open_ms for each in one.take(message, now).closed]
        missing += one.due(now).missing
    assert sorted(found) == [NOON_MS + minute * MINUTE for minute in range(40)]
    assert missing == []

"""Counting trade ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.ids import IdRange, IdTracker, Seen, SeenIds


def test_ids_that_count_up_are_new_and_leave_no_hole() -> None:
    tracker = IdTracker()
    assert [tracker.observe(each) for each in (100, 101, 102)] == [Seen.NEW] * 3
    assert (tracker.high, tracker.contiguous) == (102, 102)
    assert tracker.holes(0, 0) == []


def test_a_repeated_id_is_a_duplicate_and_changes_nothing() -> None:
    tracker = IdTracker()
    tracker.observe(100, 110)
    assert tracker.observe(105) is Seen.DUPLICATE
    assert tracker.observe(100, 110) is Seen.DUPLICATE
    assert tracker.high == 110


def test_a_hole_is_told_once_and_only_after_its_grace() -> None:
    tracker = IdTracker()
    tracker.observe(100)
    tracker.observe(104)
    assert tracker.holes(1_000, 500) == []
    assert tracker.holes(1_499, 500) == []
    assert tracker.holes(1_500, 500) == [IdRange(101, 103)]
    assert tracker.holes(9_999, 500) == []


def test_a_range_is_missed_as_long_as_one_of_it_is() -> None:
    tracker = IdTracker(10)
    tracker.observe(20)
    assert tracker.misses(11, 19)
    assert tracker.misses(19, 30)
    assert not tracker.misses(20, 30)
    assert not tracker.misses(1, 10)
    tracker.observe(11, 18)
    assert tracker.misses(11, 19)
    tracker.observe(19)
    assert not tracker.misses(11, 19)


def test_reordered_ids_fill_their_hole_before_anyone_hears_of_it() -> None:
    tracker = IdTracker()
    seen = [tracker.observe(each) for each in (100, 103, 101, 102, 101)]
    assert seen == [Seen.NEW, Seen.NEW, Seen.LATE, Seen.LATE, Seen.DUPLICATE]
    assert tracker.holes(0, 0) == []
    assert tracker.contiguous == 103


def test_what_is_known_from_before_makes_a_hole_of_what_came_meanwhile() -> None:
    tracker = IdTracker(known=50)
    assert tracker.observe(60, 61) is Seen.NEW
    assert tracker.holes(0, 0) == [IdRange(51, 59)]
    assert tracker.contiguous == 50
    assert tracker.observe(50) is Seen.DUPLICATE


def test_a_late_range_splits_its_hole_and_the_rest_stays_open() -> None:
    tracker = IdTracker(known=0)
    tracker.observe(100)
    assert tracker.observe(40, 60) is Seen.LATE
    assert tracker.holes(0, 0) == [IdRange(1, 39), IdRange(61, 99)]


def test_a_range_over_the_edge_is_new_and_fills_what_it_covers() -> None:
    tracker = IdTracker(known=0)
    tracker.observe(10)
    assert tracker.observe(5, 20) is Seen.NEW
    assert tracker.holes(0, 0) == [IdRange(1, 4)]
    assert tracker.high == 20


def test_the_first_ids_of_a_stream_may_come_in_disorder() -> None:
    tracker = IdTracker()
    assert [tracker.observe(each) for each in (100, 97, 98, 98)] == [Seen.NEW, Seen.LATE, Seen.LATE, Seen.DUPLICATE]
    assert tracker.holes(0, 0) == [IdRange(99, 99)]


def test_ids_from_long_before_the_start_or_from_what_is_known_are_duplicates() -> None:
    tracker = IdTracker()
    tracker.observe(100_000)
    assert tracker.observe(5) is Seen.DUPLICATE
    assert IdTracker(known=100).observe(99) is Seen.DUPLICATE


def test_holes_beyond_the_bound_are_forgotten_when_told_and_joined_otherwise() -> None:
    tracker = IdTracker(most_holes=3)
    for each in range(0, 10, 2):  # holes 1, 3, 5, 7
        tracker.observe(each)
    assert tracker.holes(0, 0) == [IdRange(1, 3), IdRange(5, 5), IdRange(7, 7)]
    tracker.observe(100)
    assert tracker.holes(0, 0) == [IdRange(9, 99)]
    assert tracker.observe(1) is Seen.DUPLICATE
    assert tracker.observe(5) is Seen.LATE


@given(st.permutations(range(1, 40)), st.sets(st.integers(1, 39)))
def test_whatever_the_order_exactly_the_missing_ids_are_in_holes(order: list[int], missing: set[int]) -> None:
    tracker = IdTracker(known=0)
    shown = [each for each in order if each not in missing]
    answers = [tracker.observe(each) for each in shown]
    assert Seen.DUPLICATE not in answers
    assert all(tracker.observe(each) is Seen.DUPLICATE for each in shown)
    tracker.observe(40)
    assert {each for hole in tracker.holes(0, 0) for each in range(hole.first, hole.last + 1)} == missing


def test_ids_without_order_are_remembered_for_the_horizon() -> None:
    seen = SeenIds(horizon_ms=1_000)
    assert seen.add(7, 0)
    assert not seen.add(7, 900)
    assert seen.add(8, 1_000)
    assert not seen.add(7, 1_900)
    assert seen.add(9, 2_000)
    assert seen.add(7, 2_100)


def test_ids_without_order_are_bounded_in_number() -> None:
    seen = SeenIds(horizon_ms=10_000_000, most=100)
    for each in range(10_000):
        assert seen.add(each, each)
    assert len(seen) <= 200
    assert not any(seen.add(each, 10_000) for each in range(9_900, 10_000))

"""The exchange's time, and its request weights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from market_platform.domain.clock import to_ms
from market_platform.replay.live.clock import BEHIND_MS, ExchangeClock
from market_platform.replay.live.weights import BAN_AFTER, WeightMeter

START = datetime(2026, 11, 20, 20, 30, tzinfo=UTC)


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def test_at_speed_one_it_is_our_time() -> None:
    watch = Watch()
    clock = ExchangeClock(1.0, watch)
    for _ in range(3):
        assert clock.now() == watch.now
        watch.now += timedelta(hours=1)


def test_a_faster_exchange_begins_hours_ago_and_never_passes_us() -> None:
    watch = Watch()
    clock = ExchangeClock(10.0, watch)
    assert abs(clock.now_ms() - (to_ms(START) - BEHIND_MS)) < 10
    watch.now += timedelta(minutes=1)
    assert abs(clock.now_ms() - (to_ms(START) - BEHIND_MS + 600_000)) < 10
    watch.now += timedelta(days=3)
    assert clock.now_ms() == to_ms(watch.now)


def test_the_same_anchor_is_the_same_time_after_a_restart() -> None:
    watch = Watch()
    clock = ExchangeClock(10.0, watch)
    watch.now += timedelta(minutes=7)
    assert ExchangeClock(10.0, watch, clock.anchor_ms).now_ms() == clock.now_ms()


def test_a_slower_exchange_falls_behind() -> None:
    watch = Watch()
    clock = ExchangeClock(0.5, watch)
    watch.now += timedelta(hours=2)
    assert clock.now() == START + timedelta(hours=1)


def test_weights_are_counted_by_the_minute() -> None:
    seconds = 120.0
    meter = WeightMeter(10, lambda: seconds)
    assert [meter.weigh(4).status for _ in range(3)] == [None, None, 429]
    refused = meter.weigh(4)
    assert (refused.used, refused.retry_after_s) == (8, 60)
    assert [meter.weigh(4).status for _ in range(BAN_AFTER)][-1] == 418
    seconds = 180.0
    assert meter.weigh(4).used == 4

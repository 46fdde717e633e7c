"""Counts of an exchange: how late its events come."""

from __future__ import annotations

from market_platform.domain.clock import from_ms
from streamer.routing.tallies import Tallies
from streamer.times import Times

NOW_MS = 1_800_000_000_000


def test_the_lag_of_a_recording_is_left_out() -> None:
    tallies = Tallies(Times(clock=lambda: from_ms(NOW_MS), monotonic=lambda: 100.0))
    lags = []
    for late_ms in (50, 40_000_000_000, 70):
        tallies.event(NOW_MS - late_ms, 100.0)
        lags.append(tallies.lag_ms)
    assert lags == [50, None, 70]

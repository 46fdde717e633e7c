"""Candles are exact and the same whichever way they are built: from ticks or from shorter candles."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from market_platform.domain.candles import (
    CANDLE_COLUMNS,
    CANDLE_SCHEMA,
    CandlePrice,
    CandleUnits,
    candle_units,
    candles_from_ticks,
    content_hash,
    roll_up,
    roll_up_units,
    to_frame,
)
from market_platform.domain.clock import to_ms
from market_platform.domain.intervals import INTERVALS, Alignment, Interval, bucket_end, bucket_start, parse_interval
from market_platform.domain.ticks import Ticks
from market_platform_tests.fixtures.dukascopy_wire import make_ticks

MINUTE, FIVE = parse_interval("1m"), parse_interval("5m")
SPANS_WITH_CLOCK_CHANGES = [
    to_ms(datetime(2026, 3, 6, tzinfo=UTC)),
    to_ms(datetime(2026, 10, 30, tzinfo=UTC)),
    to_ms(datetime(2024, 2, 27, tzinfo=UTC)),
]


@st.composite
def tick_batches(draw: st.DrawFn) -> Ticks:
    """Sorted ticks over up to ten days, many in one minute or one millisecond, around a clock change or leap day."""
    start = draw(st.sampled_from(SPANS_WITH_CLOCK_CHANGES))
    count = draw(st.integers(1, 60))
    steps = draw(
        st.lists(st.sampled_from([0, 1, 999, 20_000, 60_000, 3_599_999, 50_000_000]), min_size=count, max_size=count)
    )
    bids = draw(st.lists(st.integers(1, 2_000_000), min_size=count, max_size=count))
    spreads = draw(st.lists(st.integers(-3, 50), min_size=count, max_size=count))
    times = start + np.cumsum(np.array(steps, np.int64))
    return make_ticks(times.tolist(), bids, [max(1, bid + spread) for bid, spread in zip(bids, spreads, strict=True)])


prices = st.sampled_from(["mid", "bid", "ask"])
alignments = st.sampled_from(list(Alignment))
shorter = st.sampled_from(["1m", "5m"])
intervals = st.sampled_from([each for each in INTERVALS if each.seconds >= 300])


@given(tick_batches(), prices, alignments, intervals, shorter)
def test_rolled_up_candles_equal_those_built_from_the_ticks(
    ticks: Ticks, price: CandlePrice, alignment: Alignment, interval: Interval, first: str
) -> None:
    base = candle_units(ticks, parse_interval(first), price, alignment)
    direct = to_frame(candle_units(ticks, interval, price, alignment))
    assert_frame_equal(to_frame(roll_up_units(base, interval, alignment)), direct)
    assert_frame_equal(roll_up(to_frame(base), interval, alignment), direct)


@given(tick_batches(), alignments, st.sampled_from(INTERVALS))
def test_candles_are_what_the_definition_says(ticks: Ticks, alignment: Alignment, interval: Interval) -> None:
    """Against the plainest possible program: a dictionary of buckets and decimals."""
    buckets: dict[int, list[tuple[Decimal, int]]] = {}
    for time, bid, ask, bid_volume, ask_volume in zip(*ticks.columns, strict=True):
        mid = (Decimal(int(bid)) + Decimal(int(ask))) / 2 / 10**5
        quote = (mid, int(bid_volume + ask_volume))
        buckets.setdefault(bucket_start(int(time), interval, alignment), []).append(quote)
    frame = candles_from_ticks(ticks, interval, "mid", alignment)
    assert frame["time"].dt.epoch("ms").to_list() == list(buckets)
    for row, quotes in zip(frame.iter_rows(named=True), buckets.values(), strict=True):
        mids = [mid for mid, _ in quotes]
        assert (row["open"], row["high"], row["low"], row["close"]) == (mids[0], max(mids), min(mids), mids[-1])
        assert (row["volume"], row["num_trades"]) == (sum(volume for _, volume in quotes), len(quotes))


@given(tick_batches(), intervals, alignments)
def test_every_candle_opens_at_its_buckets_start_and_days_split_anywhere_give_the_same(
    ticks: Ticks, interval: Interval, alignment: Alignment
) -> None:
    whole = candles_from_ticks(ticks, interval, "mid", alignment)
    for open_ms in whole["time"].dt.epoch("ms").to_list():
        assert bucket_start(open_ms, interval, alignment) == open_ms
    if whole.height > 1:
        cut = bucket_end(whole["time"].dt.epoch("ms").to_list()[0], interval, alignment)
        parts = [ticks.between(0, cut), ticks.between(cut, 2**60)]
        assert_frame_equal(pl.concat([candles_from_ticks(part, interval, "mid", alignment) for part in parts]), whole)


def test_mid_price_keeps_the_half_point() -> None:
    ticks = make_ticks([0, 1], [114_500, 114_503], [114_501, 114_505])
    row = candles_from_ticks(ticks, MINUTE).row(0, named=True)
    assert row["open"] == Decimal("1.145005")
    assert row["close"] == Decimal("1.145040")


@pytest.mark.parametrize(
    ("price", "open_", "volume"), [("bid", "1.14500", 1), ("ask", "1.14502", 3), ("mid", "1.14501", 4)]
)
def test_each_side_has_its_own_price_and_volume(price: CandlePrice, open_: str, volume: int) -> None:
    row = candles_from_ticks(make_ticks([0], [114_500]), MINUTE, price).row(0, named=True)
    assert (row["open"], row["volume"], row["num_trades"]) == (Decimal(open_), volume, 1)


def test_buckets_are_half_open_and_minutes_without_ticks_have_no_candle() -> None:
    frame = candles_from_ticks(make_ticks([0, 59_999, 60_000, 180_000], [1, 2, 3, 4]), MINUTE, "bid")
    assert frame["time"].dt.epoch("ms").to_list() == [0, 60_000, 180_000]
    assert frame["num_trades"].to_list() == [2, 1, 1]


def test_frames_always_have_the_schema() -> None:
    for ticks in (Ticks.empty(5), make_ticks([0], [1])):
        for interval in INTERVALS:
            frame = candles_from_ticks(ticks, interval)
            assert frame.schema == CANDLE_SCHEMA
            assert roll_up(frame, parse_interval("1M")).schema == CANDLE_SCHEMA
            assert tuple(frame.columns) == CANDLE_COLUMNS
    assert len(roll_up_units(candle_units(Ticks.empty(5), MINUTE), FIVE)) == 0


@given(st.integers(1, 2**52), st.integers(0, 10), st.integers(0, 2**52), st.integers(0, 9))
def test_largest_and_finest_values_are_exact(price: int, price_scale: int, volume: int, volume_scale: int) -> None:
    one = np.array([price], np.int64)
    units = CandleUnits(
        one * 0, one, one, one, one, np.array([volume], np.int64), one * 0 + 1, price_scale, volume_scale
    )
    row = to_frame(units).row(0, named=True)
    assert row["open"] == Decimal(price).scaleb(-price_scale)
    assert row["volume"] == Decimal(volume).scaleb(-volume_scale)


def test_unknown_number_of_trades_stays_unknown_in_longer_candles() -> None:
    frame = candles_from_ticks(make_ticks([0, 60_000, 300_000], [1, 2, 3]), MINUTE)
    told = frame.with_columns(num_trades=pl.Series([1, None, 5], dtype=pl.Int64))
    assert roll_up(told, FIVE)["num_trades"].to_list() == [None, 5]


def test_a_year_of_volumes_is_summed_without_overflow() -> None:
    """Decimal(38, 18) holds 20 digits before the point; EURUSD trades about 10^12 a day."""
    month, minutes = parse_interval("1M"), 31 * 1440
    times = np.arange(minutes, dtype=np.int64) * 60_000
    ones = np.ones(minutes, np.int64)
    units = CandleUnits(times, ones, ones, ones, ones, ones * 10**9, ones, 5, 0)
    assert roll_up(to_frame(units), month)["volume"].to_list() == [Decimal(minutes * 10**9)]


def test_content_hash_is_of_the_values_not_of_how_they_are_held() -> None:
    frame = candles_from_ticks(make_ticks([0, 60_000], [114_500, 114_501]), MINUTE)
    assert content_hash(frame) == content_hash(frame.select(reversed(CANDLE_COLUMNS)))
    assert content_hash(frame) == content_hash(pl.concat([frame[:1], frame[1:]], rechunk=False))
    coarser = frame.with_columns(pl.col("open", "close").cast(pl.Decimal(38, 8)))
    assert content_hash(frame) == content_hash(coarser)
    assert content_hash(frame) != content_hash(frame.with_columns(num_trades=pl.lit(9, pl.Int64)))
    assert content_hash(frame) != content_hash(frame[:1])


def test_content_hash_is_the_same_for_ever() -> None:
    """Data versions chain from it: a change here would make every candle look rewritten."""
    frame = candles_from_ticks(make_ticks([0, 60_000], [114_500, 114_501]), MINUTE)
    assert content_hash(frame) == "01631c22c275ff6e7ad92b17bc123983ae71e1a5379125a3841961a0468b01e4"

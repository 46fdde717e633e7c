"""bi5 bytes become exact ticks and candles; every mistake in them is named."""

from __future__ import annotations

import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import BadPayloadError
from market_platform.exchanges.dukascopy import bi5
from market_platform_tests.fixtures.dukascopy_wire import HOUR_MS, TickRow, bi5_body, bi5_candles, quiet_hour

START = 1_549_238_400_000  # 2019-02-04T00:00Z
WHAT = "dukascopy/EURUSD 2019-02-04 07h (bi5)"

units = st.integers(1, 2**31 - 1)
hundredths = st.integers(0, 10_000).map(lambda value: value / 100)
rows = st.lists(st.tuples(st.integers(0, HOUR_MS - 1), units, units, hundredths, hundredths), max_size=40).map(sorted)


@given(rows)
def test_records_come_back_exactly(rows: list[TickRow]) -> None:
    ticks = bi5.decode_ticks(bi5_body(rows), START, 5, WHAT)
    assert ticks.time.tolist() == [START + row[0] for row in rows]
    assert ticks.ask.tolist() == [row[1] for row in rows]
    assert ticks.bid.tolist() == [row[2] for row in rows]
    assert ticks.ask_volume.tolist() == [round(row[3] * 1_000_000) for row in rows]
    assert ticks.bid_volume.tolist() == [round(row[4] * 1_000_000) for row in rows]
    assert (ticks.price_scale, ticks.volume_scale) == (5, 0)


@given(st.floats(0, 4000, width=32, allow_subnormal=False).filter(lambda value: value == 0 or value > 1e-5))
def test_volume_is_never_changed_whatever_float_was_sent(volume: float) -> None:
    ticks = bi5.decode_ticks(bi5_body([(0, 2, 1, volume, 1.5)]), START, 5, WHAT)
    back = np.float32(int(ticks.ask_volume[0]) / 10 ** (6 + ticks.volume_scale))
    assert back == np.float32(volume)


def test_no_bytes_are_no_ticks() -> None:
    ticks = bi5.decode_ticks(b"", START, 3, WHAT)
    assert (len(ticks), ticks.price_scale) == (0, 3)


def test_ticks_of_one_millisecond_keep_their_order() -> None:
    ticks = bi5.decode_ticks(bi5_body([(5, 12, 10, 1, 1), (5, 13, 11, 1, 1), (5, 12, 10, 1, 1)]), START, 5, WHAT)
    assert ticks.bid.tolist() == [10, 11, 10]


GOOD: TickRow = (10, 114_502, 114_500, 1.0, 2.25)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ((9, 114_502, 114_500, 1.0, 2.25), "time of row 1 is 9 ms, but the row before has 10 ms"),
        (
            (HOUR_MS, 114_502, 114_500, 1.0, 2.25),
            "time of row 1 is 3600000 ms, but times of this period are 0 to 3599999",
        ),
        ((10, 0, 114_500, 1.0, 2.25), "ask of row 1 is 0 units, but a price is above zero"),
        ((10, 114_502, -1, 1.0, 2.25), "bid of row 1 is -1 units, but a price is above zero"),
        ((10, 114_502, 114_500, -1.0, 2.25), "ask_volume of row 1 is -1.0"),
        ((10, 114_502, 114_500, 1.0, float("nan")), "bid_volume of row 1 is nan"),
        ((10, 114_502, 114_500, float("inf"), 1.0), "ask_volume of row 1 is inf"),
        ((10, 114_502, 114_500, 1e30, 1.0), "ask_volume of row 1 is 1"),
        ((10, 114_502, 114_500, 1e-20, 1.0), "finer than 9 decimals"),
    ],
)
def test_wrong_record_is_refused_naming_pair_day_hour_and_field(wrong: TickRow, told: str) -> None:
    with pytest.raises(BadPayloadError) as caught:
        bi5.decode_ticks(bi5_body([GOOD, wrong]), START, 5, WHAT)
    assert str(caught.value).startswith(WHAT)
    assert told in str(caught.value)


def test_negative_time_is_refused() -> None:
    with pytest.raises(BadPayloadError, match="time of row 0 is -1 ms"):
        bi5.decode_ticks(bi5_body([(-1, 2, 1, 1, 1), GOOD]), START, 5, WHAT)


@pytest.mark.parametrize("kept", [5, 12, 13, 14, 20, -9, -1])
def test_cut_off_file_is_refused(kept: int) -> None:
    with pytest.raises(BadPayloadError, match="EURUSD 2019-02-04 07h"):
        bi5.decode_ticks(bi5_body(quiet_hour())[:kept], START, 5, WHAT)


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"{}", bytes(64), b"\x5d\x00\x00\x40\x00" + bytes(40)])
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(BadPayloadError, match="EURUSD 2019-02-04 07h"):
        bi5.decode_ticks(body, START, 5, WHAT)


def test_flipped_bytes_never_pass_as_more_than_they_are() -> None:
    """Corruption either raises the one error or (where LZMA can't tell) still gives ticks that satisfy every check."""
    body = bytearray(bi5_body(quiet_hour(300)))
    for at in range(13, len(body), 7):
        broken = bytes(body[:at] + bytes([body[at] ^ 0x55]) + body[at + 1 :])
        try:
            ticks = bi5.decode_ticks(broken, START, 5, WHAT)
        except BadPayloadError:
            continue
        assert (np.diff(ticks.time) >= 0).all()
        assert (ticks.bid > 0).all()


def test_half_a_record_is_refused() -> None:
    body = lzma.compress(bytes(30), format=lzma.FORMAT_ALONE)
    with pytest.raises(BadPayloadError, match="30 bytes after decompression are not whole records of 20 bytes"):
        bi5.decode_ticks(body, START, 5, WHAT)


def test_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bi5, "MAX_RAW_BYTES", 1000)
    with pytest.raises(BadPayloadError, match="more than an hour can hold"):
        bi5.decode_ticks(lzma.compress(bytes(2000), format=lzma.FORMAT_ALONE), START, 5, WHAT)


def test_candle_columns_are_open_close_low_high_and_flats_are_left_out() -> None:
    body = bi5_candles(
        [(0, 110, 115, 100, 120, 1.5), (60, 115, 115, 115, 115, 0.0), (120, 115, 101, 101, 116, 0.000005)]
    )
    candles = bi5.decode_candles(body, START, 5, WHAT)
    assert candles.time.tolist() == [START, START + 120_000]
    assert candles.open.tolist() == [110, 115]
    assert candles.high.tolist() == [120, 116]
    assert candles.low.tolist() == [100, 101]
    assert candles.close.tolist() == [115, 101]
    assert candles.volume.tolist() == [1_500_000, 5]
    assert candles.num_trades.tolist() == [0, 0]
    assert (candles.price_scale, candles.volume_scale) == (5, 0)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ((90, 110, 115, 100, 120, 1.0), "candles are 60000 ms apart"),
        ((60, 110, 115, 100, 120, 1.0), "candles are 60000 ms apart, each once"),
        ((0, 110, 115, 100, 120, 1.0), "times must not go back"),
        ((86_400, 110, 115, 100, 120, 1.0), "times of this period are 0 to"),
        ((120, 121, 115, 100, 120, 1.0), "open of row 1 is 121, but low is 100 and high is 120"),
        ((120, 110, 99, 100, 120, 1.0), "close of row 1 is 99"),
        ((120, 110, 115, 0, 120, 1.0), "low of row 1 is 0 units"),
        ((120, 110, 115, 100, 120, -1.0), "volume of row 1 is -1.0"),
    ],
)
def test_wrong_candle_is_refused(row: tuple[int, int, int, int, int, float], told: str) -> None:
    with pytest.raises(BadPayloadError, match=told):
        bi5.decode_candles(bi5_candles([(60, 110, 115, 100, 120, 1.0), row]), START, 5, WHAT)

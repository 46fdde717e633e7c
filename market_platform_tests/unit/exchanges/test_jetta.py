"""JSON answers become exact ticks and candles, the same as bi5; every mistake in them is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import BadPayloadError
from market_platform.exchanges.dukascopy import bi5, jetta
from market_platform_tests.fixtures.dukascopy_wire import (
    HOUR_MS,
    TickRow,
    bi5_body,
    json_body,
    json_candles,
    quiet_hour,
)

START = 1_549_238_400_000
WHAT = "dukascopy/EURUSD 2019-02-04 00h (json)"

units = st.integers(1, 2**31 - 1)
hundredths = st.integers(0, 10_000).map(lambda value: value / 100)
rows = st.lists(st.tuples(st.integers(0, HOUR_MS - 1), units, units, hundredths, hundredths), max_size=40).map(sorted)


@given(rows, st.integers(0, 6))
def test_json_and_bi5_of_the_same_ticks_are_equal(rows: list[TickRow], price_scale: int) -> None:
    ours = jetta.decode_ticks(json_body(rows, START, price_scale), START, price_scale, WHAT)
    theirs = bi5.decode_ticks(bi5_body(rows), START, price_scale, WHAT)
    assert ours.content_hash() == theirs.content_hash()


@pytest.mark.parametrize(
    ("sent", "units", "scale"),
    [
        ([1.48, 13.0], [148, 1300], 2),
        ([1_800_000.0, 0.0], [1_800_000, 0], 0),
        ([0.1, 1.25], [10, 125], 2),
        ([1e-9, 1.0], [1, 10**9], 9),
        ([1.1, 4_503_599_627.1], [11, 45_035_996_271], 1),
    ],
)
def test_volumes_keep_the_decimals_of_their_text(sent: list[float], units: list[int], scale: int) -> None:
    body = json_body(quiet_hour(2), START, askVolumes=sent, bidVolumes=[1.0, 1.0])
    ticks = jetta.decode_ticks(body, START, 5, WHAT)
    assert (ticks.ask_volume.tolist(), ticks.volume_scale) == (units, scale)
    assert ticks.bid_volume.tolist() == [10**scale] * 2


def test_large_base_prices_are_exact() -> None:
    body = json_body([(0, 2_147_483_647, 2_147_483_646, 1, 1)], START, 6)
    assert b"2147.483647" in body
    assert jetta.decode_ticks(body, START, 6, WHAT).ask.tolist() == [2_147_483_647]


def test_empty_hour_has_null_prices() -> None:
    assert len(jetta.decode_ticks(json_body([], START), START, 5, WHAT)) == 0


def test_unknown_fields_are_let_pass() -> None:
    assert len(jetta.decode_ticks(json_body(quiet_hour(3), START, novelty={"a": 1}), START, 5, WHAT)) == 3


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"timestamp": START + HOUR_MS}, "the answer is of another period: its timestamp is 1549242000000"),
        ({"multiplier": 1e-3}, "multiplier is 0.001, but the instrument's price scale is 5"),
        ({"multiplier": 2e-5}, "multiplier is 2e-05"),
        ({"times": [0, 1000]}, "arrays differ in length: times 2, asks 3"),
        ({"bidVolumes": [1.0]}, "bidVolumes 1"),
        ({"times": [0, 1000, -1]}, "times must not go back"),
        ({"times": [0, 1000, HOUR_MS]}, "times of this period are 0 to 3599999 ms"),
        ({"times": [-5, 1000, 1000]}, "time of row 0 is -5 ms"),
        ({"asks": [0, 0, -200_000]}, "ask of row 2 is -85498 units, but a price is above zero"),
        ({"bid": 0.0}, "base price bid is 0.0"),
        ({"bid": -1.1}, "base price bid is -1.1"),
        ({"ask": None}, "base price ask is None"),
        ({"ask": 1.145021234}, "base price ask is 1.145021234, which is not a price of scale 5"),
        ({"ask": 1e300}, "base price ask is 1e[+]300"),
        ({"askVolumes": [1.0, -1.0, 1.0]}, "askVolumes of row 1 is -1.0"),
        ({"askVolumes": [1.0, 1e30, 1.0]}, "askVolumes of row 1 is 1e[+]30"),
        ({"askVolumes": [1.0, 0.1234567890123, 1.0]}, "finer than 9 decimals"),
        ({"asks": [0, "1", 0]}, r"Expected `int`, got `str` - at `\$.asks"),
        ({"asks": [0, 0.5, 0]}, r"Expected `int`"),
        ({"asks": [0, None, 0]}, r"Expected `int`, got `null`"),
        ({"asks": [0, 10**30, 0]}, "asks|Integer|int"),
        ({"asks": [0, 2**60, 0]}, "asks of row 1 is 1152921504606846976, but that is absurd"),
        ({"times": "0"}, r"Expected `array`, got `str` - at `\$.times`"),
        ({"timestamp": None}, r"at `\$.timestamp`"),
    ],
)
def test_wrong_answer_is_refused_naming_pair_day_hour_and_field(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(BadPayloadError, match=told) as caught:
        jetta.decode_ticks(json_body(quiet_hour(3), START, **changed), START, 5, WHAT)
    assert str(caught.value).startswith(WHAT)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"<html></html>", b"\xff\xfe", json_body([], START)[:-4]])
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(BadPayloadError, match="are not the JSON expected"):
        jetta.decode_ticks(body, START, 5, WHAT)


def test_missing_field_is_refused() -> None:
    with pytest.raises(BadPayloadError, match="missing required field `bids`"):
        jetta.decode_ticks(json_body(quiet_hour(1), START).replace(b'"bids"', b'"bidz"'), START, 5, WHAT)


def test_candles_are_cumulative_and_their_volumes_millions() -> None:
    candles = jetta.decode_candles(json_candles(START), START, 5, WHAT)
    assert candles.time.tolist() == [START, START + 60_000, START + 180_000]
    assert candles.open.tolist() == [110_000, 110_005, 110_000]
    assert candles.high.tolist() == [120_000, 120_005, 120_000]
    assert candles.low.tolist() == [100_000, 100_005, 100_000]
    assert candles.close.tolist() == [115_000, 115_005, 115_000]
    assert candles.volume.tolist() == [1062, 846, 197_100_000]
    assert candles.volume_scale == 0


def test_candles_without_volume_are_left_out() -> None:
    candles = jetta.decode_candles(json_candles(START, volumes=[1.0, 0.0, 2.0]), START, 5, WHAT)
    assert candles.time.tolist() == [START, START + 180_000]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"shift": 1000}, "shift is 1000 ms"),
        ({"times": [0, 0, 2]}, "candles are 60000 ms apart, each once"),
        ({"times": [0, 1, 1440]}, "times of this period"),
        ({"timestamp": 0}, "of another period"),
        ({"lows": [0, 5]}, "arrays differ in length"),
        ({"closes": [0, 90_000, 0]}, "close of row 1 is"),
        ({"open": None}, "base price open is None"),
        ({"volumes": [1, 2, -3]}, "volume of row 2 is -3.0"),
    ],
)
def test_wrong_candles_are_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(BadPayloadError, match=told):
        jetta.decode_candles(json_candles(START, **changed), START, 5, WHAT)


def test_empty_day_of_candles() -> None:
    nothing: dict[str, Any] = {key: [] for key in ("times", "opens", "highs", "lows", "closes", "volumes")}
    body = json_candles(START, **nothing, **dict.fromkeys(("open", "high", "low", "close")))
    assert len(jetta.decode_candles(body, START, 5, WHAT)) == 0

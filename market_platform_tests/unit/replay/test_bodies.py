"""Bodies are byte for byte what the exchange sends, where a recording proves it."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.ticks import Ticks
from market_platform.replay import bi5, jetta
from market_platform.replay.candles import CandleRows, with_flats
from market_platform_tests.recordings import recording
from market_platform_tests.unit.replay import wire
from market_platform_tests.unit.replay.wire import ms


def ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def rows(*candles: wire.Candle) -> CandleRows:
    return CandleRows(
        ints(*(each.time for each in candles)),
        ints(*(each.open for each in candles)),
        ints(*(each.high for each in candles)),
        ints(*(each.low for each in candles)),
        ints(*(each.close for each in candles)),
        np.array([float(each.volume) for each in candles], np.float64),
    )


def test_a_tick_body_has_the_apis_keys_numbers_and_differences() -> None:
    ticks = Ticks(
        ints(1000, 1250, 1300), ints(114273, 114270, 114274), ints(114277, 114275, 114275), ints(900_000, 1_800_000, 990_000),
        ints(12_000_000, 1_000_000, 450_000), 5, 0,
    )  # fmt: skip
    assert jetta.tick_body(ticks, 900).decode() == (
        '{"timestamp":900,"multiplier":1.0E-5,"ask":1.14277,"bid":1.14273,"times":[100,250,50],"asks":[0,-2,0],'
        '"bids":[0,-3,4],"askVolumes":[1.2E7,1000000.0,450000.0],"bidVolumes":[900000.0,1800000.0,990000.0]}'
    )


def test_an_hour_without_ticks_has_empty_arrays_and_no_prices() -> None:
    assert jetta.tick_body(Ticks.empty(3), 3_600_000).decode() == (
        '{"timestamp":3600000,"multiplier":0.001,"ask":null,"bid":null,"times":[],"asks":[],"bids":[],'
        '"askVolumes":[],"bidVolumes":[]}'
    )


def test_a_candle_body_skips_flat_candles_by_a_longer_step() -> None:
    candles = rows(
        wire.Candle(60_000, 100, 120, 90, 110, Decimal("0.5")),
        wire.Candle(120_000, 110, 110, 110, 110, Decimal(0)),
        wire.Candle(180_000, 111, 130, 108, 109, Decimal("0.00025")),
    )
    assert jetta.candle_body(candles, 0, 60_000, 1).decode() == (
        '{"timestamp":0,"multiplier":0.1,"open":10.0,"high":12.0,"low":9.0,"close":11.0,"shift":60000,"times":[1,2],'
        '"opens":[0,11],"highs":[0,10],"lows":[0,18],"closes":[0,-1],"volumes":[0.5,2.5E-4]}'
    )


def test_flat_rows_repeat_the_close_before_them() -> None:
    made = rows(wire.Candle(120_000, 50, 60, 40, 55, Decimal(1)), wire.Candle(240_000, 57, 57, 57, 57, Decimal(2)))
    full = with_flats(made, 0, 360_000, 60_000, 45)
    assert full.time.tolist() == [0, 60_000, 120_000, 180_000, 240_000, 300_000]
    assert full.open.tolist() == [45, 45, 50, 55, 57, 57]
    assert full.high.tolist() == [45, 45, 60, 55, 57, 57]
    assert full.low.tolist() == [45, 45, 40, 55, 57, 57]
    assert full.close.tolist() == [45, 45, 55, 55, 57, 57]
    assert full.millions.tolist() == [0, 0, 1, 0, 2, 0]


def test_a_bi5_tick_row_is_twenty_big_endian_bytes_ask_before_bid() -> None:
    hour = ms(2024, 1, 2, 3)
    ticks = Ticks(ints(hour + 5, hour + 70), ints(10, 12), ints(11, 14), ints(148, 150), ints(650, 1150), 1, 2)
    data = bi5.encode_ticks(ticks, hour)
    assert wire.bi5_ticks(data, hour) == [
        wire.Tick(hour + 5, 11, 10, Decimal(6), Decimal(1)),  # 6.5 and 1.48, halves to even, as recorded
        wire.Tick(hour + 70, 14, 12, Decimal(12), Decimal(2)),  # 11.5 and 1.5
    ]
    assert bi5.encode_ticks(Ticks.empty(1, 2), hour) == b""


def test_a_bi5_candle_row_is_seconds_open_close_low_high_volume() -> None:
    candle = wire.Candle(ms(2024, 1, 2) + 60_000, 5, 9, 3, 7, Decimal("0.25"))
    assert wire.bi5_candles(bi5.encode_candles(rows(candle), ms(2024, 1, 2)), ms(2024, 1, 2)) == [candle]


def test_the_recorded_tick_body_is_written_again_byte_for_byte() -> None:
    recorded = recording("dukascopy/json_api/ticks-BTC-USD-2023-2-20-12.json").read_bytes()
    decoded = wire.json_ticks(recorded)
    ticks = Ticks(
        ints(*(each.time for each in decoded)),
        ints(*(each.bid for each in decoded)),
        ints(*(each.ask for each in decoded)),
        ints(*(int(each.bid_volume * 100) for each in decoded)),
        ints(*(int(each.ask_volume * 100) for each in decoded)),
        1,
        2,
    )
    assert jetta.tick_body(ticks, ms(2023, 2, 20, 12)) == recorded


@pytest.mark.parametrize(
    ("json_file", "bi5_file", "start", "step"),
    [
        (
            "candles-minute-BTC-USD-BID-2023-2-19.json",
            "BTCUSD/2023/01/19/BID_candles_min_1.bi5",
            ms(2023, 2, 19),
            60_000,
        )
    ],
)
def test_a_recorded_candle_file_becomes_the_recorded_body_byte_for_byte(
    json_file: str, bi5_file: str, start: int, step: int
) -> None:
    recorded = recording(f"dukascopy/json_api/{json_file}").read_bytes()
    candles = bi5.decode_candles(recording(f"dukascopy/{bi5_file}").read_bytes(), start, bi5_file)
    assert jetta.candle_body(candles, start, step, 1) == recorded


@pytest.mark.parametrize(
    ("name", "start", "step"),
    [
        ("candles-day-BTC-USD-BID-2022.json", ms(2022, 1, 1), 86_400_000),
        ("candles-minute-BTC-USD-BID-2023-2-19.json", ms(2023, 2, 19), 60_000),
    ],
)
def test_recorded_candle_bodies_are_written_again_byte_for_byte(name: str, start: int, step: int) -> None:
    recorded = recording(f"dukascopy/json_api/{name}").read_bytes()
    assert jetta.candle_body(rows(*wire.json_candles(recorded)), start, step, 1) == recorded


def test_the_recorded_empty_body_is_written_again_byte_for_byte() -> None:
    recorded = recording("dukascopy/json_api/candles-minute-EUR-USD-BID-2026-7-11-empty.json").read_bytes()
    assert jetta.candle_body(rows(), ms(2026, 7, 11), 60_000, 5) == recorded


def test_a_recorded_bi5_file_survives_decoding_and_encoding() -> None:
    data = recording("dukascopy/EURUSD/2019/01/04/09h_ticks.bi5").read_bytes()
    hour = ms(2019, 2, 4, 9)
    again = bi5.encode_ticks(bi5.decode_ticks(data, hour, 5, "09h"), hour)
    assert wire.unpack(again) == wire.unpack(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"not lzma at all", "no bi5 file"), (bi5.compress(bytes(39)), "no whole number of 20-byte rows")],
)
def test_a_broken_recording_is_named(data: bytes, message: str) -> None:
    with pytest.raises(BadPayloadError, match=message) as caught:
        bi5.decode_ticks(data, 0, 5, "EURUSD/2019/01/04/09h_ticks.bi5")
    assert "EURUSD/2019/01/04/09h_ticks.bi5" in str(caught.value)


def test_bodies_are_json() -> None:
    assert json.loads(jetta.candle_body(rows(), 0, 60_000, 5))["open"] is None

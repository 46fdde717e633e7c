"""How the live exchanges write numbers and times, and where their candles begin."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import orjson
import pytest

from market_platform.domain.clock import to_ms
from market_platform.replay.live.binance import texts as binance
from market_platform.replay.live.hyperliquid import texts as hyperliquid
from market_platform.replay.live.markets import LISTED
from market_platform.replay.live.oanda.alignment import alignment
from market_platform.replay.live.oanda.texts import moment
from market_platform.replay.live.oanda.times import read_time
from market_platform.replay.live.outlet import corrupted, http_chunk, websocket_frame
from market_platform.replay.live.tape import Tape

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("units", "scale", "places", "text"),
    [
        (6_183_763, 2, 8, "61837.63000000"),
        (2_000, 5, 8, "0.02000000"),
        (268_162, 2, 2, "2681.62"),
        (14, 0, 0, "14"),
        (0, 8, 8, "0.00000000"),
    ],
)
def test_binance_writes_to_a_fixed_number_of_digits(units: int, scale: int, places: int, text: str) -> None:
    assert binance.writer(scale, places)(units) == binance.decimal(units, scale, places) == text


@pytest.mark.parametrize(
    ("units", "scale", "text"),
    [(1_050_560, 1, "105056.0"), (219, 5, "0.00219"), (4_000, 2, "40.0"), (-2_483_354, 10, "-0.0002483354")],
)
def test_hyperliquid_writes_no_needless_zeros(units: int, scale: int, text: str) -> None:
    assert hyperliquid.writer(scale)(units) == text


def test_hyperliquids_ids_are_unique_without_order() -> None:
    tids = [hyperliquid.tid_of(number) for number in range(300_000_000, 300_020_000)]
    assert len(set(tids)) == len(tids)
    assert tids != sorted(tids)
    assert max(tids) < 1 << 50


def test_the_parts_of_an_aggregate_are_never_nothing() -> None:
    for market in LISTED.values():
        tape = Tape(7, market)
        rows = tape.minute(to_ms(datetime(2026, 11, 18, tzinfo=UTC)) // 60_000)
        for trade_id, lots in enumerate(rows.lots, rows.first_id):
            parts = binance.parts_of(tape, trade_id, lots)
            assert sum(size for _, size in parts) == lots
            assert min(size for _, size in parts) > 0


@pytest.mark.parametrize("length", [1, 125, 126, 65_535, 65_536])
def test_a_frame_says_how_long_it_is(length: int) -> None:
    frame = websocket_frame(b"x" * length)
    assert frame[0] == 0x81
    assert frame.endswith(b"x" * length)
    header = len(frame) - length
    assert header == (2 if length < 126 else 4 if length < 65_536 else 10)
    assert int.from_bytes(frame[2:header] or frame[1:2]) == length


def test_a_chunk_is_a_line() -> None:
    assert http_chunk(b'{"type":"HEARTBEAT"}') == b'15\r\n{"type":"HEARTBEAT"}\n\r\n'


@pytest.mark.parametrize("cut", range(2, 40))
def test_a_corrupted_message_is_never_json(cut: int) -> None:
    message = b'{"stream":"btcusdt@trade","data":{"p":"1.5","t":12}}'
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(corrupted(message[:cut]))


def test_oandas_days_follow_new_yorks_clock() -> None:
    usual = alignment("D", None, None, None)
    autumn = to_ms(datetime(2026, 11, 1, 12, tzinfo=UTC))  # the clock goes back in that night
    start, end = usual.bucket(autumn)
    assert (start, end - start) == (to_ms(datetime(2026, 10, 31, 21, tzinfo=UTC)), 25 * HOUR)
    spring_start, spring_end = usual.bucket(to_ms(datetime(2026, 3, 8, 12, tzinfo=UTC)))
    assert spring_end - spring_start == 23 * HOUR
    fours = alignment("H4", None, None, None)
    edges = [start]
    while edges[-1] < end:
        edges.append(fours.bucket(edges[-1])[1])
    assert edges[-1] == end
    assert [later - earlier for earlier, later in pairwise(edges)] == [4 * HOUR] * 6 + [HOUR]


@pytest.mark.parametrize(
    ("granularity", "start"), [("H4", (18, 12)), ("D", (18, 0)), ("W", (16, 0)), ("M", (1, 0)), ("M15", (18, 13))]
)
def test_oandas_candles_can_be_utcs(granularity: str, start: tuple[int, int]) -> None:
    grid = alignment(granularity, "0", "UTC", "Monday")
    day, hour = start
    assert grid.bucket(to_ms(datetime(2026, 11, 18, 13, 7, tzinfo=UTC)))[0] == to_ms(
        datetime(2026, 11, day, hour, tzinfo=UTC)
    )


@pytest.mark.parametrize("wrong", [("M7", None, None, None), ("D", "24", None, None), ("D", "0", "Mars", None)])
def test_a_wrong_alignment_is_refused(wrong: tuple[str, str | None, str | None, str | None]) -> None:
    with pytest.raises(ValueError, match=r"granularity|dailyAlignment|alignmentTimezone"):
        alignment(*wrong)


def test_times_are_read_as_they_are_written() -> None:
    ms = to_ms(datetime(2026, 11, 18, 13, 7, 5, 48_000, tzinfo=UTC))
    assert moment(ms, 197_280) == "2026-11-18T13:07:05.048197280Z"
    assert read_time(moment(ms, 197_280)) == ms
    assert read_time(f"{ms // 1000}.048") == ms
    for wrong in ("soon", "2026-13-01T00:00:00Z", "12345678901234"):
        with pytest.raises(ValueError, match="from"):
            read_time(wrong)

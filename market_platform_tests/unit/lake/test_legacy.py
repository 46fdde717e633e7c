"""The old layout's JSON parts: every shape, exact digits, and errors that name file and row."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from market_platform.domain.clock import day_start_ms
from market_platform.domain.errors import CorruptObjectError
from market_platform.lake.legacy import legacy_days, read_legacy_day
from market_platform.lake.store import Lake

DAY = date(2019, 2, 4)
START = day_start_ms(DAY)
FOLDER = "ticks/EURUSD/2019/02/04"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open((tmp_path / "lake").as_uri())


def row(
    offset_ms: int, bid: str = "1.14273", ask: str = "1.14277", sizes: tuple[str, str] = ("750000", "1.12e6")
) -> str:
    return f'{{"timestamp": {START + offset_ms}, "bid": {bid}, "ask": {ask}, "bidVolume": {sizes[0]}, "askVolume": {sizes[1]}}}'


@pytest.mark.parametrize(
    "body",
    [
        f"[{row(1)}, {row(2)}]",
        f"{row(1)}\n{row(2)}\n",
        f"{row(1)}\r\n\r\n{row(2)}",
        f'{{"symbol": "EURUSD", "ticks": [{row(1)}, {row(2)}]}}',
    ],
    ids=["array", "lines", "lines-with-blanks", "object"],
)
def test_every_shape_is_read(lake: Lake, body: str) -> None:
    lake.put_new(f"{FOLDER}/part-0.json", body.encode())

    day = read_legacy_day(lake, "EURUSD", DAY)

    assert day is not None
    assert day.ticks.time.tolist() == [START + 1, START + 2]
    assert day.ticks.bid.tolist() == [114_273, 114_273]
    assert day.ticks.ask.tolist() == [114_277, 114_277]
    assert day.ticks.bid_volume.tolist() == [750_000, 750_000]
    assert day.ticks.ask_volume.tolist() == [1_120_000, 1_120_000]
    assert (day.ticks.price_scale, day.ticks.volume_scale) == (5, 0)


def test_a_single_line_is_a_part(lake: Lake) -> None:
    lake.put_new(f"{FOLDER}/part-0.json", row(5).encode())

    day = read_legacy_day(lake, "EURUSD", DAY)

    assert day is not None
    assert day.ticks.time.tolist() == [START + 5]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (str(START + 1), START + 1),
        (f"{START + 1}.0", START + 1),
        ('"2019-02-04T00:00:00.001Z"', START + 1),
        ('"2019-02-04T00:00:00.001"', START + 1),
        ('"2019-02-04T03:00:00.001+02:00"', START + 3_600_001),
        (f'"{START + 1}"', None),
    ],
)
@pytest.mark.parametrize("name", ["timestamp", "time", "t"])
def test_times_are_milliseconds_or_iso(lake: Lake, name: str, time: str, expected: int | None) -> None:
    body = (
        f'[{{"{name}": {time}, "bidPrice": 1.1, "askPrice": "1.2", "bid_volume": 1, "ask_volume": 2, "extra": null}}]'
    )
    lake.put_new(f"{FOLDER}/part-0.json", body.encode())

    if expected is None:
        with pytest.raises(CorruptObjectError, match=r"row 1: .* is not a time"):
            read_legacy_day(lake, "EURUSD", DAY)
        return
    day = read_legacy_day(lake, "EURUSD", DAY)

    assert day is not None
    assert day.ticks.time.tolist() == [expected]


def test_numbers_never_pass_through_a_float(lake: Lake) -> None:
    wide = "0.000000012345678901"  # 18 decimals: a float would lose the last ones
    lake.put_new(f"{FOLDER}/part-0.json", f"[{row(1, bid=wide, ask=wide, sizes=('1.48', '0.1'))}]".encode())

    day = read_legacy_day(lake, "EURUSD", DAY)

    assert day is not None
    assert (day.ticks.bid.tolist(), day.ticks.price_scale) == ([12_345_678_901], 18)
    assert (day.ticks.bid_volume.tolist(), day.ticks.ask_volume.tolist(), day.ticks.volume_scale) == ([148], [10], 2)


def test_prices_have_at_least_the_instruments_scale(lake: Lake) -> None:
    lake.put_new(f"{FOLDER}/part-0.json", f"[{row(1, bid='1.10', ask='1.2')}]".encode())

    day = read_legacy_day(lake, "EURUSD", DAY, price_scale=5)

    assert day is not None
    assert (day.ticks.bid.tolist(), day.ticks.price_scale) == ([110_000], 5)


def test_parts_of_a_day_become_one_sorted_set_without_duplicates(lake: Lake) -> None:
    lake.put_new(f"{FOLDER}/part-0002.json", f"[{row(10)}, {row(30)}]".encode())
    lake.put_new(f"{FOLDER}/part-0001.json", f"[{row(20)}, {row(10)}, {row(20, bid='1.14274')}]".encode())
    lake.put_new(f"{FOLDER}/dukascopy-0123456789abcdef.parquet", b"not a part")

    day = read_legacy_day(lake, "EURUSD", DAY)

    assert day is not None
    assert day.ticks.time.tolist() == [START + 10, START + 20, START + 20, START + 30]
    assert day.duplicates == 1
    assert day.parts == (f"{FOLDER}/part-0001.json", f"{FOLDER}/part-0002.json")


def test_a_day_without_parts_is_none_and_days_with_parts_are_listed(lake: Lake) -> None:
    for day in ("2019/02/04", "2018/12/31", "2019/02/05"):
        lake.put_new(f"ticks/EURUSD/{day}/part-1.json", b"[]")
    lake.put_new("ticks/EURUSD/2019/02/06/dukascopy-0123456789abcdef.parquet", b"")

    assert read_legacy_day(lake, "GBPUSD", DAY) is None
    assert legacy_days(lake, "EURUSD") == [date(2018, 12, 31), date(2019, 2, 4), date(2019, 2, 5)]


GOOD = row(1)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "part-0.json"),
        (b"\xff\xfe", "part-0.json"),
        (b'"text"', "neither a JSON array"),
        (b'{"ticks": {"a": 1}}', "neither a JSON array"),
        (f"[{GOOD}, {row(2)[:40]}".encode(), "not whole JSON"),
        (f"{GOOD}\n{row(2)[:40]}".encode(), "row 2.*not whole JSON"),
        (f"[{GOOD}, 7]".encode(), "row 2: not an object"),
        (f'[{GOOD}, {{"bid": 1}}]'.encode(), "row 2: it has none of timestamp, time, t; it has bid"),
        (f"[{GOOD}, {row(2).replace('askVolume', 'size')}]".encode(), "row 2: it has none of askVolume, ask_volume"),
        (f"[{GOOD}, {row(2, bid='null')}]".encode(), "row 2, bid: None is not a number"),
        (f"[{GOOD}, {row(2, bid='true')}]".encode(), "row 2, bid: True is not a number"),
        (f"[{GOOD}, {row(2, bid=json.dumps('abc'))}]".encode(), "row 2, bid: 'abc' is not a number"),
        (f"[{GOOD}, {row(2, bid=json.dumps('NaN'))}]".encode(), "row 2, bid: 'NaN' is not a finite number"),
        (f"[{GOOD}, {row(2, bid='0')}]".encode(), "not above zero"),
        (f"[{GOOD}, {row(2, sizes=('-1', '1'))}]".encode(), "below zero"),
        (f"[{GOOD}, {row(2, bid='1e-19')}]".encode(), "more than 18 decimals"),
        (f"[{GOOD}, {row(2, bid='1e17')}]".encode(), "too large"),
        (f"[{GOOD}, {row(86_400_000)}]".encode(), "row 2: its time .* is not of 2019-02-04"),
        (f"[{GOOD.replace(str(START + 1), str(START // 1000))}]".encode(), "row 1: its time .* is not of 2019-02-04"),
        (f"[{GOOD.replace(str(START + 1), str(START + 1) + '.5')}]".encode(), "finer than a millisecond"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_where(lake: Lake, body: bytes, complaint: str) -> None:
    lake.put_new(f"{FOLDER}/part-0.json", body)

    with pytest.raises(CorruptObjectError, match=complaint) as caught:
        read_legacy_day(lake, "EURUSD", DAY)

    assert "part-0.json" in str(caught.value)

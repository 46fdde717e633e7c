"""What the archive's files are called, when they are published, and what is accepted as the one CSV of a zip."""

from __future__ import annotations

import io
import struct
from datetime import date

import pytest

from market_platform.domain.clock import days_between
from market_platform.domain.errors import BadPayloadError, BadRequestError
from market_platform.domain.history import HistoryPair
from market_platform.domain.intervals import parse_interval
from market_platform.exchanges.binance.dumps.archive import read_blocks, read_whole
from market_platform.exchanges.binance.dumps.files import (
    daily_file,
    is_dump_name,
    monthly_file,
    published_on,
    whole_months,
)
from market_platform_tests.fixtures.dump_files import DAY, PERPS, SPOT, zipped

HOUR = parse_interval("1h")
FILE = daily_file(SPOT, "klines", DAY, HOUR)
CSV = "BTCUSDT-1h-2026-03-10.csv"


def test_paths_are_those_of_the_archive() -> None:
    assert FILE.path == "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-03-10.zip"
    monthly = monthly_file(PERPS, "fundingRate", DAY)
    assert monthly.path == "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-03.zip"
    assert (monthly.first, monthly.last) == (date(2026, 3, 1), date(2026, 3, 31))
    trades = daily_file(SPOT, "aggTrades", DAY)
    assert trades.path == "data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-03-10.zip"
    metrics = daily_file(PERPS, "metrics", DAY)
    assert metrics.path == "data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2026-03-10.zip"
    assert all(is_dump_name(each.path) for each in (FILE, monthly, trades, metrics))


@pytest.mark.parametrize(
    "name",
    ["/api/v3/klines?symbol=BTCUSDT", "data/../../etc/passwd.zip", "data/spot/x.zip", f"{FILE.path}.CHECKSUM", ""],
)
def test_other_inputs_are_not_taken_for_files(name: str) -> None:
    assert not is_dump_name(name)


def test_a_market_that_the_archive_has_not_is_refused() -> None:
    with pytest.raises(BadRequestError, match="no options"):
        daily_file(HistoryPair("binance", "X", "BTC", "USDT", "options"), "klines", DAY, HOUR)


def test_months_are_published_on_the_first_monday_of_the_next() -> None:
    assert published_on(date(2026, 3, 1)) == date(2026, 4, 6)
    assert published_on(date(2026, 5, 17)) == date(2026, 6, 1)  # itself a Monday
    assert published_on(date(2025, 12, 1)) == date(2026, 1, 5)


def test_only_whole_and_published_months_come_in_one_file() -> None:
    days = days_between(date(2026, 1, 31), date(2026, 4, 20))
    assert whole_months(days, date(2026, 4, 5)) == [date(2026, 2, 1)]
    assert whole_months(days, date(2026, 4, 6)) == [date(2026, 2, 1), date(2026, 3, 1)]
    assert whole_months([day for day in days if day != DAY], date(2026, 5, 5)) == [date(2026, 2, 1)]
    assert whole_months([], date(2026, 5, 5)) == []


def test_a_zip_is_read_whole_or_in_blocks_of_whole_lines() -> None:
    content = b"".join(b"%d,line\n" % number for number in range(1000)) + b"last without an end"
    packed = zipped(content, CSV)
    assert read_whole(io.BytesIO(packed), FILE, len(content)) == content
    blocks = list(read_blocks(io.BytesIO(packed), FILE, len(content), block=64))
    assert b"".join(blocks) == content
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert len(blocks) > 100


def with_declared_size(packed: bytes, size: int) -> bytes:
    """The zip with another unpacked size in its directory and its header."""
    changed = bytearray(packed)
    changed[22:26] = struct.pack("<I", size)
    at = packed.rindex(b"PK\x01\x02")
    changed[at + 24 : at + 28] = struct.pack("<I", size)
    return bytes(changed)


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (zipped(b"1\n", "BTCUSDT-1h-2026-03-11.csv"), "holds 'BTCUSDT-1h-2026-03-11.csv' and not"),
        (zipped(b"1\n", "ETHUSDT-1h-2026-03-10.csv"), "holds 'ETHUSDT"),
        (zipped(b"1\n", f"../{CSV}"), r"holds '\.\./"),
        (zipped(b"1\n", f"/{CSV}"), "holds '/"),
        (zipped(b"1\n", CSV, "more.csv"), "alone"),
        (zipped(b"1\n"), "holds nothing"),
        (zipped(b"1\n" * 5000, CSV), "10000 bytes, more than 9999"),
        (with_declared_size(zipped(b"1\n" * 5000, CSV), 4000), "no sound zip"),
        (zipped(b"1\n" * 5000, CSV)[:60], "no sound zip"),
        (b"<html>not here</html>", "no sound zip"),
        (b"", "no sound zip"),
    ],
)
def test_a_zip_that_is_not_exactly_this_csv_is_refused(packed: bytes, reason: str) -> None:
    with pytest.raises(BadPayloadError, match=reason) as refused:
        read_whole(io.BytesIO(packed), FILE, 9999)
    assert FILE.path in str(refused.value)
    with pytest.raises(BadPayloadError, match=reason):
        list(read_blocks(io.BytesIO(packed), FILE, 9999))


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(BadPayloadError, match="a line has more than"):
        list(read_blocks(io.BytesIO(zipped(b"1" * 100_000, CSV)), FILE, 10**6, block=1000))

"""Recordings are served as they are; what is not recorded is an empty period or an unknown instrument."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from market_platform.domain.errors import BadPayloadError, ConfigError
from market_platform.replay.addresses import bi5_address, json_address
from market_platform.replay.recordings import RecordingsSource
from market_platform_tests.recordings import needs_recordings, recordings_dir
from market_platform_tests.unit.replay.conftest import clock
from market_platform_tests.unit.replay.wire import bi5_candles, bi5_ticks, float32, json_candles, json_ticks, ms


def get_json(source: RecordingsSource, path: str, from_ms: int | None = None) -> bytes | None:
    address = json_address(path, from_ms)
    assert address is not None
    return source.json_body(address)


def get_bi5(source: RecordingsSource, path: str) -> bytes | None:
    address = bi5_address(path)
    assert address is not None
    return source.bi5_body(address)


@pytest.fixture
def real() -> RecordingsSource:
    return RecordingsSource(recordings_dir(), clock)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dukascopy" / "json_api").mkdir(parents=True)
    return tmp_path


@needs_recordings
def test_every_recorded_file_is_served_byte_for_byte(real: RecordingsSource) -> None:
    root = recordings_dir() / "dukascopy"
    files = [file for file in root.rglob("*.bi5") if file.parent != root]
    assert len(files) > 80
    for file in files:
        assert get_bi5(real, file.relative_to(root).as_posix()) == file.read_bytes()
    for name, path in (
        ("ticks-BTC-USD-2023-2-20-12.json", "ticks/BTC-USD/2023/2/20/12"),
        ("candles-minute-BTC-USD-BID-2023-2-19.json", "candles/minute/BTC-USD/BID/2023/2/19"),
        ("candles-minute-EUR-USD-BID-2026-7-11-empty.json", "candles/minute/EUR-USD/BID/2026/7/11"),
        ("candles-day-BTC-USD-BID-2022.json", "candles/day/BTC-USD/BID/2022"),
    ):
        assert get_json(real, path) == (root / "json_api" / name).read_bytes()
    assert real.instrument("BTC-USD") == (root / "json_api" / "instrument-BTC-USD.json").read_bytes()


@needs_recordings
def test_a_recorded_day_has_the_same_ticks_over_json(real: RecordingsSource) -> None:
    count = 0
    for hour in range(24):
        body, data = (
            get_json(real, f"ticks/EUR-USD/2019/2/4/{hour}"),
            get_bi5(real, f"EURUSD/2019/01/04/{hour:02d}h_ticks.bi5"),
        )
        assert body is not None
        assert data is not None
        ticks = json_ticks(body)
        assert ticks == bi5_ticks(data, ms(2019, 2, 4, hour))
        count += len(ticks)
    assert count == 136_741


@needs_recordings
@pytest.mark.parametrize(
    ("path", "file", "start", "rows", "kept"),
    [
        ("candles/minute/EUR-USD/{}/2019/2/4", "EURUSD/2019/01/04/{}_candles_min_1.bi5", ms(2019, 2, 4), 1440, 1440),
        ("candles/hour/EUR-USD/{}/2019/2", "EURUSD/2019/01/{}_candles_hour_1.bi5", ms(2019, 2, 1), 672, 480),
        ("candles/day/EUR-USD/{}/2019", "EURUSD/2019/{}_candles_day_1.bi5", ms(2019, 1, 1), 365, 313),
    ],
)
@pytest.mark.parametrize("side", ["BID", "ASK"])
def test_recorded_candles_are_the_same_over_json(
    real: RecordingsSource, path: str, file: str, start: int, rows: int, kept: int, side: str
) -> None:
    data, body = get_bi5(real, file.format(side)), get_json(real, path.format(side))
    assert data is not None
    assert body is not None
    all_rows, by_json = bi5_candles(data, start), json_candles(body)
    by_bi5 = [row for row in all_rows if row.volume]
    assert (len(all_rows), len(by_bi5)) == (rows, kept)
    assert [(c.time, c.open, c.high, c.low, c.close, float32(c.volume)) for c in by_json] == [
        (c.time, c.open, c.high, c.low, c.close, float(c.volume)) for c in by_bi5
    ]


@needs_recordings
def test_closed_hours_and_hours_that_were_not_recorded_are_empty(real: RecordingsSource) -> None:
    for hour in range(22):
        assert get_bi5(real, f"GBPJPY/2012/11/02/{hour:02d}h_ticks.bi5") == b""
        body = get_json(real, f"ticks/GBP-JPY/2012/12/2/{hour}")
        assert body is not None
        assert json_ticks(body) == []
        assert json.loads(body)["multiplier"] == 0.001
    body = get_json(real, "ticks/GBP-JPY/2012/12/2/22")
    assert body is not None
    assert len(json_ticks(body)) == 1434
    assert get_bi5(real, "GBPJPY/2020/00/02/10h_ticks.bi5") == b""
    assert get_bi5(real, "NZDUSD/2020/00/02/10h_ticks.bi5") == b""


def test_an_instrument_nobody_described_is_unknown(folder: Path) -> None:
    source = RecordingsSource(folder, clock)
    assert source.instrument("FOO-USD") is None
    assert get_json(source, "ticks/FOO-USD/2024/1/2/3") is None
    assert get_bi5(source, "FOOUSD/2024/00/02/03h_ticks.bi5") is None
    assert source.instrument("EURUSD") is None
    assert source.instrument("../../secret") is None


def test_a_recorded_description_makes_an_instrument_known_and_wins(folder: Path) -> None:
    api = folder / "dukascopy" / "json_api"
    (api / "instrument-USA500.IDX-USD.json").write_bytes(b'{"code":"USA500.IDX-USD","priceScale":3}')
    (api / "instrument-EUR-USD.json").write_bytes(b'{"code":"EUR-USD","priceScale":4}')
    source = RecordingsSource(folder, clock)
    body = get_json(source, "ticks/USA500.IDX-USD/2024/1/2/3")
    assert body is not None
    assert json.loads(body, parse_float=Decimal)["multiplier"] == Decimal("0.001")
    assert source.instrument("EUR-USD") == b'{"code":"EUR-USD","priceScale":4}'
    assert b'"multiplier":1.0E-4,' in (get_json(source, "ticks/EUR-USD/2024/1/2/3") or b"")


def test_a_folder_alone_makes_bi5_files_servable(folder: Path) -> None:
    hour = folder / "dukascopy" / "USA500IDXUSD" / "2024" / "00" / "02"
    hour.mkdir(parents=True)
    (hour / "03h_ticks.bi5").write_bytes(b"as it is")
    source = RecordingsSource(folder, clock)
    assert get_bi5(source, "USA500IDXUSD/2024/00/02/03h_ticks.bi5") == b"as it is"
    assert get_bi5(source, "USA500IDXUSD/2024/00/02/04h_ticks.bi5") == b""


def test_a_broken_recording_is_named_where_it_must_be_read(folder: Path) -> None:
    hour = folder / "dukascopy" / "EURUSD" / "2024" / "00" / "02"
    hour.mkdir(parents=True)
    (hour / "03h_ticks.bi5").write_bytes(b"no bi5")
    (folder / "dukascopy" / "json_api" / "instrument-GBP-USD.json").write_bytes(b"[]")
    source = RecordingsSource(folder, clock)
    with pytest.raises(BadPayloadError, match=r"EURUSD/2024/00/02/03h_ticks\.bi5"):
        get_json(source, "ticks/EUR-USD/2024/1/2/3")
    with pytest.raises(BadPayloadError, match="instrument-GBP-USD"):
        get_json(source, "ticks/GBP-USD/2024/1/2/3")


def test_a_recorded_unfinished_period_is_found_by_its_from(folder: Path) -> None:
    (folder / "dukascopy" / "json_api" / f"ticks-EUR-USD-from-{ms(2024, 1, 2, 3)}.json").write_bytes(b"{}")
    assert get_json(RecordingsSource(folder, clock), "ticks/EUR-USD", ms(2024, 1, 2, 3)) == b"{}"


def test_a_folder_without_recordings_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RECORDINGS must name the folder above"):
        RecordingsSource(tmp_path, clock)

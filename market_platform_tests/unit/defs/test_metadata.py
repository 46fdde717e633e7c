"""What a person sees of a materialisation: complete, small, and drawn."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import dagster as dg
import numpy as np
import polars as pl
import pytest

from market_platform.defs.chart import candle_chart, candle_svg, line_chart
from market_platform.defs.history_metadata import series_metadata
from market_platform.defs.metadata import candle_metadata, tick_metadata
from market_platform.domain.candles import CandleUnits, to_frame
from market_platform.domain.conditions import Condition
from market_platform.domain.days import HourState
from market_platform.domain.history import RawInput, SeriesKind
from market_platform.domain.intervals import parse_interval
from market_platform.domain.quality import TickAnomalies
from market_platform.pipeline.history_reports import SeriesDayReport, told_times
from market_platform.pipeline.reports import CandleDayReport, TickDayReport

DAY = date(2024, 3, 4)
START = datetime(2024, 3, 4, tzinfo=UTC)
EVENT_LIMIT = 6_000


def outline(count: int = 96, minutes: int = 15) -> pl.DataFrame:
    """Candles of a lively day."""
    times = np.int64(START.timestamp() * 1000) + np.arange(count, dtype=np.int64) * minutes * 60_000
    middle = 1_085_000 + (np.sin(np.arange(count) / 7) * 4_000).astype(np.int64)
    swing = 300 + (np.arange(count, dtype=np.int64) * 37) % 900
    opens, closes = middle - swing // 2, middle + swing // 3 * np.where(np.arange(count) % 3, 1, -2)
    high, low = np.maximum(opens, closes) + swing, np.minimum(opens, closes) - swing
    ones = np.ones(count, np.int64)
    return to_frame(CandleUnits(times, opens, high, low, closes, ones, ones, 6, 0))


def ticks(**changes: object) -> TickDayReport:
    report = TickDayReport(
        pair="dukascopy/EURUSD",
        day=DAY,
        condition=Condition.AVAILABLE,
        rows=136_741,
        bytes=548_212,
        first_time=START + timedelta(milliseconds=113),
        last_time=START + timedelta(hours=23, minutes=59),
        object_key="ticks/EURUSD/2024/03/04/dukascopy-b0ecc87d83c8aad9.parquet",
        data_version="b0ecc87d83c8aad9145c1ea1f270655612a3874c96eba7353e76b32b017b3b84",
        changed=True,
        hours=dict.fromkeys(range(24), HourState.FULL),
        outline=outline(),
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def candles(interval: str, **changes: object) -> CandleDayReport:
    report = CandleDayReport(
        pair="dukascopy/EURUSD",
        interval=interval,
        day=DAY,
        condition=Condition.AVAILABLE,
        rows=96,
        changed_rows=96,
        first_time=START,
        last_time=START + timedelta(hours=23, minutes=45),
        data_version="f983dfc78b4d65cde4e4d42e82e8a96c",
        revision=1,
        input_version="b0ecc87d83c8aad9145c1ea1f270655612a3874c96eba7353e76b32b017b3b84",
        outline=outline(),
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def text_of(metadata: dict[str, dg.MetadataValue], name: str) -> object:
    return metadata[name].value


def test_a_day_of_ticks_says_what_a_person_asks() -> None:
    metadata = tick_metadata(
        ticks(
            condition=Condition.DEGRADED,
            duplicates=3,
            hours={0: HourState.FULL, 4: HourState.ABSENT, 5: HourState.UNPUBLISHED},
            anomalies=TickAnomalies(crossed=2, first_ms=1_709_510_400_000),
            kept="the exchange now sends fewer",
        ),
        "ticks-1",
    )
    assert {name: text_of(metadata, name) for name in metadata if name != "chart"} == {
        "dagster/partition_row_count": 136_741,
        "rows": 136_741,
        "first_time": pytest.approx(START.timestamp() + 0.113),
        "last_time": pytest.approx((START + timedelta(hours=23, minutes=59)).timestamp()),
        "bytes": 548_212,
        "condition": "degraded",
        "data_version": "b0ecc87d83c8aad9145c1ea1f270655612a3874c96eba7353e76b32b017b3b84",
        "changed": True,
        "duplicates_dropped": 3,
        "anomalies": "2 crossed, first at 2024-03-04T00:00:00.000Z",
        "incomplete_hours": "4, 5",
        "code_version": "ticks-1",
        "object": "ticks/EURUSD/2024/03/04/dukascopy-b0ecc87d83c8aad9.parquet",
        "kept": "the exchange now sends fewer",
    }


def test_a_closed_day_needs_little() -> None:
    empty = ticks(
        condition=Condition.CLOSED,
        rows=0,
        bytes=0,
        first_time=None,
        last_time=None,
        object_key=None,
        data_version="",
        outline=outline(0),
    )
    metadata = tick_metadata(empty, "ticks-1")
    assert text_of(metadata, "data_version") == "empty"
    assert {"chart", "first_time", "object"}.isdisjoint(metadata)


@pytest.mark.parametrize("interval", ["1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d"])
def test_an_event_stays_small(interval: str) -> None:
    for asset, metadata in (
        ("ticks", tick_metadata(ticks(), "ticks-1")),
        ("candles", candle_metadata(candles(interval), "candles-1")),
    ):
        event = dg.AssetMaterialization(["dukascopy", "EURUSD", asset], metadata=metadata, partition="2024-03-04")
        assert len(dg.serialize_value(event)) < EVENT_LIMIT, (asset, interval)


def test_only_intervals_that_make_a_picture_have_one() -> None:
    charted = [
        name
        for name in ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w", "1M")
        if "chart" in candle_metadata(candles(name), "1")
    ]
    assert charted == ["15m", "30m", "1h", "4h", "1w", "1M"]


def test_a_period_says_why_it_waits() -> None:
    waiting = candles(
        "1w", condition=Condition.PENDING, rows=0, reason="not every day is there yet: 2024-03-05", outline=outline(0)
    )
    assert text_of(candle_metadata(waiting, "periods-1"), "reason") == "not every day is there yet: 2024-03-05"


def test_the_picture_is_svg_that_a_browser_can_read_out_of_markdown() -> None:
    chart = candle_chart(outline(), START, START + timedelta(days=1), 900, "EURUSD 2024-03-04, 15m")
    assert chart is not None
    found = re.fullmatch(r"!\[EURUSD 2024-03-04, 15m\]\(data:image/svg\+xml,([^\s()]+)\)", chart)
    assert found, chart[:100]
    drawing = ET.fromstring(unquote(found[1]))
    assert drawing.tag.endswith("svg")
    paths = [each.attrib for each in drawing if each.tag.endswith("path")]
    assert {each["stroke"] for each in paths} == {"#26a69a", "#ef5350"}
    assert sum(each["d"].count("M") for each in paths) == 2 * 96
    labels = [each.text for group in drawing if group.tag.endswith("g") for each in group]
    assert labels[:4] == ["00:00", "06:00", "12:00", "18:00"]
    assert labels[4:] == [str(outline()["high"].max()).rstrip("0"), str(outline()["low"].min()).rstrip("0")]


def test_every_candle_lies_inside_the_picture() -> None:
    drawing = candle_svg(outline(), START, START + timedelta(days=1), 900)
    for x, y, length in re.findall(r"M(-?\d+),(-?\d+)v(-?\d+)", drawing):
        assert 0 <= int(x) <= 420
        assert int(y) >= 0
        assert int(y) + int(length) <= 104


def test_a_flat_day_and_too_many_candles_are_no_trouble() -> None:
    flat = outline(4).with_columns(
        pl.lit(outline(1)["open"][0]).alias(name) for name in ("open", "high", "low", "close")
    )
    assert candle_chart(flat, START, START + timedelta(days=1), 900, "flat") is not None
    assert candle_chart(outline(101, 10), START, START + timedelta(days=1), 600, "too many") is None
    assert candle_chart(outline(0), START, START + timedelta(days=1), 900, "none") is None


def readings(count: int = 288) -> pl.DataFrame:
    """Open interest every five minutes."""
    times = [START + timedelta(minutes=5 * number) for number in range(count)]
    values = [80_000 + 500 * np.sin(number / 20) for number in range(count)]
    return pl.DataFrame(
        {"time": times, "value": values}, schema={"time": pl.Datetime("ms", "UTC"), "value": pl.Float64()}
    )


def test_a_fetched_day_says_where_it_is_from_and_stays_small() -> None:
    report = SeriesDayReport(
        pair="binance/BTCUSDT.P",
        series=SeriesKind.OPEN_INTEREST,
        day=DAY,
        condition=Condition.DEGRADED,
        rows=280,
        changed_rows=280,
        first_time=START,
        last_time=START + timedelta(hours=23),
        data_version="0" * 32,
        reason="8 readings are missing",
        missing=tuple(START + timedelta(minutes=5 * number) for number in range(8)),
        flags=tuple(f"flag {number}" for number in range(30)),
        inputs=tuple(RawInput(f"openInterestHist?startTime={number}", "a" * 64, 999, 288) for number in range(30)),
        reissued=("metrics.zip: 3f2a… → 9c0d…",),
        outline=readings(),
    )
    metadata = series_metadata(report, "history-1")
    assert metadata["missing_times"].value == "00:00, 00:05, 00:10, 00:15, 00:20, 00:25, 00:30, 00:35"
    assert str(metadata["inputs"].value).splitlines()[-1] == "and 25 more"
    assert str(metadata["flags"].value).splitlines()[:2] == ["flag 0", "flag 1"]
    event = dg.AssetMaterialization("open_interest", metadata=metadata, partition=DAY.isoformat())
    assert len(dg.serialize_value(event)) < EVENT_LIMIT
    picture = re.fullmatch(r"!\[(.*)\]\(data:image/svg\+xml,(.*)\)", str(metadata["chart"].value))
    assert picture is not None
    assert picture[1] == "binance/BTCUSDT.P 2024-03-04, open interest"
    root = ET.fromstring(unquote(picture[2]))
    [line] = [each for each in root if each.tag.endswith("polyline")]
    assert len(line.attrib["points"].split(",")) == 2 * 288


@pytest.mark.parametrize("count", [0, 1, 301])
def test_too_few_or_too_many_points_are_no_picture(count: int) -> None:
    assert line_chart(readings(count), START, START + timedelta(days=1), "none") is None


def test_a_flat_line_is_drawn() -> None:
    flat = readings(3).with_columns(value=pl.lit(5.0))
    assert line_chart(flat, START, START + timedelta(days=1), "flat") is not None


def test_times_that_follow_each_other_are_a_span() -> None:
    minutes = [START + timedelta(minutes=number) for number in (0, 1, 2, 59, 61)]
    assert told_times(minutes, parse_interval("1m")) == "00:00–00:02 (3), 00:59, 01:01"
    assert told_times([]) == "none"
    scattered = [START + timedelta(minutes=3 * number) for number in range(15)]
    assert told_times(scattered, parse_interval("1m")).endswith(", 00:27, and 5 more")

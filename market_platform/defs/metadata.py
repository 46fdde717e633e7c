"""What a person sees of a materialisation: reports of pipeline functions as metadata, one partition at a time.

An event stays below 6 KB, so that years of them stay cheap: tables and schemas belong to the asset, not to its events.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.chart import candle_chart
from market_platform.domain.clock import from_ms, to_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import bucket_end, parse_interval

if TYPE_CHECKING:
    from market_platform.pipeline.reports import CandleDayReport, CompactionReport, TickDayReport

_QUARTER_HOUR_S = 900
_CHARTED = {"15m", "30m", "1h", "4h"}

Metadata = dict[str, dg.MetadataValue]


def tick_metadata(report: TickDayReport, code_version: str) -> Metadata:
    """A day of ticks: how many, when, how big, which condition, what is odd, and a picture of the day."""
    metadata: Metadata = {
        **rows_metadata(report.rows, None, report.first_time, report.last_time),
        "bytes": dg.MetadataValue.int(report.bytes),
        **content_metadata(report.condition, report.data_version),
        "changed": dg.MetadataValue.bool(report.changed),
        "duplicates_dropped": dg.MetadataValue.int(report.duplicates),
        "anomalies": dg.MetadataValue.text(report.anomalies.describe()),
        "incomplete_hours": dg.MetadataValue.text(hour_list(report.incomplete_hours)),
        "code_version": dg.MetadataValue.text(code_version),
    }
    if report.before_history:
        metadata["reason"] = dg.MetadataValue.text(
            "the pair's history begins later, by the exchange or the configuration"
        )
    if report.object_key:
        metadata["object"] = dg.MetadataValue.path(report.object_key)
    if report.kept:
        metadata["kept"] = dg.MetadataValue.text(report.kept)
    if report.outline is not None:
        start = datetime.combine(report.day, time(0), tzinfo=UTC)
        title = f"{report.pair} {report.day}, mid price, 15m"
        add_chart(metadata, candle_chart(report.outline, start, start + timedelta(days=1), _QUARTER_HOUR_S, title))
    return metadata


def candle_metadata(report: CandleDayReport, code_version: str) -> Metadata:
    """One interval's candles of a partition: how many, what changed, from what, and a picture where one says something."""
    metadata: Metadata = {
        **rows_metadata(report.rows, report.changed_rows, report.first_time, report.last_time),
        **content_metadata(report.condition, report.data_version),
        "revision": dg.MetadataValue.int(report.revision),
        "built_from": dg.MetadataValue.text(report.input_version or "empty"),
        "code_version": dg.MetadataValue.text(code_version),
    }
    if report.reason:
        metadata["reason"] = dg.MetadataValue.text(report.reason)
    if report.uncovered_hours:
        metadata["uncovered_hours"] = dg.MetadataValue.text(hour_list(report.uncovered_hours))
    interval = parse_interval(report.interval)
    if report.outline is not None and (report.interval in _CHARTED or not interval.is_intraday):
        start = datetime.combine(report.day, time(0), tzinfo=UTC)
        end = start + timedelta(days=1) if interval.is_intraday else from_ms(bucket_end(to_ms(start), interval))
        width_s = interval.seconds if interval.is_intraday else 86_400
        title = f"{report.pair} {report.day}, {report.interval}"
        add_chart(metadata, candle_chart(report.outline, start, end, width_s, title))
    return metadata


def compaction_metadata(report: CompactionReport, code_version: str) -> Metadata:
    """A streamed day's file: how many ticks, of how many parts, how big, which hash, and what the stream missed."""
    metadata: Metadata = {
        **rows_metadata(report.rows, None, report.first_time, report.last_time),
        "bytes": dg.MetadataValue.int(report.bytes),
        "parts": dg.MetadataValue.int(report.parts),
        "duplicates_dropped": dg.MetadataValue.int(report.duplicates),
        "gaps": dg.MetadataValue.int(report.gaps),
        **content_metadata(report.condition, report.content_hash),
        "changed": dg.MetadataValue.bool(report.changed),
        "code_version": dg.MetadataValue.text(code_version),
    }
    if report.object_key:
        metadata["object"] = dg.MetadataValue.path(report.object_key)
    return metadata


def hour_list(hours: tuple[int, ...] | list[int]) -> str:
    """`3, 4, 17` or `none`."""
    return ", ".join(str(hour) for hour in hours) or "none"


def rows_metadata(rows: int, changed: int | None, first: datetime | None, last: datetime | None) -> Metadata:
    """How many rows, how many of them changed where that is counted, and their first and last time, where there are any."""
    metadata: Metadata = {
        "dagster/partition_row_count": dg.MetadataValue.int(rows),
        "rows": dg.MetadataValue.int(rows),
    }
    if changed is not None:
        metadata["changed_rows"] = dg.MetadataValue.int(changed)
    if first is not None and last is not None:
        metadata["first_time"] = dg.MetadataValue.timestamp(first)
        metadata["last_time"] = dg.MetadataValue.timestamp(last)
    return metadata


def content_metadata(condition: Condition, data_version: str) -> Metadata:
    """What to expect of the partition, and the version of what it holds."""
    return {
        "condition": dg.MetadataValue.text(condition.value),
        "data_version": dg.MetadataValue.text(data_version or "empty"),
    }


def add_chart(metadata: Metadata, chart: str | None) -> None:
    """The picture, where there is one."""
    if chart is not None:
        metadata["chart"] = dg.MetadataValue.md(chart)

"""What a person sees of a fetched day: rows, span, condition, what is missing and why, the answers it was made of, a picture.

Belongs here: reports of pipeline/history_*.py as metadata. Does not: those of other assets (metadata.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.chart import line_chart
from market_platform.defs.metadata import Metadata, add_chart, candle_metadata, content_metadata, rows_metadata
from market_platform.domain.intervals import Interval, parse_interval
from market_platform.pipeline.versions import HISTORY_VERSION

if TYPE_CHECKING:
    from market_platform.domain.history import RawInput
    from market_platform.pipeline.history_reports import HistoryCandleReport, HistoryReport, SeriesDayReport

_SHOWN = 5


def history_metadata(report: HistoryReport) -> Metadata:
    """A fetched day of whatever series."""
    from market_platform.pipeline.history_reports import HistoryCandleReport

    if isinstance(report, HistoryCandleReport):
        return history_candle_metadata(report, HISTORY_VERSION)
    return series_metadata(report, HISTORY_VERSION)


def history_candle_metadata(report: HistoryCandleReport, code_version: str) -> Metadata:
    """A day of an exchange's own candles at one interval."""
    metadata = candle_metadata(report, code_version)
    metadata.update(_provenance(report, parse_interval(report.interval)))
    return metadata


def series_metadata(report: SeriesDayReport, code_version: str) -> Metadata:
    """A day of funding rates, open interest, trades, or dividends and splits."""
    metadata: Metadata = {
        **rows_metadata(report.rows, report.changed_rows, report.first_time, report.last_time),
        **content_metadata(report.condition, report.data_version),
        "code_version": dg.MetadataValue.text(code_version),
    }
    if report.reason:
        metadata["reason"] = dg.MetadataValue.text(report.reason)
    if report.bytes is not None:
        metadata["bytes"] = dg.MetadataValue.int(report.bytes)
    if report.object_key:
        metadata["object"] = dg.MetadataValue.path(report.object_key)
    metadata.update(_provenance(report, None))
    if report.outline is not None:
        start = datetime.combine(report.day, time(0), tzinfo=UTC)
        title = f"{report.pair} {report.day}, {report.series.value.replace('_', ' ')}"
        add_chart(metadata, line_chart(report.outline, start, start + timedelta(days=1), title))
    return metadata


def _provenance(report: HistoryReport, interval: Interval | None) -> Metadata:
    """What is missing, odd, kept or issued again, and what the day was made of."""
    from market_platform.pipeline.history_reports import told_times

    metadata: Metadata = {"missing": dg.MetadataValue.int(len(report.missing))}
    if report.missing:
        metadata["missing_times"] = dg.MetadataValue.text(told_times(report.missing, interval))
    if report.flags:
        metadata["flags"] = dg.MetadataValue.text(_first(report.flags))
    if report.kept:
        metadata["kept"] = dg.MetadataValue.text(report.kept)
    if report.reissued:
        metadata["reissued"] = dg.MetadataValue.text(_first(report.reissued))
    if report.inputs:
        metadata["inputs"] = dg.MetadataValue.text(_first([_told(each) for each in report.inputs]))
    return metadata


def _told(each: RawInput) -> str:
    return f"{each.name} ({each.rows:,} rows, {each.bytes:,} bytes, SHA-256 {each.sha256[:12]}…)"


def _first(lines: Sequence[str]) -> str:
    """The first lines, so that an event stays small; all of them are in the table `history_inputs`."""
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join([*lines[:_SHOWN], *more])

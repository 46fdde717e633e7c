"""One fetched day of ticks: its file written into the lake, then committed by its manifest row, or refused.

Belongs here: what a commit compares, writes and reports, and when what is committed is better than what came. Does not:
fetching, and how often it is tried (ticks.py).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from market_platform.domain.candles import candles_from_ticks
from market_platform.domain.clock import from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.days import HOUR_MS, FetchedDay, HourState
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.domain.quality import tick_anomalies
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.pipeline.reports import TickDayReport
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day, lock_lake_day
from market_platform.warehouse.reference import PairRow


def commit_tick_day(
    platform: Platform,
    pair: TradingPair,
    row: PairRow,
    fetched: FetchedDay,
    before: LakeDay | None,
    provenance: Provenance,
) -> TickDayReport | None:
    """Write the day's file, then switch the manifest to it in one transaction.

    None, and nothing is committed, when the manifest is not what it was before the fetch.
    """
    report = _report(pair, fetched)
    kept = _why_kept(fetched, before) if before is not None else None
    manifest = None if kept else _write(platform, pair, row, fetched, report, provenance)
    changed = False
    with platform.warehouse.begin() as connection:
        current = lock_lake_day(connection, row.id, fetched.day)
        known = [each.content for each in (before, manifest) if each is not None]
        if (current is not None or before is not None) and (current is None or current.content not in known):
            return None
        if manifest is not None:
            changed = commit_lake_day(connection, manifest)
    if manifest is None:
        assert before is not None
        return replace(_from_manifest(report, before), kept=kept)
    return replace(
        report,
        bytes=manifest.bytes,
        object_key=manifest.object_key,
        data_version=manifest.content_hash,
        changed=changed,
    )


def _write(
    platform: Platform,
    pair: TradingPair,
    row: PairRow,
    fetched: FetchedDay,
    report: TickDayReport,
    provenance: Provenance,
) -> LakeDay:
    """Put the day's file into the lake (none for a day without ticks); the manifest row that would commit it."""
    raw_inputs: list[dict[str, Any]] = [
        {
            "hour": hour.start_ms // HOUR_MS % 24,
            "state": hour.state.value,
            "rows": hour.rows,
            "bytes": hour.raw_bytes,
            "sha256": hour.raw_sha256,
            "source": hour.source,
        }
        for hour in fetched.hours
    ]
    file = None
    if len(fetched.ticks):
        description = {
            "condition": fetched.condition.value,
            "raw_inputs": json.dumps(raw_inputs, separators=(",", ":")),
            "code_version": provenance.code_version,
            "run_id": provenance.run_id,
        }
        file = TICK_DAYS.write(platform.lake, pair.exchange, pair.symbol, fetched.day, fetched.ticks, description)
    return LakeDay(
        trading_pair_id=row.id,
        day=fetched.day,
        object_key=file.object_key if file else None,
        content_hash=file.content_hash if file else "",
        rows=len(fetched.ticks),
        bytes=file.bytes if file else 0,
        first_time=report.first_time,
        last_time=report.last_time,
        condition=fetched.condition,
        raw_inputs=raw_inputs,
        run_id=provenance.run_id,
        code_version=provenance.code_version,
    )


def _why_kept(fetched: FetchedDay, before: LakeDay) -> str | None:
    """Why what is committed is better than what came now; an exchange may lose hours of its history for a while."""
    rows = len(fetched.ticks)
    if fetched.condition is Condition.AVAILABLE:
        return "JSON failed, and the same ticks as bi5 have rounded volumes" if _is_rounded(fetched, before) else None
    if before.condition is Condition.AVAILABLE or rows < before.rows:
        return (
            f"the exchange now sends {rows:,} ticks ({fetched.condition}), {before.rows:,} are committed "
            f"({before.condition})"
        )
    return None


def _is_rounded(fetched: FetchedDay, before: LakeDay) -> bool:
    """Whether these are the committed ticks again, but some hours came as bi5, which knows whole units only."""
    was = {each["hour"]: each for each in before.raw_inputs if "hour" in each}
    now = {hour.start_ms // HOUR_MS % 24: hour for hour in fetched.hours}
    if before.condition is not Condition.AVAILABLE or was.keys() != now.keys():
        return False
    same_ticks = all(was[hour]["rows"] == now[hour].rows for hour in now)
    by_fallback = any((was[hour]["source"], now[hour].source) == ("json", "bi5") and now[hour].rows for hour in now)
    return same_ticks and by_fallback and fetched.ticks.content_hash() != before.content_hash


def _report(pair: TradingPair, fetched: FetchedDay) -> TickDayReport:
    ticks = fetched.ticks
    return TickDayReport(
        pair=pair.name,
        day=fetched.day,
        condition=fetched.condition,
        rows=len(ticks),
        bytes=0,
        first_time=from_ms(int(ticks.time[0])) if len(ticks) else None,
        last_time=from_ms(int(ticks.time[-1])) if len(ticks) else None,
        object_key=None,
        data_version="",
        changed=False,
        duplicates=fetched.duplicates,
        hours={hour.start_ms // HOUR_MS % 24: hour.state for hour in fetched.hours},
        anomalies=tick_anomalies(ticks),
        outline=candles_from_ticks(ticks, parse_interval("15m")),
    )


def _from_manifest(report: TickDayReport, before: LakeDay) -> TickDayReport:
    """The report of a day that stays as it was committed."""
    return replace(
        report,
        condition=before.condition,
        rows=before.rows,
        bytes=before.bytes,
        first_time=before.first_time,
        last_time=before.last_time,
        object_key=before.object_key,
        data_version=before.content_hash,
        changed=False,
        hours={each["hour"]: HourState(each["state"]) for each in before.raw_inputs if "hour" in each},
        outline=None,
    )

"""Lineage of what is streamed: what the streamer wrote of each day becomes a materialisation of its external asset.

Idempotent: a day is reported as of a state of `stream_days`, and again only when there is more. A day that goes on is
reported once an hour, so that the event log stays small; one that is over, as soon as something changed.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.compaction import compacted_key
from market_platform.defs.jobs import AssetJob
from market_platform.defs.names import PAIR_TAG, PARTITION_TAG, TRIGGER_TAG
from market_platform.defs.recent import unfinished_runs
from market_platform.defs.resources import WAREHOUSE
from market_platform.domain.clock import Clock
from market_platform.domain.pairs import TradingPair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from market_platform.domain.gaps import GapKind
    from market_platform.warehouse.stream_days import StreamDay

LATE_PARTS = "late_parts"
"""Value of `TRIGGER_TAG`."""
SAY_EVERY = timedelta(hours=1)
"""How often a day that goes on is reported."""
LOOK_BACK = timedelta(days=7)
"""Days that parts may still come for: gaps of trades are repaired sooner."""
AFTER_DAY = timedelta(minutes=45)
"""The schedule compacts a day half an hour after its end; what comes after that is late."""
SETTLED = timedelta(minutes=5)
"""Parts of a repair come one by one; the day is compacted when none came for so long."""
_MOST_EVENTS = 200
_MOST_RUNS = 10
_EVERY_S = 60


def report_sensor(known: Collection[dg.AssetKey], clock: Clock) -> dg.SensorDefinition:
    """Reports days of the stream; `known` are the assets there are, others' days are passed over."""

    @dg.sensor(
        name="report_stream_days",
        minimum_interval_seconds=_EVERY_S,
        required_resource_keys={WAREHOUSE},
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells Dagster what the streamer wrote: rows, span, lag and gaps of each day become materialisations of the "
            "external assets. Days that are over at once, the one in progress every hour."
        ),
    )
    def report_stream_days(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from market_platform.warehouse.gaps import count_gaps_of_days
        from market_platform.warehouse.stream_days import load_unreported, mark_reported

        today = clock().astimezone(UTC).date()
        warehouse = context.resources.warehouse
        with warehouse.connect() as conn:
            due = [day for day in load_unreported(conn, today + timedelta(days=1), 20_000) if is_due(day, today)]
            due = due[:_MOST_EVENTS]
            gaps = count_gaps_of_days(conn, due[0].day, due[-1].day) if due else {}
        reported = [day for day in due if stream_day_key(day) in known]
        for day in reported:
            context.instance.report_runless_asset_event(stream_materialisation(day, gaps))
        with warehouse.begin() as conn:
            mark_reported(conn, due)
        return dg.SkipReason(f"{len(reported)} days reported" if reported else "nothing new was streamed")

    return report_stream_days


def is_due(day: "StreamDay", today: date) -> bool:
    """Whether it is time to report a day that changed since it was reported."""
    return day.day < today or day.reported_at is None or day.updated_at - day.reported_at >= SAY_EVERY


def stream_day_key(day: "StreamDay") -> dg.AssetKey:
    """The external asset that a layer of the stream is: trades and ticks are there as parts."""
    layer = f"stream_{day.layer}" if day.layer in ("trades", "ticks") else day.layer
    return dg.AssetKey([day.exchange, day.symbol, layer])


def stream_materialisation(
    day: "StreamDay", gaps: "Mapping[tuple[int, GapKind, date], int]"
) -> dg.AssetMaterialization:
    """The event for a day as it stands; `gaps` counts those that are open or lost."""
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/partition_row_count": dg.MetadataValue.int(day.rows),
        "rows": dg.MetadataValue.int(day.rows),
        "gaps": dg.MetadataValue.int(gaps.get((day.trading_pair_id, _gap_kind(day.layer), day.day), 0)),
        "written_at": dg.MetadataValue.timestamp(day.updated_at),
    }
    if day.first_time and day.last_time:
        metadata["first_time"] = dg.MetadataValue.timestamp(day.first_time)
        metadata["last_time"] = dg.MetadataValue.timestamp(day.last_time)
    if day.lag_ms is not None:
        metadata["lag_ms"] = dg.MetadataValue.float(round(day.lag_ms, 1))
    return dg.AssetMaterialization(
        stream_day_key(day),
        partition=day.day.isoformat(),
        description=f"{day.rows:,} rows streamed",
        metadata=metadata,
    )


def late_parts_sensor(pairs: Sequence[TradingPair], job: AssetJob, clock: Clock) -> dg.SensorDefinition:
    """Compacts days again whose parts came after their file was made, and days that the schedule missed."""
    by_name = {pair.name: pair for pair in pairs}

    @dg.sensor(
        name="compact_late_parts",
        job=job,
        minimum_interval_seconds=_EVERY_S * 5,
        required_resource_keys={WAREHOUSE},
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Looks at the last {LOOK_BACK.days} days for trades or quotes that came after their day's file was made, from a "
            "repaired gap or a journal that had to wait, and makes the file again with them."
        ),
    )
    def compact_late_parts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from market_platform.warehouse.stream_days import load_uncompacted

        now = clock().astimezone(UTC)
        last = (now - AFTER_DAY).date() - timedelta(days=1)
        with context.resources.warehouse.connect() as conn:
            days = load_uncompacted(conn, last - LOOK_BACK, last)
        running = {run.tags.get(PARTITION_TAG) for run in unfinished_runs(context.instance) if run.job_name == job.name}
        requests: list[dg.RunRequest] = []
        for day in days:
            pair = by_name.get(f"{day.exchange}/{day.symbol}")
            if pair is None or day.day.isoformat() in running or now - day.updated_at < SETTLED:
                continue
            if len(requests) < _MOST_RUNS and not _compacted_since(context.instance, compacted_key(pair), day):
                requests.append(_compaction(pair, day, now))
        skipped = None if requests else dg.SkipReason("every streamed day has its file")
        return dg.SensorResult(run_requests=requests, skip_reason=skipped)

    return compact_late_parts


def _compacted_since(instance: dg.DagsterInstance, key: dg.AssetKey, day: "StreamDay") -> bool:
    """Whether the day was compacted after its last part came, though its file did not change."""
    wanted = dg.AssetRecordsFilter(
        asset_key=key, asset_partitions=[day.day.isoformat()], after_timestamp=day.updated_at.timestamp()
    )
    return bool(instance.fetch_materializations(wanted, limit=1).records)


def _compaction(pair: TradingPair, day: "StreamDay", now: datetime) -> dg.RunRequest:
    """Asked for once for each state of the day, and every six hours while that does not help."""
    return dg.RunRequest(
        run_key=f"late:{pair.name}:{day.day}:{day.updated_at:%Y%m%d%H%M%S%f}:{int(now.timestamp()) // 21_600}",
        partition_key=day.day.isoformat(),
        asset_selection=[compacted_key(pair)],
        tags={TRIGGER_TAG: LATE_PARTS, PAIR_TAG: pair.name},
    )


def _gap_kind(layer: str) -> "GapKind":
    if layer == "trades":
        return "trades"
    if layer == "ticks":
        return "quotes"
    return "candles" if layer.startswith("candles_") else "context"

"""The definitions of exports: which data sets a database has, and when they are made.

Belongs here: assets, jobs and schedules of exports. Does not: the assets themselves (assets/exports.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta

import dagster as dg

from market_platform.defs.assets.exports import DATASETS, ExportKind, export_asset
from market_platform.defs.cron import SCHEDULED, Requests, cron, requesting
from market_platform.defs.jobs import AssetJob, database_name
from market_platform.defs.kit import Kit
from market_platform.defs.names import TRAINING, is_training
from market_platform.defs.partitions import last_complete_month
from market_platform.domain.databases import Database
from market_platform.domain.pairs import TradingPair
from market_platform.embedded.databases import has_training_database
from market_platform.pipeline.exports.request import Span


def add_exports(kit: Kit, pairs: Sequence[TradingPair]) -> None:
    """Add the data sets of each database that has pairs.

    Without a training database its pairs have none: their rows are in the other, whose data sets would have the same files.
    """
    databases: tuple[Database, ...] = ("realtime", TRAINING)
    for database in databases:
        mine = [pair for pair in pairs if is_training(pair) == (database == TRAINING)]
        if mine and (database != TRAINING or has_training_database(kit.settings)):
            _add(kit, mine, database)


def _add(kit: Kit, pairs: Sequence[TradingPair], database: Database) -> None:
    spans: tuple[Span, ...] = ("day", "month")
    for span in spans:
        kinds = [ExportKind(dataset, span, database) for dataset in DATASETS]
        kit.assets += [export_asset(kind, pairs, kit.partitions, kit.policies) for kind in kinds]
        nightly = [kind.key for kind in kinds if kind.is_nightly]
        job = dg.define_asset_job(
            database_name("exports" if span == "day" else "exports_monthly", database),
            selection=dg.AssetSelection.assets(*nightly),
            description=f"Parquet files of every data set for any {span}s, {database} database.",
        )
        kit.jobs.append(job)
        kit.schedules.append(_schedule(job, span, database))


def _schedule(job: AssetJob, span: Span, database: Database) -> dg.ScheduleDefinition:
    """07:00 UTC, when last night's data is there; months on the second, when the first night is over."""
    name = database_name("export_yesterday" if span == "day" else "export_last_month", database)

    def requests(_context: dg.ScheduleEvaluationContext, now: datetime) -> Requests:
        start = now.date() - timedelta(days=1) if span == "day" else last_complete_month(now.date())
        yield dg.RunRequest(run_key=f"{name}:{start}", partition_key=start.isoformat(), tags=SCHEDULED)

    return requesting(
        name,
        cron(time(7)) if span == "day" else cron(time(7, 30), "2 * *"),
        job,
        f"Exports every data set of {'yesterday' if span == 'day' else 'last month'} into the lake.",
        requests,
    )

"""Running assets in this process: the same definitions on the same instance, without daemon, queue or code server.

Dagster records these runs like any other, so partitions turn green in the UI; pools and retries hold as well.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import dagster as dg

from market_platform.defs.build import accept_beta, build_defs
from market_platform.defs.direct_run import RunInFlight
from market_platform.defs.failures import FAILED_DAYS
from market_platform.defs.made_days import TEXTS, MadeDay, made_day
from market_platform.defs.names import PAIR_TAG
from market_platform.defs.orphans import command_tags, fail_killed_commands
from market_platform.defs.partitions import range_tags
from market_platform.defs.plan import Target
from market_platform.defs.policies import Policies
from market_platform.domain.databases import Database
from market_platform.embedded.databases import find_database_url, open_database
from market_platform.embedded.services import child_environment
from market_platform.pipeline.platform import Platform
from market_platform.settings import PROJECT_ROOT, Settings
from market_platform.starlistings import configured_pairs
from market_platform.warehouse.migrations import require_current_schema

_RETRY_DELAY_S = 2.0
"""A person waits: what does not pass within the client's own retries is told."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run that ended: partitions it reported, failures by pair and day (or step), and the partitions' conditions."""

    materialised: int
    failures: Mapping[str, str] = field(default_factory=dict)
    days: tuple[MadeDay, ...] = ()


def run_directly(
    settings: Settings,
    targets: Mapping[str, Sequence[Target]],
    on_message: Callable[[str], None],
    database: Database = "realtime",
    in_flight: RunInFlight | None = None,
) -> Iterator[Outcome]:
    """Materialise the targets pair by pair, `backfill_days_per_run` days a run; `on_message` hears what assets log.

    Who asks for the end of the run `in_flight` and interrupts this thread gets what the run had done, and no further run.

    Raises:
        ConfigError, WarehouseError: there is no database to use, or it lacks migrations; said here, because Dagster would
            say it in its own words.
        LakeError: the lake can't be written; said before days are fetched for nothing.
    """
    accept_beta()
    url = find_database_url(settings)  # Dagster's own tables are in the realtime database, whichever is written to
    require_current_schema(url)
    if database != "realtime":
        require_current_schema(find_database_url(settings, database))
    for each in dict.fromkeys(("realtime", database)):
        with open_database(settings, each) as warehouse:
            warehouse.check_role()
    platform = Platform.from_settings(settings, url)
    platform.close()
    platform.lake.check_writable()
    os.environ.update(child_environment(settings, url))
    definitions = build_defs(
        configured_pairs(settings),
        settings,
        policies=Policies.standard(settings.backfill_days_per_run, retry_delay_s=_RETRY_DELAY_S),
        loggers={"console": _messages_only(on_message)},
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    # its own files belong into DAGSTER_HOME; an absolute name stands for itself
    with dg.DagsterInstance.from_config(str(settings.dagster_home), str(PROJECT_ROOT / "dagster.yaml")) as instance:
        fail_killed_commands(instance)
        in_flight = in_flight or RunInFlight()
        for pair, mine in targets.items():
            for run in runs_of(mine, settings.backfill_days_per_run):
                yield _run(instance, job, pair, run, in_flight)
                if in_flight.asked:
                    return


def _run(
    instance: dg.DagsterInstance, job: dg.JobDefinition, pair: str, run: Sequence[Target], in_flight: RunInFlight
) -> Outcome:
    """Execute one run; one whose end was asked for is cancelled and has no failures."""
    first, last, run_id = run[0].first, run[0].last, str(uuid4())
    in_flight.begin(instance, run_id, f"{pair} {first}" + (f" to {last}" if last != first else ""))
    try:
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            asset_selection=[dg.AssetKey(list(target.path)) for target in run],
            tags={**range_tags(first, last), **command_tags(), PAIR_TAG: pair},
            run_config={"loggers": {"console": {}}},  # without it Dagster adds its own, which prints every event
            raise_on_error=False,
        )
    finally:
        in_flight.end()
    outcome = _outcome(instance, result, pair)
    return replace(outcome, failures={}) if in_flight.asked else outcome


def runs_of(targets: Sequence[Target], days_per_run: int) -> list[list[Target]]:
    """Targets as runs: those of one range together, long ranges of days in pieces; days before weeks and months."""
    by_range: dict[tuple[date, date], list[Target]] = {}
    for target in targets:
        by_range.setdefault((target.first, target.last), []).append(target)
    runs: list[list[Target]] = []
    for (first, last), together in by_range.items():
        daily = all(target.partitions == (last - first).days + 1 for target in together)
        if not daily:
            runs.append(together)
            continue
        start = first
        while start <= last:
            end = min(last, start + timedelta(days=days_per_run - 1))
            runs.append([Target(each.path, start, end, (end - start).days + 1) for each in together])
            start = end + timedelta(days=1)
    return runs


def _outcome(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult, pair: str) -> Outcome:
    """What the run reported; from the instance, because a failing step's last reports are not in the result."""
    logged = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    made = [entry.dagster_event.step_materialization_data.materialization for entry in logged if entry.dagster_event]
    reported = {(each.asset_key, each.partition): _made_day(each) for each in made}
    failures: dict[str, str] = {}
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            described = data.user_failure_data
            step = str(event.step_key).replace("__", "/")
            days = described.metadata.get(FAILED_DAYS) if described else None
            if isinstance(days, dg.JsonMetadataValue):
                listed: Any = days.data if not isinstance(days.data, str) else json.loads(days.data)
                failures.update({f"{step} {day}": str(error) for day, error in listed.items()})
            else:
                message = (
                    described.description if described and described.description else str(data.error_display_string)
                )
                failures[step] = message
    if not result.success and not failures:
        failures[pair] = "the run failed before its first step; see it in the Dagster UI"
    return Outcome(len(reported), failures, tuple(reported.values()))


def _made_day(made: dg.AssetMaterialization) -> MadeDay:
    texts = {label: str(made.metadata[label].value) for label in TEXTS if label in made.metadata}
    return made_day(made.asset_key.path, made.partition or "", texts)


def _messages_only(on_message: Callable[[str], None]) -> dg.LoggerDefinition:
    """A console logger that passes on what assets say and leaves out Dagster's own events."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            meta = getattr(record, "dagster_meta", {})
            if meta.get("dagster_event") is None:
                on_message(str(meta.get("orig_message") or record.getMessage()))

    def messages(_context: dg.InitLoggerContext) -> logging.Logger:
        made = logging.Logger("market_platform.direct", level=logging.INFO)  # noqa: LOG001 - Dagster wants one of its own
        made.addHandler(Handler())
        return made

    return dg.LoggerDefinition(messages, description="What assets log, for the command line.")

"""Gaps of streams that the streamer could not repair: a job a exchange that repairs some, and the sensor that asks for it.

The streamer repairs its own gaps within seconds. Here come those that it tried in vain, or left behind when it died.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.failures import typed_failures
from market_platform.defs.names import EXCHANGE_TAG, TRIGGER_TAG, identifier, pool_name
from market_platform.defs.recent import unfinished_runs
from market_platform.defs.resources import PLATFORM, WAREHOUSE
from market_platform.domain.clock import Clock
from market_platform.domain.errors import MarketPlatformError
from market_platform.pipeline.versions import REPAIR_VERSION

if TYPE_CHECKING:
    from market_platform.exchanges.live import LiveExchange
    from market_platform.pipeline.gap_outcomes import Outcome
    from market_platform.warehouse.engine import Warehouse
    from market_platform.warehouse.gaps import Gap

OpenExchange = Callable[[str], "LiveExchange"]

GAPS = "gaps"
"""Value of `TRIGGER_TAG`."""
GAPS_PER_RUN = 50
OVERDUE = timedelta(minutes=15)
"""A gap that is open for so long is not left to the streamer alone."""
ATTEMPTS = 5
"""Nor is one that was tried so often."""
REST = timedelta(minutes=1)
ALIVE = timedelta(minutes=1)
"""A streamer that did not write its state for so long is dead."""
ABANDONED = timedelta(minutes=1)
"""Gaps of a dead streamer are taken over after so long."""
_EVERY_S = 60


def gap_job(exchange: str, open_exchange: OpenExchange) -> dg.JobDefinition:
    """A job that makes one attempt at the gaps that its configuration lists, all of one exchange."""

    @dg.op(
        name=gap_op_name(exchange),
        required_resource_keys={PLATFORM},
        pool=pool_name(exchange),
        config_schema={"gaps": [int]},
        description=(
            f"Asks {exchange} for the candles and trades that its stream missed, writes them, and closes the gaps or says why they "
            "can't be."
        ),
    )
    def repair(context: dg.OpExecutionContext) -> None:
        _repair(context, exchange, open_exchange)

    @dg.job(name=gap_job_name(exchange), description=f"Repairs gaps of streams of {exchange}.")
    def job() -> None:
        repair()

    return job


def gap_job_name(exchange: str) -> str:
    """What the job of an exchange is called."""
    return identifier("repair_gaps", exchange)


def gap_op_name(exchange: str) -> str:
    """What its one op is called; the names of jobs and ops may not be the same."""
    return identifier("ask_for_missed", exchange)


def gap_sensor(exchanges: Sequence[str], jobs: Mapping[str, dg.JobDefinition], clock: Clock) -> dg.SensorDefinition:
    """Takes over gaps the streamer could not repair. `jobs` by exchange."""

    @dg.sensor(
        name="take_over_gaps",
        jobs=list(jobs.values()),
        minimum_interval_seconds=_EVERY_S,
        required_resource_keys={WAREHOUSE},
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Repairs gaps of streams that are open for more than {OVERDUE.total_seconds() / 60:.0f} minutes, were tried "
            f"{ATTEMPTS} times in vain, or were left by a streamer that is gone: a run an exchange at a time, at most "
            f"{GAPS_PER_RUN} gaps each."
        ),
    )
    def take_over_gaps(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        busy = {
            run.tags.get(EXCHANGE_TAG) for run in unfinished_runs(context.instance) if run.tags.get(TRIGGER_TAG) == GAPS
        }
        found = overdue_gaps(context.resources.warehouse, clock().astimezone(UTC))
        requests = []
        for exchange in exchanges:
            gaps = [gap for gap in found if gap.exchange == exchange][:GAPS_PER_RUN]
            if gaps and exchange not in busy:
                requests.append(_request(exchange, gaps))
        waiting = f"{len(found)} gaps are overdue, their repair is going on" if found else "no gap is overdue"
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else dg.SkipReason(waiting))

    return take_over_gaps


def overdue_gaps(warehouse: "Warehouse", now: datetime) -> "list[Gap]":
    """Gaps that are not, or not any more, the streamer's alone; sooner when no streamer lives."""
    from market_platform.warehouse.gap_repairs import load_overdue_gaps
    from market_platform.warehouse.stream_health import read_stream_states

    with warehouse.connect() as conn:
        alive = any(state.updated_at and now - state.updated_at < ALIVE for state in read_stream_states(conn))
        return load_overdue_gaps(conn, OVERDUE if alive else ABANDONED, ATTEMPTS, REST)


def _request(exchange: str, gaps: "Sequence[Gap]") -> dg.RunRequest:
    ids = sorted(gap.id for gap in gaps)
    attempts = sum(gap.attempts for gap in gaps)
    return dg.RunRequest(
        run_key=f"gaps:{exchange}:{ids[0]}-{ids[-1]}:{len(ids)}:{attempts}",
        job_name=gap_job_name(exchange),
        run_config={"ops": {gap_op_name(exchange): {"config": {"gaps": ids}}}},
        tags={TRIGGER_TAG: GAPS, EXCHANGE_TAG: exchange},
    )


def _repair(context: dg.OpExecutionContext, exchange: str, open_exchange: OpenExchange) -> None:
    from market_platform.pipeline.gap_takeover import repair_chosen
    from market_platform.pipeline.platform import Provenance

    failures: list[str] = []
    counts = {"gaps": 0, "rows": 0, "repaired": 0, "unrepairable": 0, "failed": 0}

    def told(gaps: "Sequence[Gap]", outcome: "Outcome") -> None:
        state = "failed" if outcome.error else "unrepairable" if outcome.unrepairable else "repaired"
        counts["gaps"] += len(gaps)
        counts["rows"] += outcome.rows
        counts[state] += len(gaps)
        why = outcome.error or outcome.unrepairable or outcome.note
        names = ", ".join(str(gap.id) for gap in gaps)
        line = f"{gaps[0].pair} {gaps[0].kind} (gap {names}): {state}, {outcome.rows:,} rows{f'; {why}' if why else ''}"
        (context.log.warning if outcome.error else context.log.info)(line)
        if outcome.error:
            failures.append(line)

    with typed_failures(f"gaps of {exchange}"):
        asyncio.run(
            repair_chosen(
                context.resources.platform,
                open_exchange(exchange),
                context.op_config["gaps"],
                Provenance(context.run_id, REPAIR_VERSION),
                told,
            )
        )
        context.add_output_metadata({name: dg.MetadataValue.int(count) for name, count in counts.items()})
        if failures:
            raise GapsLeftError(f"{len(failures)} repairs failed, they are tried again: {failures[0]}")


class GapsLeftError(MarketPlatformError):
    """Some gaps of the run are still open; the sensor asks for them again."""

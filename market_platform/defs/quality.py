"""Outcomes of checks in the table `data_quality`: readable without Dagster, kept when its event log is pruned.

One row a check and run when all is well, one a partition that has a problem otherwise; both with the run's counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

import dagster as dg

from market_platform.defs.checks import Outcome
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair

if TYPE_CHECKING:
    from market_platform.pipeline.platform import Platform


@dataclass(frozen=True, slots=True)
class QualityRow:
    """One row of `data_quality`; `day` is None where the check of several partitions found nothing."""

    day: date | None
    passed: bool
    severity: Literal["info", "warning", "error"]
    message: str | None
    details: Mapping[str, object]


def record_outcomes(
    platform: Platform, pair: TradingPair, outcomes: Mapping[Interval | None, Sequence[Outcome]], run_id: str
) -> None:
    """Record what checks found in this run, in one transaction, by the interval of their candles (None for ticks)."""
    from market_platform.warehouse.quality import record_check
    from market_platform.warehouse.reference import load_pair

    recorded = [
        (interval, outcome.check, each)
        for interval, found in outcomes.items()
        for outcome in found
        for each in rows_of(outcome)
    ]
    if not recorded:
        return
    with platform.warehouse.begin() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        for interval, check, each in recorded:
            record_check(
                connection,
                trading_pair_id=row.id,
                starlisting_id=row.starlistings.get(interval.name) if interval is not None else None,
                day=each.day,
                check_type=check,
                passed=each.passed,
                severity=each.severity,
                error_message=each.message,
                details=each.details,
                run_id=run_id,
            )


def rows_of(outcome: Outcome) -> Iterator[QualityRow]:
    """What is recorded of a check: one row when all is well, else one a problem."""
    if not outcome.findings:
        return
    days = sorted(finding.day for finding in outcome.findings)
    counts: dict[str, object] = {
        "partitions_checked": len(days),
        "partitions_with_problems": len(outcome.problems),
        "first_partition": days[0].isoformat(),
        "last_partition": days[-1].isoformat(),
    }
    if not outcome.problems:
        yield QualityRow(
            days[0] if len(days) == 1 else None, passed=True, severity="info", message=None, details=counts
        )
    for finding in outcome.problems:
        error = finding.severity is dg.AssetCheckSeverity.ERROR
        yield QualityRow(
            finding.day,
            passed=False,
            severity="error" if error else "warning",
            message=finding.problem,
            details=counts,
        )

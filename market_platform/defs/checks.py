"""Asset checks: what must hold for a day of ticks or candles, evaluated once a run, day by day inside.

A check looks at what the pipeline function reported of every partition of the run; its metadata names each day that failed
it. Does not belong here: what checks there are, and what they say of themselves (check_specs.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.check_specs import COVERAGE, NO_DUPLICATES, OHLC_SANITY, TICK_ANOMALIES
from market_platform.defs.metadata import hour_list
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import parse_interval

if TYPE_CHECKING:
    from market_platform.pipeline.history_reports import HistoryReport
    from market_platform.pipeline.reports import CandleDayReport, ExchangeComparison, TickDayReport

_SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found of one partition; `problem` is None when all is well."""

    day: date
    problem: str | None = None
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check found of all partitions of a run."""

    check: str
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> list[Finding]:
        """The findings that are not fine."""
        return [each for each in self.findings if each.problem]

    @property
    def severity(self) -> dg.AssetCheckSeverity:
        """The worst among the problems."""
        problems = self.problems
        worst = not problems or any(each.severity is dg.AssetCheckSeverity.ERROR for each in problems)
        return dg.AssetCheckSeverity.ERROR if worst else dg.AssetCheckSeverity.WARN


def check_tick_days(reports: Sequence[TickDayReport], selected: Iterable[str]) -> list[Outcome]:
    """Outcomes of the tick checks among `selected`, for the days of one run."""
    findings = {
        COVERAGE: [_tick_coverage(report) for report in reports],
        NO_DUPLICATES: [
            Finding(each.day, f"{each.anomalies.duplicates} exact duplicates" if each.anomalies.duplicates else None)
            for each in reports
        ],
        TICK_ANOMALIES: [_anomalies(report) for report in reports],
    }
    chosen = set(selected)
    return [Outcome(name, tuple(found)) for name, found in findings.items() if name in chosen]


def check_candle_days(reports: Sequence[CandleDayReport], selected: Iterable[str]) -> list[Outcome]:
    """Outcomes of the candle checks among `selected`, for one interval's partitions of one run."""
    findings = {
        OHLC_SANITY: [Finding(each.day, "; ".join(each.ohlc_errors[:3]) or None) for each in reports],
        COVERAGE: [
            Finding(
                each.day,
                f"no candle in open hours {hour_list(each.uncovered_hours)} ({each.condition})"
                if each.uncovered_hours
                else None,
                dg.AssetCheckSeverity.WARN if each.condition is Condition.PENDING else dg.AssetCheckSeverity.ERROR,
            )
            for each in reports
        ],
    }
    chosen = set(selected)
    return [Outcome(name, tuple(found)) for name, found in findings.items() if name in chosen]


def check_history_days(reports: Sequence[HistoryReport], selected: Iterable[str]) -> list[Outcome]:
    """Outcomes of a history layer's checks among `selected`, for the days of one run."""
    sane = [Finding(each.day, "; ".join(getattr(each, "ohlc_errors", ())[:3]) or None) for each in reports]
    findings = {OHLC_SANITY: sane, COVERAGE: [_history_coverage(report) for report in reports]}
    chosen = set(selected)
    return [Outcome(name, tuple(found)) for name, found in findings.items() if name in chosen]


def comparison_finding(comparison: ExchangeComparison) -> Finding:
    """What comparing a day with the exchange found."""
    if comparison.equal:
        return Finding(comparison.day)
    first = comparison.differences[0]
    return Finding(
        comparison.day,
        f"{len(comparison.differences)} values differ, the first at {first.time:%H:%M} {first.side} {first.field}: "
        f"ours {_shown(first.ours)}, the exchange's {_shown(first.theirs)}",
    )


def check_result(key: dg.AssetKey, outcome: Outcome) -> dg.AssetCheckResult:
    """One result for all partitions of a run: passed when none has a problem; the worst severity counts."""
    findings, problems = outcome.findings, outcome.problems
    metadata: dict[str, dg.MetadataValue] = {
        "partitions_checked": dg.MetadataValue.int(len(findings)),
        "partitions_with_problems": dg.MetadataValue.int(len(problems)),
    }
    if findings:
        metadata["first_partition"] = dg.MetadataValue.text(min(each.day for each in findings).isoformat())
        metadata["last_partition"] = dg.MetadataValue.text(max(each.day for each in findings).isoformat())
    if problems:
        records = [
            dg.TableRecord({"partition": each.day.isoformat(), "problem": each.problem or ""})
            for each in problems[:_SHOWN_PROBLEMS]
        ]
        metadata["problems"] = dg.MetadataValue.table(records)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=outcome.check,
        passed=not problems,
        severity=outcome.severity,
        description=_summary(findings, problems),
        metadata=metadata,
    )


def _summary(findings: Sequence[Finding], problems: Sequence[Finding]) -> str:
    if not problems:
        return f"{len(findings)} of {len(findings)} partitions are fine"
    named = ", ".join(each.day.isoformat() for each in problems[:5])
    more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
    return f"{len(problems)} of {len(findings)} partitions have a problem: {named}{more}"


def _tick_coverage(report: TickDayReport) -> Finding:
    from market_platform.domain.days import HourState  # brings numpy and polars, which definitions do without

    absent = sorted(hour for hour, state in report.hours.items() if state is HourState.ABSENT)
    unpublished = sorted(hour for hour, state in report.hours.items() if state is HourState.UNPUBLISHED)
    parts = []
    if absent:
        parts.append(f"the exchange has nothing for open hours {hour_list(absent)}")
    if unpublished:
        parts.append(f"not published yet: hours {hour_list(unpublished)}")
    severity = dg.AssetCheckSeverity.ERROR if absent else dg.AssetCheckSeverity.WARN
    return Finding(report.day, "; ".join(parts) or None, severity)


def _history_coverage(report: HistoryReport) -> Finding:
    from market_platform.pipeline.history_reports import told_times

    interval = parse_interval(report.interval) if hasattr(report, "interval") else None
    holes = f"missing {told_times(report.missing, interval)}" if report.missing else ""
    flags = "; ".join(report.flags[:3])
    if report.condition in (Condition.AVAILABLE, Condition.CLOSED):
        return Finding(report.day, flags or None, dg.AssetCheckSeverity.WARN)
    whole_day = report.condition in (Condition.MISSING, Condition.PENDING)
    told = "; ".join(each for each in (report.condition.value, report.reason or "", holes, flags) if each)
    return Finding(report.day, told, dg.AssetCheckSeverity.WARN if whole_day else dg.AssetCheckSeverity.ERROR)


def _anomalies(report: TickDayReport) -> Finding:
    odd = report.anomalies
    found = odd.crossed + odd.spikes + odd.absurd_spreads + odd.out_of_order
    return Finding(report.day, odd.describe() if found else None, dg.AssetCheckSeverity.WARN)


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)

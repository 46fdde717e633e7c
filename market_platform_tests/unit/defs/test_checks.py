"""What checks conclude from what the pipeline reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import dagster as dg
import pytest

from market_platform.defs.check_specs import COVERAGE, NO_DUPLICATES, OHLC_SANITY, TICK_ANOMALIES
from market_platform.defs.checks import (
    Finding,
    Outcome,
    check_candle_days,
    check_result,
    check_tick_days,
    comparison_finding,
)
from market_platform.defs.failures import FAILED_DAYS, as_failure, typed_failures
from market_platform.defs.quality import rows_of
from market_platform.domain.conditions import Condition
from market_platform.domain.days import HourState
from market_platform.domain.errors import (
    BadPayloadError,
    DayFailedError,
    ExchangeUnavailableError,
    LakeNotWritableError,
    MarketPlatformError,
    UnknownSymbolError,
    WarehouseUnavailableError,
)
from market_platform.domain.quality import TickAnomalies
from market_platform.pipeline.reports import ExchangeComparison, MinuteDifference
from market_platform_tests.unit.defs.test_metadata import candles, ticks

KEY = dg.AssetKey(["dukascopy", "EURUSD", "ticks"])
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
ALL_TICK_CHECKS = [COVERAGE, NO_DUPLICATES, TICK_ANOMALIES]


def outcomes(*reports: object) -> dict[str, Outcome]:
    return {each.check: each for each in check_tick_days(list(reports), ALL_TICK_CHECKS)}  # type: ignore[arg-type]


def test_a_good_day_passes_everything() -> None:
    for outcome in outcomes(ticks(), ticks(day=date(2024, 3, 5))).values():
        assert check_result(KEY, outcome).passed
        assert check_result(KEY, outcome).description == "2 of 2 partitions are fine"


def test_only_selected_checks_are_evaluated() -> None:
    assert [each.check for each in check_tick_days([ticks()], [TICK_ANOMALIES])] == [TICK_ANOMALIES]
    assert check_tick_days([ticks()], []) == []


@pytest.mark.parametrize(
    ("state", "severity", "words"),
    [
        (HourState.ABSENT, ERROR, "the exchange has nothing for open hours 4"),
        (HourState.UNPUBLISHED, WARN, "not published yet: hours 4"),
    ],
)
def test_an_hour_without_ticks_fails_or_warns(state: HourState, severity: dg.AssetCheckSeverity, words: str) -> None:
    outcome = outcomes(ticks(hours={3: HourState.FULL, 4: state, 5: HourState.CLOSED}))[COVERAGE]
    result = check_result(KEY, outcome)
    assert (result.passed, result.severity) == (False, severity)
    assert outcome.problems[0].problem == words


def test_odd_quotes_warn_and_name_the_day() -> None:
    odd = ticks(anomalies=TickAnomalies(crossed=1, spikes=2, first_ms=1_709_510_400_000))
    result = check_result(KEY, outcomes(ticks(day=date(2024, 3, 1)), odd)[TICK_ANOMALIES])
    assert (result.passed, result.severity) == (False, WARN)
    assert result.description == "1 of 2 partitions have a problem: 2024-03-04"
    table = result.metadata["problems"]
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[0].data["problem"] == "1 crossed, 2 spikes, first at 2024-03-04T00:00:00.000Z"


def test_duplicates_that_were_stored_are_an_error_and_those_dropped_are_not() -> None:
    assert check_result(KEY, outcomes(ticks(duplicates=9))[NO_DUPLICATES]).passed
    stored = check_result(KEY, outcomes(ticks(anomalies=TickAnomalies(duplicates=1)))[NO_DUPLICATES])
    assert (stored.passed, stored.severity) == (False, ERROR)


def test_impossible_candles_are_an_error() -> None:
    [outcome] = check_candle_days([candles("1m", ohlc_errors=("2024-03-04 10:00: high below low",))], [OHLC_SANITY])
    result = check_result(KEY, outcome)
    assert (result.passed, result.severity) == (False, ERROR)


@pytest.mark.parametrize(("condition", "severity"), [(Condition.PENDING, WARN), (Condition.DEGRADED, ERROR)])
def test_hours_without_candles(condition: Condition, severity: dg.AssetCheckSeverity) -> None:
    [outcome] = check_candle_days([candles("1m", uncovered_hours=(3, 4), condition=condition)], [COVERAGE])
    assert check_result(KEY, outcome).severity == severity
    assert outcome.problems[0].problem == f"no candle in open hours 3, 4 ({condition})"


def test_a_difference_with_the_exchange_names_its_first_value() -> None:
    time = datetime(2024, 3, 4, 10, 5, tzinfo=UTC)
    same = ExchangeComparison("dukascopy/EURUSD", date(2024, 3, 4), 2880, ())
    different = replace(
        same, differences=(MinuteDifference(time, "bid", "high", Decimal("1.0853"), Decimal("1.0854")),)
    )
    assert comparison_finding(same).problem is None
    assert comparison_finding(different).problem == (
        "1 values differ, the first at 10:05 bid high: ours 1.0853, the exchange's 1.0854"
    )


def test_one_error_among_warnings_is_an_error() -> None:
    found = (Finding(date(2024, 3, 4), "a", WARN), Finding(date(2024, 3, 5), "b", ERROR))
    assert check_result(KEY, Outcome("x", found)).severity == ERROR
    assert check_result(KEY, Outcome("x", found[:1])).severity == WARN


def test_a_table_of_problems_stays_readable() -> None:
    found = tuple(Finding(date(2024, 1, 1 + day), "bad") for day in range(30))
    result = check_result(KEY, Outcome("x", found))
    table = result.metadata["problems"]
    assert isinstance(table, dg.TableMetadataValue)
    assert len(table.records) == 20
    assert str(result.description).endswith("2024-01-05 and 25 more")


def test_what_is_recorded_of_a_check() -> None:
    fine = Outcome("x", (Finding(date(2024, 3, 4)), Finding(date(2024, 3, 5))))
    assert [(row.day, row.passed, row.severity) for row in rows_of(fine)] == [(None, True, "info")]
    one = Outcome("x", (Finding(date(2024, 3, 4)),))
    assert [(row.day, row.passed) for row in rows_of(one)] == [(date(2024, 3, 4), True)]
    bad = Outcome("x", (Finding(date(2024, 3, 4)), Finding(date(2024, 3, 5), "odd", WARN)))
    assert [(row.day, row.passed, row.severity, row.message) for row in rows_of(bad)] == [
        (date(2024, 3, 5), False, "warning", "odd")
    ]
    assert list(rows_of(Outcome("x", ()))) == []


@pytest.mark.parametrize(
    ("error", "retries"),
    [
        (ExchangeUnavailableError("503"), True),
        (WarehouseUnavailableError("gone"), True),
        (BadPayloadError("wrong types"), False),
        (UnknownSymbolError("EURXXX"), False),
        (LakeNotWritableError("read-only"), False),
        (ValueError("a bug"), False),
    ],
)
def test_a_retry_only_where_it_helps(error: Exception, retries: bool) -> None:
    with pytest.raises(dg.Failure) as failed, typed_failures("dukascopy/EURUSD ticks"):
        raise error
    assert failed.value.allow_retries is retries
    assert str(error) in str(failed.value.description)


def test_failed_days_travel_with_the_failure() -> None:
    failures: dict[str, Exception] = {
        "2024-03-05": ExchangeUnavailableError("503"),
        "2024-03-06": BadPayloadError("bad"),
    }
    mixed: MarketPlatformError = DayFailedError("two days failed", failures=failures)
    failure = as_failure(mixed)
    assert failure.allow_retries is False
    days = failure.metadata[FAILED_DAYS]
    assert isinstance(days, dg.JsonMetadataValue)
    assert days.data == {"2024-03-05": "503", "2024-03-06": "bad"}
    only_network = DayFailedError("one", failures={"2024-03-05": failures["2024-03-05"]})
    assert as_failure(only_network).allow_retries is True
    assert as_failure(only_network, last_attempt=True).allow_retries is False

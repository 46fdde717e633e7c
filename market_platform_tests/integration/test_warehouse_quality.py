"""Outcomes of checks are kept and counted."""

from __future__ import annotations

from datetime import date, timedelta

from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.quality import QualitySummary, record_check, summarise_checks
from market_platform_tests.fixtures.reference import synced_pair


def test_checks_are_recorded_and_summed(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    with warehouse.begin() as conn:
        record_check(conn, trading_pair_id=pair.id, check_type="ohlc", passed=True, run_id="run-1")
        record_check(
            conn,
            trading_pair_id=pair.id,
            starlisting_id=pair.starlistings["1m"],
            day=date(2019, 2, 4),
            check_type="coverage",
            passed=False,
            severity="error",
            error_message="hour 3 has no candle",
            details={"hours": [3]},
            run_id="run-1",
        )
        assert summarise_checks(conn, pair.id, timedelta(hours=24)) == QualitySummary(total_checks=2, passed_checks=1)
        assert summarise_checks(conn, pair.id + 1, timedelta(hours=24)) == QualitySummary(0, 0)
        stored = conn.exec_driver_sql("SELECT day, details, error_message FROM data_quality WHERE NOT passed").one()
    assert tuple(stored) == (date(2019, 2, 4), {"hours": [3]}, "hour 3 has no candle")

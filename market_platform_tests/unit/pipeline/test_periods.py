"""A week or month is only as good as its worst day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from market_platform.domain.conditions import Condition
from market_platform.pipeline.periods import _condition
from market_platform.warehouse.candles import CandleDay

WEEK = [date(2019, 2, 4) + timedelta(days=offset) for offset in range(7)]
NOW = datetime(2019, 2, 11, tzinfo=UTC)


def days(*conditions: Condition | None) -> dict[date, CandleDay]:
    known = {}
    for day, condition in zip(WEEK, conditions, strict=True):
        if condition is not None:
            rows = 1 if condition in (Condition.AVAILABLE, Condition.DEGRADED) else 0
            known[day] = cast(CandleDay, SimpleNamespace(condition=condition, rows=rows))
    return known


A, C, D, M, P = Condition.AVAILABLE, Condition.CLOSED, Condition.DEGRADED, Condition.MISSING, Condition.PENDING


@pytest.mark.parametrize(
    ("conditions", "expected", "reason"),
    [
        ((A, A, A, A, A, C, A), Condition.AVAILABLE, None),
        ((C,) * 7, Condition.CLOSED, None),
        ((A, A, A, A, A, C, None), Condition.PENDING, "2019-02-10"),
        ((A, A, P, A, A, C, A), Condition.PENDING, "2019-02-06"),
        ((A, D, A, A, A, C, A), Condition.DEGRADED, "2019-02-05"),
        ((M, M, M, M, M, C, M), Condition.MISSING, "nothing"),
    ],
)
def test_condition_of_a_week(conditions: tuple[Condition | None, ...], expected: Condition, reason: str | None) -> None:
    condition, why = _condition(WEEK, days(*conditions))
    assert condition is expected
    assert (why is None) if reason is None else (why is not None and reason in why)

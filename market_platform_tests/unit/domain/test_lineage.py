"""The version of several days."""

from __future__ import annotations

from datetime import date

from market_platform.domain.conditions import Condition
from market_platform.domain.lineage import version_of_days

MONDAY = (date(2024, 3, 4), Condition.AVAILABLE, "a")
TUESDAY = (date(2024, 3, 5), Condition.CLOSED, "")


def test_it_changes_with_any_day_and_not_with_their_order() -> None:
    version = version_of_days([MONDAY, TUESDAY])
    assert len(version) == 32
    assert version_of_days([TUESDAY, MONDAY]) == version
    others = [
        [],
        [MONDAY],
        [(MONDAY[0], Condition.AVAILABLE, "b"), TUESDAY],
        [(MONDAY[0], Condition.DEGRADED, "a"), TUESDAY],
        [MONDAY, (date(2024, 3, 6), Condition.CLOSED, "")],
    ]
    versions = {version, *map(version_of_days, others)}
    assert len(versions) == 1 + len(others)
    assert "" not in versions

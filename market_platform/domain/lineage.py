"""Versions of what data is built from, so that what was built from something else is found.

Belongs here: how versions of several inputs become one. Does not: where they are stored (warehouse), who rebuilds (defs).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date

from market_platform.domain.conditions import Condition


def version_of_days(days: Iterable[tuple[date, Condition, str]]) -> str:
    """The version of what a week or month is built from: 32 hex digits, never empty.

    `days` are the days of the period that are known, each with the condition and the data version of its 1d candles, in any
    order. It changes when a day appears, or one's candles or condition change: a period's condition comes from its days'.
    """
    text = "\n".join(f"{day} {condition.value} {version}" for day, condition, version in sorted(days))
    return hashlib.sha256(text.encode()).hexdigest()[:32]

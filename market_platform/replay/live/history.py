"""How far back the generated exchanges answer. Belongs here: that. Does not: what they answer."""

from __future__ import annotations

from datetime import UTC

from market_platform.domain.clock import from_ms, to_ms


def listed_from_ms(now_ms: int) -> int:
    """The first moment of every market: the beginning of the month before the last one."""
    now = from_ms(now_ms).astimezone(UTC)
    months = now.year * 12 + now.month - 1 - 2
    return to_ms(
        now.replace(year=months // 12, month=months % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
    )

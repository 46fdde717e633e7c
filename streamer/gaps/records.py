"""Gaps as the ledger takes them. Belongs here: making them of what is missed. Does not: when they are written (log.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from market_platform.domain.clock import from_ms, to_ms
from market_platform.domain.gaps import Missed
from market_platform.domain.live import LivePair
from market_platform.warehouse.gaps import Gap, GapRecord


def record_of(pair: LivePair, missed: Missed) -> GapRecord:
    """One that has just been found, and has no end yet."""
    return GapRecord(
        pair.id,
        missed.kind,
        from_ms(missed.start_ms),
        missed.reason,
        missed.interval,
        None,
        missed.first_id,
        missed.last_id,
        missed.detail,
    )


def unended(gap: Gap) -> GapRecord:
    """One that the ledger has without an end."""
    return GapRecord(
        gap.trading_pair_id,
        gap.kind,
        gap.start,
        gap.reason,
        gap.interval,
        None,
        gap.first_id,
        gap.last_id,
        gap.detail,
    )


def key_of(gap: GapRecord) -> str:
    """What is the same for the same gap."""
    parts = (gap.trading_pair_id, gap.kind, gap.interval or "", to_ms(gap.start), gap.reason, gap.first_id or "")
    return ":".join(str(part) for part in parts)


def joined(gaps: Sequence[GapRecord]) -> GapRecord:
    """One that holds ended gaps of a stream; what it holds beyond them is asked for in vain, and harmless."""
    first = min(gaps, key=lambda gap: gap.start)
    ids = [each for gap in gaps for each in (gap.first_id, gap.last_id) if each is not None]
    return replace(
        first,
        end=max(gap.end or gap.start for gap in gaps),
        first_id=min(ids) if ids else None,
        last_id=max(ids) if ids else None,
        detail=f"{len(gaps)} gaps in one, Postgres being away",
    )

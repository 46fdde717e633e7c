"""Repair of gaps: ask an exchange for what a stream missed, hand it on, and say what came of it.

Belongs here: what to ask for a gap, whether the answer is all of it, and what the ledger is told. Does not: which gaps are due
and when (streamer/gaps/repair.py, defs/), how candles and trades become durable (the delivery), HTTP and its limits (exchanges/).

    kind      is asked for                                             and can't be had
    candles   every interval's candles that closed within the gap      before what the exchange still serves
    trades    by id, where ids count up by one                         where the exchange has no history of trades
    quotes    nothing                                                  always: no exchange keeps them
    context   nothing                                                  whole minutes without a row: what was streamed is nowhere else

Gaps that overlap are repaired as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from market_platform.domain.clock import from_ms, to_ms
from market_platform.domain.errors import HistoryGoneError, MarketPlatformError, is_retryable
from market_platform.domain.intervals import MINUTE_MS
from market_platform.domain.live import LivePair
from market_platform.exchanges.live import LiveRest
from market_platform.pipeline.gap_candles import repair_candles
from market_platform.pipeline.gap_outcomes import Delivery, Outcome, end_ms
from market_platform.pipeline.gap_trades import repair_trades
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.gap_repairs import (
    LostPart,
    advance_gap,
    begin_attempt,
    close_gap,
    lock_as_seen,
    mark_unrepairable,
    record_failure,
)
from market_platform.warehouse.gaps import Gap
from market_platform.warehouse.market_context import load_minutes_without_context

__all__ = ["Delivery", "Outcome", "attempt_repair", "overlapping_gaps", "repair_gaps"]

_MINUTE = timedelta(milliseconds=MINUTE_MS)
_CONTEXT_ATTEMPTS = 3
HOPELESS = 10
"""Attempts after which an error that a retry can't help is final."""

_NO_QUOTES = "no exchange serves the quotes of the past"
_NO_CONTEXT = "funding rates and open interest as they were streamed are served by no exchange afterwards"


def overlapping_gaps(gaps: Sequence[Gap]) -> list[list[Gap]]:
    """Gaps to repair as one: of the same pair, kind and interval, and overlapping in ids (trades) or time; newest first."""
    groups: list[tuple[tuple[object, ...], int, float, list[Gap]]] = []
    for gap in sorted(gaps, key=lambda each: (_what(each), _span(each))):
        what = _what(gap)
        first, last = _span(gap)
        if groups and groups[-1][0] == what and first <= groups[-1][2]:
            _, begin, end, members = groups[-1]
            groups[-1] = (what, begin, max(end, last), [*members, gap])
        else:
            groups.append((what, first, last, [gap]))
    return sorted((members for *_, members in groups), key=lambda each: max(gap.start for gap in each), reverse=True)


async def repair_gaps(
    warehouse: Warehouse,
    gaps: Sequence[Gap],
    pair: LivePair,
    rest: LiveRest,
    delivery: Delivery,
    *,
    run_id: str | None = None,
) -> Outcome:
    """One attempt at gaps that overlap (`overlapping_gaps`), all of this pair: from counting it to writing what came of it.

    Errors of the exchange are outcomes.

    Raises:
        WarehouseError: the ledger can't be written; the attempt is made again later, which is harmless.
    """
    ids = [gap.id for gap in gaps]

    def begin() -> set[int]:
        with warehouse.begin() as conn:
            return begin_attempt(conn, ids, run_id)

    still_open = await asyncio.to_thread(begin)
    gaps = [gap for gap in gaps if gap.id in still_open]
    if not gaps:
        return Outcome(note="nothing is open any more")
    if gaps[0].kind == "context":
        outcome = await asyncio.to_thread(_context, warehouse, gaps)
    else:
        outcome = await attempt_repair(gaps, pair, rest, delivery)
    await asyncio.to_thread(_settle, warehouse, gaps, outcome, run_id)
    return outcome


async def attempt_repair(gaps: Sequence[Gap], pair: LivePair, rest: LiveRest, delivery: Delivery) -> Outcome:
    """Ask for what overlapping gaps of any kind but `context` miss and hand it on; the ledger is not touched."""
    kind, attempts = gaps[0].kind, max(gap.attempts for gap in gaps) + 1
    try:
        if kind == "candles":
            return await repair_candles(gaps, pair, rest, delivery, attempts)
        if kind == "trades":
            return await repair_trades(gaps, pair, rest, delivery)
    except HistoryGoneError as error:
        return Outcome(unrepairable=str(error))
    except MarketPlatformError as error:
        if attempts >= HOPELESS and not is_retryable(error):
            return Outcome(unrepairable=f"given up after {attempts} attempts: {error}")
        return Outcome(error=str(error))
    return Outcome(unrepairable=_NO_QUOTES)


def _context(warehouse: Warehouse, gaps: Sequence[Gap]) -> Outcome:
    """Rows are minutes, the last reading of each: lost are the whole minutes of which there is none.

    The row of a minute that is just over may be on its way, so that a first attempt does not give up.
    """
    start = -(-min(to_ms(gap.start) for gap in gaps) // MINUTE_MS)
    end = max(end_ms(gap) for gap in gaps) // MINUTE_MS
    if end <= start:
        return Outcome(note="no whole minute was missed")
    with warehouse.connect() as conn:
        first, last = from_ms(start * MINUTE_MS), from_ms(end * MINUTE_MS)
        missing = load_minutes_without_context(conn, gaps[0].trading_pair_id, first, last)
    if not missing:
        return Outcome(note="every minute has its row: nothing is missing")
    if max(gap.attempts for gap in gaps) + 1 < _CONTEXT_ATTEMPTS:
        return Outcome(error=f"{len(missing)} minutes have no row yet")
    if len(missing) == end - start:
        return Outcome(unrepairable=_NO_CONTEXT)
    return Outcome(lost=tuple(_lost_minutes(missing)))


def _lost_minutes(minutes: Sequence[datetime]) -> list[LostPart]:
    """Minutes, sorted, as spans without a hole."""
    parts: list[LostPart] = []
    for minute in minutes:
        if parts and parts[-1].end == minute:
            parts[-1] = replace(parts[-1], end=minute + _MINUTE)
        else:
            parts.append(LostPart(minute, minute + _MINUTE, _NO_CONTEXT))
    return parts


def _settle(warehouse: Warehouse, gaps: Sequence[Gap], outcome: Outcome, run_id: str | None) -> None:
    with warehouse.begin() as conn:
        unchanged = lock_as_seen(conn, gaps)
        gaps = [gap for gap in gaps if gap.id in unchanged]
        if not gaps:  # the next attempt asks for the rest, too
            return
        first, *others = gaps
        if outcome.error is not None:
            record_failure(conn, [gap.id for gap in gaps], outcome.error)
            for gap in gaps:
                next_id = outcome.next_id or 0
                if gap.last_id is not None and next_id > gap.last_id:
                    close_gap(conn, gap.id, 0, note=_with(first), run_id=run_id)
                elif gap.first_id is not None and next_id > gap.first_id:
                    advance_gap(conn, gap.id, next_id)
        elif outcome.unrepairable is not None:
            for gap in gaps:
                mark_unrepairable(conn, gap.id, outcome.unrepairable, run_id=run_id)
        else:
            close_gap(conn, first.id, outcome.rows, lost=outcome.lost, note=outcome.note, run_id=run_id)
            for gap in others:
                close_gap(conn, gap.id, 0, note=_with(first), run_id=run_id)


def _with(first: Gap) -> str:
    return f"repaired with gap {first.id}"


def _what(gap: Gap) -> tuple[int, str, str, bool]:
    return gap.trading_pair_id, gap.kind, gap.interval or "", gap.first_id is not None


def _span(gap: Gap) -> tuple[int, float]:
    if gap.kind == "trades" and gap.first_id is not None:
        return gap.first_id, float("inf") if gap.last_id is None else gap.last_id + 1
    return to_ms(gap.start), end_ms(gap)

"""Trades that a stream missed, by their ids.

Belongs here: which ids those are, and asking for them in pieces that are made durable one by one. Does not: gaps of other
kinds, the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from market_platform.domain.errors import MarketPlatformError
from market_platform.domain.events import Trade
from market_platform.domain.live import LivePair
from market_platform.exchanges.live import LiveRest
from market_platform.pipeline.gap_outcomes import Delivery, Outcome, end_ms
from market_platform.warehouse.gaps import Gap

TRADES_AT_ONCE = 5_000
"""Trades asked for and made durable at a time."""
_AFTER_END_MS = 2_000
"""Trades within so much of a gap's end may have been missed too, where nobody knows the last id."""
_NO_HISTORY = "the exchange has no history of trades"
_NO_ID = "no trade was known before it: the record of trades begins after it"


async def repair_trades(gaps: Sequence[Gap], pair: LivePair, rest: LiveRest, delivery: Delivery) -> Outcome:
    """Ask for the trades that overlapping gaps of a pair miss, and hand them on.

    Raises:
        ExchangeError: there is no answer, or a wrong one, to the very first question. A later one is an outcome, so that
            the next attempt goes on from there.
    """
    known = [gap.first_id for gap in gaps if gap.first_id is not None]
    newest = await rest.last_trade_id(pair)
    if newest is None:
        return Outcome(unrepairable=_NO_HISTORY)
    if not known:
        return Outcome(note=_NO_ID)
    next_id, rows = min(known), 0
    try:
        async for trades in _missed(gaps, next_id, newest, pair, rest):
            delivery.trades(pair, trades)
            await delivery.committed()
            rows += len(trades)
            next_id = trades[-1].trade_id + 1
    except MarketPlatformError as error:
        if not rows:
            raise
        return Outcome(rows, next_id=next_id, error=str(error))
    return Outcome(rows)


async def _missed(
    gaps: Sequence[Gap], first_id: int, newest: int, pair: LivePair, rest: LiveRest
) -> AsyncIterator[list[Trade]]:
    """Trades from `first_id` to the last known id of the gaps; without one, until a trade is younger than the gap."""
    last_known = max((gap.last_id for gap in gaps if gap.last_id is not None), default=first_id - 1)
    until_ms = max((end_ms(gap) for gap in gaps if gap.last_id is None), default=None)
    cursor = first_id
    while cursor <= last_known or (until_ms is not None and cursor <= newest):
        bound = last_known if until_ms is None else max(last_known, newest)
        trades = await rest.trades(pair, cursor, min(bound, cursor + TRADES_AT_ONCE - 1))
        if not trades:
            return
        yield trades
        cursor = trades[-1].trade_id + 1
        if until_ms is not None and trades[-1].time_ms > until_ms + _AFTER_END_MS:
            until_ms = None

"""Repair of chosen gaps without a streamer: for Dagster's runs and for the command line.

Belongs here: from ids of gaps to their repair, one exchange at a time. Does not: choosing the gaps, what a repair is
(gap_repair.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from market_platform.domain.live import LivePair
from market_platform.exchanges.live import LiveExchange
from market_platform.pipeline.gap_delivery import DirectDelivery
from market_platform.pipeline.gap_outcomes import Outcome
from market_platform.pipeline.gap_repair import overlapping_gaps, repair_gaps
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.warehouse.gap_repairs import mark_unrepairable
from market_platform.warehouse.gaps import Gap, GapFilter, list_gaps
from market_platform.warehouse.live_pairs import load_live_pairs

OnOutcome = Callable[[Sequence[Gap], Outcome], None]

_NOT_STREAMED = Outcome(unrepairable="the pair is not streamed any more")


async def repair_chosen(
    platform: Platform,
    exchange: LiveExchange,
    gap_ids: Sequence[int],
    provenance: Provenance,
    on_outcome: OnOutcome,
) -> None:
    """One attempt at those gaps of the exchange that are open and have ended; `on_outcome` hears of each group.

    Gaps of pairs that are not streamed any more are given up.

    Raises:
        ConfigError: the exchange can't be opened.
        WarehouseError, LakeError: the ledger, or what was repaired, can't be written.
    """
    dialect = exchange.dialect
    with platform.warehouse.connect() as conn:
        gaps = list_gaps(conn, GapFilter(ids=gap_ids, exchange=dialect.exchange, state="open"), limit=len(gap_ids) + 1)
        pairs = load_live_pairs(
            conn,
            [dialect.exchange],
            lambda _exchange, coin, quote, market_type: dialect.wire_symbol(coin, quote, market_type),
        )
    by_id: dict[int, LivePair] = {pair.id: pair for pair in pairs}
    groups = overlapping_gaps([gap for gap in gaps if gap.end is not None])
    delivery = DirectDelivery(platform, provenance)
    async with exchange.rest() as rest:
        for group in groups:
            pair = by_id.get(group[0].trading_pair_id)
            if pair is None:
                outcome = _give_up(platform, group, provenance)
            else:
                outcome = await repair_gaps(platform.warehouse, group, pair, rest, delivery, run_id=provenance.run_id)
            on_outcome(group, outcome)


def _give_up(platform: Platform, gaps: Sequence[Gap], provenance: Provenance) -> Outcome:
    assert _NOT_STREAMED.unrepairable is not None
    with platform.warehouse.begin() as conn:
        for gap in gaps:
            mark_unrepairable(conn, gap.id, _NOT_STREAMED.unrepairable, run_id=provenance.run_id)
    return _NOT_STREAMED

"""Until when a pair's candles are known as it begins to be streamed: what came after that was missed.

Belongs here: that moment. Does not: SQL (warehouse/gaps.py), the gap that follows from it (routing/outages.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from market_platform.domain.clock import to_ms
from market_platform.domain.intervals import bucket_end
from market_platform.domain.live import LivePair
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.gaps import LastCandle, load_last_candles


def last_candle_ends(warehouse: Warehouse, pairs: Sequence[LivePair]) -> Mapping[int, int]:
    """By pair id: until when its candles are known, in ms; pairs without any are left out. Blocks.

    That is the end of the newest stored candle of its shortest interval, or the open time of an earlier candle that its
    exchange was yet to confirm when the streamer ended.

    Raises:
        WarehouseUnavailableError: Postgres does not answer.
    """
    with warehouse.connect() as conn:
        last = load_last_candles(conn, [listed for pair in pairs for listed in pair.starlistings.values()])
    ends = ((pair.id, _end_ms(pair, last)) for pair in pairs)
    return {pair_id: end_ms for pair_id, end_ms in ends if end_ms is not None}


def _end_ms(pair: LivePair, last: Mapping[int, LastCandle]) -> int | None:
    listed = {each: pair.starlistings[each.name] for each in pair.intervals}
    known = {interval: last[starlisting_id] for interval, starlisting_id in listed.items() if starlisting_id in last}
    if not pair.intervals or pair.intervals[0] not in known:
        return None
    end_ms = bucket_end(to_ms(known[pair.intervals[0]].time), pair.intervals[0])
    if pair.candles_from != "exchange":
        return end_ms
    return min([end_ms, *(to_ms(each.unconfirmed) for each in known.values() if each.unconfirmed is not None)])

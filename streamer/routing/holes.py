"""Trade ids that a stream left out: a gap from the moment they are, so that no kill forgets them; decided once they came or did not.

Belongs here: noting and deciding such gaps. Does not: which ids were left out (pair_state.py), outages (outages.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from market_platform.domain.gaps import Missed
from market_platform.domain.ids import IdRange
from streamer.gaps.keeper import GapKeeper
from streamer.routing.pair_state import PairState


class Holes:
    """Of one exchange's pairs."""

    def __init__(self, keeper: GapKeeper) -> None:
        self._keeper = keeper

    def suspect(self, state: PairState, jumps: Sequence[IdRange]) -> None:
        """Those ids were left out just now. To be called before the trades after them are kept."""
        for ids in jumps:
            if not _is_told(state, ids) and state.misses(ids):
                state.suspected[ids] = self._keeper.begin(state.pair, _missed(ids, state.trade_before_hole_ms))

    def decide(self, state: PairState, holes: Sequence[IdRange], now_ms: int) -> int:
        """Those did not come within their grace, whatever is not missed any more did. Returns how many gaps there are of it."""
        gone = {ids for ids in state.suspected for hole in holes if _within(hole, ids)}
        for ids in [each for each in state.suspected if each in gone or not state.misses(each)]:
            self._keeper.end(state.suspected.pop(ids), now_ms, ids.last if ids in gone else ids.first - 1)
        others = [hole for hole in holes if not _is_told(state, hole) and not any(_within(hole, ids) for ids in gone)]
        for hole in others:
            self._keeper.within(state.pair, _missed(hole, min(state.trade_before_hole_ms or now_ms, now_ms)), now_ms)
        return len(gone) + len(others)


def _missed(ids: IdRange, start_ms: int) -> Missed:
    return Missed("trades", start_ms, "id_hole", first_id=ids.first, last_id=ids.last)


def _within(hole: IdRange, ids: IdRange) -> bool:
    return ids.first <= hole.first <= ids.last


def _is_told(state: PairState, hole: IdRange) -> bool:
    """Whether the gap of an outage says so already."""
    return state.told_until is not None and hole.last <= state.told_until

"""Why two sides of a proof differ: what is known of the day, looked up for every difference. Pure.

Belongs here: from evidence to a reason. Does not: finding differences (proof.py), collecting evidence (pipeline/proof.py).

A reason needs evidence: a row of the gap ledger, numbers of trades that are missing, sums that agree across a minute's edge, or two
sides that agree against the third. What has none stays `unexplained` (or `minute_missing`), and nobody should be content with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as of_dataclass
from decimal import Decimal

from market_platform.domain.intervals import MINUTE_MS
from market_platform.domain.proof import MINUTE, Difference, Reason, Side
from market_platform.domain.trade_minutes import IdHole, is_near_edge, prices_of_one_moment
from market_platform.domain.trades import Trades

_ACROSS_MS = 1_000
"""How far from a minute's edge an aggregated trade may lie whose single trades are on both sides of it."""


@dataclass(frozen=True, slots=True)
class KnownGap:
    """A gap of the ledger: which side it spoils, and when; `end_ms` is exclusive. One that was repaired explains nothing."""

    side: Side
    start_ms: int
    end_ms: int
    name: str
    repaired: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the day.

    `begins` are moments before which a side has no record. `confirmed` are minutes whose streamed candle is the exchange's
    own closed one. `numbered` says whether trades are numbered up by one, and so in order within a millisecond; `all_sides`
    whether none of the three was left out.
    """

    gaps: Sequence[KnownGap] = ()
    holes: Sequence[IdHole] = ()
    begins: Mapping[Side, int] = of_dataclass(default_factory=dict)
    confirmed: frozenset[int] = frozenset()
    trades: Trades | None = None
    numbered: bool = True
    all_sides: bool = False


def explain(differences: Sequence[Difference], evidence: Evidence) -> tuple[Difference, ...]:
    """The same differences, each with its reason and, where there is more to say, a detail."""
    known = _Known(evidence, differences)
    return tuple(known.explained(each) for each in differences)


class _Known:
    """Evidence, by minute."""

    def __init__(self, evidence: Evidence, differences: Sequence[Difference]) -> None:
        self._evidence = evidence
        self._differing: dict[int, set[str]] = {}
        for each in differences:
            self._differing.setdefault(each.time_ms, set()).add(each.sides)
        self._missed = {field: _missed(differences, field) for field in ("volume", "num_trades")}

    def explained(self, each: Difference) -> Difference:
        """The difference with its reason."""
        sides = (each.left, each.right)
        for reason, detail in self._candidates(each, sides):
            if detail is not None:
                return replace(each, reason=reason, detail=detail)
        reason = Reason.MINUTE_MISSING if each.field == MINUTE else Reason.UNEXPLAINED
        return replace(each, reason=reason, detail=self._left_to_say(each, sides))

    def _candidates(self, each: Difference, sides: tuple[Side, Side]) -> Iterable[tuple[Reason, str | None]]:
        """Reasons in the order of their strength, each with its detail, or None where it does not apply."""
        yield Reason.NOT_RECORDED, self._not_recorded(each.time_ms, sides)
        yield Reason.GAP, self._gap(each.time_ms, sides, repaired=False)
        if Side.REBUILT in sides:
            yield Reason.TRADE_MISSING, self._hole(each.time_ms, "trades")
            yield Reason.SINGLE_TRADES, self._single_trades(each)
            yield Reason.SAME_MOMENT, self._same_moment(each)
        if Side.EXCHANGE in sides:
            yield Reason.REISSUED, self._reissued(each.time_ms)

    def _not_recorded(self, time_ms: int, sides: tuple[Side, Side]) -> str | None:
        for side in sides:
            if time_ms < self._evidence.begins.get(side, time_ms):
                return f"{side} begins later that day"
        return None

    def _gap(self, time_ms: int, sides: tuple[Side, Side], *, repaired: bool) -> str | None:
        for gap in self._evidence.gaps:
            # a candle that closes as the gap begins may be missing as well
            overlaps = gap.start_ms <= time_ms + MINUTE_MS and gap.end_ms >= time_ms
            if gap.repaired is repaired and gap.side in sides and overlaps:
                return gap.name
        return None

    def _hole(self, time_ms: int, kind: str) -> str | None:
        found = [
            hole
            for hole in self._evidence.holes
            if hole.kind == kind and hole.after_ms < time_ms + MINUTE_MS and hole.before_ms >= time_ms
        ]
        if not found:
            return None
        noun = "trades" if kind == "trades" else "single trades"
        named = ", ".join(
            str(hole.first_id) if hole.count == 1 else f"{hole.first_id} to {hole.last_id}" for hole in found[:3]
        )
        more = f" and {len(found) - 3} more holes" if len(found) > 3 else ""
        return f"{noun} {named}{more}"

    def _single_trades(self, each: Difference) -> str | None:
        """Single ids that no aggregate has (liquidations), or volume that is a minute further on the other side."""
        across = self._across(each)
        if across is not None:
            return across
        missed = self._missed["volume"].get((each.time_ms, each.sides), Decimal(0))
        fewer = self._missed["num_trades"].get((each.time_ms, each.sides), Decimal(0))
        return self._hole(each.time_ms, "single") if min(missed, fewer) >= 0 and missed + fewer > 0 else None

    def _across(self, each: Difference) -> str | None:
        trades = self._evidence.trades
        volumes = self._missed["volume"]
        missed = volumes.get((each.time_ms, each.sides))
        if trades is None or not missed:
            return None
        for neighbour, edge in ((-MINUTE_MS, each.time_ms), (MINUTE_MS, each.time_ms + MINUTE_MS)):
            if volumes.get((each.time_ms + neighbour, each.sides)) == -missed and is_near_edge(
                trades, edge, _ACROSS_MS
            ):
                return "the same volume is in the minute beside it: an aggregate lies across the edge"
        return None

    def _same_moment(self, each: Difference) -> str | None:
        trades = self._evidence.trades
        if self._evidence.numbered or trades is None or each.field not in ("open", "close"):
            return None
        theirs = each.right_value if each.left is Side.REBUILT else each.left_value
        prices = prices_of_one_moment(trades, each.time_ms, "open" if each.field == "open" else "close")
        if theirs is None or Decimal(theirs) not in prices:
            return None
        return f"{len(prices)} prices within one millisecond"

    def _reissued(self, time_ms: int) -> str | None:
        evidence = self._evidence
        if not evidence.all_sides or time_ms not in evidence.confirmed:
            return None
        if f"{Side.STREAMED}/{Side.REBUILT}" in self._differing[time_ms]:
            return None
        return "streamed and rebuilt agree"

    def _left_to_say(self, each: Difference, sides: tuple[Side, Side]) -> str:
        """Who agrees with whom, and a gap that was repaired: where a person should begin to look."""
        said = []
        if self._evidence.all_sides and len(self._differing[each.time_ms]) == 2:
            agreeing = {"streamed/rebuilt", "streamed/exchange", "rebuilt/exchange"} - self._differing[each.time_ms]
            said.append(f"{agreeing.pop().replace('/', ' and ')} agree")
        repaired = self._gap(each.time_ms, sides, repaired=True)
        if repaired is not None:
            said.append(f"in {repaired}, which was repaired")
        return "; ".join(said)


def _missed(differences: Iterable[Difference], field: str) -> dict[tuple[int, str], Decimal]:
    """How much less of it the trades make than the other side has, by minute and sides."""
    missed: dict[tuple[int, str], Decimal] = {}
    for each in differences:
        if each.field == field and each.left_value is not None and each.right_value is not None:
            more = Decimal(each.right_value) - Decimal(each.left_value)
            missed[each.time_ms, each.sides] = more if each.left is Side.REBUILT else -more
    return missed

"""What a pair has to say, to those who want to know: the sink, the clients, the gap ledger and the REST side.

Belongs here: who is told of what. Does not: what a pair has to say (pair_state.py), storing (the sink).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from market_platform.domain.events import Candle
from market_platform.domain.gaps import Missed
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from streamer.gaps.keeper import GapKeeper
from streamer.routing.exchange_clock import ExchangeClock
from streamer.routing.holes import Holes
from streamer.routing.outages import Outages
from streamer.routing.pair_state import Outcome, PairState, Traits
from streamer.routing.tallies import Tallies
from streamer.sink import Sink


class Asked(Protocol):
    """Takes ranges of candles that the exchange's REST side must say something about."""

    def want(self, pair: LivePair, interval: str, start_ms: int, end_ms: int) -> None:
        """The candles that open in [start, end) of the pair."""
        ...


class Shows(Protocol):
    """Takes candles that are not closed, for clients."""

    def candle(self, starlisting_id: int, candle: Candle, event_ms: int) -> None:
        """The newest state of one."""
        ...


class Outlet:
    """Of one exchange."""

    def __init__(
        self,
        traits: Traits,
        sink: Sink,
        keeper: GapKeeper,
        shows: Shows,
        asked: Asked,
        outages: Outages,
        tallies: Tallies,
        clock: ExchangeClock,
    ) -> None:
        self._traits = traits
        self._sink = sink
        self._keeper = keeper
        self._shows = shows
        self._asked = asked
        self._outages = outages
        self._holes = Holes(keeper)
        self._tallies = tallies
        self._clock = clock

    def hand_on(self, state: PairState) -> None:
        """Everything that the pair has to say; it has said it then.

        Raises:
            IntakeStoppedError: the sink takes nothing more.
        """
        out, pair = state.out, state.pair
        state.out = Outcome()
        rows = self._tallies.rows
        if out.trades:
            self._outages.trades_came(state, out.trades)
            self._holes.suspect(state, out.jumps)
            self._sink.trades(pair, out.trades)
            rows["trades"] += len(out.trades)
        if out.quotes:
            self._sink.quotes(pair, out.quotes)
            rows["quotes"] += len(out.quotes)
        if out.closed:
            rank = CandleRank.EXCHANGE if self._traits.candles_flagged else CandleRank.LIVE_STREAM
            self.candles(pair, out.closed, rank)
        if out.built:
            self.candles(pair, out.built, CandleRank.LIVE_STREAM)
        for minute_ms, funding in out.funding:
            self._sink.funding(pair, minute_ms, funding)
            rows["funding_rates"] += 1
        for minute_ms, open_interest in out.open_interest:
            self._sink.open_interest(pair, minute_ms, open_interest)
            rows["open_interest"] += 1
        for candle in out.forming:
            starlisting_id = pair.starlistings.get(candle.interval)
            if starlisting_id is not None:
                self._shows.candle(starlisting_id, candle, candle.event_ms or self._clock.now())
        self._tell_missing(state, out)

    def candles(self, pair: LivePair, candles: Sequence[Candle], rank: CandleRank) -> None:
        """Closed candles; those of intervals that nobody listed are nothing.

        Raises:
            IntakeStoppedError: the sink takes nothing more.
        """
        wanted = [each for each in candles if each.interval in pair.starlistings]
        if wanted:
            self._sink.candles(pair, wanted, rank)
            self._tallies.rows["candles"] += len(wanted)

    def _tell_missing(self, state: PairState, out: Outcome) -> None:
        pair, now_ms, gaps = state.pair, self._clock.now(), self._tallies.gaps
        for interval, start_ms, end_ms in out.missing:
            self._keeper.within(pair, Missed("candles", start_ms, "missing_candle", interval), end_ms)
            gaps["missing_candle"] += 1
        for interval, start_ms, end_ms in out.unconfirmed:
            self._asked.want(pair, interval, start_ms, end_ms)
        if out.holes or state.suspected:
            gaps["id_hole"] += self._holes.decide(state, out.holes, now_ms)

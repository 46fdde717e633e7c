"""All generated markets of one seed, made when they are first asked for. Belongs here: that. Does not: wire formats."""

from __future__ import annotations

from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.markets import LISTED, Market, Venue, coin_market, markets_of
from market_platform.replay.live.oanda.quotes import Quotes
from market_platform.replay.live.recorded import Recording, Recordings
from market_platform.replay.live.tape import Tape


class World:
    """Markets, their trades and candles, and what time it is there; recorded symbols are played instead of generated.

    May be used by several threads.
    """

    def __init__(self, seed: int, clock: ExchangeClock, recordings: Recordings | None = None) -> None:
        self.seed = seed
        self.recordings = recordings
        self.clock = clock
        self.quotes = Quotes(seed, clock)
        self._books: dict[tuple[Venue, str], CandleBook] = {}

    def market(self, venue: Venue, symbol: str) -> Market | None:
        """A market by the exchange's own spelling; None when it has none such."""
        return LISTED.get((venue, symbol)) or coin_market(venue, symbol)

    def markets(self, venue: Venue) -> list[Market]:
        """Everything that a venue lists."""
        return markets_of(venue)

    def recording(self, venue: Venue, symbol: str) -> Recording | None:
        """What is played instead of a generated market; mostly nothing."""
        return None if self.recordings is None else self.recordings.of(venue, symbol)

    def book(self, market: Market) -> CandleBook:
        """The candles, and behind them the tape, of a market."""
        name = (market.venue, market.symbol)
        if name not in self._books:
            self._books.setdefault(name, CandleBook(Tape(self.seed, market)))
        return self._books[name]

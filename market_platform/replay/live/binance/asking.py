"""What a REST request of Binance asks for. Belongs here: parameters and refusals. Does not: answers."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.markets import Market, Venue
from market_platform.replay.live.recorded import Recording
from market_platform.replay.live.world import World


class RestError(Exception):
    """An answer other than 200, with Binance's own code."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to one side."""

    world: World
    venue: Venue
    request: Request

    @property
    def now_ms(self) -> int:
        """The exchange's time."""
        return self.world.clock.now_ms()

    def text(self, name: str) -> str:
        """A parameter; empty when it was not given."""
        return self.request.query_params.get(name, "")

    def number(self, name: str) -> int | None:
        """A parameter that is a number.

        Raises:
            RestError: it is none.
        """
        text = self.request.query_params.get(name)
        if text is None:
            return None
        if not text.isdecimal() or len(text) > 18:
            raise RestError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        return int(text)

    def limit(self, most: int) -> int:
        """The rows asked for: 500 unless told, and no more than there may be."""
        return min(self.number("limit") or 500, most)

    def market(self) -> tuple[Market, CandleBook]:
        """The market asked for.

        Raises:
            RestError: there is none.
        """
        symbol = self.text("symbol")
        if not symbol:
            raise RestError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        market = self.world.market(self.venue, symbol)
        if market is None:
            raise RestError(-1121, "Invalid symbol.")
        return market, self.world.book(market)

    def recording(self) -> Recording | None:
        """What is played instead of the market asked for."""
        return self.world.recording(self.venue, self.text("symbol"))

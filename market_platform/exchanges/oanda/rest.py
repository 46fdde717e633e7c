"""What OANDA answers over REST: complete candles of mid prices, and an account's instruments.

Days, weeks and months are asked for in UTC, weeks from Monday. A page is asked for by its start and a count, never by its
end, which OANDA refuses when it lies in the future; an answer may be shorter than asked for, so the end of the data is an
answer without anything new.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from market_platform.domain.clock import from_ms
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeError,
    HistoryGoneError,
    MarketPlatformError,
    UnknownSymbolError,
)
from market_platform.domain.events import Candle, Funding, OpenInterest, Trade
from market_platform.domain.intervals import Interval, bucket_end
from market_platform.domain.live import LivePair
from market_platform.exchanges.json_rest import JsonRest, RestRequest
from market_platform.exchanges.oanda import wire
from market_platform.exchanges.wire_checks import first_open

PAGE_CANDLES = 5_000
GRANULARITIES = {
    "1m": "M1",
    "5m": "M5",
    "15m": "M15",
    "30m": "M30",
    "1h": "H1",
    "4h": "H4",
    "12h": "H12",
    "1d": "D",
    "1w": "W",
    "1M": "M",
}
"""Our intervals in OANDA's words."""
_UTC_ALIGNMENT = {"dailyAlignment": "0", "alignmentTimezone": "UTC", "weeklyAlignment": "Monday"}


class NotYetError(ExchangeError):
    """OANDA's clock has not reached the moment asked for; ours may be ahead of it."""


def refusal(status: int, body: bytes, what: str) -> MarketPlatformError | None:
    """What a 4xx means, in OANDA's own words where it has some."""
    told = wire.refusal(body) or body[:200].decode(errors="replace")
    if status in (401, 403):
        return ExchangeError(f"{what}: OANDA refuses OANDA_API_KEY or OANDA_ACCOUNT_ID (HTTP {status}: {told})")
    if status == 404 or (status == 400 and "instrument" in told):
        return UnknownSymbolError(
            f"{what}: OANDA does not know it (HTTP {status}: {told}); check the pair, and OANDA_REST_URL"
        )
    if status == 400 and "in the future" in told.lower():
        return NotYetError(f"{what}: HTTP 400: {told}")
    if status == 400:
        return BadPayloadError(f"{what}: HTTP 400: {told}")
    return None


class OandaRest:
    """A `LiveRest`, open for as long as its `JsonRest` is."""

    def __init__(self, rest: JsonRest, account: str) -> None:
        self._rest = rest
        self._account = account

    async def candles(self, pair: LivePair, interval: Interval, start_ms: int, end_ms: int) -> list[Candle]:
        """The complete candles that open in [start, end), sorted, each once, all pages; none for hours without a price.

        Raises:
            UnknownSymbolError: OANDA has no such instrument.
            ExchangeError: it refuses the key or the account; asking again can't help.
        """
        found: dict[int, Candle] = {}
        cursor = first_open(start_ms, interval)
        deadline = self._rest.deadline()
        while cursor < end_ms:
            try:
                complete, forming = await self._page(pair.wire, interval, cursor, end_ms, deadline)
            except NotYetError:
                break
            fresh = {candle.open_ms: candle for candle in complete if candle.open_ms >= cursor}
            found |= fresh
            if forming or not fresh:
                break
            cursor = bucket_end(max(fresh), interval)
        return [candle for open_ms, candle in sorted(found.items()) if open_ms < end_ms]

    async def trades(self, pair: LivePair, first_id: int, last_id: int) -> list[Trade]:
        """Never any.

        Raises:
            HistoryGoneError: always; OANDA has quotes, and no history of them.
        """
        raise HistoryGoneError(
            f"{pair.name}: ticks {first_id} to {last_id} can't be had again: OANDA has no history of its quotes"
        )

    async def last_trade_id(self, pair: LivePair) -> int | None:  # noqa: ARG002
        """None: there are no trades."""
        return None

    async def context(self, pair: LivePair) -> list[Funding | OpenInterest]:  # noqa: ARG002
        """Nothing: there are no perpetuals."""
        return []

    async def known_symbols(self, market_type: str) -> frozenset[str]:
        """The instruments of the account; none are perpetuals."""
        if market_type == "perps":
            return frozenset()
        request = RestRequest("oanda instruments", f"/v3/accounts/{self._account}/instruments")
        return await self._rest.ask(request, wire.parse_instruments, self._rest.deadline())

    async def _page(
        self, instrument: str, interval: Interval, start_ms: int, end_ms: int, deadline: float
    ) -> tuple[list[Candle], list[int]]:
        """The next candles from `start_ms` on, complete ones and the open times of others.

        One more than the range holds, because OANDA sometimes sends one less than it was asked for.
        """
        request = candles_request(instrument, interval, start_ms, end_ms)
        return await self._rest.ask(request, candles_parser(instrument, interval), deadline)


def candles_request(instrument: str, interval: Interval, start_ms: int, end_ms: int) -> RestRequest:
    """The question for the mid candles of [start, end), in UTC: one more than they may be, and no more than a page has."""
    count = min(PAGE_CANDLES, -(-(end_ms - start_ms) // interval.ms) + 1)
    return RestRequest(
        f"oanda {instrument} {interval} candles from {start_ms}",
        f"/v3/instruments/{instrument}/candles",
        params={
            "granularity": GRANULARITIES[interval.name],
            "price": "M",
            "from": from_ms(start_ms).strftime("%Y-%m-%dT%H:%M:%S.000000000Z"),
            "count": str(count),
            "includeFirst": "true",
            "smooth": "false",
            **_UTC_ALIGNMENT,
        },
    )


def candles_parser(instrument: str, interval: Interval) -> Callable[[bytes], tuple[list[Candle], list[int]]]:
    """What makes complete candles, and open times of others, of its answer."""
    return partial(
        wire.parse_candles, instrument=instrument, granularity=GRANULARITIES[interval.name], interval=interval.name
    )

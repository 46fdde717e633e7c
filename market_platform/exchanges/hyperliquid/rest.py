"""What Hyperliquid answers over POST /info: candles of the recent past, and the names of its perpetuals.

An answer holds at most 5,000 candles, and the exchange serves no more than the newest 5,000 of a series. A candle counts
as closed when a later one follows it, or when it ended `settle_ms` ago by the exchange's own time, which its order book
tells and which is asked first. Weeks are made of days.
"""

from __future__ import annotations

from functools import partial

import msgspec

from market_platform.domain.clock import Clock, to_ms
from market_platform.domain.errors import BadPayloadError, HistoryGoneError, MarketPlatformError, UnknownSymbolError
from market_platform.domain.events import Candle, Funding, OpenInterest, Trade
from market_platform.domain.intervals import DAY_MS, Interval, bucket_end, bucket_start, parse_interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.hyperliquid.config import HyperliquidConfig
from market_platform.exchanges.hyperliquid.messages import REST_ONLY_INTERVALS
from market_platform.exchanges.hyperliquid.weeks import weeks_of_days
from market_platform.exchanges.hyperliquid.wire import parse_book_time, parse_meta, parse_snapshot
from market_platform.exchanges.json_rest import JsonRest, RestRequest
from market_platform.exchanges.wire_checks import first_open

PAGE_CANDLES = 5_000
"""The most candles in one answer, and the newest of a series that are served at all."""
SURELY_SERVED = 4_000
"""A candle that opened no more intervals ago than this is served, whatever the error of our clock."""
FULL = 4_900
"""An answer to "everything" with fewer candles is all that ever was: the market is young."""
_AHEAD_MS = 30 * DAY_MS
BASE_WEIGHT = 20.0
_LIGHT_WEIGHT = 2.0


def refusal(status: int, body: bytes, what: str) -> MarketPlatformError | None:
    """422: the request was not understood, which asking again does not change."""
    if status == 422:
        return BadPayloadError(f"{what}: HTTP 422: {body[:200].decode(errors='replace')}")
    return None


def snapshot_request(coin: str, interval: Interval, start_ms: int, until_ms: int) -> RestRequest:
    """The question for the candles that open from `start_ms` to `until_ms`, both included."""
    expected = min(PAGE_CANDLES, (until_ms - start_ms) // interval.ms + 1)
    asked = {"coin": coin, "interval": interval.name, "startTime": start_ms, "endTime": until_ms}
    return RestRequest(
        f"hyperliquid {coin} {interval} candles from {start_ms}",
        "/info",
        BASE_WEIGHT + expected / 60,
        "POST",
        body={"type": "candleSnapshot", "req": asked},
    )


class HyperliquidRest:
    """A `LiveRest`, open for as long as its `JsonRest` is."""

    def __init__(self, rest: JsonRest, config: HyperliquidConfig, clock: Clock) -> None:
        self._rest = rest
        self._config = config
        self._clock = clock
        self._names: dict[str, bool] = {}

    async def candles(self, pair: LivePair, interval: Interval, start_ms: int, end_ms: int) -> list[Candle]:
        """The closed candles that open in [start, end), sorted, each once, all pages.

        Raises:
            HistoryGoneError: the range begins before the newest 5,000 candles.
            UnknownSymbolError: `meta` has no such coin.
        """
        start = first_open(start_ms, interval)
        if start >= end_ms:
            return []
        if interval.name in REST_ONLY_INTERVALS:
            end = bucket_end(bucket_start(end_ms - 1, interval), interval)
            await self.require(pair.wire, self._rest.deadline())
            settled_ms = await self.settled_ms(pair.wire, self._rest.deadline())
            days = await self.candles(pair, parse_interval("1d"), start, end)
            return weeks_of_days(days, interval, settled_ms)
        deadline = self._rest.deadline()
        await self.require(pair.wire, deadline)
        settled_ms = await self.settled_ms(pair.wire, deadline)
        if start >= to_ms(self._clock()) - SURELY_SERVED * interval.ms:
            found = await self._pages(pair.wire, interval, start, end_ms, deadline)
        else:
            found = await self._everything(pair.wire, interval, start, end_ms, deadline)
        closed_ms = max(settled_ms, max(found, default=0))
        return [
            msgspec.structs.replace(candle, closed=True)
            for _, candle in sorted(found.items())
            if start <= candle.open_ms < end_ms and candle.end_ms <= closed_ms
        ]

    async def trades(self, pair: LivePair, first_id: int, last_id: int) -> list[Trade]:
        """Never any.

        Raises:
            HistoryGoneError: always; the exchange has no history of trades, and its ids have no order.
        """
        raise HistoryGoneError(
            f"{pair.name}: trades {first_id} to {last_id} can't be had again: Hyperliquid has no history of trades"
        )

    async def last_trade_id(self, pair: LivePair) -> int | None:  # noqa: ARG002
        """None: there is no history of trades."""
        return None

    async def context(self, pair: LivePair) -> list[Funding | OpenInterest]:  # noqa: ARG002
        """Nothing: the stream sends it all."""
        return []

    async def known_symbols(self, market_type: str) -> frozenset[str]:
        """Perpetuals that are traded, in the very case that a subscription needs; delisted ones are left out."""
        if market_type != "perps":
            return frozenset()
        await self._load_names(self._rest.deadline())
        return frozenset(name for name, traded in self._names.items() if traded)

    async def settled_ms(self, coin: str, deadline: float) -> int:
        """What ended before this is over, though nothing may have followed. Our own clock may be wrong, so it is not asked."""
        body = {"type": "l2Book", "coin": coin}
        request = RestRequest(f"hyperliquid {coin} time", "/info", _LIGHT_WEIGHT, "POST", body=body)
        return await self._rest.ask(request, parse_book_time, deadline) - self._config.settle_ms

    async def require(self, coin: str, deadline: float) -> None:
        """Make sure that the coin exists: candles of one that doesn't are answered with HTTP 500.

        Raises:
            UnknownSymbolError: `meta` has no such coin.
        """
        if coin not in self._names:
            await self._load_names(deadline)
        if coin not in self._names:
            raise UnknownSymbolError(f"hyperliquid has no perpetual {coin!r}; its `meta` lists them, and case matters")

    async def _load_names(self, deadline: float) -> None:
        request = RestRequest("hyperliquid meta", "/info", BASE_WEIGHT, "POST", body={"type": "meta"})
        self._names = await self._rest.ask(request, parse_meta, deadline)

    async def _pages(
        self, coin: str, interval: Interval, start_ms: int, end_ms: int, deadline: float
    ) -> dict[int, Candle]:
        """The candles from `start_ms` to the one after the range, which proves that those before it are closed."""
        after_ms = bucket_end(bucket_start(end_ms - 1, interval), interval)
        found: dict[int, Candle] = {}
        cursor = start_ms
        while cursor < end_ms:
            until = min(after_ms, bucket_start(cursor + (PAGE_CANDLES - 1) * interval.ms, interval))
            page = await self._snapshot(coin, interval, cursor, until, deadline)
            fresh = {candle.open_ms: candle for candle in page if cursor <= candle.open_ms <= until}
            found |= fresh
            newest = max(fresh, default=until)
            cursor = bucket_end(newest, interval)
        return found

    async def _everything(
        self, coin: str, interval: Interval, start_ms: int, end_ms: int, deadline: float
    ) -> dict[int, Candle]:
        """All that is served of a series.

        Raises:
            HistoryGoneError: that is not enough.
        """
        until = max(end_ms, to_ms(self._clock())) + _AHEAD_MS
        found = {candle.open_ms: candle for candle in await self._snapshot(coin, interval, 0, until, deadline)}
        earliest = min(found, default=start_ms)
        if len(found) >= FULL and start_ms < earliest:
            raise HistoryGoneError(
                f"hyperliquid {coin} {interval}: only the newest {PAGE_CANDLES} candles are served, from {earliest}",
                earliest_ms=earliest,
            )
        return found

    async def _snapshot(
        self, coin: str, interval: Interval, start_ms: int, until_ms: int, deadline: float
    ) -> list[Candle]:
        """One answer: the candles that open from `start_ms` to `until_ms`, both included."""
        request = snapshot_request(coin, interval, start_ms, until_ms)
        return await self._rest.ask(request, partial(parse_snapshot, coin=coin, interval=interval.name), deadline)

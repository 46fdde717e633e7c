"""Every trade of a market, as a function of the seed and the time.

Belongs here: ids, times, prices and sizes of trades. Does not: candles, wire formats. Nothing is stored and nothing depends
on what was asked before: each minute of the day has a fixed number of trades, so the ids of any minute are arithmetic,
and all else about a trade follows from its id and its second. Ids count from the first minute of 2020 and have no holes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market_platform.replay.cache import BoundedCache
from market_platform.replay.generator.seeds import stream
from market_platform.replay.live.markets import Market
from market_platform.replay.live.noise import Ints, PricePath, key, units, words

MINUTE_MS = 60_000
_DAY = 1440
_ORIGIN = 1_577_836_800 // 60
_KEPT_MINUTES = 32


@dataclass(frozen=True, slots=True)
class Trades:
    """Aggregate trades with contiguous ids, sorted: times in ms, prices in ticks' scale, sizes in lots' scale.

    `taker_buys` is 1 where the buyer took, else 0.
    """

    first_id: int
    time: Ints
    price: Ints
    lots: Ints
    taker_buys: Ints

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute's trades as Python numbers, for those who write them one by one."""

    first_id: int
    times: list[int]
    prices: list[int]
    lots: list[int]
    taker_buys: list[int]


class Tape:
    """All trades of one market."""

    def __init__(self, seed: int, market: Market) -> None:
        self.market = market
        name = (seed, market.venue, market.symbol)
        self._key = key(*name, "trades")
        # both Binance markets of a coin, and Hyperliquid's, move together: the path is the coin's
        self.path = PricePath(
            key(seed, market.coin, "path"), market.price * 10**market.price_scale / market.tick, market.volatility
        )
        draws = stream(*name, "rates")
        shape = 1.0 + 0.35 * np.sin(np.arange(_DAY) * (2 * np.pi / _DAY) - 1.2)
        counts = np.rint(market.rate * 60 * shape * np.exp(draws.normal(0.0, 0.35, _DAY)) / 1.06).astype(np.int64)
        self._before = np.concatenate(([0], np.cumsum(counts)))
        self._day = int(self._before[-1])
        self._parts = np.concatenate(([0], np.cumsum(market.parts)))
        self._minutes: BoundedCache[int, Minute] = BoundedCache(_KEPT_MINUTES, lambda _: 1)
        sizes = stream(*name, "sizes").lognormal(-0.7, 1.2, 4096) * market.lot
        self._sizes = np.maximum(np.rint(sizes), 1).astype(np.int64) + max(market.parts)

    def first_id(self, minute: int) -> int:
        """The id of the first trade at or after the beginning of a minute (minutes since the epoch)."""
        days, rest = divmod(minute - _ORIGIN, _DAY)
        return 1 + days * self._day + int(self._before[rest])

    def minute_of(self, trade_id: int) -> int:
        """The minute that a trade belongs to."""
        days, rest = divmod(trade_id - 1, self._day)
        return _ORIGIN + days * _DAY + int(np.searchsorted(self._before, rest, "right")) - 1

    def first_part(self, trade_id: int) -> int:
        """The id of the first single trade within an aggregate; the last is one before the next aggregate's first."""
        rounds, rest = divmod(trade_id - 1, len(self._parts) - 1)
        return 1 + rounds * int(self._parts[-1]) + int(self._parts[rest])

    def first_parts(self, trade_ids: Ints) -> Ints:
        """`first_part` of many aggregates."""
        rounds, rest = np.divmod(trade_ids - 1, len(self._parts) - 1)
        parts: Ints = 1 + rounds * self._parts[-1] + self._parts[rest]
        return parts

    def holder_of(self, part_id: int) -> int:
        """The aggregate that holds a single trade."""
        rounds, rest = divmod(part_id - 1, int(self._parts[-1]))
        return rounds * (len(self._parts) - 1) + int(np.searchsorted(self._parts, rest, "right"))

    def trades(self, first_minute: int, end_minute: int) -> Trades:
        """The trades of the minutes [first, end); there must be one at least."""
        places = np.arange(first_minute - _ORIGIN, end_minute - _ORIGIN + 1)
        firsts = 1 + places // _DAY * self._day + self._before[places % _DAY]
        counts = np.diff(firsts)
        ids = np.arange(firsts[0], firsts[-1])
        mixed = words(self._key, ids)
        minute = np.repeat(np.arange(len(counts)), counts)
        share = (ids - firsts[:-1][minute] + units(mixed)) / counts[minute]
        lean = (units(words(self._key ^ 1, places[:-1])) * 1.6 - 0.8)[minute]
        offset = ((share + lean * share * (1.0 - share)) * MINUTE_MS).astype(np.int64)
        np.minimum(offset, MINUTE_MS - 1, out=offset)
        since = minute * MINUTE_MS + offset

        seconds, rest = np.divmod(since, 1000)
        levels = self.path.at(first_minute * 60, 60 * len(counts) + 1)
        level = levels[seconds]
        level = level + (levels[seconds + 1] - level) * (rest / 1000.0)
        buys = (mixed & np.uint64(1)).astype(np.int64)
        bounce = ((mixed >> np.uint64(1)) & np.uint64(3)).astype(np.int64) * (2 * buys - 1)
        price = np.maximum(np.rint(level).astype(np.int64) + bounce, 1) * self.market.tick
        lots = self._sizes[((mixed >> np.uint64(3)) & np.uint64(4095)).astype(np.int64)]
        return Trades(int(firsts[0]), first_minute * MINUTE_MS + since, price, lots, buys)

    def minute(self, minute: int) -> Minute:
        """One minute's trades."""
        return self._minutes.get(minute, lambda: self._make_minute(minute))

    def last_before(self, ms: int) -> int:
        """The id of the last trade earlier than a moment."""
        minute = ms // MINUTE_MS
        rows = self.minute(minute)
        return rows.first_id - 1 + int(np.searchsorted(np.array(rows.times), ms, "left"))

    def price_of(self, trade_id: int) -> int:
        """The price of one trade."""
        rows = self.minute(self.minute_of(trade_id))
        return rows.prices[trade_id - rows.first_id]

    def _make_minute(self, minute: int) -> Minute:
        rows = self.trades(minute, minute + 1)
        return Minute(
            rows.first_id, rows.time.tolist(), rows.price.tolist(), rows.lots.tolist(), rows.taker_buys.tolist()
        )

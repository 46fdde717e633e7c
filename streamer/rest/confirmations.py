"""Stored candles that the exchange has still to confirm: looked for in Postgres, and asked for again.

Belongs here: that. Does not: asking right after a candle ended (polls.py). A streamer that is killed between a candle and its
confirmation, or that gave up asking, would otherwise leave the candle as the stream told it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from market_platform.domain.clock import to_ms
from market_platform.domain.errors import WarehouseError
from market_platform.domain.intervals import bucket_end
from market_platform.domain.live import LivePair
from market_platform.warehouse.gaps import LastCandle
from streamer.rest.polls import Polls

LOOK_S = 10.0
LATE_MS = 60_000
"""So long after its end a candle should be confirmed."""
MOST_ATTEMPTS = 6
"""Times that one candle is asked for; an exchange that has none will not have it later."""

LastCandles = Callable[[Sequence[int]], Mapping[int, LastCandle]]


class Confirmations:
    """The late ones of one exchange. `last_candles` reads Postgres (blocking) by starlisting; `now_ms` is the exchange's time."""

    def __init__(self, last_candles: LastCandles, polls: Polls, now_ms: Callable[[], int]) -> None:
        self._last_candles = last_candles
        self._polls = polls
        self._now_ms = now_ms
        self._asked: Counter[tuple[int, int]] = Counter()

    async def run(self, pairs: Callable[[], Sequence[LivePair]]) -> None:
        """Look and ask until cancelled; Postgres may be away."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look(pairs())
            except WarehouseError:
                continue

    async def look(self, pairs: Sequence[LivePair]) -> None:
        """Ask for the first late candle of each series; the next ones have their turn after it."""
        mine = [pair for pair in pairs if pair.candles_from == "exchange"]
        ids = [listed for pair in mine for listed in pair.starlistings.values()]
        if not ids:
            return
        last = await asyncio.to_thread(self._last_candles, ids)
        for pair in mine:
            for interval in pair.intervals:
                known = last.get(pair.starlistings[interval.name])
                if known is None or known.unconfirmed is None:
                    continue
                open_ms = to_ms(known.unconfirmed)
                end_ms = bucket_end(open_ms, interval)
                key = (pair.starlistings[interval.name], open_ms)
                if self._now_ms() < end_ms + LATE_MS or self._asked[key] >= MOST_ATTEMPTS:
                    continue
                self._asked[key] += 1
                self._polls.want(pair, interval.name, open_ms, bucket_end(to_ms(known.time), interval))

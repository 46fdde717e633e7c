"""Candles that were stored and never confirmed are asked for again, not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from market_platform.domain.clock import from_ms
from market_platform.domain.live import LivePair
from market_platform.warehouse.gaps import LastCandle
from streamer.rest.confirmations import LATE_MS, MOST_ATTEMPTS, Confirmations

NOON_MS = 1_700_000_040_000
PAIR = LivePair(1, "hyperliquid", "BTCUSD", "BTC", "USD", "perps", "BTC", {"1m": 7})


class Asked:
    """Stands in for the polls: what is wanted of them."""

    def __init__(self) -> None:
        self.wanted: list[tuple[str, int, int]] = []

    def want(self, pair: LivePair, interval: str, start_ms: int, end_ms: int) -> None:
        assert pair is PAIR
        self.wanted.append((interval, start_ms, end_ms))


def looked(newest_ms: int, unconfirmed_ms: int | None, now_ms: int, times: int = 1) -> list[tuple[str, int, int]]:
    asked = Asked()

    def read(ids: Sequence[int]) -> Mapping[int, LastCandle]:
        assert list(ids) == [7]
        unconfirmed = None if unconfirmed_ms is None else from_ms(unconfirmed_ms)
        return {7: LastCandle(from_ms(newest_ms), unconfirmed)}

    made = Confirmations(read, asked, lambda: now_ms)  # type: ignore[arg-type]  # a double
    for _ in range(times):
        asyncio.run(made.look([PAIR]))
    return asked.wanted


def test_a_late_one_is_asked_for_with_all_after_it() -> None:
    newest = NOON_MS + 600_000
    wanted = looked(newest, NOON_MS, newest + 120_000)
    assert wanted == [("1m", NOON_MS, newest + 60_000)]


def test_one_that_may_still_be_confirmed_is_left_alone() -> None:
    assert looked(NOON_MS, NOON_MS, NOON_MS + 60_000 + LATE_MS - 1) == []
    assert looked(NOON_MS, None, NOON_MS + 10**7) == []


def test_what_the_exchange_does_not_have_is_not_asked_for_for_ever() -> None:
    assert len(looked(NOON_MS, NOON_MS, NOON_MS + 10**7, times=50)) == MOST_ATTEMPTS

"""Binance's past over REST where it refuses: pauses, bans, outages, symbols it does not know, series it does not have."""

from __future__ import annotations

from typing import Any

import pytest

from market_platform.domain.errors import (
    BadRequestError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryDays
from market_platform.domain.intervals import parse_interval
from market_platform.exchanges.binance.history import BinanceHistory
from market_platform_tests.fixtures.bad_exchange import Answer, json_answer
from market_platform_tests.fixtures.binance_asking import DAY, NOW, PERP, SPOT, asked, days_from, failure, only
from market_platform_tests.fixtures.binance_past import (
    INTEREST,
    KLINES,
    BinancePast,
    Fault,
)

ONE_MINUTE, HOUR = parse_interval("1m"), parse_interval("1h")

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.mark.parametrize(("status", "told"), [(429, "429"), (418, "418")])
def test_a_long_pause_ends_the_range_and_is_kept(status: int, told: str) -> None:
    """Nothing more is sent, and every day that is left says so; a retry helps."""
    faults: dict[tuple[str, int], Fault] = {(KLINES, 2): Answer(b"{}", status, {"Retry-After": "600"})}
    days = days_from(DAY, 9)
    found, requests = asked(BinancePast(NOW, faults=faults), lambda it: it.candles(PERP, ONE_MINUTE, days))
    assert [each.day for each in found.days] == [DAY]
    assert list(found.failures) == days[1:]
    first = found.failures[days[1]]
    assert isinstance(first, RateLimitedError)
    assert told in str(first)
    assert all(each.retryable for each in found.failures.values())
    assert len([each for each in requests if each.path == KLINES]) == 2


def test_a_ban_is_of_all_paths_and_a_path_s_own_limit_of_that_path() -> None:
    """Funding and open interest count by themselves, but nobody asks anything while banned."""

    async def ask(it: BinanceHistory) -> list[HistoryDays[Any]]:
        return [
            await it.open_interest(PERP, [DAY]),
            await it.open_interest(PERP, [DAY]),
            await it.candles(PERP, HOUR, [DAY]),
            await it.funding(PERP, [DAY]),
        ]

    limited: dict[tuple[str, int], Fault] = {(INTEREST, 1): Answer(b"{}", 429, {"Retry-After": "600"})}
    (first, second, candles, funding), requests = asked(BinancePast(NOW, faults=limited), ask)
    assert isinstance(failure(first), RateLimitedError)
    assert isinstance(failure(second), RateLimitedError)
    assert len([each for each in requests if each.path == INTEREST]) == 1
    assert only(candles).count == 24
    assert only(funding).count == 3

    async def ask_banned(it: BinanceHistory) -> HistoryDays[Any]:
        found = await it.open_interest(PERP, [DAY])
        assert isinstance(failure(await it.funding(PERP, [DAY])), RateLimitedError)
        return found

    banned: dict[tuple[str, int], Fault] = {(INTEREST, 1): Answer(b"{}", 418, {"Retry-After": "600"})}
    found, requests = asked(BinancePast(NOW, faults=banned), ask_banned)
    assert isinstance(failure(found), RateLimitedError)
    assert [each.path for each in requests] == ["/fapi/v1/time", INTEREST]


def test_a_server_that_is_down_is_not_asked_for_every_day() -> None:
    """After a few failures the rest fails with the last one's reason."""
    faults: dict[tuple[str, int], Fault] = {(KLINES, 0): Answer(b"", 502)}
    days = days_from(DAY, 12)
    found, requests = asked(BinancePast(NOW, faults=faults), lambda it: it.candles(PERP, ONE_MINUTE, days), attempts=2)
    assert list(found.failures) == days
    assert len([each for each in requests if each.path == KLINES]) == 6
    assert "not asked for after 3 failures in a row" in str(found.failures[days[-1]])


def test_an_unknown_symbol_is_the_whole_range_s_error() -> None:
    """No day of it can come."""
    refusal = json_answer({"code": -1121, "msg": "Invalid symbol."}, status=400)
    with pytest.raises(UnknownSymbolError):
        asked(BinancePast(NOW, faults={(KLINES, 0): refusal}), lambda it: it.candles(PERP, ONE_MINUTE, [DAY]))


def test_what_there_is_no_history_of_is_refused() -> None:
    """Spot has no funding, Binance no dividends, weeks are no days."""

    async def ask(it: BinanceHistory) -> None:
        for call in (
            it.funding(SPOT, [DAY]),
            it.open_interest(SPOT, [DAY]),
            it.actions(PERP, [DAY]),
            it.candles(PERP, parse_interval("1w"), [DAY]),
        ):
            with pytest.raises(BadRequestError):
                await call

    asked(BinancePast(NOW), ask)

"""Binance's past from its archive and over REST: which of the two a day is from, and that both say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from market_platform.domain.clock import day_start_ms, days_between, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    MarketPlatformError,
    NotPublishedError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, Interval, parse_interval
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.dumps.client import BinanceDumps
from market_platform.exchanges.binance.dumps.config import DumpsConfig
from market_platform.exchanges.binance.history import BinanceHistory
from market_platform.exchanges.history import NoHistory
from market_platform.replay.testing import running_replay
from market_platform_tests.fixtures.bad_exchange import Answer, Request, json_answer
from market_platform_tests.fixtures.binance_past import KLINES, BinancePast
from market_platform_tests.fixtures.live_replay import made_world
from market_platform_tests.fixtures.scripted_past import answer_of

PAIR = HistoryPair("binance", "SOLUSDT.P", "SOL", "USDT", "perps")
HOUR = parse_interval("1h")
DAY = date(2026, 3, 10)
START = day_start_ms(DAY)
NOW = START + 20 * DAY_MS


@dataclass
class Archived(NoHistory):
    """An archive that has what it was given, and nothing else."""

    days: Sequence[HistoryDay[pl.DataFrame]] = ()
    failures: Mapping[date, MarketPlatformError] = field(default_factory=dict)
    error: MarketPlatformError | None = None

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """See `HistorySource.candles`."""
        if self.error is not None:
            raise self.error
        return HistoryDays(tuple(self.days), dict(self.failures))


def archived_day(day: date, condition: Condition, count: int) -> HistoryDay[pl.DataFrame]:
    return HistoryDay(day, pl.DataFrame(), count, condition, flags=("from the archive",))


def asked(archive: Archived, days: Sequence[date], past: BinancePast | None = None) -> tuple[Any, list[Request]]:
    """The candles of those days, and what REST was asked for."""
    pair = HistoryPair("binance", "BTCUSDT.P", "BTC", "USDT", "perps")
    with (past or BinancePast(NOW)).serve() as exchange:
        config = BinanceConfig(usdm_rest=exchange.url, request_timeout_s=60.0, attempts=1)
        history = BinanceHistory(config, lambda: from_ms(NOW), archive)
        return answer_of(history, lambda it: it.candles(pair, HOUR, days)), exchange.requests


def test_days_that_the_archive_has_whole_are_not_asked_for() -> None:
    """And those it has not published come over REST, without a word."""
    days = [DAY, DAY + timedelta(days=1)]
    archive = Archived([archived_day(DAY, Condition.AVAILABLE, 24)], {days[1]: NotPublishedError("no file")})
    found, requests = asked(archive, days)
    assert not found.failures
    assert [each.day for each in found.days] == days
    assert [each.flags for each in found.days] == [("from the archive",), ()]
    assert [each.query["startTime"] for each in requests if each.path == KLINES] == [str(START + DAY_MS)]
    _, requests = asked(Archived([archived_day(DAY, Condition.AVAILABLE, 24)]), [DAY])
    assert not requests


@pytest.mark.parametrize(
    "error",
    [BadPayloadError("its checksum is another"), ExchangeUnavailableError("no answer")],
    ids=["checksum", "away"],
)
def test_a_file_that_failed_is_a_loud_flag_on_the_day(error: MarketPlatformError) -> None:
    """REST's rows stand in for it when they are all there."""
    found, _ = asked(Archived(failures={DAY: error}), [DAY])
    assert [each.condition for each in found.days] == [Condition.AVAILABLE]
    assert found.days[0].flags == (f"the archive failed, these are REST's: {error}",)
    found, _ = asked(Archived(error=error), [DAY])
    assert found.days[0].flags == (f"the archive failed, these are REST's: {error}",)


@pytest.mark.parametrize("error", [BadPayloadError("its checksum is another"), ExchangeUnavailableError("no answer")])
def test_rest_does_not_stand_in_with_less_than_the_whole_day(error: MarketPlatformError) -> None:
    """What the archive may have is not called missing: the day fails with the archive's error."""
    found, _ = asked(Archived(failures={DAY: error}), [DAY], BinancePast(NOW, absent={START}))
    assert not found.days
    assert found.failures == {DAY: error}


def test_what_neither_has_is_missing() -> None:
    """With REST's reason."""
    past = BinancePast(NOW, listed_ms=START + DAY_MS)
    found, _ = asked(Archived(failures={DAY: NotPublishedError("no file")}), [DAY], past)
    assert [each.condition for each in found.days] == [Condition.MISSING]
    assert "before the market's first candle" in found.days[0].reason


def test_the_better_of_two_incomplete_days_counts() -> None:
    """Rows that only one of them has are not lost; the archive's when they are as many."""
    partial = Archived([archived_day(DAY, Condition.DEGRADED, 20)])
    found, _ = asked(partial, [DAY])
    assert (found.days[0].condition, found.days[0].count) == (Condition.AVAILABLE, 24)
    assert found.days[0].flags == ("the archive has 20 rows of the day (degraded); these are REST's 24",)
    absent = {START + hour * 60 * MINUTE_MS for hour in range(4)}
    found, _ = asked(partial, [DAY], BinancePast(NOW, absent=absent))
    assert found.days[0].flags == ("from the archive",)


def test_a_rest_side_that_is_away_takes_no_day_of_the_archive_with_it() -> None:
    """Only what it was asked for fails."""
    days = [DAY, DAY + timedelta(days=1)]
    archive = Archived([archived_day(DAY, Condition.AVAILABLE, 24)], {days[1]: NotPublishedError("no file")})
    away = BinancePast(NOW, faults={(KLINES, 0): Answer(b"", 503)})
    found, _ = asked(archive, days, away)
    assert [each.day for each in found.days] == [DAY]
    assert list(found.failures) == [days[1]]
    assert found.failures[days[1]].retryable


def test_a_contract_that_has_ended_keeps_its_days_in_the_archive() -> None:
    """REST does not know it any more; what the archive has of a day is kept, and says so."""
    unknown = BinancePast(NOW, faults={(KLINES, 0): json_answer({"code": -1121, "msg": "Invalid symbol."}, status=400)})
    days = days_between(DAY, DAY + timedelta(days=2))
    held = [archived_day(DAY, Condition.AVAILABLE, 24), archived_day(days[1], Condition.DEGRADED, 3)]
    found, _ = asked(Archived(held, {days[2]: NotPublishedError("no file")}), days, unknown)
    assert [each.day for each in found.days] == days[:2]
    assert "REST could not be asked for the rest of it" in found.days[1].flags[1]
    assert isinstance(found.failures[days[2]], UnknownSymbolError)
    with pytest.raises(UnknownSymbolError):
        asked(Archived(failures=dict.fromkeys(days, NotPublishedError("no file"))), days, unknown)


def test_archive_and_rest_of_the_replay_exchange_say_the_same() -> None:
    """Every series, row by row."""
    with running_replay(world=made_world(1)) as replay:
        clock = replay.world.clock.now
        day = clock().date() - timedelta(days=3)

        async def run() -> list[tuple[HistoryDays[Any], HistoryDays[Any]]]:
            config = BinanceConfig(usdm_rest=replay.live_url("binance_usdm_rest"), request_timeout_s=60.0)
            dumps = BinanceDumps(DumpsConfig(base_url=replay.live_url("binance_dumps")), clock)
            async with dumps, BinanceHistory(config, clock) as rest:
                return [
                    (
                        await dumps.candles(PAIR, parse_interval(name), [day]),
                        await rest.candles(PAIR, parse_interval(name), [day]),
                    )
                    for name in ("1m", "1h", "1d")
                ] + [(await dumps.open_interest(PAIR, [day]), await rest.open_interest(PAIR, [day]))]

        pairs = asyncio.run(run())
    for ours, theirs in pairs:
        assert not ours.failures
        assert not theirs.failures
        assert (
            [each.condition for each in ours.days] == [each.condition for each in theirs.days] == [Condition.AVAILABLE]
        )
    for ours, theirs in pairs[:3]:
        assert ours.days[0].rows.equals(theirs.days[0].rows)
    assert pairs[3][0].days[0].rows == pairs[3][1].days[0].rows

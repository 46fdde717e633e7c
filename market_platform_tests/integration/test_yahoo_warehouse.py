"""Stocks from the replay exchange's Yahoo into a real database: bars, dividends and splits, twice the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.history import CorporateAction, SeriesKind
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.yahoo.config import YahooConfig
from market_platform.exchanges.yahoo.history import YahooHistory
from market_platform.lake.store import Lake
from market_platform.pipeline.history_candles import build_history_candles
from market_platform.pipeline.history_context import build_history_series
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.starlistings import parse_starlistings
from market_platform.warehouse.corporate_actions import read_corporate_actions
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import load_pair, sync_reference

NOW = datetime(2026, 6, 18, 22, 0, tzinfo=UTC)
FIRST, LAST = date(2026, 6, 13), date(2026, 6, 17)
SPLIT_DAY = date(2025, 6, 9)
CONFIG = """
exchanges:
  yahoo: {name: Yahoo Finance, licence: private, market_type: stock, intervals: [1m, 1h, 1d]}
coins: {AAPL: Apple}
quote_currencies: {USD: US Dollar}
market_types: {stock: Stocks}
starlistings:
  yahoo:
    AAPL: {coin: AAPL, quote: USD}
"""


def now() -> datetime:
    return NOW


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=World(7, ExchangeClock(1.0, now))) as running:
        yield running


@pytest.fixture
def pair(warehouse: Warehouse) -> TradingPair:
    config = parse_starlistings(CONFIG)
    with warehouse.begin() as conn:
        sync_reference(conn, config)
    return config.pairs()[0]


@pytest.fixture
def platform(replay: RunningReplay, warehouse: Warehouse, tmp_path: Path) -> Platform:
    config = YahooConfig(replay.live_url("yahoo"), requests_per_minute=60_000)
    return Platform(
        Lake.open(tmp_path.as_uri()),
        warehouse,
        lambda _: pytest.fail("no ticks"),
        open_history=lambda _: YahooHistory(config, now),
    )


def candles(platform: Platform, pair: TradingPair, run_id: str) -> list[Any]:
    asked = [parse_interval(name) for name in ("1m", "1h", "1d")]
    return build_history_candles(
        platform, pair, days_between(FIRST, LAST), asked, Provenance(run_id, "test"), lambda _: None
    )


def test_bars_are_written_exactly_with_their_days_conditions(platform: Platform, pair: TradingPair) -> None:
    reports = candles(platform, pair, "first")
    assert [each.condition for each in reports] == [
        *([Condition.CLOSED] * 2 + [Condition.AVAILABLE] * 3) * 3,
    ]
    with platform.warehouse.connect() as conn:
        ids = load_pair(conn, "yahoo", "AAPL").starlistings
        counted = conn.execute(text("SELECT starlisting_id, count(*) FROM candles GROUP BY 1"))
        assert {row[0]: row[1] for row in counted} == {ids["1m"]: 1170, ids["1h"]: 21, ids["1d"]: 3}
        odd = "SELECT count(*) FROM candles WHERE close <> round(close, 2) OR num_trades IS NOT NULL"
        assert conn.execute(text(odd)).scalar_one() == 0
        day = conn.execute(
            text(
                "SELECT d.open = m.first AND d.high = m.high AND d.low = m.low AND d.volume = m.volume "
                "FROM candles d, (SELECT (array_agg(open ORDER BY time))[1] AS first, max(high) AS high, min(low) AS low, "
                "sum(volume) AS volume FROM candles WHERE starlisting_id = :m AND time >= :day) m "
                "WHERE starlisting_id = :d AND time = :day"
            ),
            {"m": ids["1m"], "d": ids["1d"], "day": datetime(2026, 6, 17, tzinfo=UTC)},
        )
        assert day.scalar_one() is True


def test_twice_changes_nothing(platform: Platform, pair: TradingPair) -> None:
    first = candles(platform, pair, "first")
    second = candles(platform, pair, "second")
    assert [each.changed_rows for each in second] == [0] * 15
    assert [each.data_version for each in second] == [each.data_version for each in first]


def test_dividends_and_splits_are_kept_beside_prices(platform: Platform, pair: TradingPair) -> None:
    days = days_between(date(2025, 5, 1), date(2025, 6, 30))
    for run_id in ("first", "second"):
        build_history_series(platform, pair, SeriesKind.ACTIONS, days, Provenance(run_id, "test"), lambda _: None)
    start = datetime(2025, 1, 1, tzinfo=UTC)
    with platform.warehouse.connect() as conn:
        found = read_corporate_actions(conn, load_pair(conn, "yahoo", "AAPL").id, start, start + timedelta(days=365))
        runs = conn.execute(text("SELECT DISTINCT run_id FROM corporate_actions")).scalars().all()
    assert found == (
        CorporateAction("dividend", day_start_ms(date(2025, 5, 12)), Decimal("0.26")),
        CorporateAction("split", day_start_ms(SPLIT_DAY), Decimal(4)),
    )
    assert runs == ["first"]

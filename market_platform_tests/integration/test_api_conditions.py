"""`X-Data-Condition` of markets with different weeks, over real HTTP and a real Postgres: nothing partial is silent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from market_platform.domain.days import Instrument
from market_platform.domain.sessions import ALWAYS_OPEN, FOREX
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import load_pair, store_instrument, sync_reference
from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.reference import small_config
from market_platform_tests.fixtures.stored_candles import at, hours, seconds, store

MARKETS = """
exchanges:
  dukascopy: {name: Dukascopy, licence: public, market_type: spot}
  binance: {name: Binance, licence: public, market_type: spot}
  hyperliquid: {name: Hyperliquid, licence: public, market_type: perps}
  oanda: {name: OANDA, licence: private, market_type: spot}
  yahoo: {name: Yahoo, licence: private, market_type: stock, intervals: [1m, 5m, 15m, 1h, 1d]}
coins: {EUR: Euro, BTC: Bitcoin, ETH: Ether, AAPL: Apple}
quote_currencies: {USD: US Dollar, USDT: Tether}
market_types: {spot: Spot, perps: Perpetuals, stock: Stocks}
starlistings:
  dukascopy:
    EURUSD: {coin: EUR, quote: USD}
    BTCUSD: {coin: BTC, quote: USD}
  binance: {ETHUSDT: {coin: ETH, quote: USDT}}
  hyperliquid: {BTCUSD: {coin: BTC, quote: USD}}
  oanda: {EURUSD: {coin: EUR, quote: USD}}
  yahoo: {AAPL: {coin: AAPL, quote: USD}}
"""
FRIDAY, SATURDAY = "2026-11-13", "2026-11-14"


@pytest.fixture
def markets(warehouse: Warehouse) -> Warehouse:
    with warehouse.begin() as conn:
        sync_reference(conn, small_config(MARKETS))
    return warehouse


@pytest.fixture
def api(database_url: str, markets: Warehouse) -> Iterator[ApiServer]:
    with ApiServer(database_url, clock=lambda: datetime(2026, 11, 21, tzinfo=UTC)) as server:
        yield server


def said(api: ApiServer, exchange: str, symbol: str, first: str, last: str) -> tuple[int, str]:
    """How many rows the range has, and its condition."""
    answer = api.get(
        f"/api/candles/{symbol}/1h", exchange=exchange, from_=seconds(first), to=seconds(f"{last}T23:59:59")
    )
    assert answer.status_code == 200
    return len(answer.json()), answer.headers["x-data-condition"]


def test_half_of_a_round_the_clock_range_is_not_available(api: ApiServer, markets: Warehouse) -> None:
    with markets.connect() as conn:
        pair = load_pair(conn, "binance", "ETHUSDT")
    for offset in range(5):
        day = date(2026, 11, 9) + timedelta(days=offset)
        store(markets, pair, "1h", day, hours(at(day.isoformat()), 24))
    assert said(api, "binance", "ETHUSDT", FRIDAY, FRIDAY) == (24, "available")
    assert said(api, "binance", "ETHUSDT", FRIDAY, SATURDAY) == (24, "not_materialised")


@pytest.mark.parametrize(
    ("exchange", "symbol", "condition"),
    [
        ("binance", "ETHUSDT", "not_materialised"),
        ("hyperliquid", "BTCUSD", "not_materialised"),
        ("dukascopy", "BTCUSD", "not_materialised"),
        ("dukascopy", "EURUSD", "not_materialised"),  # nobody has asked for its hours yet
        ("oanda", "EURUSD", "closed"),
        ("yahoo", "AAPL", "closed"),
    ],
)
def test_a_saturday_never_fetched_is_closed_only_where_the_market_is(
    api: ApiServer, exchange: str, symbol: str, condition: str
) -> None:
    assert said(api, exchange, symbol, SATURDAY, SATURDAY) == (0, condition)
    assert said(api, exchange, symbol, FRIDAY, FRIDAY) == (0, "not_materialised")


def test_an_instrument_s_own_description_decides(api: ApiServer, markets: Warehouse) -> None:
    api.wait_until_listening()
    with markets.begin() as conn:
        for symbol, calendar in (("EURUSD", FOREX), ("BTCUSD", ALWAYS_OPEN)):
            pair = load_pair(conn, "dukascopy", symbol)
            store_instrument(conn, pair.id, Instrument(symbol, symbol, 5, calendar))
    assert said(api, "dukascopy", "EURUSD", SATURDAY, SATURDAY) == (0, "closed")
    assert said(api, "dukascopy", "BTCUSD", SATURDAY, SATURDAY) == (0, "not_materialised")

"""One pair, and its definitions."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from market_platform.defs.build import build_defs
from market_platform.domain.intervals import INTERVALS, parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.settings import Settings, load_settings

EURUSD = TradingPair("dukascopy", "EUR", "USD", "spot", "EURUSD", INTERVALS)

BTCUSDT = TradingPair("binance", "BTC", "USDT", "spot", "BTCUSDT", INTERVALS)
PERPETUAL = TradingPair(
    "binance", "BTC", "USDT", "perps", "BTCUSDT.P", tuple(parse_interval(name) for name in ("1m", "1h", "1d"))
)
OANDA = TradingPair("oanda", "EUR", "USD", "spot", "EURUSD", (parse_interval("1m"), parse_interval("1M")))
LIVE = [BTCUSDT, PERPETUAL, OANDA]


@pytest.fixture
def settings() -> Settings:
    return load_settings(_env_file=None)


@pytest.fixture
def pairs() -> list[TradingPair]:
    return [EURUSD, replace(EURUSD, coin="GBP", symbol="GBPUSD")]


@pytest.fixture
def definitions(pairs: list[TradingPair], settings: Settings) -> dg.Definitions:
    return build_defs(pairs, settings)

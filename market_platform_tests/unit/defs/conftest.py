"""One pair, and its definitions."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from market_platform.defs.build import build_defs
from market_platform.domain.intervals import INTERVALS
from market_platform.domain.pairs import TradingPair
from market_platform.settings import Settings, load_settings

EURUSD = TradingPair("dukascopy", "EUR", "USD", "spot", "EURUSD", INTERVALS)


@pytest.fixture
def settings() -> Settings:
    return load_settings(_env_file=None)


@pytest.fixture
def pairs() -> list[TradingPair]:
    return [EURUSD, replace(EURUSD, coin="GBP", symbol="GBPUSD")]


@pytest.fixture
def definitions(pairs: list[TradingPair], settings: Settings) -> dg.Definitions:
    return build_defs(pairs, settings)

"""A pair and a platform to bring its days through."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_platform.domain.pairs import TradingPair
from market_platform.lake.store import Lake
from market_platform.pipeline.platform import Platform
from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.reference import small_config, synced_pair
from market_platform_tests.fixtures.scripted_ticks import ScriptedTicks, fetched_day


@pytest.fixture
def pair(warehouse: Warehouse) -> TradingPair:
    synced_pair(warehouse)
    return next(each for each in small_config().pairs() if each.name == "dukascopy/EURUSD")


@pytest.fixture
def platform(warehouse: Warehouse, tmp_path: Path) -> Platform:
    source = ScriptedTicks(fetched_day)
    return Platform(Lake.open((tmp_path / "lake").as_uri()), warehouse, source.open)

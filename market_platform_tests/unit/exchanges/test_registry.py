"""Exchanges are opened by name, from settings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from market_platform.domain.errors import ConfigError
from market_platform.exchanges.dukascopy.client import DukascopyClient
from market_platform.exchanges.registry import dukascopy_config, open_tick_source
from market_platform.settings import Settings


def settings(**changed: object) -> Settings:
    return Settings(_env_file=None, **changed)  # type: ignore[arg-type]


def test_dukascopy_is_open_for_as_long_as_the_context() -> None:
    async def run() -> None:
        async with open_tick_source("dukascopy", settings()) as source:
            assert isinstance(source, DukascopyClient)
        with pytest.raises(RuntimeError, match="async with"):
            await source.fetch_instrument("EURUSD")

    asyncio.run(run())


def test_unknown_exchange_says_which_there_are() -> None:
    async def run() -> None:
        async with open_tick_source("mtgox", settings()):
            pass

    with pytest.raises(ConfigError, match="no tick history is known for exchange 'mtgox'; use one of dukascopy"):
        asyncio.run(run())


def test_settings_reach_the_client(tmp_path: Path) -> None:
    config = dukascopy_config(
        settings(
            dukascopy_transport="bi5",
            dukascopy_bi5_url=tmp_path.as_uri(),
            dukascopy_max_in_flight=2,
            dukascopy_day_budget_s=9,
            dukascopy_request_timeout_s=3,
        )
    )
    assert (config.transport, config.bi5_url) == ("bi5", tmp_path.as_uri())
    assert (config.max_in_flight, config.day_budget_s, config.request_timeout_s) == (2, 9, 3)


def test_live_and_replay_ask_different_hosts() -> None:
    assert dukascopy_config(settings(market="live")).json_url == "https://jetta.dukascopy.com/v1"
    assert dukascopy_config(settings(market="replay")).json_url.startswith("http://127.0.0.1:")

"""Exchanges by name, opened from settings. The only module here that knows the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.days import TickSource
from market_platform.domain.errors import ConfigError
from market_platform.exchanges.codes import TICK_EXCHANGES
from market_platform.exchanges.dukascopy.client import DukascopyClient
from market_platform.exchanges.dukascopy.config import DukascopyConfig
from market_platform.settings import Settings

__all__ = ["TICK_EXCHANGES", "dukascopy_config", "open_tick_source"]


@asynccontextmanager
async def open_tick_source(exchange: str, settings: Settings, clock: Clock = utc_now) -> AsyncIterator[TickSource]:
    """An exchange's tick history, open for as long as the context lasts.

    Raises:
        ConfigError: for an exchange without one, or a wrong base URL.
    """
    if exchange not in TICK_EXCHANGES:
        raise ConfigError(f"no tick history is known for exchange {exchange!r}; use one of {', '.join(TICK_EXCHANGES)}")
    async with DukascopyClient(dukascopy_config(settings), clock=clock) as client:
        yield client


def dukascopy_config(settings: Settings) -> DukascopyConfig:
    """What the settings say about Dukascopy."""
    return DukascopyConfig(
        transport=settings.dukascopy_transport,
        json_url=settings.resolved_dukascopy_json_url,
        bi5_url=settings.resolved_dukascopy_bi5_url,
        max_in_flight=settings.dukascopy_max_in_flight,
        day_budget_s=settings.dukascopy_day_budget_s,
        request_timeout_s=settings.dukascopy_request_timeout_s,
    )

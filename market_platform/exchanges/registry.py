"""Exchanges by name, opened from settings. The only module here that knows the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.days import TickSource
from market_platform.domain.errors import ConfigError
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.codes import CCXT, LIVE_EXCHANGES, TICK_EXCHANGES
from market_platform.exchanges.dukascopy.client import DukascopyClient
from market_platform.exchanges.dukascopy.config import DukascopyConfig
from market_platform.exchanges.history import HistorySource
from market_platform.exchanges.live import LiveExchange
from market_platform.settings import Settings

__all__ = ["LIVE_EXCHANGES", "TICK_EXCHANGES", "dukascopy_config", "live_exchange", "open_history", "open_tick_source"]


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


@asynccontextmanager
async def open_history(pair: TradingPair, settings: Settings, clock: Clock = utc_now) -> AsyncIterator[HistorySource]:
    """The past of the pair's exchange besides ticks, open for as long as the context lasts.

    Raises:
        ConfigError: for an exchange without one, a wrong base URL, or missing credentials.
    """
    async with _history(pair, settings, clock) as source:
        yield source


def _history(pair: TradingPair, settings: Settings, clock: Clock) -> AbstractAsyncContextManager[HistorySource]:
    """The client that asks; nothing connects yet. Clients are imported when used: ccxt alone costs a second."""
    del settings, clock
    if pair.history == CCXT:
        raise ConfigError(f"{pair.name}: no history is known through ccxt")
    raise ConfigError(f"{pair.name}: no history is known for exchange {pair.exchange!r}")


def live_exchange(exchange: str, settings: Settings, clock: Clock = utc_now) -> LiveExchange:
    """An exchange that can be streamed, as the settings say. Nothing connects yet.

    Raises:
        ConfigError: for an exchange without a stream, a wrong base URL, or missing credentials.
    """
    if exchange == "binance":
        from market_platform.exchanges.binance.config import BinanceConfig
        from market_platform.exchanges.binance.exchange import BinanceExchange

        return BinanceExchange(
            BinanceConfig(
                spot_stream=settings.live_url("binance_spot_stream"),
                spot_rest=settings.live_url("binance_spot_rest"),
                usdm_stream=settings.live_url("binance_usdm_stream"),
                usdm_rest=settings.live_url("binance_usdm_rest"),
            ),
            clock=clock,
        )
    if exchange == "hyperliquid":
        from market_platform.exchanges.hyperliquid.config import HyperliquidConfig
        from market_platform.exchanges.hyperliquid.exchange import HyperliquidExchange

        return HyperliquidExchange(
            HyperliquidConfig(
                stream_url=settings.live_url("hyperliquid_stream"), rest_url=settings.live_url("hyperliquid_rest")
            ),
            clock=clock,
        )
    if exchange == "oanda":
        from market_platform.exchanges.oanda.config import OandaConfig
        from market_platform.exchanges.oanda.exchange import OandaExchange

        key = settings.oanda_api_key
        return OandaExchange(
            OandaConfig(
                stream_url=settings.live_url("oanda_stream"),
                rest_url=settings.live_url("oanda_rest"),
                api_key=None if key is None else key.get_secret_value(),
                account_id=settings.oanda_account_id,
                replay=settings.market == "replay",
            )
        )
    raise ConfigError(f"no stream is known for exchange {exchange!r}; use one of {', '.join(LIVE_EXCHANGES)}")


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

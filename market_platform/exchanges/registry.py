"""Exchanges by name, opened from settings. The only module here that knows the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from market_platform.exchanges.binance.config import BinanceConfig
    from market_platform.exchanges.binance.dumps.client import BinanceDumps
    from market_platform.exchanges.binance.history import BinanceHistory
    from market_platform.exchanges.hyperliquid.config import HyperliquidConfig
    from market_platform.exchanges.oanda.config import OandaConfig

__all__ = [
    "LIVE_EXCHANGES",
    "TICK_EXCHANGES",
    "binance_archive",
    "dukascopy_config",
    "live_exchange",
    "open_history",
    "open_tick_source",
]


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

    Clients are imported when they are used: ccxt alone costs a second.

    Raises:
        ConfigError: for an exchange without one, a wrong base URL, or missing credentials.
    """
    async with AsyncExitStack() as stack:
        if pair.history != CCXT and pair.exchange == "binance":
            yield await stack.enter_async_context(await _binance_history(settings, clock, stack))
        else:
            yield await stack.enter_async_context(_history(pair, settings, clock))


def binance_archive(settings: Settings, clock: Clock = utc_now) -> BinanceDumps:
    """Binance's public files; use as an async context manager."""
    from market_platform.exchanges.binance.dumps.client import BinanceDumps
    from market_platform.exchanges.binance.dumps.config import DumpsConfig

    return BinanceDumps(DumpsConfig(base_url=settings.live_url("binance_dumps")), clock)


async def _binance_history(settings: Settings, clock: Clock, stack: AsyncExitStack) -> BinanceHistory:
    """Binance's archive and REST side; the archive is open already."""
    from market_platform.exchanges.binance.history import BinanceHistory

    archive = await stack.enter_async_context(binance_archive(settings, clock))
    return BinanceHistory(_binance_config(settings), clock, archive)


def _history(pair: TradingPair, settings: Settings, clock: Clock) -> AbstractAsyncContextManager[HistorySource]:
    if pair.history == CCXT:
        from market_platform.exchanges.ccxt.config import CcxtConfig
        from market_platform.exchanges.ccxt.history import CcxtHistory

        if settings.market == "replay" and settings.ccxt_url is None:
            raise ConfigError(
                f"{pair.name}: with MARKET=replay, CCXT would ask the real exchange; set CCXT_URL, or MARKET=live"
            )
        return CcxtHistory(CcxtConfig(pair.ccxt_id or pair.exchange, settings.ccxt_url), clock)
    if pair.exchange == "hyperliquid":
        from market_platform.exchanges.hyperliquid.history import HyperliquidHistory

        return HyperliquidHistory(_hyperliquid_config(settings), clock)
    if pair.exchange == "oanda":
        from market_platform.exchanges.oanda.history import OandaHistory

        return OandaHistory(_oanda_config(settings), clock)
    if pair.exchange == "yahoo":
        from market_platform.exchanges.yahoo.config import YahooConfig
        from market_platform.exchanges.yahoo.history import YahooHistory

        return YahooHistory(YahooConfig(rest_url=settings.live_url("yahoo")), clock)
    raise ConfigError(f"{pair.name}: no history is known for exchange {pair.exchange!r}")


def live_exchange(exchange: str, settings: Settings, clock: Clock = utc_now) -> LiveExchange:
    """An exchange that can be streamed, as the settings say. Nothing connects yet.

    Raises:
        ConfigError: for an exchange without a stream, a wrong base URL, or missing credentials.
    """
    if exchange == "binance":
        from market_platform.exchanges.binance.exchange import BinanceExchange

        return BinanceExchange(_binance_config(settings), clock=clock)
    if exchange == "hyperliquid":
        from market_platform.exchanges.hyperliquid.exchange import HyperliquidExchange

        return HyperliquidExchange(_hyperliquid_config(settings), clock=clock)
    if exchange == "oanda":
        from market_platform.exchanges.oanda.exchange import OandaExchange

        return OandaExchange(_oanda_config(settings))
    raise ConfigError(f"no stream is known for exchange {exchange!r}; use one of {', '.join(LIVE_EXCHANGES)}")


def _binance_config(settings: Settings) -> BinanceConfig:
    from market_platform.exchanges.binance.config import BinanceConfig

    return BinanceConfig(
        spot_stream=settings.live_url("binance_spot_stream"),
        spot_rest=settings.live_url("binance_spot_rest"),
        usdm_stream=settings.live_url("binance_usdm_stream"),
        usdm_rest=settings.live_url("binance_usdm_rest"),
    )


def _hyperliquid_config(settings: Settings) -> HyperliquidConfig:
    from market_platform.exchanges.hyperliquid.config import HyperliquidConfig

    return HyperliquidConfig(
        stream_url=settings.live_url("hyperliquid_stream"), rest_url=settings.live_url("hyperliquid_rest")
    )


def _oanda_config(settings: Settings) -> OandaConfig:
    from market_platform.exchanges.oanda.config import OandaConfig

    key = settings.oanda_api_key
    return OandaConfig(
        stream_url=settings.live_url("oanda_stream"),
        rest_url=settings.live_url("oanda_rest"),
        api_key=None if key is None else key.get_secret_value(),
        account_id=settings.oanda_account_id,
        replay=settings.market == "replay",
    )


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

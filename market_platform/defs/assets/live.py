"""What the streamer writes of a pair, as external assets: lineage, partitions and freshness of tables Dagster does not fill.

A sensor reports their partitions from `stream_days` (stream_reports.py). The day in progress is a partition too.
"""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from market_platform.defs.assets.candles import view_name
from market_platform.defs.assets.exchange import source_key
from market_platform.defs.assets.layers import layer_key, layer_spec
from market_platform.defs.names import (
    FUNDING,
    OPEN_INTEREST,
    TICKS,
    candle_layer,
    has_context,
    stream_layer,
    tick_kind,
)
from market_platform.defs.partitions import Partitions
from market_platform.defs.policies import stream_freshness
from market_platform.defs.table_schemas import (
    live_candle_schema,
    minute_schema,
    tick_schema,
    trade_schema,
)
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair


def stream_key(pair: TradingPair) -> dg.AssetKey:
    """Key of the ticks as the streamer writes them, in parts: `binance/BTCUSDT/stream_trades`."""
    return layer_key(pair, stream_layer(pair.exchange))


def live_assets(pair: TradingPair, partitions: Partitions) -> list[dg.AssetSpec]:
    """The external assets of a streamed pair: parts of ticks, candles of each interval, funding and open interest of perps."""
    specs = [_parts(pair, partitions), *(_candles(pair, interval, partitions) for interval in pair.intervals)]
    if has_context(pair):
        specs += [_minutes(pair, layer, partitions) for layer in (FUNDING, OPEN_INTEREST)]
    return specs


def _parts(pair: TradingPair, partitions: Partitions) -> dg.AssetSpec:
    kind = tick_kind(pair.exchange)
    what = "quotes" if kind == TICKS else "trades"
    schema = tick_schema if kind == TICKS else trade_schema
    return layer_spec(
        pair,
        stream_layer(pair.exchange),
        partitions.live_days,
        deps=[source_key(pair.exchange)],
        storage="parquet",
        schema=schema(pair.coin, pair.quote),
        freshness=stream_freshness(timedelta(0), round_the_clock=_never_closes(pair)),
        description=(
            f"Every one of the {what} of {pair.trading_pair} that {pair.exchange} streamed, as the streamer hands them to the lake: parts of "
            f"a day below `{kind}/{pair.symbol}/YYYY/MM/DD/parts/`, each named by its content. Once the day is over, "
            f"`{pair.name}/{kind}` makes one file of them."
        ),
    )


def _candles(pair: TradingPair, interval: Interval, partitions: Partitions) -> dg.AssetSpec:
    return layer_spec(
        pair,
        candle_layer(interval),
        partitions.of_live(interval),
        deps=[source_key(pair.exchange)],
        storage="postgres",
        schema=live_candle_schema(pair.coin, pair.quote),
        table=view_name(interval),
        freshness=stream_freshness(timedelta(seconds=interval.seconds), round_the_clock=_never_closes(pair)),
        description=(
            f"Closed {interval.name} candles of {pair.trading_pair} as {pair.exchange} streams them, exact: open, high, low and close in "
            f"{pair.quote}, volume in {pair.coin}. `time` is the open, UTC. What a stream missed is fetched afterwards; the "
            "table `gaps` says what and when.\n\n"
            f"Rows of the table `candles`, easiest read through the view `{view_name(interval)}`."
        ),
    )


def _minutes(pair: TradingPair, layer: str, partitions: Partitions) -> dg.AssetSpec:
    what = "funding rate with mark and index prices" if layer == FUNDING else "open interest with the day's volumes"
    return layer_spec(
        pair,
        layer,
        partitions.live_days,
        deps=[source_key(pair.exchange)],
        storage="postgres",
        schema=minute_schema(layer),
        table=layer,
        freshness=stream_freshness(timedelta(0), round_the_clock=_never_closes(pair)),
        description=(
            f"The {what} of {pair.trading_pair} on {pair.exchange}: the last reading of each minute, as the exchange "
            f"sent it. Rows of the table `{layer}`. Minutes in which the stream was away can't be had again."
        ),
    )


def _never_closes(pair: TradingPair) -> bool:
    return tick_kind(pair.exchange) != TICKS

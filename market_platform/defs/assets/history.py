"""The past of a pair as its exchange has it: candles, funding, open interest, trades, corporate actions, a partition a day.

Belongs here: the keys and what the catalogue says of them. Does not: what a step does (history_step.py).

All layers of a pair are one multi-asset, whichever of them are selected: a step costs a millisecond of every loading of the
definitions, and a hundred pairs have more than a thousand layers.
"""

from __future__ import annotations

from functools import partial

import dagster as dg

from market_platform.defs.assets.candles import view_name
from market_platform.defs.assets.exchange import source_key
from market_platform.defs.assets.history_step import KeptReports, materialise
from market_platform.defs.assets.layers import Step, layer_key, layer_spec
from market_platform.defs.check_specs import history_check_specs
from market_platform.defs.history_texts import candle_text, series_text
from market_platform.defs.names import (
    HISTORY_LAYERS,
    asset_path,
    day_intervals,
    history_candle_layer,
    history_series,
    identifier,
    is_training,
    pool_name,
)
from market_platform.defs.partitions import Partitions
from market_platform.defs.policies import Policies, daily_freshness
from market_platform.defs.resources import platform_key
from market_platform.defs.table_schemas import action_schema, live_candle_schema, minute_schema, trade_schema
from market_platform.domain.history import SeriesKind
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import HISTORY_VERSION

_KEPT_FRESH = {SeriesKind.FUNDING, SeriesKind.OPEN_INTEREST}
"""Trades are left to the streamer or to a person, dividends come when they come."""


def history_candle_key(pair: TradingPair, interval: Interval) -> dg.AssetKey:
    """Key of an interval's fetched candles: `binance/BTCUSDT/history_candles_5m`."""
    return layer_key(pair, history_candle_layer(interval))


def history_series_key(pair: TradingPair, kind: SeriesKind) -> dg.AssetKey:
    """Key of another fetched series: `binance/BTCUSDT.P/history_funding_rates`."""
    return layer_key(pair, HISTORY_LAYERS[kind])


def history_assets(pair: TradingPair, partitions: Partitions, policies: Policies) -> dg.AssetsDefinition:
    """The fetched layers of a pair that has any, any number of days a run."""
    kinds = history_series(pair)
    intervals = day_intervals(pair) if SeriesKind.CANDLES in kinds else ()
    candles = {interval: history_candle_key(pair, interval) for interval in intervals}
    series: dict[SeriesKind, dg.AssetKey] = {
        kind: history_series_key(pair, kind) for kind in kinds if kind is not SeriesKind.CANDLES
    }
    kept: KeptReports = {}
    return Step(
        [
            *(_candle_spec(pair, interval, partitions) for interval in candles),
            *(_series_spec(pair, kind, partitions) for kind in series),
        ],
        partial(materialise, pair=pair, candles=candles, series=series, policies=policies, kept=kept),
        platform_key(pair),
        [
            *(
                check
                for number, key in enumerate(candles.values())
                for check in history_check_specs(key, candles=True, coverage=number == 0)
            ),
            *(check for key in series.values() for check in history_check_specs(key, candles=False, coverage=True)),
        ],
        pool_name(pair.exchange),
        name=identifier("", "").join(identifier(part) for part in asset_path(pair, "history")),
        description=f"What {pair.exchange} has of the past of {pair.trading_pair}, of whole days.",
    ).as_assets(policies)


def _candle_spec(pair: TradingPair, interval: Interval, partitions: Partitions) -> dg.AssetSpec:
    view = view_name(interval)
    return layer_spec(
        pair,
        history_candle_layer(interval),
        partitions.days,
        deps=[source_key(pair.exchange)],
        storage="postgres",
        schema=live_candle_schema(pair.coin, pair.quote),
        table=view,
        freshness=_freshness(pair) if interval.name in ("1m", "1d") else None,
        code_version=HISTORY_VERSION,
        skippable=True,
        description=candle_text(pair, interval, view),
    )


def _series_spec(pair: TradingPair, kind: SeriesKind, partitions: Partitions) -> dg.AssetSpec:
    in_lake = kind is SeriesKind.TRADES
    return layer_spec(
        pair,
        HISTORY_LAYERS[kind],
        partitions.days,
        deps=[source_key(pair.exchange)],
        storage="parquet" if in_lake else "postgres",
        schema=_schema(pair, kind),
        table=None if in_lake else kind.value,
        freshness=_freshness(pair) if kind in _KEPT_FRESH else None,
        code_version=HISTORY_VERSION,
        skippable=True,
        description=series_text(pair, kind),
    )


def _freshness(pair: TradingPair) -> dg.FreshnessPolicy | None:
    """Of what is fetched every night; training pairs are fetched when somebody asks."""
    return None if is_training(pair) else daily_freshness()


def _schema(pair: TradingPair, kind: SeriesKind) -> dg.TableSchema:
    if kind is SeriesKind.TRADES:
        return trade_schema(pair.coin, pair.quote)
    return action_schema() if kind is SeriesKind.ACTIONS else minute_schema(kind.value)

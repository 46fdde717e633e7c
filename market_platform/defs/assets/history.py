"""The past of a pair as its exchange has it: candles, funding, open interest, trades, corporate actions, a partition a day.

Belongs here: the keys and what the catalogue says of them. Does not: what a step does (history_step.py).

All layers of a pair are one multi-asset, whichever of them are selected: a step costs a millisecond of every loading of the
definitions, and a hundred pairs have more than a thousand layers.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Iterator

import dagster as dg

from market_platform.defs.assets.candles import view_name
from market_platform.defs.assets.exchange import source_key
from market_platform.defs.assets.history_step import KeptReports, materialise
from market_platform.defs.checks import history_check_specs
from market_platform.defs.history_texts import candle_text, series_text
from market_platform.defs.names import (
    HISTORY_LAYERS,
    asset_path,
    day_intervals,
    group_name,
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
    return dg.AssetKey(asset_path(pair, history_candle_layer(interval)))


def history_series_key(pair: TradingPair, kind: SeriesKind) -> dg.AssetKey:
    """Key of another fetched series: `binance/BTCUSDT.P/history_funding_rates`."""
    return dg.AssetKey(asset_path(pair, HISTORY_LAYERS[kind]))


def history_assets(pair: TradingPair, partitions: Partitions, policies: Policies) -> dg.AssetsDefinition:
    """The fetched layers of a pair that has any, any number of days a run."""
    kinds = history_series(pair)
    intervals = day_intervals(pair) if SeriesKind.CANDLES in kinds else ()
    candles = {interval: history_candle_key(pair, interval) for interval in intervals}
    series: dict[SeriesKind, dg.AssetKey] = {
        kind: history_series_key(pair, kind) for kind in kinds if kind is not SeriesKind.CANDLES
    }
    kept: KeptReports = {}

    @dg.multi_asset(
        name=identifier("", "").join(identifier(part) for part in asset_path(pair, "history")),
        specs=[
            *(_candle_spec(pair, interval, key) for interval, key in candles.items()),
            *(_series_spec(pair, kind, key) for kind, key in series.items()),
        ],
        check_specs=[
            *(
                check
                for number, key in enumerate(candles.values())
                for check in history_check_specs(key, candles=True, coverage=number == 0)
            ),
            *(check for key in series.values() for check in history_check_specs(key, candles=False, coverage=True)),
        ],
        can_subset=True,
        partitions_def=partitions.days,
        backfill_policy=policies.backfill,
        retry_policy=policies.retry,
        required_resource_keys={platform_key(pair)},
        pool=pool_name(pair.exchange),
        description=f"What {pair.exchange} has of the past of {pair.trading_pair}, of whole days.",
    )
    def history(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        yield from materialise(context, pair, candles, series, policies, kept)

    return history


def _candle_spec(pair: TradingPair, interval: Interval, key: dg.AssetKey) -> dg.AssetSpec:
    view = view_name(interval)
    return _spec(
        pair,
        key,
        fresh=interval.name in ("1m", "1d"),
        storage="postgres",
        metadata={
            "dagster/column_schema": live_candle_schema(pair.coin, pair.quote),
            "dagster/table_name": f"public.{view}",
        },
        description=candle_text(pair, interval, view),
    )


def _series_spec(pair: TradingPair, kind: SeriesKind, key: dg.AssetKey) -> dg.AssetSpec:
    metadata: dict[str, object] = {"dagster/column_schema": _schema(pair, kind)}
    if kind is not SeriesKind.TRADES:
        metadata["dagster/table_name"] = f"public.{kind.value}"
    return _spec(
        pair,
        key,
        fresh=kind in _KEPT_FRESH,
        storage="parquet" if kind is SeriesKind.TRADES else "postgres",
        metadata=metadata,
        description=series_text(pair, kind),
    )


def _spec(
    pair: TradingPair, key: dg.AssetKey, *, fresh: bool, storage: str, metadata: dict[str, object], description: str
) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=key,
        deps=[source_key(pair.exchange)],
        skippable=True,
        code_version=HISTORY_VERSION,
        group_name=group_name(pair),
        kinds={storage},
        owners=["team:market-data"],
        freshness_policy=daily_freshness() if fresh and not is_training(pair) else None,
        tags={"exchange": pair.exchange, "symbol": pair.symbol, "layer": key.path[-1]},
        metadata=metadata,
        description=description,
    )


def _schema(pair: TradingPair, kind: SeriesKind) -> dg.TableSchema:
    if kind is SeriesKind.TRADES:
        return trade_schema(pair.coin, pair.quote)
    return action_schema() if kind is SeriesKind.ACTIONS else minute_schema(kind.value)

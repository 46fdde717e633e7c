"""Candles of weeks and months from complete days: their own partitions, mapped from the days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.candles import candle_description, view_name
from market_platform.defs.assets.layers import Results, Step, layer_key, layer_spec
from market_platform.defs.assets.results import Made, layer_result
from market_platform.defs.check_specs import candle_check_specs
from market_platform.defs.checks import check_candle_days
from market_platform.defs.failures import typed_failures
from market_platform.defs.history_texts import candle_text
from market_platform.defs.metadata import candle_metadata
from market_platform.defs.names import candle_layer, history_candle_layer, is_training, shown_name
from market_platform.defs.partitions import Partitions, from_days, partition_dates
from market_platform.defs.policies import Policies, monthly_freshness, weekly_freshness
from market_platform.defs.quality import record_outcomes
from market_platform.defs.resources import platform_key, platform_of
from market_platform.defs.table_schemas import candle_schema, live_candle_schema
from market_platform.domain.intervals import Interval, parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import PERIODS_VERSION

if TYPE_CHECKING:
    from market_platform.pipeline.reports import CandleDayReport


@dataclass(frozen=True)
class _Kind:
    """Candles built from ticks, or fetched ones: what a period of them is called and says of itself."""

    layer: Callable[[Interval], str]
    schema: dg.TableSchema
    description: str


def period_asset(
    pair: TradingPair, interval: Interval, partitions: Partitions, policies: Policies
) -> dg.AssetsDefinition:
    """The candles of `1w` or `1M` of a pair, a partition a period, from its 1d candles."""
    schema = candle_schema(pair.coin, pair.quote, pair.candle_price)
    description = candle_description(pair, interval)
    return _period_asset(pair, interval, partitions, policies, _Kind(candle_layer, schema, description))


def history_period_asset(
    pair: TradingPair, interval: Interval, partitions: Partitions, policies: Policies
) -> dg.AssetsDefinition:
    """As `period_asset`, from 1d candles that were fetched."""
    schema = live_candle_schema(pair.coin, pair.quote)
    description = candle_text(pair, interval, view_name(interval))
    return _period_asset(pair, interval, partitions, policies, _Kind(history_candle_layer, schema, description))


def _period_asset(
    pair: TradingPair, interval: Interval, partitions: Partitions, policies: Policies, kind: _Kind
) -> dg.AssetsDefinition:
    freshness = weekly_freshness() if interval.name == "1w" else monthly_freshness()
    spec = layer_spec(
        pair,
        kind.layer(interval),
        partitions.of_period(interval),
        deps=[dg.AssetDep(layer_key(pair, kind.layer(parse_interval("1d"))), partition_mapping=from_days())],
        storage="postgres",
        schema=kind.schema,
        table=view_name(interval),
        freshness=None if is_training(pair) else freshness,
        code_version=PERIODS_VERSION,
        description=(
            f"{kind.description}\n\nBuilt from the period's 1d candles once every day of it is known; until "
            "then its condition is `pending` and it has no candle."
        ),
    )
    work = partial(_materialise, pair=pair, interval=interval)
    checks = candle_check_specs(spec.key, with_coverage=False)
    return Step([spec], work, platform_key(pair), checks).as_assets(policies)


def _materialise(context: dg.AssetExecutionContext, pair: TradingPair, interval: Interval) -> Results:
    from market_platform.pipeline.periods import build_candle_periods
    from market_platform.pipeline.platform import Provenance

    platform = platform_of(context, pair)
    reports: list[CandleDayReport] = []
    with typed_failures(f"{shown_name(pair)} {interval} candles"):
        provenance = Provenance(context.run.run_id, PERIODS_VERSION)
        build_candle_periods(platform, pair, interval, partition_dates(context), provenance, reports.append)
        selected = [check.name for check in context.op_execution_context.selected_asset_check_keys]
        outcomes = check_candle_days(reports, selected)
        record_outcomes(platform, pair, {interval: outcomes}, context.run.run_id)
    made = [Made(each.day, candle_metadata(each, PERIODS_VERSION), each.data_version) for each in reports]
    yield layer_result(context, context.asset_key, made, outcomes)

"""What assets, groups, pools and tags are called. Free of Dagster: the command line spells asset keys with it too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from market_platform.domain.databases import Database
from market_platform.domain.history import SeriesKind
from market_platform.domain.intervals import DAY_INTERVALS, PERIOD_INTERVALS, Interval
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.codes import LIVE_EXCHANGES, QUOTE_STREAMS, TICK_EXCHANGES, history_kinds

LOCATION = "market_platform"
REPOSITORY = "__repository__"

HISTORY_STARTS = date(2003, 5, 4)
"""The first day partition: Dukascopy's oldest ticks are of that day. A pair's own first day is a condition, not a definition."""
FIRST_WEEK = date(2003, 5, 5)
FIRST_MONTH = date(2003, 5, 1)

LIVE_STARTS = date(2020, 1, 1)
"""The first day partition of what is streamed; nothing was streamed before."""
FIRST_LIVE_WEEK = date(2019, 12, 30)

TICKS, TRADES = "ticks", "trades"
FUNDING, OPEN_INTEREST = "funding_rates", "open_interest"
TRAINING: Database = "training"
"""First part of the keys of what is kept in the training database, and of its groups, jobs and schedules."""
HISTORY_LAYERS = {
    SeriesKind.FUNDING: "history_funding_rates",
    SeriesKind.OPEN_INTEREST: "history_open_interest",
    SeriesKind.TRADES: "history_trades",
    SeriesKind.ACTIONS: "corporate_actions",
}
"""Layers of what is fetched of an exchange's past besides its candles."""
COMPACTION_POOL = "compaction"
"""The pool of what merges parts of the lake: memory and the store are its limits, not an exchange."""
PAIR_TAG = "market/pair"
"""Run tag naming the pairs a run is for, comma-separated."""
TRIGGER_TAG = "market/trigger"
"""Run tag saying who asked for a run: `schedule`, `repair`, `command`."""
EXCHANGE_TAG = "market/exchange"
"""Run tag naming the one exchange a run asks."""
DATABASE_TAG = "market/database"
"""Run tag describing the database that a command launched the run for."""
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"


def has_history(pair: TradingPair) -> bool:
    """Whether the pair's past can be fetched as ticks, day by day; the others are streamed."""
    return pair.exchange in TICK_EXCHANGES


def is_streamed(pair: TradingPair) -> bool:
    """Whether the streamer collects the pair; training pairs are fetched alone."""
    return pair.exchange in LIVE_EXCHANGES and not is_training(pair)


def is_training(pair: TradingPair) -> bool:
    """Whether the pair's rows are kept in the training database."""
    return pair.database == TRAINING


def history_series(pair: TradingPair) -> tuple[SeriesKind, ...]:
    """What is fetched of the pair's past besides ticks."""
    return history_kinds(pair)


def has_context(pair: TradingPair) -> bool:
    """Whether the pair has a funding rate and open interest."""
    return pair.market_type == "perps"


def tick_kind(exchange: str) -> str:
    """What a streamed exchange's ticks are: `trades`, or `ticks` where they are quotes."""
    return TICKS if exchange in QUOTE_STREAMS else TRADES


def stream_layer(exchange: str) -> str:
    """Layer of the parts that the streamer writes: `stream_trades` or `stream_ticks`."""
    return f"stream_{tick_kind(exchange)}"


def candle_layer(interval: Interval) -> str:
    """Layer of an interval's candles: `candles_5m`."""
    return f"candles_{interval.name}"


def history_candle_layer(interval: Interval) -> str:
    """Layer of an exchange's own candles of an interval: `history_candles_5m`."""
    return f"history_{candle_layer(interval)}"


def history_day_layers(pair: TradingPair) -> list[str]:
    """Layers of the pair's past with a partition a day: candles, shortest first, then the other series."""
    kinds = history_series(pair)
    candles = [history_candle_layer(each) for each in day_intervals(pair)] if SeriesKind.CANDLES in kinds else []
    return [*candles, *(HISTORY_LAYERS[kind] for kind in kinds if kind is not SeriesKind.CANDLES)]


def history_period_intervals(pair: TradingPair) -> tuple[Interval, ...]:
    """The pair's intervals longer than a day that are built from its own 1d candles, shortest first."""
    days = SeriesKind.CANDLES in history_series(pair) and any(each.name == "1d" for each in pair.intervals)
    return period_intervals(pair) if days else ()


def day_intervals(pair: TradingPair) -> tuple[Interval, ...]:
    """The pair's intervals up to a day, shortest first."""
    return tuple(each for each in DAY_INTERVALS if each in pair.intervals)


def period_intervals(pair: TradingPair) -> tuple[Interval, ...]:
    """The pair's intervals longer than a day, shortest first."""
    return tuple(each for each in PERIOD_INTERVALS if each in pair.intervals)


def day_layers(pair: TradingPair) -> list[str]:
    """Layers of the pair with a partition a day, in the order they are built."""
    return [TICKS, *(candle_layer(each) for each in day_intervals(pair))]


def asset_path(pair: TradingPair, layer: str) -> list[str]:
    """The asset key's parts: `["dukascopy", "EURUSD", "ticks"]`, those of the training database behind `training`."""
    return [*((TRAINING,) if is_training(pair) else ()), pair.exchange, pair.symbol, layer]


def group_name(pair: TradingPair) -> str:
    """The group a pair's assets are shown in."""
    return identifier(*asset_path(pair, "")[:-1])


def shown_name(pair: TradingPair) -> str:
    """The pair as runs and reports name it: `binance/BTCUSDT`, `training/binance/BTCUSDT`."""
    return "/".join(asset_path(pair, "")[:-1])


def pool_name(exchange: str) -> str:
    """The concurrency pool of everything that asks an exchange."""
    return exchange


def identifier(*parts: str) -> str:
    """The parts as one name of letters, digits and underscores."""
    return re.sub(r"[^A-Za-z0-9_]", "_", "_".join(parts))


def named_pairs(pairs: Sequence[TradingPair]) -> str:
    """Value of `PAIR_TAG`."""
    return ",".join(shown_name(pair) for pair in pairs)

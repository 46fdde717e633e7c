"""What assets, groups, pools and tags are called. Free of Dagster: the command line spells asset keys with it too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from market_platform.domain.intervals import DAY_INTERVALS, PERIOD_INTERVALS, Interval
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.codes import QUOTE_STREAMS, TICK_EXCHANGES

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
COMPACTION_POOL = "compaction"
"""The pool of what merges parts of the lake: memory and the store are its limits, not an exchange."""
PAIR_TAG = "market/pair"
"""Run tag naming the pairs a run is for, comma-separated."""
TRIGGER_TAG = "market/trigger"
"""Run tag saying who asked for a run: `schedule`, `repair`, `command`."""
EXCHANGE_TAG = "market/exchange"
"""Run tag naming the one exchange a run asks."""
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"


def has_history(pair: TradingPair) -> bool:
    """Whether the pair's past can be fetched as ticks, day by day; the others are streamed."""
    return pair.exchange in TICK_EXCHANGES


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
    """The asset key's parts: `["dukascopy", "EURUSD", "ticks"]`."""
    return [pair.exchange, pair.symbol, layer]


def asset_name(pair: TradingPair, layer: str) -> str:
    """The asset key as people write it: `dukascopy/EURUSD/ticks`."""
    return "/".join(asset_path(pair, layer))


def group_name(pair: TradingPair) -> str:
    """The group a pair's assets are shown in."""
    return identifier(pair.exchange, pair.symbol)


def pool_name(exchange: str) -> str:
    """The concurrency pool of everything that asks an exchange."""
    return exchange


def identifier(*parts: str) -> str:
    """The parts as one name of letters, digits and underscores."""
    return re.sub(r"[^A-Za-z0-9_]", "_", "_".join(parts))


def named_pairs(pairs: Sequence[TradingPair]) -> str:
    """Value of `PAIR_TAG`."""
    return ",".join(pair.name for pair in pairs)

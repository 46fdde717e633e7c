"""The three sides of a day's proof: what the database has, what the lake's trades make, what the exchange answers.

Belongs here: getting them, and saying why one can't be had. Does not: comparing and storing (proof.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl

from market_platform.domain.conditions import Condition
from market_platform.domain.errors import ConfigError, MarketPlatformError, is_retryable
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.domain.proof import Side
from market_platform.domain.ranks import CandleRank
from market_platform.domain.trade_minutes import minutes_of_trades
from market_platform.domain.trades import Trades
from market_platform.exchanges.codes import QUOTE_STREAMS
from market_platform.exchanges.history import HistorySource
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.history_answers import asked_pair
from market_platform.pipeline.platform import Platform, starlisting_ids
from market_platform.warehouse.gaps import Gap
from market_platform.warehouse.history_inputs import load_inputs
from market_platform.warehouse.lake_days import LakeDay, load_lake_days
from market_platform.warehouse.proofs import StoredMinutes, load_gaps_of_day, read_minutes
from market_platform.warehouse.reference import load_pair

MINUTE = parse_interval("1m")
CONFLATED = "its quotes are conflated, so candles of them are not those of the exchange"
_STREAMED_BEFORE = timedelta(days=7)


@dataclass(slots=True)
class Sides:
    """What was found of a day so far."""

    frames: dict[Side, pl.DataFrame] = field(default_factory=dict)
    left_out: dict[Side, str] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    begins: dict[Side, int] = field(default_factory=dict)
    trades: Trades | None = None
    confirmed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database knows of a day."""

    pair_id: int
    minutes: StoredMinutes
    lake: Mapping[date, LakeDay]
    gaps: Sequence[Gap]
    refetched: bool


def load_stored(platform: Platform, pair: TradingPair, day: date) -> Stored:
    """Minute candles, day files, gaps, and whether history was fetched since.

    Raises:
        ConfigError: it does not list the pair's minute candles as the config does.
        WarehouseUnavailableError: Postgres does not answer.
    """
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        starlisting_id = starlisting_ids(row, pair, [MINUTE])[MINUTE]
        return Stored(
            row.id,
            read_minutes(connection, starlisting_id, day),
            load_lake_days(connection, row.id, day - _STREAMED_BEFORE, day, kind="trades"),
            load_gaps_of_day(connection, row.id, day),
            bool(load_inputs(connection, row.id, "candles_1m", [day])),
        )


def our_sides(platform: Platform, pair: TradingPair, day: date, stored: Stored) -> Sides:
    """What was streamed, and what the lake's trades make.

    Raises:
        LakeError: the day's file can't be read, or is not what its manifest says.
    """
    sides = Sides()
    minutes = stored.minutes
    if minutes.candles.is_empty():
        sides.left_out[Side.STREAMED] = "no minute candle of the day is stored"
    else:
        sides.frames[Side.STREAMED] = minutes.candles
        times = minutes.candles["time"].dt.epoch("ms")
        sides.confirmed = frozenset(times.filter(minutes.ranks == int(CandleRank.EXCHANGE)))
        sides.inputs["ranks"] = {str(rank): count for rank, count in sorted(Counter(minutes.ranks).items())}
        if not minutes.began:
            sides.begins[Side.STREAMED] = times[0]
    if stored.refetched:
        sides.inputs["note"] = "the stored candles were fetched again since they were streamed"
    if pair.exchange in QUOTE_STREAMS:
        sides.left_out[Side.REBUILT] = CONFLATED
        return sides
    manifest = stored.lake.get(day)
    if manifest is None or manifest.object_key is None:
        sides.left_out[Side.REBUILT] = "the lake has no file of the day's trades; was it compacted?"
        return sides
    sides.trades = TRADE_DAYS.read(platform.lake, manifest.object_key, expect_hash=manifest.content_hash)
    sides.frames[Side.REBUILT] = minutes_of_trades(sides.trades)
    sides.inputs["trades"] = manifest.content_hash
    if not any(each < day and known.rows for each, known in stored.lake.items()):
        sides.begins[Side.REBUILT] = int(sides.trades.time[0])
    return sides


async def ask_exchange(
    source: HistorySource, pair: TradingPair, day: date, sides: Sides, *, last_attempt: bool
) -> None:
    """What the exchange has, beside the other two.

    Raises:
        ExchangeError: it does not answer, and there is another attempt.
        ConfigError: it can't be asked at all.
    """
    try:
        answer = await source.candles(asked_pair(pair), MINUTE, [day])
        if day in answer.failures:
            raise answer.failures[day]
    except ConfigError:
        raise
    except MarketPlatformError as error:
        if is_retryable(error) and not last_attempt:
            raise
        sides.left_out[Side.EXCHANGE] = f"not answered: {error}"
        return
    [fetched] = answer.days
    if not fetched.count:
        why = fetched.reason or f"it has no candle of the day ({fetched.condition})"
        sides.left_out[Side.EXCHANGE] = why
        return
    sides.frames[Side.EXCHANGE] = fetched.rows
    sides.inputs["exchange"] = fetched.input_version
    if fetched.condition is not Condition.AVAILABLE:
        sides.inputs["exchange_says"] = fetched.reason or fetched.condition.value

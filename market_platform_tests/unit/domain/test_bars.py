"""Bars from trades: exact, every interval, and only those that saw every trade."""

from __future__ import annotations

import random
from decimal import Decimal

import polars as pl
import pytest

from market_platform.domain.bars import BarBuilder
from market_platform.domain.candles import CANDLE_SCHEMA, roll_up
from market_platform.domain.events import Candle
from market_platform.domain.intervals import INTERVALS, Interval, bucket_end, bucket_start, parse_interval

START = 1_772_409_600_000
"""2 March 2026, 00:00 UTC, a Monday."""
MINUTE, DAY = 60_000, 86_400_000
M1, M5, H1 = (parse_interval(each) for each in ("1m", "5m", "1h"))

Made = tuple[int, int, Decimal, Decimal]


def walk(seed: int, count: int, span_ms: int) -> list[Made]:
    dice = random.Random(seed)
    times = sorted(dice.randrange(START, START + span_ms) for _ in range(count))
    return [
        (number, time, Decimal(dice.randint(900, 1100)).scaleb(-2), Decimal(dice.randint(1, 500)).scaleb(-4))
        for number, time in enumerate(times)
    ]


def build(builder: BarBuilder, trades: list[Made], until: int) -> tuple[list[Candle], list[tuple[Interval, int, int]]]:
    closed, incomplete = [], []
    for trade in trades:
        bars = builder.add(*trade)
        if bars is not None:
            closed += bars.closed
            incomplete += bars.incomplete
    bars = builder.due(until, 0)
    return closed + bars.closed, incomplete + bars.incomplete


def plain(trades: list[Made], interval: Interval) -> list[tuple[object, ...]]:
    """The same, in the most simple-minded way."""
    buckets: dict[int, list[Made]] = {}
    for each in trades:
        buckets.setdefault(bucket_start(each[1], interval), []).append(each)
    found: list[tuple[object, ...]] = []
    for start, mine in sorted(buckets.items()):
        prices = [each[2] for each in mine]
        volume = sum((each[3] for each in mine), Decimal(0))
        end = bucket_end(start, interval)
        found.append((start, end, prices[0], max(prices), min(prices), prices[-1], volume, len(mine)))
    return found


def values(candles: list[Candle], interval: Interval) -> list[tuple[object, ...]]:
    return [
        (each.open_ms, each.end_ms, each.open, each.high, each.low, each.close, each.volume, each.num_trades)
        for each in candles
        if each.interval == interval.name
    ]


@pytest.mark.parametrize("seed", range(5))
def test_every_interval_equals_the_plain_sum_of_its_trades(seed: int) -> None:
    trades = walk(seed, 3_000, 45 * DAY)
    builder = BarBuilder("X", INTERVALS)
    builder.resumed(START - 40 * DAY)
    closed, incomplete = build(builder, trades, START + 200 * DAY)
    assert incomplete == []
    for interval in INTERVALS:
        assert values(closed, interval) == plain(trades, interval), interval


def test_longer_bars_are_the_shorter_ones_rolled_up() -> None:
    trades = walk(9, 2_000, DAY)
    builder = BarBuilder("X", (M1, M5, H1))
    builder.resumed(START)
    closed, _ = build(builder, trades, START + 2 * DAY)

    def frame(interval: Interval) -> pl.DataFrame:
        names = ("open_ms", "open", "high", "low", "close", "volume", "num_trades")
        rows = [[getattr(each, name) for name in names] for each in closed if each.interval == interval.name]
        return (
            pl.DataFrame(rows, schema=[*CANDLE_SCHEMA], orient="row")
            .with_columns(pl.col("time").cast(pl.Datetime("ms", "UTC")))
            .cast(CANDLE_SCHEMA)
        )

    assert frame(M5).equals(roll_up(frame(M1), M5))
    assert frame(H1).equals(roll_up(frame(M1), H1))


def test_disorder_within_a_bar_changes_nothing() -> None:
    trades = walk(4, 500, MINUTE)
    mixed = trades.copy()
    random.Random(1).shuffle(mixed)
    found = []
    for each in (trades, mixed):
        builder = BarBuilder("X", (M1, M5))
        builder.resumed(START)
        found.append(build(builder, each, START + DAY)[0])
    assert found[0] == found[1]


def test_a_bar_that_began_before_the_stream_is_incomplete() -> None:
    builder = BarBuilder("X", (M1, M5))
    builder.resumed(START + 30_000)
    closed, incomplete = build(
        builder, [each for each in walk(2, 600, 600_000) if each[1] >= START + 30_000], START + DAY
    )
    assert {each.open_ms for each in closed if each.interval == "5m"} == {START + 5 * MINUTE}
    assert min(each.open_ms for each in closed if each.interval == "1m") == START + MINUTE
    assert incomplete == [(M1, START, START + MINUTE), (M5, START, START + 5 * MINUTE)]


def test_an_interruption_spoils_what_is_open_and_nothing_else() -> None:
    trades = walk(3, 1_200, 1_200_000)
    before = [each for each in trades if each[1] < START + 390_000]
    after = [each for each in trades if each[1] >= START + 450_000]
    builder = BarBuilder("X", (M1, M5))
    builder.resumed(START)
    closed, incomplete = [], []
    for part in (before, after):
        for trade in part:
            bars = builder.add(*trade)
            if bars is not None:
                closed += bars.closed
                incomplete += bars.incomplete
        builder.interrupted()
        builder.resumed(START + 450_000)
    minutes = [(each.open_ms - START) // MINUTE for each in closed if each.interval == "1m"]
    assert minutes == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
    assert [(each.open_ms - START) // MINUTE for each in closed if each.interval == "5m"] == [0, 10]
    assert {(interval.name, (start - START) // MINUTE) for interval, start, _ in incomplete} == {
        ("1m", 6),
        ("1m", 7),
        ("5m", 5),
    }


def test_a_trade_of_a_closed_bar_makes_what_holds_it_incomplete() -> None:
    builder = BarBuilder("X", (M1, M5))
    builder.resumed(START)
    one = Decimal(1)
    builder.add(1, START + 1_000, one, one)
    assert builder.add(3, START + MINUTE, one, one) is not None
    late = builder.add(2, START + 2_000, one, one)
    assert late is not None
    assert late.incomplete == [(M1, START, START + MINUTE)]
    bars = builder.due(START + 10 * MINUTE, 0)
    assert [each.open_ms for each in bars.closed] == [START + MINUTE]
    assert bars.incomplete == [(M5, START, START + 5 * MINUTE)]


def test_bars_form_in_every_interval() -> None:
    builder = BarBuilder("X", (M1, M5))
    builder.resumed(START)
    builder.add(1, START + 1_000, Decimal(10), Decimal(1))
    builder.add(2, START + MINUTE, Decimal(12), Decimal(2))
    forming = {each.interval: each for each in builder.forming()}
    minute, five = forming["1m"], forming["5m"]
    assert (minute.open_ms, str(minute.volume), minute.closed) == (START + MINUTE, "2", False)
    assert (five.open_ms, str(five.open), str(five.close), str(five.volume)) == (START, "10", "12", "3")

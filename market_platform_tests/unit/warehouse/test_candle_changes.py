"""The rules of a candle write, on frames alone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from market_platform.domain.conditions import Condition
from market_platform.domain.errors import WarehouseError
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candle_changes import (
    ROW_SCHEMA,
    CandleWrite,
    Changes,
    DayChange,
    combine,
    find_changes,
)
from market_platform.warehouse.candle_versions import next_version
from market_platform_tests.fixtures.candle_frames import candle_frame

DAY = date(2019, 2, 4)
FRAME = candle_frame(DAY, 10)


def a_write(
    frame: pl.DataFrame = FRAME, rank: CandleRank = CandleRank.COMPLETE_TICKS, *, replace: bool = True, day: date = DAY
) -> CandleWrite:
    return CandleWrite(7, day, frame, Condition.AVAILABLE, rank, replace=replace)


def stored(frame: pl.DataFrame = FRAME, rank: CandleRank = CandleRank.COMPLETE_TICKS) -> pl.DataFrame:
    return combine([a_write(frame, rank)]).select(ROW_SCHEMA.names())


def changes(write: CandleWrite, rows: pl.DataFrame) -> tuple[Changes, DayChange]:
    found = find_changes(combine([write]), [write], rows)
    return found, found.days[0]


def with_close(frame: pl.DataFrame, row: int, close: str) -> pl.DataFrame:
    values = frame["close"].to_list()
    values[row] = Decimal(close)
    return frame.with_columns(pl.Series("close", values, frame.schema["close"]))


def test_an_empty_day_gets_every_candle() -> None:
    found, day = changes(a_write(), pl.DataFrame(schema=ROW_SCHEMA))
    assert found.inserts.height == day.rows == day.added_rows == day.changed_rows == 10
    assert found.updates.is_empty()
    assert found.deletes.is_empty()
    assert (day.first_time, day.last_time) == (FRAME["time"][0], FRAME["time"][-1])


def test_the_same_again_changes_nothing() -> None:
    found, day = changes(a_write(), stored())
    assert found.inserts.is_empty()
    assert found.updates.is_empty()
    assert found.deletes.is_empty()
    assert (day.rows, day.changed_rows, day.content) == (10, 0, "")


def test_only_the_row_that_differs_is_updated() -> None:
    found, day = changes(a_write(with_close(FRAME, 3, "1.5")), stored())
    assert found.updates["time"].to_list() == [FRAME["time"][3]]
    assert (day.rows, day.changed_rows, day.added_rows) == (10, 1, 0)


def test_the_last_of_eighteen_decimals_is_a_difference() -> None:
    finest = with_close(FRAME, 3, str(FRAME["close"][3] + Decimal("0.000000000000000001")))
    assert changes(a_write(finest), stored())[1].changed_rows == 1


@pytest.mark.parametrize(
    ("stored_rank", "rank", "replaced"),
    [
        (CandleRank.EXCHANGE, CandleRank.COMPLETE_TICKS, False),
        (CandleRank.COMPLETE_TICKS, CandleRank.LIVE_STREAM, False),
        (CandleRank.COMPLETE_TICKS, CandleRank.COMPLETE_TICKS, True),
        (CandleRank.LIVE_STREAM, CandleRank.COMPLETE_TICKS, True),
        (CandleRank.COMPLETE_TICKS, CandleRank.EXCHANGE, True),
    ],
)
def test_the_higher_rank_wins_and_the_same_rank_replaces(
    stored_rank: CandleRank, rank: CandleRank, replaced: bool
) -> None:
    found, day = changes(a_write(with_close(FRAME, 3, "1.5"), rank), stored(rank=stored_rank))
    assert (day.changed_rows == 1) is replaced
    assert day.outranked is (stored_rank > rank)
    assert found.deletes.is_empty()


def test_a_higher_rank_with_the_same_values_raises_the_rank_and_changes_no_candle() -> None:
    found, day = changes(a_write(rank=CandleRank.EXCHANGE), stored(rank=CandleRank.LIVE_STREAM))
    assert found.updates["source"].unique().to_list() == [30]
    assert (day.changed_rows, day.raised_rows, day.content) == (0, 10, "")


def test_null_never_overwrites_a_value() -> None:
    unknown = FRAME.with_columns(num_trades=pl.lit(None, pl.Int64))
    assert changes(a_write(unknown), stored())[1].changed_rows == 0
    found, day = changes(a_write(with_close(unknown, 3, "1.5")), stored())
    assert day.changed_rows == 1
    assert found.updates["num_trades"].to_list() == [FRAME["num_trades"][3]]
    assert changes(a_write(), stored(unknown))[1].changed_rows == 10


def test_candles_that_vanished_go_unless_they_outrank_the_write() -> None:
    fewer = FRAME.slice(0, 8)
    found, day = changes(a_write(fewer), stored())
    assert found.deletes["time"].to_list() == FRAME["time"][8:].to_list()
    assert (day.rows, day.changed_rows, day.last_time) == (8, 2, FRAME["time"][7])
    found, day = changes(a_write(fewer), stored(rank=CandleRank.EXCHANGE))
    assert found.deletes.is_empty()
    assert (day.rows, day.changed_rows, day.last_time) == (10, 0, FRAME["time"][9])


def test_what_partial_ticks_lack_is_not_gone() -> None:
    fewer = a_write(FRAME.slice(0, 8), CandleRank.PARTIAL_TICKS)
    assert changes(fewer, stored(rank=CandleRank.LIVE_STREAM))[0].deletes.is_empty()
    assert changes(fewer, stored(rank=CandleRank.PARTIAL_TICKS))[0].deletes.height == 2
    complete = a_write(FRAME.slice(0, 8))
    assert changes(complete, stored(rank=CandleRank.LIVE_STREAM))[0].deletes.height == 2


def test_a_live_writer_removes_nothing() -> None:
    found, day = changes(a_write(FRAME.slice(9), CandleRank.COMPLETE_TICKS, replace=False), stored(FRAME.slice(0, 9)))
    assert found.deletes.is_empty()
    assert (day.added_rows, day.changed_rows) == (1, 1)


def test_the_version_depends_on_content_and_history_not_on_the_writer() -> None:
    empty = pl.DataFrame(schema=ROW_SCHEMA)
    _, first = changes(a_write(), empty)
    _, other_rank = changes(a_write(rank=CandleRank.EXCHANGE), empty)
    _, other_content = changes(a_write(with_close(FRAME, 3, "1.5")), empty)
    assert first.content == other_rank.content != other_content.content
    version = next_version("", first.content)
    assert version == next_version("", first.content) != next_version("x", first.content)
    assert next_version(version, "") == version


def test_each_days_version_is_its_own() -> None:
    next_day = date(2019, 2, 5)
    both = [a_write(), a_write(candle_frame(next_day, 5), day=next_day)]
    together = find_changes(combine(both), both, pl.DataFrame(schema=ROW_SCHEMA))
    alone = [changes(write, pl.DataFrame(schema=ROW_SCHEMA))[1] for write in both]
    assert list(together.days) == alone


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (candle_frame(date(2019, 2, 5), 3), "another day"),
        (FRAME.reverse(), "not sorted"),
        (pl.concat([FRAME, FRAME.slice(9)]), "time twice"),
        (FRAME.with_columns(open=pl.lit(None, FRAME.schema["open"])), "without a price"),
    ],
)
def test_a_frame_that_is_not_a_days_candles_is_refused(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(WarehouseError, match=rf"starlisting 7 for 2019-02-04: .*{message}"):
        combine([a_write(frame)])

"""Records go to Postgres in as few transactions as their order allows."""

from __future__ import annotations

from datetime import timedelta

from market_platform.domain.errors import SchemaMismatchError, WarehouseError, WarehouseUnavailableError
from market_platform.domain.ranks import CandleRank
from market_platform_tests.fixtures.live_sink import DAY, candle
from streamer.delivery.writer import batches, is_refusal
from streamer.journal.records import CandleRecord, JournalPair, Row, StreamDayRecord

PAIR = JournalPair(1, "binance", "BTCUSDT")


def row(starlisting_id: int, minute: int, rank: CandleRank = CandleRank.EXCHANGE, close: str = "1") -> Row:
    return Row(PAIR, CandleRecord(starlisting_id, rank, candle(minute, close=close)))


def test_any_number_of_starlistings_and_days_is_one_transaction() -> None:
    (batch,) = batches([row(1, 0), row(2, 0), row(1, 1), row(1, 24 * 60)])

    assert {key: len(each) for key, each in batch.candles.items()} == {
        (1, DAY): 2,
        (2, DAY): 1,
        (1, DAY + timedelta(days=1)): 1,
    }


def test_the_last_of_one_time_counts() -> None:
    (batch,) = batches([row(1, 0, close="1"), row(1, 0, close="2")])

    (kept,) = next(iter(batch.candles.values())).values()
    assert isinstance(kept.record, CandleRecord)
    assert str(kept.record.candle.close) == "2"


def test_candles_of_two_ranks_of_a_day_follow_one_another() -> None:
    made = batches([row(1, 0), row(2, 0), row(1, 1, CandleRank.LIVE_STREAM), row(1, 2)])

    assert [sorted({key[0] for key in batch.candles}) for batch in made] == [[1, 2], [1], [1]]


def test_only_content_is_refused_everything_else_waits() -> None:
    assert is_refusal(WarehouseError("a CHECK"))
    assert is_refusal(OverflowError("a date of the year 3,000,000"))
    assert not is_refusal(WarehouseUnavailableError("away"))
    assert not is_refusal(SchemaMismatchError("run migrate"))
    assert not is_refusal(OSError("what?"))


def test_records_that_are_no_candles_go_along() -> None:
    (batch,) = batches([Row(PAIR, StreamDayRecord("trades", DAY, 1, 0, 0, 0.0)), row(1, 0)])

    assert len(batch.others) == 1

"""Rows of a journal that is older than the database."""

from __future__ import annotations

from typing import Any, cast

import pytest

from market_platform.domain.errors import WarehouseError
from market_platform.warehouse.live_pairs import PairIds
from market_platform_tests.fixtures.memory_sink import made_candle
from streamer.delivery.placing import Places
from streamer.journal.records import NO_PAIR, CandleRecord, JournalPair, Row, StreamDayRecord

NOW: dict[tuple[str, str], PairIds] = {("binance", "BTCUSDT"): PairIds(2, {"1m": 20, "5m": 21})}
BTC = JournalPair(1, "binance", "BTCUSDT")


def _places() -> Places:
    made = Places(lambda _: NOW)
    made.refresh(cast("Any", None))
    return made


def test_a_row_goes_to_its_name_whatever_number_it_had() -> None:
    candle = made_candle(1, closed=True)
    placed = _places().place(Row(BTC, CandleRecord(10, 1, candle)))
    assert placed == Row(JournalPair(2, "binance", "BTCUSDT"), CandleRecord(20, 1, candle))
    assert _places().place(placed) is placed


def test_a_row_of_a_name_that_is_not_there_is_refused() -> None:
    day = cast("StreamDayRecord", None)
    with pytest.raises(WarehouseError, match="no pair binance/ETHUSDT"):
        _places().place(Row(JournalPair(2, "binance", "ETHUSDT"), day))
    with pytest.raises(WarehouseError, match="no 1h candles"):
        _places().place(Row(BTC, CandleRecord(10, 1, made_candle(1, closed=True, interval="1h"))))
    nobody = Row(NO_PAIR, day)
    assert _places().place(nobody) is nobody


def test_numbers_are_read_again_after_a_minute_when_forgotten_and_for_an_unknown_name() -> None:
    now = 0.0
    places = Places(lambda _: NOW, lambda: now)
    row = Row(BTC, CandleRecord(10, 1, made_candle(1, closed=True)))
    assert places.is_due([row])
    places.refresh(cast("Any", None))
    assert not places.is_due([row])
    assert places.is_due([row, Row(BTC, CandleRecord(10, 1, made_candle(1, closed=True, interval="1h")))])
    assert places.is_due([Row(JournalPair(3, "binance", "NEWUSDT"), cast("StreamDayRecord", None))])
    places.forget()
    assert places.is_due([row])
    places.refresh(cast("Any", None))
    now = 61.0
    assert places.is_due([])

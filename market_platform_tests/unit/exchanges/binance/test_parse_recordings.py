"""Everything that was recorded of Binance parses, exactly, without a hole in the ids of trades."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

import polars as pl
import pytest

from market_platform.domain.events import Candle, Event, Quote, Trade
from market_platform.exchanges.binance.parse import parse
from market_platform_tests.recordings import recording
from market_platform_tests.unit.exchanges.binance.recorded import captured_messages, stream_lines
from market_platform_tests.unit.exchanges.binance.wire import raw, trade

EXPECTED = {
    "spot": {"Quote": 28_040, "Trade": 9_757, "nothing": 3_452},
    "usdm": {"Quote": 53_992, "Trade": 14_076, "nothing": 6_587},
    "cm": {"Quote": 19_136, "Trade": 2_286, "nothing": 26_848},
}
CAPTURED = {
    "spot": {"Quote": 84, "Trade": 2, "Candle": 2, "nothing": 177},
    "usdm": {"Quote": 613, "Trade": 91, "Candle": 67, "nothing": 764},
}


def counted(events: list[list[Event]]) -> Counter[str]:
    return Counter(type(each[0]).__name__ if each else "nothing" for each in events)


@pytest.mark.parametrize("market", EXPECTED)
def test_recorded_streams_parse_whole(market: str) -> None:
    lines = stream_lines(market)
    events = [list(parse(line)) for line in lines]
    assert counted(events) == EXPECTED[market]  # nothing: order books, which recordings hold and we never ask for

    trades = [each for of_line in events for each in of_line if isinstance(each, Trade)]
    first = trades[0].trade_id
    assert [each.trade_id for each in trades] == list(range(first, first + len(trades)))

    updates = [each.update_id for of_line in events for each in of_line if isinstance(each, Quote)]
    assert updates == sorted(updates, key=lambda each: each or 0)


@pytest.mark.parametrize("market", EXPECTED)
def test_recorded_numbers_are_kept_digit_for_digit(market: str) -> None:
    for line in stream_lines(market)[::7]:
        events = parse(line)
        if not events:
            continue
        (event,) = events
        said = json.loads(line)["data"]
        if isinstance(event, Trade):
            assert (format(event.price, "f"), format(event.quantity, "f")) == (said["p"], said["q"])
            assert (event.time_ms, event.event_ms) == (said["T"], said["E"])
        else:
            assert isinstance(event, Quote)
            kept = [format(each, "f") for each in (event.bid, event.bid_volume, event.ask, event.ask_volume)]
            assert kept == [said["b"], said["B"], said["a"], said["A"]]
            assert event.time_ms == said.get("T")


@pytest.mark.parametrize("market", CAPTURED)
def test_captures_of_another_client_parse_whole(market: str) -> None:
    lines = captured_messages(market)
    events = [list(parse(line)) for line in lines]
    assert counted(events) == CAPTURED[market]
    for line, of_line in zip(lines, events, strict=True):
        for event in of_line:
            if isinstance(event, Candle):
                body = json.loads(line)["data"]["k"]
                kept = [format(each, "f") for each in (event.open, event.high, event.low, event.close, event.volume)]
                assert kept == [body[name] for name in "ohlcv"]
                assert (event.open_ms, event.end_ms, event.closed) == (body["t"], body["T"] + 1, body["x"])
                assert event.num_trades == body["L"] - body["f"] + 1


@pytest.mark.parametrize("market", CAPTURED)
def test_aggregates_continue_each_other(market: str) -> None:
    """Ids of aggregates have no hole, and each begins with the trade after the last one of its predecessor."""
    newest: dict[str, Trade] = {}
    for line in captured_messages(market):
        for event in parse(line):
            if isinstance(event, Trade):
                before = newest.get(event.symbol)
                if before is not None:
                    assert event.trade_id == before.trade_id + 1
                    assert before.last_id is not None
                    assert event.first_id == before.last_id + 1
                newest[event.symbol] = event
    assert newest


def test_stored_trades_of_another_program_survive_a_round_trip() -> None:
    """Its Parquet file has floats, so the text is the shortest that names them; ids and times are Binance's."""
    stored = pl.read_parquet(recording("binance/nautilus/btcusdt-trades.parquet"))
    times = stored["timestamp"].dt.epoch("ms")
    ids = []
    for time, row in zip(times, stored.iter_rows(named=True), strict=True):
        price, quantity = repr(row["price"]), format(Decimal(repr(row["quantity"])), "f")
        maker = row["buyer_maker"] == "True"
        (event,) = parse(raw(trade(t=row["trade_id"], p=price, q=quantity, T=time, E=time, m=maker)))
        assert isinstance(event, Trade)
        assert (format(event.price, "f"), format(event.quantity, "f"), event.time_ms) == (price, quantity, time)
        ids.append(event.trade_id)
    assert ids == list(range(ids[0], ids[0] + len(ids)))

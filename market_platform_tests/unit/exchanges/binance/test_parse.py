"""Binance's stream messages become exact events, and what makes no sense is refused by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Control, Event, Funding, Quote, Trade
from market_platform.exchanges.binance.messages import UNSUBSCRIBE_ID
from market_platform.exchanges.binance.parse import parse
from market_platform_tests.unit.exchanges.binance.wire import (
    GOOD,
    NOW,
    OPEN,
    agg_trade,
    book_ticker,
    combined,
    kline,
    mark_price,
    raw,
    trade,
)


def one(message: bytes) -> Event:
    (event,) = parse(message)
    return event


@pytest.mark.parametrize(("stream", "message"), GOOD.values(), ids=GOOD)
def test_combined_and_raw_connections_say_the_same(stream: str, message: dict[str, Any]) -> None:
    assert one(combined(stream, message)) == one(raw(message))


def test_a_trade_of_a_maker_who_bought_is_a_sale() -> None:
    assert one(combined("btcusdt@trade", trade())) == Trade(
        symbol="BTCUSDT",
        trade_id=12345,
        price=Decimal("61837.63000000"),
        quantity=Decimal("0.02000000"),
        side="sell",
        time_ms=NOW - 1,
        event_ms=NOW,
    )


def test_an_aggregate_names_the_trades_within() -> None:
    event = one(combined("btcusdt@aggTrade", agg_trade()))
    assert isinstance(event, Trade)
    assert (event.trade_id, event.first_id, event.last_id, event.side) == (5, 100, 102, "buy")


def test_a_quote_of_spot_has_no_time() -> None:
    event = one(combined("bnbusdt@bookTicker", book_ticker(B="0.00000000")))
    assert event == Quote(
        symbol="BNBUSDT",
        bid=Decimal("25.35190000"),
        ask=Decimal("25.36520000"),
        bid_volume=Decimal(0),
        ask_volume=Decimal("40.66"),
        time_ms=None,
        update_id=400900217,
    )


def test_a_closed_candle_has_its_trades() -> None:
    event = one(combined("btcusdt@kline_1m", kline()))
    assert event == Candle(
        symbol="BTCUSDT",
        interval="1m",
        open_ms=OPEN,
        end_ms=OPEN + 60_000,
        open=Decimal("0.0010"),
        high=Decimal("0.0025"),
        low=Decimal("0.0005"),
        close=Decimal("0.0020"),
        volume=Decimal(1000),
        num_trades=101,
        closed=True,
        first_trade_id=100,
        last_trade_id=200,
        event_ms=OPEN + 60_002,
    )


def test_a_candle_without_trades_names_none() -> None:
    event = one(raw(kline(f=-1, L=-1, n=0, v="0", o="1", h="1", l="1", c="1", x=False)))
    assert isinstance(event, Candle)
    assert (event.num_trades, event.first_trade_id, event.last_trade_id, event.closed) == (0, None, None, False)


def test_a_month_ends_where_the_next_begins() -> None:
    february, march = 1_706_745_600_000, 1_709_251_200_000
    event = one(raw(kline(i="1M", t=february, T=march - 1)))
    assert isinstance(event, Candle)
    assert (event.open_ms, event.end_ms) == (february, march)


def test_funding_may_be_negative() -> None:
    assert one(combined("btcusdt@markPrice@1s", mark_price())) == Funding(
        symbol="BTCUSDT",
        funding_rate=Decimal("-0.00038167"),
        mark_price=Decimal("11794.15000000"),
        index_price=Decimal("11784.62659091"),
        next_funding_ms=1_723_161_600_000,
        time_ms=NOW,
    )


@pytest.mark.parametrize("none", ["", "0.00000000"])
def test_a_contract_without_an_index_has_no_index_price(none: str) -> None:
    event = one(raw(mark_price(i=none)))
    assert isinstance(event, Funding)
    assert event.index_price is None


def test_a_contract_that_is_delivered_has_no_funding() -> None:
    assert not parse(raw(mark_price(r="", T=0, i="")))


def test_microseconds_are_understood() -> None:
    fast = one(raw(agg_trade(T=(NOW - 1) * 1000 + 7, E=NOW * 1000 + 999)))
    assert isinstance(fast, Trade)
    assert (fast.time_ms, fast.event_ms) == (NOW - 1, NOW)
    candle = one(raw(kline({"E": NOW * 1000}, t=OPEN * 1000, T=OPEN * 1000 + 59_999_999)))
    assert isinstance(candle, Candle)
    assert (candle.open_ms, candle.end_ms, candle.event_ms) == (OPEN, OPEN + 60_000, NOW)


@pytest.mark.parametrize(
    "text", ["0.00000638", "61837.63000000", "0.1", "7", "12345678901234567890.123456789012345678"]
)
def test_what_was_sent_is_what_is_kept(text: str) -> None:
    event = one(raw(agg_trade(p=text)))
    assert isinstance(event, Trade)
    assert format(event.price, "f") == text


def test_fields_that_are_new_are_no_reason_to_stop() -> None:
    assert one(combined("btcusdt@aggTrade", agg_trade(nq="177", X={"y": [1]}))) == one(raw(agg_trade()))


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        ({"result": None, "id": 1}, "subscribed", "1"),
        ({"result": None, "id": UNSUBSCRIBE_ID}, "unsubscribed", str(UNSUBSCRIBE_ID)),
        (
            {"error": {"code": 2, "msg": "Invalid request"}, "id": 3},
            "error",
            'request 3: {"code":2,"msg":"Invalid request"}',
        ),
        ({"code": 3, "msg": "Invalid JSON"}, "error", 'request ?: {"code":3,"msg":"Invalid JSON"}'),
        ({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": NOW}}, "shutdown", None),
        ({"e": "serverShutdown", "E": NOW}, "shutdown", None),
    ],
)
def test_what_is_about_the_connection(message: object, kind: str, text: str | None) -> None:
    event = one(raw(message))
    assert isinstance(event, Control)
    assert event.kind == kind
    assert text is None or event.text == text


@pytest.mark.parametrize(
    "message",
    [
        combined(
            "btcusdt@depth@100ms", {"e": "depthUpdate", "E": NOW, "s": "BTCUSDT", "U": 1, "u": 2, "b": [], "a": []}
        ),
        raw({"e": "depthUpdate", "E": NOW, "s": "BTCUSDT", "U": 1, "u": 2, "b": [], "a": []}),
        raw({"lastUpdateId": 7, "bids": [], "asks": []}),
        combined("btcusdt@miniTicker", {"e": "24hrMiniTicker", "E": NOW, "s": "BTCUSDT", "c": "1"}),
        raw({"result": ["btcusdt@aggTrade", "btcusdt@kline_1m"], "id": 3}),
    ],
)
def test_what_is_known_and_of_no_interest(message: bytes) -> None:
    assert not parse(message)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (trade(p="0.00"), r"trade BTCUSDT: p \(price\)"),
        (trade(p="-1"), r"p \(price\) -1"),
        (trade(q="-0.1"), r"q \(quantity\) -0.1"),
        (trade(q="0"), r"q \(quantity\) 0"),
        (trade(p="NaN"), r"trade BTCUSDT: p \(price\) NaN"),
        (trade(q="sNaN"), r"q \(quantity\) sNaN"),
        (book_ticker(B="NaN"), r"B \(bid volume\) NaN is no volume"),
        (trade(p="Infinity"), "Infinity"),
        (trade(p="1e999999999"), "price"),
        (trade(q="1e-999999"), "quantity"),
        (trade(p=None), "null.*p"),
        (trade(p="abc"), "decimal.*p"),
        (trade(m="true"), "bool.*m"),
        (trade(t=-1), ">= 0.*t"),
        (trade(t=2**63), "t"),
        (trade(T=12), "T"),
        (trade(s=""), "s"),
        (agg_trade(l=99), r"l \(last trade\) 99 is before f \(first trade\) 100"),
        (agg_trade(T=4_102_444_800_001), "time 4.* is neither"),
        (book_ticker(b="25.37"), "crossed"),
        (book_ticker(b="0.0"), r"b \(bid\)"),
        (book_ticker(A="-1"), r"A \(ask volume\) -1"),
        (book_ticker(B="0E-999999"), r"B \(bid volume\)"),
        (book_ticker(a="Infinity"), r"a \(ask\) Infinity"),
        (kline(h="0.0001"), "contradict"),
        (kline(c="0.0001"), "contradict"),
        (kline(l="0"), r"l \(low\)"),
        (kline(v="-1"), "v '-1' is not a plain decimal"),
        (kline(o="NaN"), "o 'NaN' is not a plain decimal"),
        (book_ticker(b="sNaN"), r"b \(bid\) sNaN is no price"),
        (agg_trade(p="NaN"), r"aggTrade BTCUSDT: p \(price\) NaN"),
        (kline(h="1.2.3"), "h '1.2.3' is not a plain decimal"),
        (kline(v=""), "v '' is not a plain decimal"),
        (kline(h="1e3"), "h '1e3' is not a plain decimal"),
        (kline(t=OPEN + 1), r"t \(open\) .* not on the grid of 1m"),
        (kline(T=OPEN + 60_000), r"T \(end\) .* is not the end of the 1m"),
        (kline(i="7m"), "i .*unknown interval '7m'"),
        (kline(n=102), r"n \(trades\) 102 is more than from f 100 to L 200"),
        (kline(f=-1, L=-1), r"n \(trades\)"),
        (kline(n=0), r"v \(volume\) is 1000 and n \(trades\) 0"),
        (kline(x=None), "null.*x"),
        (mark_price(r="1.5"), "beyond 100 %"),
        (mark_price(r="nan"), r"r \(funding rate\)"),
        (mark_price(p="0"), r"p \(mark price\)"),
        (mark_price(i="x"), r"i \(index price\) 'x'"),
        ({"e": "somethingNew", "E": NOW}, "'somethingNew' is not what we ask for"),
        ({"hello": 1}, "no known kind"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(message: dict[str, Any], reason: str) -> None:
    stream = {"trade": "trade", "aggTrade": "aggTrade", "kline": "kline_1m", "markPriceUpdate": "markPrice@1s"}
    for text in (raw(message), combined(f"x@{stream.get(message.get('e', ''), 'bookTicker')}", message)):
        with pytest.raises(BadPayloadError, match=reason):
            parse(text)


@pytest.mark.parametrize("name", ["p", "q", "a", "f", "l", "T", "m", "s"])
def test_a_missing_field_is_named(name: str) -> None:
    message = agg_trade()
    del message[name]
    with pytest.raises(BadPayloadError, match=f"missing required field `{name}`"):
        parse(combined("btcusdt@aggTrade", message))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"@",
        b"x@a",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"1",
        b"[" * 100_000,
        b'{"stream":"x@trade","data":"' + b"y" * 9000,
    ],
)
def test_what_is_not_json(message: bytes) -> None:
    with pytest.raises(BadPayloadError):
        parse(message)


def test_a_message_that_never_ends_is_refused() -> None:
    with pytest.raises(BadPayloadError, match="more than 4096 bytes"):
        parse(combined("btcusdt@trade", trade(p="1." + "0" * 5000)))

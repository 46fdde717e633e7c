"""Hyperliquid's messages: what becomes of each, digit for digit, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Control, Event, Funding, OpenInterest, Trade
from market_platform.exchanges.hyperliquid.wire import parse_message, parse_meta, parse_snapshot
from market_platform_tests.fixtures.wire_fuzz import mutated
from market_platform_tests.recordings import recording

CANDLE = {
    "t": 1781416800000,
    "T": 1781417099999,
    "s": "BTC",
    "i": "5m",
    "o": "64321.0",
    "c": "64413.0",
    "h": "64413.10",
    "l": "64320.0",
    "v": "126.60117",
    "n": 624,
}
TRADE = {
    "coin": "BTC",
    "side": "B",
    "px": "105056.0",
    "sz": "0.002190",
    "time": 1737918794873,
    "hash": None,
    "tid": 121451470284048,
    "users": None,
}
CONTEXT = {
    "coin": "BTC",
    "ctx": {
        "funding": "-0.0000125",
        "openInterest": "32227.66018",
        "prevDayPx": "63564.0",
        "dayNtlVlm": "1128098483.2000689507",
        "premium": "-0.0002483354",
        "oraclePx": "64429.0",
        "markPx": "64405.0",
        "midPx": "64412.5",
        "impactPxs": ["64404.4", "64413.0"],
        "dayBaseVlm": "17577.61508",
    },
}


def message(channel: str, data: object) -> bytes:
    return json.dumps({"channel": channel, "data": data}).encode()


def test_a_candle_has_no_closed_flag_and_ends_where_the_next_begins() -> None:
    assert list(parse_message(message("candle", CANDLE))) == [
        Candle(
            symbol="BTC",
            interval="5m",
            open_ms=1781416800000,
            end_ms=1781417100000,
            open=Decimal("64321.0"),
            high=Decimal("64413.10"),
            low=Decimal("64320.0"),
            close=Decimal("64413.0"),
            volume=Decimal("126.60117"),
            num_trades=624,
            closed=None,
        )
    ]


def test_a_month_ends_with_the_calendar() -> None:
    february = {**CANDLE, "i": "1M", "t": 1769904000000, "T": 1772323199999}
    (candle,) = parse_message(message("candle", february))
    assert isinstance(candle, Candle)
    assert candle.end_ms == 1772323200000


def test_trades_keep_id_side_and_time_whatever_else_is_null() -> None:
    sold = {**TRADE, "side": "A", "tid": 2**63 - 1}
    assert list(parse_message(message("trades", [TRADE, sold]))) == [
        Trade("BTC", 121451470284048, Decimal("105056.0"), Decimal("0.002190"), "buy", 1737918794873),
        Trade("BTC", 2**63 - 1, Decimal("105056.0"), Decimal("0.002190"), "sell", 1737918794873),
    ]


def test_a_context_is_funding_and_open_interest() -> None:
    assert list(parse_message(message("activeAssetCtx", CONTEXT))) == [
        Funding(
            symbol="BTC",
            funding_rate=Decimal("-0.0000125"),
            premium=Decimal("-0.0002483354"),
            mark_price=Decimal("64405.0"),
            oracle_price=Decimal("64429.0"),
            mid_price=Decimal("64412.5"),
        ),
        OpenInterest(
            symbol="BTC",
            open_interest=Decimal("32227.66018"),
            day_base_volume=Decimal("17577.61508"),
            day_notional_volume=Decimal("1128098483.2000689507"),
        ),
    ]


def test_what_an_illiquid_coin_has_not_is_none() -> None:
    bare = {"funding": "0.0", "openInterest": "0.0", "premium": None, "midPx": None, "impactPxs": None, "markPx": "1.5"}
    assert list(parse_message(message("activeAssetCtx", {"coin": "PURR", "ctx": bare}))) == [
        Funding("PURR", Decimal("0.0"), mark_price=Decimal("1.5")),
        OpenInterest("PURR", Decimal("0.0")),
    ]
    nothing = {"funding": None, "openInterest": None}
    assert list(parse_message(message("activeAssetCtx", {"coin": "PURR", "ctx": nothing}))) == []


@pytest.mark.parametrize(
    ("raw", "control"),
    [
        (b'{"channel":"pong"}', Control("heartbeat")),
        (
            message("subscriptionResponse", {"method": "subscribe", "subscription": {"type": "trades", "coin": "SOL"}}),
            Control("subscribed", "trades:SOL"),
        ),
        (
            message(
                "subscriptionResponse",
                {"method": "unsubscribe", "subscription": {"type": "candle", "coin": "SOL", "interval": "1h"}},
            ),
            Control("unsubscribed", "candle:SOL:1h"),
        ),
        (message("error", "Already subscribed: {}"), Control("error", "Already subscribed: {}")),
    ],
)
def test_what_is_about_the_connection(raw: bytes, control: Control) -> None:
    assert list(parse_message(raw)) == [control]
    assert list(parse_message(raw.decode())) == [control]


@pytest.mark.parametrize(
    "raw",
    [
        "Websocket connection established.",
        b"Websocket connection established.",
        message("l2Book", {"coin": "BTC", "levels": [[], []], "time": 1}),
        message("allMids", {"mids": {"BTC": "1"}}),
        message("bbo", None),
        message("candle", {**CANDLE, "i": "3m"}),
    ],
)
def test_what_is_known_and_of_no_interest(raw: bytes | str) -> None:
    assert list(parse_message(raw)) == []


@pytest.mark.parametrize(
    ("channel", "data", "says"),
    [
        ("candle", {**CANDLE, "o": 64321.0}, r"\$\.o"),
        ("candle", {**CANDLE, "o": "0.0"}, "o is 0.0"),
        ("candle", {**CANDLE, "c": "NaN"}, r"\$\.c"),
        ("candle", {**CANDLE, "v": "-1"}, r"\$\.v"),
        ("candle", {**CANDLE, "v": "1_0"}, r"\$\.v"),
        ("candle", {**CANDLE, "n": -1}, r"\$\.n"),
        ("candle", {**CANDLE, "n": None}, r"\$\.n"),
        ("candle", {**CANDLE, "h": "64000"}, "high 64000 is below low"),
        ("candle", {**CANDLE, "c": "70000"}, "close 70000 is not between"),
        ("candle", {**CANDLE, "t": 1781416800001}, "is not where a candle of 5m opens"),
        ("candle", {**CANDLE, "T": 1781417100000}, "T is 1781417100000"),
        ("candle", {**CANDLE, "t": 0}, r"\$\.t"),
        ("candle", {**CANDLE, "i": "7m"}, "no interval"),
        ("candle", {**CANDLE, "s": ""}, r"\$\.s"),
        ("candle", {key: value for key, value in CANDLE.items() if key != "h"}, "`h`"),
        ("candle", [CANDLE], "object"),
        ("candle", {**CANDLE, "i": "1w", "t": 1781136000000, "T": 1781740799999}, "weeks on Monday"),
        ("trades", [{**TRADE, "px": "-1"}], r"px"),
        ("trades", [{**TRADE, "px": "0"}], "px is 0"),
        ("trades", [{**TRADE, "sz": "0.0"}], "sz is 0.0"),
        ("trades", [{**TRADE, "sz": None}], r"\.sz"),
        ("trades", [{**TRADE, "side": "C"}], r"\.side"),
        ("trades", [{**TRADE, "tid": 2**63}], r"tid|range"),
        ("trades", [{**TRADE, "tid": "7"}], r"\.tid"),
        ("trades", [{**TRADE, "time": 1737918794}], r"\.time"),
        ("trades", None, "array"),
        ("activeAssetCtx", {**CONTEXT, "ctx": {"funding": "0"}}, "openInterest"),
        ("activeAssetCtx", {**CONTEXT, "ctx": {**CONTEXT["ctx"], "markPx": "0.0"}}, "markPx is 0.0"),  # type: ignore[dict-item]
        ("activeAssetCtx", {**CONTEXT, "ctx": {**CONTEXT["ctx"], "funding": "inf"}}, "funding"),  # type: ignore[dict-item]
        ("activeAssetCtx", {**CONTEXT, "ctx": {**CONTEXT["ctx"], "openInterest": "-5"}}, "openInterest"),  # type: ignore[dict-item]
        ("error", {"code": 1}, "str"),
        ("subscriptionResponse", {"method": "dance"}, "method"),
        ("somethingNew", {}, "unknown channel 'somethingNew'"),
    ],
)
def test_what_makes_no_sense_is_refused_naming_the_field(channel: str, data: object, says: str) -> None:
    with pytest.raises(BadPayloadError, match=says):
        parse_message(message(channel, data))


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"pong"', b"\xff\xfe", b'{"channel":1}', b"[" * 100_000])
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(BadPayloadError):
        parse_message(raw)


def test_every_recorded_message_parses_and_each_trade_keeps_its_text() -> None:
    counts: Counter[str] = Counter()
    for raw in recorded_messages():
        document = json.loads(raw)
        events = parse_message(raw)
        counts[document["channel"]] += len(events)
        if document["channel"] == "trades":
            assert [
                (str(each.price), str(each.quantity), each.trade_id) for each in events if isinstance(each, Trade)
            ] == [(wire["px"], wire["sz"], wire["tid"]) for wire in document["data"]]
        if document["channel"] == "candle":
            wire, (candle,) = document["data"], events
            assert isinstance(candle, Candle)
            numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
            assert [str(number) for number in numbers] == [wire[key] for key in "ohlcv"]
    assert counts["trades"] == 33
    assert counts["candle"] == 8
    assert counts["activeAssetCtx"] == 4
    assert counts["l2Book"] == 0


def test_ten_thousand_damaged_messages_raise_nothing_else() -> None:
    whole = [message("candle", CANDLE), message("trades", [TRADE, TRADE]), message("activeAssetCtx", CONTEXT)]
    whole += [b'{"channel":"pong"}', message("error", "no"), message("l2Book", {"coin": "BTC"})]
    whole += [message("subscriptionResponse", {"method": "subscribe", "subscription": {"type": "bbo", "coin": "BTC"}})]
    refused = 0
    for raw in mutated(whole, 10_000, seed=7):
        try:
            for event in parse_message(raw):
                assert_sane(event)
        except BadPayloadError:
            refused += 1
    assert 3_000 < refused < 10_000


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (lambda raw: parse_snapshot(raw, "BTC", "5m"), json.dumps([CANDLE, CANDLE]).encode()),
        (parse_meta, b'{"universe":[{"name":"BTC","szDecimals":5},{"name":"kPEPE","isDelisted":true}]}'),
    ],
    ids=["candleSnapshot", "meta"],
)
def test_ten_thousand_damaged_bodies_raise_nothing_else(parse: Callable[[bytes], object], body: bytes) -> None:
    refused = 0
    for raw in mutated([body], 10_000, seed=9):
        try:
            parse(raw)
        except BadPayloadError:
            refused += 1
    assert 1_000 < refused < 10_000


def assert_sane(event: Event) -> None:
    for name, value in msgspec.structs.asdict(event).items():
        if isinstance(value, Decimal):
            assert value.is_finite(), name
    if isinstance(event, Candle):
        assert 0 < event.low <= min(event.open, event.close) <= max(event.open, event.close) <= event.high
    if isinstance(event, Trade):
        assert event.price > 0
        assert event.quantity > 0


def test_a_snapshot_of_another_series_is_refused() -> None:
    body = json.dumps([CANDLE]).encode()
    assert len(parse_snapshot(body, "BTC", "5m")) == 1
    for coin, interval in (("ETH", "5m"), ("BTC", "1m")):
        with pytest.raises(BadPayloadError, match="another series"):
            parse_snapshot(body, coin, interval)


def test_meta_tells_delisted_ones_apart() -> None:
    body = b'{"universe":[{"name":"BTC","szDecimals":5},{"name":"kPEPE"},{"name":"FTM","isDelisted":true}],"marginTables":[]}'
    assert parse_meta(body) == {"BTC": True, "kPEPE": True, "FTM": False}


def recorded_messages() -> list[bytes]:
    """Every recorded message of the stream, without the receive time before it."""
    files = sorted(recording("hyperliquid").glob("*.jsonl"))
    assert len(files) == 3
    return [line[line.index(b"{") :] for file in files for line in file.read_bytes().splitlines()]

"""OANDA's lines and candles: what becomes of each, digit for digit, and what is refused."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Control, Quote
from market_platform.domain.intervals import INTERVALS
from market_platform.exchanges.oanda.rest import GRANULARITIES
from market_platform.exchanges.oanda.wire import parse_candles, parse_instruments, parse_line, time_ms
from market_platform_tests.fixtures.wire_fuzz import mutated
from market_platform_tests.recordings import recording

PRICE: dict[str, Any] = {
    "type": "PRICE",
    "time": "2017-03-09T13:37:46.048997280Z",
    "bids": [{"price": "1.05520", "liquidity": 5000000}, {"price": "1.05522", "liquidity": 10000000.0}],
    "asks": [{"price": "1.05536", "liquidity": 5000000}, {"price": "1.05534", "liquidity": 10000000}],
    "closeoutBid": "1.05518",
    "closeoutAsk": "1.05538",
    "status": "tradeable",
    "tradeable": True,
    "instrument": "EUR_USD",
}
HEARTBEAT = {"type": "HEARTBEAT", "time": "2017-03-09T15:08:57.512620407Z", "lastTransactionID": "7582"}
CANDLE: dict[str, Any] = {
    "time": "2017-01-03T00:00:00.000000000Z",
    "volume": 481,
    "complete": True,
    "mid": {"o": "1.04577", "h": "1.04712", "l": "1.04572", "c": "1.04660"},
}


def line(**changes: object) -> bytes:
    return json.dumps({**PRICE, **changes}).encode()


def candles(*rows: dict[str, Any], granularity: str = "H1") -> bytes:
    return json.dumps({"instrument": "EUR_USD", "granularity": granularity, "candles": rows}).encode()


def test_a_price_is_the_best_bid_and_ask_wherever_they_stand_in_the_book() -> None:
    (quote,) = parse_line(line())
    assert quote == Quote(
        symbol="EUR_USD",
        bid=Decimal("1.05522"),
        ask=Decimal("1.05534"),
        bid_volume=Decimal("10000000.0"),
        ask_volume=Decimal(10000000),
        time_ms=1489066666048,
    )
    assert str(quote.bid_volume) == "10000000.0"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2017-03-09T13:37:46.048999999Z", 1489066666048),
        ("2017-03-09T13:37:46Z", 1489066666000),
        ("2017-03-09T13:37:46.5Z", 1489066666500),
        ("2017-03-09T13:37:46.500000000+00:00", 1489066666500),
        ("1489066666.048999999", 1489066666048),
        ("1489066666", 1489066666000),
    ],
)
def test_times_are_cut_to_milliseconds(text: str, ms: int) -> None:
    assert time_ms(text, "test") == ms
    (quote,) = parse_line(line(time=text))
    assert isinstance(quote, Quote)
    assert quote.time_ms == ms


@pytest.mark.parametrize("text", ["", "yesterday", "2017-02-30T00:00:00Z", "2017-03-09T25:00:00Z", "-5", "1e9", "١"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(BadPayloadError, match="time"):
        parse_line(line(time=text))


def test_a_heartbeat_and_a_refusal_are_about_the_connection() -> None:
    assert list(parse_line(json.dumps(HEARTBEAT))) == [Control("heartbeat", time_ms=1_489_072_137_512)]
    assert list(parse_line(b'{"errorMessage":"Insufficient authorization"}')) == [
        Control("error", "Insufficient authorization")
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        line(bids=[]),
        line(asks=[]),
        line(tradeable=False),
        line(status="non-tradeable"),
        line(status="invalid", tradeable=None),
    ],
)
def test_what_is_known_and_no_quote(raw: bytes) -> None:
    assert list(parse_line(raw)) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bids": [{"price": "1.1", "liquidity": 1}]}, "crossed"),
        ({"bids": [{"price": "0.0", "liquidity": 1}]}, "price of bids is 0.0"),
        ({"asks": [{"price": "-1", "liquidity": 1}]}, r"asks\[0\]\.price"),
        ({"asks": [{"price": 1.1, "liquidity": 1}]}, r"asks\[0\]\.price"),
        ({"asks": [{"price": "NaN", "liquidity": 1}]}, r"asks\[0\]\.price"),
        ({"bids": [{"price": "1.0", "liquidity": -1}]}, "liquidity of bids is -1"),
        ({"bids": [{"price": "1.0", "liquidity": "NaN"}]}, "liquidity of bids is NaN"),
        ({"bids": [{"price": "1.0", "liquidity": 1e300}]}, "liquidity of bids"),
        ({"bids": [{"price": "1.0", "liquidity": 1e-300}]}, "liquidity of bids"),
        ({"bids": [{"price": "1.0"}]}, "liquidity"),
        ({"bids": None}, "bids"),
        ({"instrument": "EUR USD"}, "instrument"),
        ({"time": 1489066666}, "time"),
        ({"tradeable": "yes"}, "tradeable"),
        ({"type": "NEWS"}, "NEWS"),
        ({"type": None}, "type"),
    ],
)
def test_what_makes_no_sense_is_refused_naming_the_field(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadPayloadError, match=says):
        parse_line(line(**changes))


def test_a_locked_market_is_a_quote() -> None:
    (quote,) = parse_line(line(bids=PRICE["asks"][1:]))
    assert isinstance(quote, Quote)
    assert quote.bid == quote.ask == Decimal("1.05534")


def test_every_recorded_line_parses_and_keeps_its_text() -> None:
    lines = recording("oanda/pricing_stream_notebook_20170309.jsonl").read_bytes().splitlines()
    answers = json.loads(recording("oanda/responses_pricing.json").read_text())
    lines += [json.dumps(each).encode() for each in answers["_v3_accounts_accountID_pricing_stream"]["response"]]
    prices = answers["_v3_accounts_accountID_pricing"]["response"]["prices"]
    lines += [json.dumps({**each, "type": "PRICE"}).encode() for each in prices]
    kinds = []
    for raw in lines:
        wire, (event,) = json.loads(raw), parse_line(raw)
        kinds.append(type(event))
        if isinstance(event, Quote):
            assert str(event.bid) == max((each["price"] for each in wire["bids"]), key=Decimal)
            assert str(event.ask) == min((each["price"] for each in wire["asks"]), key=Decimal)
            assert str(event.bid_volume) == str(wire["bids"][0]["liquidity"])
    assert (kinds.count(Quote), kinds.count(Control)) == (9, 5)


def test_recorded_candles_count_their_prices() -> None:
    body = recording("oanda/candles_notebook_1.json").read_bytes()
    complete, forming = parse_candles(body, "EUR_USD", "H1", "1h")
    assert (len(complete), forming) == (9, [])
    assert complete[2] == Candle(
        symbol="EUR_USD",
        interval="1h",
        open_ms=1483408800000,
        end_ms=1483412400000,
        open=Decimal("1.04761"),
        high=Decimal("1.04780"),
        low=Decimal("1.04709"),
        close=Decimal("1.04721"),
        volume=Decimal(392),
        num_trades=392,
        closed=True,
    )
    assert str(complete[2].high) == "1.04780"


def test_a_candle_that_is_not_complete_is_only_told_of() -> None:
    later = {**CANDLE, "time": "2017-01-03T01:00:00.000000000Z", "complete": False}
    complete, forming = parse_candles(candles(CANDLE, later), "EUR_USD", "H1", "1h")
    assert [each.open_ms for each in complete] == [1483401600000]
    assert forming == [1483405200000]


def test_days_weeks_and_months_lie_on_our_grid() -> None:
    assert set(GRANULARITIES) == {each.name for each in INTERVALS}
    for interval, moment in (("1d", "2017-01-03"), ("1w", "2017-01-02"), ("1M", "2017-01-01")):
        row = {**CANDLE, "time": f"{moment}T00:00:00.000000000Z"}
        body = candles(row, granularity=GRANULARITIES[interval])
        assert len(parse_candles(body, "EUR_USD", GRANULARITIES[interval], interval)[0]) == 1
        row["time"] = "2017-01-05T22:00:00.000000000Z"
        with pytest.raises(BadPayloadError, match="is not where a candle"):
            parse_candles(
                candles(row, granularity=GRANULARITIES[interval]), "EUR_USD", GRANULARITIES[interval], interval
            )


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("volume",), 1.5, "volume"),
        (("volume",), -1, "volume"),
        (("complete",), None, "complete"),
        (("mid",), None, "mid"),
        (("mid", "o"), 1.04577, r"mid\.o"),
        (("mid", "o"), "0", "o is 0"),
        (("mid", "h"), "1.0", "high 1.0 is below low"),
        (("mid", "c"), "2.0", "close 2.0 is not between"),
        (("time",), "2017-01-03T00:00:30Z", "is not where a candle of 1h opens"),
        (("time",), None, "time"),
    ],
)
def test_a_wrong_candle_is_refused_naming_the_field(place: tuple[str, ...], value: object, says: str) -> None:
    row = copy.deepcopy(CANDLE)
    holder = row if len(place) == 1 else row[place[0]]
    holder[place[-1]] = value
    with pytest.raises(BadPayloadError, match=says):
        parse_candles(candles(row), "EUR_USD", "H1", "1h")


def test_an_answer_about_something_else_is_refused() -> None:
    for instrument, granularity in (("USD_JPY", "H1"), ("EUR_USD", "M1")):
        with pytest.raises(BadPayloadError, match="instrument and granularity"):
            parse_candles(candles(CANDLE), instrument, granularity, "1h")


def test_instruments_are_names() -> None:
    body = b'{"instruments":[{"name":"EUR_USD","type":"CURRENCY"},{"name":"SPX500_USD"}],"lastTransactionID":"6"}'
    assert parse_instruments(body) == {"EUR_USD", "SPX500_USD"}


def test_ten_thousand_damaged_lines_raise_nothing_else() -> None:
    refused = 0
    for raw in mutated([line(), line(), json.dumps(HEARTBEAT).encode()], 10_000, seed=7):
        try:
            for event in parse_line(raw):
                if isinstance(event, Quote):
                    assert 0 < event.bid <= event.ask
                    assert event.bid_volume.is_finite()
                    assert event.ask_volume.is_finite()
        except BadPayloadError:
            refused += 1
    assert 3_000 < refused < 10_000


def test_ten_thousand_damaged_bodies_of_candles_raise_nothing_else() -> None:
    refused = 0
    for raw in mutated([candles(CANDLE, CANDLE)], 10_000, seed=8):
        try:
            parse_candles(raw, "EUR_USD", "H1", "1h")
        except BadPayloadError:
            refused += 1
    assert 3_000 < refused < 10_000

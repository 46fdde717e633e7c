"""Frames and numbers: exact, whatever their size."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import CLIENT, Protocol

from api_service.live.actions import BURST, MessageRate, Ping, Subscribe, parse_action
from api_service.live.errors import ActionError
from api_service.live.listings import Listing, Listings
from api_service.live.messages import bar_of_forming, chart_frame, forming_data_frame, forming_frame, frame, tick_frame
from market_platform.domain.live_frames import FormingCandle, LiveTick

LISTING = Listing(7, 3, "binance", "BTCUSDT", "BTC", "USDT", "spot", "1m")
DECIMALS = st.decimals(0, 10**11, places=8).map(str)


def texts(frames: bytes) -> list[bytes]:
    """What a WebSocket client of another make takes it for."""
    client = Protocol(CLIENT)
    client.receive_data(frames)
    events = client.events_received()
    assert all(each.opcode is Opcode.TEXT and each.fin for each in events)  # type: ignore[union-attr]
    return [bytes(each.data) for each in events]  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
def test_a_frame_is_what_any_client_understands(size: int) -> None:
    assert texts(frame(b"x" * size) + frame(b"y")) == [b"x" * size, b"y"]


@given(DECIMALS)
def test_decimals_keep_their_value_as_text_and_as_number(text: str) -> None:
    candle = FormingCandle(7, 0, text, text, text, text, text, None, 0)
    [stored] = texts(forming_frame(LISTING, 1, candle))
    close = stored.split(b'"close":"')[1].split(b'"')[0].decode()
    assert Decimal(close) == Decimal(text)
    assert len(close.partition(".")[2]) == 18
    [number] = texts(forming_data_frame(LISTING, 1, candle))
    assert Decimal(number.split(b'"close":')[1].split(b",")[0].decode()) == Decimal(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [("1E-8", "0.000000010000000000"), ("5", "5.000000000000000000"), ("0.10", "0.100000000000000000")],
)
def test_text_of_every_kind_is_stored_alike(text: str, stored: str) -> None:
    candle = FormingCandle(7, 0, text, text, text, text, text, 3, 0)
    assert f'"low":"{stored}"'.encode() in forming_frame(LISTING, 1, candle)


def test_what_an_exchange_does_not_say_is_null() -> None:
    [tick] = texts(tick_frame("oanda", "EURUSD", LiveTick(1, 5, bid="1.1", ask="1.20")))
    assert b'"data":{"price":null,"volume":null,"side":null,"bid":1.1,"ask":1.2}' in tick


def test_a_chart_s_bars_are_numbers_in_unix_seconds() -> None:
    time, bar = bar_of_forming(FormingCandle(7, 60_000, "1.0", "2.50", "0.5", "100", "0", 1, 0))
    assert time == 60
    assert bar == '{"time":60,"open":1,"high":2.5,"low":0.5,"close":100,"volume":0}'
    [text] = texts(chart_frame("initial", LISTING, [bar]))
    assert text.startswith(
        b'{"type":"initial","symbol":"%b","exchange":"%b","timeframe":"%b","bars":[{"time":60'
        % tuple(each.encode() for each in (LISTING.symbol, LISTING.exchange, LISTING.interval))
    )


def test_a_subscription_is_read_with_its_numbers() -> None:
    action = parse_action('{"action":"subscribe","starlisting_ids":[1,2],"history":5,"since":{"2":48211}}')
    assert isinstance(action, Subscribe)
    assert (action.starlisting_ids, action.history, action.since) == ([1, 2], 5, {2: 48211})
    assert isinstance(parse_action('{"action":"ping","more":1}'), Ping)


@given(st.one_of(st.text(), st.none(), st.recursive(st.integers() | st.text(), st.lists).map(str)))
def test_no_text_is_more_than_wrong(text: str | None) -> None:
    with suppress(ActionError):
        parse_action(text)


def test_a_rate_allows_a_burst_and_then_no_more() -> None:
    rate = MessageRate()
    taken = sum(rate.take() for _ in range(1000))
    assert BURST <= taken < BURST + 5


@pytest.mark.parametrize("written", ["EURUSD", "eurusd", "EUR/USD", "EUR_USD", " eur-usd "])
def test_symbols_are_known_by_any_spelling(written: str) -> None:
    assert Listings.plain_symbol(written) == "EURUSD"

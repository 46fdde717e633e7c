"""Whatever arrives, the parser answers with events or with BadPayloadError; a stream never stops over a message."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Quote, Trade
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.dialect import BinanceDialect
from market_platform_tests.unit.exchanges.binance.wire import GOOD, combined, raw

MUTATIONS = 10_000
JUNK: list[Any] = [None, True, -1, 0, 2**70, 1.5, "", "NaN", "-0", "1e400", "１２", "\x00", [], {}, [[]], "\ud800"]
DIALECT = BinanceDialect(BinanceConfig())


def flip_bytes(random_: random.Random, message: bytes) -> bytes:
    data = bytearray(message)
    for _ in range(random_.randint(1, 6)):
        data[random_.randrange(len(data))] = random_.randrange(256)
    return bytes(data)


def cut(random_: random.Random, message: bytes) -> bytes:
    start = random_.randrange(len(message))
    return message[: random_.randrange(len(message))] if random_.random() < 0.5 else message[start:]


def splice(random_: random.Random, message: bytes) -> bytes:
    other = random_.choice(MESSAGES)
    return message[: random_.randrange(len(message))] + other[random_.randrange(len(other)) :]


def change_value(random_: random.Random, message: bytes) -> bytes:
    document = json.loads(message)
    part = document
    while True:
        name = random_.choice(list(part))
        if isinstance(part[name], dict) and random_.random() < 0.9:
            part = part[name]
            continue
        if random_.random() < 0.2:
            del part[name]
        else:
            part[name] = random_.choice(JUNK)
        return json.dumps(document).encode()


def repeat(random_: random.Random, message: bytes) -> bytes:
    start, end = sorted(random_.randrange(len(message)) for _ in range(2))
    return message[:end] + message[start:end] * random_.randint(1, 50) + message[end:]


MUTATORS: list[Callable[[random.Random, bytes], bytes]] = [flip_bytes, cut, splice, change_value, repeat]
MESSAGES = [
    *(combined(stream, message) for stream, message in GOOD.values()),
    *(raw(message) for _, message in GOOD.values()),
    raw({"result": None, "id": 1}),
    raw({"error": {"code": 2, "msg": "x"}, "id": 1}),
    raw({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1_723_161_256_303}}),
]


def check(message: bytes | str) -> bool:
    """Whether it has events, which must be sound ones."""
    try:
        events = DIALECT.parse(message, "spot-1")
    except BadPayloadError:
        return False
    for event in events:
        DIALECT.subscription_of(event, "spot-1")
        if isinstance(event, Trade):
            assert event.price > 0
            assert event.quantity > 0
        elif isinstance(event, Quote):
            assert 0 < event.bid <= event.ask
        elif isinstance(event, Candle):
            assert 0 < event.low <= min(event.open, event.close) <= max(event.open, event.close) <= event.high
            assert event.volume >= 0
    return bool(events)


@pytest.mark.parametrize("seed", range(3))
def test_mutated_messages_never_stop_the_stream(seed: int) -> None:
    random_ = random.Random(seed)
    sound = sum(check(random_.choice(MUTATORS)(random_, random_.choice(MESSAGES))) for _ in range(MUTATIONS))
    assert 0 < sound < MUTATIONS  # some mutations hurt nothing, most do


@given(st.binary(max_size=300) | st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_and_any_text(message: bytes | str) -> None:
    check(message)


@given(
    st.sampled_from(["x@trade", "x@aggTrade", "x@bookTicker", "x@kline_1m", "x@markPrice@1s", "!serverShutdown"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("estpqTmafluBAkrioch"), inner),
        max_leaves=20,
    ),
)
@settings(max_examples=300, deadline=None)
def test_any_json_as_the_data_of_a_stream(stream: str, data: object) -> None:
    check(combined(stream, data))

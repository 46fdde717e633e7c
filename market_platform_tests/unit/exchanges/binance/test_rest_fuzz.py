"""Whatever REST answers, it is rows or BadPayloadError."""

from __future__ import annotations

import random

import msgspec
import pytest

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.intervals import parse_interval
from market_platform.exchanges.binance.pages import agg_trades_of, candles_of
from market_platform_tests.unit.exchanges.binance.test_parse_fuzz import JUNK, MUTATIONS, cut, flip_bytes, repeat
from market_platform_tests.unit.exchanges.binance.wire import OPEN, agg_trade, raw

KLINES = [
    [OPEN + n * 60_000, "1.5", "2.5", "0.5", "2.0", "10", OPEN + n * 60_000 + 59_999, "15", 7, "1", "1", "0"]
    for n in range(3)
]
TRADES = [{name: value for name, value in agg_trade(a=n).items() if name not in "eEs"} for n in range(3)]


def junk(random_: random.Random, message: bytes) -> bytes:
    rows = msgspec.json.decode(message)
    row = random_.choice(rows)
    row[random_.choice(list(row) if isinstance(row, dict) else range(len(row)))] = random_.choice(JUNK[:-1])
    return raw(rows)


@pytest.mark.parametrize("body", [raw(KLINES), raw(TRADES)], ids=["klines", "aggTrades"])
def test_mutated_pages(body: bytes) -> None:
    random_ = random.Random(11)
    good = 0
    for _ in range(MUTATIONS):
        mutated = random_.choice([flip_bytes, cut, repeat, junk])(random_, body)
        try:
            candles_of("BTCUSDT", parse_interval("1m"), mutated)
            good += 1
        except BadPayloadError:
            pass
        try:
            agg_trades_of("BTCUSDT", mutated)
            good += 1
        except BadPayloadError:
            pass
    assert 0 < good < MUTATIONS

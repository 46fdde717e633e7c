"""Our minute candles against the exchange's: every difference has a time, a field and both values."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from market_platform.domain.candles import CandleUnits
from market_platform.pipeline.verify import differences_between


def units(
    times: list[int], closes: list[int], *, volume: int = 1_000_000, scale: int = 5, trades: int = 3
) -> CandleUnits:
    close = np.array(closes, np.int64)
    time = np.array(times, np.int64) * 60_000
    count = len(times)
    return CandleUnits(
        time, close, close, close, close, np.full(count, volume, np.int64), np.full(count, trades, np.int64), scale, 0
    )


def test_equal_candles_have_no_difference_whatever_their_scale() -> None:
    assert differences_between(units([0, 1], [114500, 114510]), units([0, 1], [1145000, 1145100], scale=6), "bid") == []


def test_one_digit_is_a_difference_in_each_price_it_touches() -> None:
    found = differences_between(units([0, 1], [114500, 114510]), units([0, 1], [114500, 114511]), "ask")
    assert [each.field for each in found] == ["close", "high", "low", "open"]
    assert {(each.time, each.side) for each in found} == {(datetime(1970, 1, 1, 0, 1, tzinfo=UTC), "ask")}
    assert (found[0].ours, found[0].theirs) == (Decimal("1.14510"), Decimal("1.14511"))


def test_a_minute_only_one_side_has_is_a_difference() -> None:
    found = differences_between(units([0, 1], [114500, 114510]), units([1, 2], [114510, 114520]), "bid")
    assert [(each.field, each.ours, each.theirs) for each in found] == [
        ("close", Decimal("1.14500"), None),
        ("close", None, Decimal("1.14520")),
    ]


def test_volumes_are_equal_within_the_precision_the_exchange_stores() -> None:
    ours, theirs = units([0], [114500], volume=293_760_003), units([0], [114500], volume=293_760_000)
    assert differences_between(ours, theirs, "bid") == []
    assert [each.field for each in differences_between(units([0], [114500], volume=293_770_000), theirs, "bid")] == [
        "volume"
    ]

"""Quotes of a stream become exact ticks, and ticks of several price scales go together."""

from __future__ import annotations

from decimal import Decimal

import pytest

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Quote
from market_platform.domain.quotes import concat_quote_ticks, ticks_from_quotes


def made(bid: str = "1.08700", ask: str = "1.08712", volume: str = "1000000", time_ms: int | None = 5) -> Quote:
    return Quote("EUR_USD", Decimal(bid), Decimal(ask), Decimal(volume), Decimal(volume), time_ms)


def test_columns_hold_exactly_what_the_quotes_say() -> None:
    ticks = ticks_from_quotes([made(), made(bid="1.1", ask="1.2", volume="0.5", time_ms=6)])

    assert (ticks.price_scale, ticks.volume_scale) == (5, 1)
    assert ticks.bid.tolist() == [108_700, 110_000]
    assert ticks.ask.tolist() == [108_712, 120_000]
    assert ticks.bid_volume.tolist() == [10_000_000, 5]
    assert ticks.time.tolist() == [5, 6]


def test_parts_of_other_scales_put_together_equal_the_whole() -> None:
    coarse, fine = made(bid="1.1", ask="1.2"), made(time_ms=7)

    together = concat_quote_ticks([ticks_from_quotes([coarse]), ticks_from_quotes([fine])])

    assert together.content_hash() == ticks_from_quotes([coarse, fine]).content_hash()
    assert len(concat_quote_ticks([])) == 0


@pytest.mark.parametrize(
    "bad", [made(time_ms=None), made(bid="0"), made(ask="-1"), made(volume="-1"), made(bid="NaN"), made(volume="1e30")]
)
def test_what_can_not_be_a_quote_is_refused(bad: Quote) -> None:
    with pytest.raises(BadPayloadError, match="EUR_USD"):
        ticks_from_quotes([made(), bad])

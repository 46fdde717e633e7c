"""Symbols have one spelling inside the platform, and can never be more than a name in a path or URL."""

from __future__ import annotations

import pytest

from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair, normalise_symbol


@pytest.mark.parametrize("spelling", ["EURUSD", "eurusd", "EUR/USD", "EUR_USD", "eur-usd", " eur usd "])
def test_spellings_of_one_symbol(spelling: str) -> None:
    assert normalise_symbol(spelling) == "EURUSD"


def test_dots_inside_are_kept() -> None:
    assert normalise_symbol("aapl.us-usd") == "AAPL.USUSD"


@pytest.mark.parametrize(
    "spelling", ["", "A", "..", "../..", ".EUR", "EUR.", "EUR..USD", "EUR%2FUSD", "EÜRUSD", "X" * 33]
)
def test_what_can_not_be_a_symbol_is_refused(spelling: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        normalise_symbol(spelling)
    assert caught.value.code == "symbol_not_found"


def test_names_of_a_pair() -> None:
    pair = TradingPair("dukascopy", "EUR", "USD", "spot", "EURUSD", (parse_interval("1m"),))
    assert (pair.name, pair.trading_pair) == ("dukascopy/EURUSD", "EUR/USD")

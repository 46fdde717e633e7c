"""When a market is open by what kind of market it is."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from market_platform.domain.market_hours import FOREX_HOURS, METAL_HOURS, quoted_hours, usual_hours

MONDAY = date(2024, 3, 18)


@pytest.mark.parametrize(
    ("market", "closed"),
    [
        (("binance", "spot", "ETHUSDT", "ETH", "USDT"), ""),
        (("hyperliquid", "perps", "BTCUSD", "BTC", "USD"), ""),
        (("kraken", "spot", "EURUSD", "EUR", "USD"), ""),
        (("dukascopy", "spot", "EURUSD", "EUR", "USD"), ""),  # until its description is known
        (("oanda", "spot", "EURUSD", "EUR", "USD"), "Sat"),
        (("oanda", "spot", "XAUUSD", "XAU", "USD"), "Sat"),
        (("oanda", "spot", "SPX500USD", "SPX500", "USD"), ""),
        (("yahoo", "stock", "AAPL", "AAPL", "USD"), "Sat Sun"),
        (("yahoo", "stock", "BRK.B", "BRK.B", "USD"), "Sat Sun"),
        (("yahoo", "stock", "BHP.AX", "BHP.AX", "AUD"), "Sat"),
    ],
)
def test_days_a_market_is_closed(market: tuple[str, str, str, str, str], closed: str) -> None:
    hours = usual_hours(*market)
    week = [MONDAY + timedelta(days=each) for each in range(7)]
    assert " ".join(f"{day:%a}" for day in week if not hours.is_open_on(day)) == closed


def test_a_dealer_s_hours_are_those_of_what_it_quotes() -> None:
    assert quoted_hours("EUR", "USD") is FOREX_HOURS
    assert quoted_hours("XAU", "USD") is METAL_HOURS
    assert quoted_hours("BTC", "USD") is None

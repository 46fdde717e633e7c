"""Which starlisting a client means by a symbol."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from api_service.catalogue import Catalogue
from api_service.database import Database
from api_service.live.errors import ActionError
from api_service.live.listings import Listings
from market_platform.warehouse.pair_queries import ListedPair, load_listed_pairs
from market_platform.warehouse.starlisting_queries import StarlistingRow


def _row(number: int, exchange_id: int, exchange: str, interval: str) -> StarlistingRow:
    return StarlistingRow(
        id=number,
        exchange=exchange,
        exchange_display=exchange.title(),
        coin="EUR",
        coin_name="Euro",
        quote="USD",
        quote_name="US Dollar",
        trading_pair="EUR/USD",
        trading_pair_id=exchange_id,
        market_type="spot",
        market_type_display="Spot",
        interval=interval,
        interval_seconds=60,
        active=True,
        symbol="EURUSD",
        exchange_id=exchange_id,
    )


class _Rows:
    """A database that has the list as pairs and as starlistings."""

    async def run(self, load: object) -> Any:
        if load is load_listed_pairs:
            return [_pair(2, "oanda"), _pair(7, "binance")]
        return [_row(1, 7, "binance", "1m"), _row(2, 7, "binance", "5m"), _row(3, 2, "oanda", "1m")]


def _pair(number: int, exchange: str) -> ListedPair:
    return ListedPair(number, exchange, "EURUSD", "spot", active=True, first_day=None, starlistings={})


def _of_chart(*asked: Any) -> str:
    database = cast("Database", _Rows())
    listings = Listings(database, Catalogue(database, lambda: True))
    return asyncio.run(listings.of_chart(*asked)).exchange


def test_a_symbol_of_several_exchanges_means_the_one_configured_first() -> None:
    assert _of_chart("eur/usd", "1m", None) == "oanda"
    assert _of_chart("EURUSD", "1m", "binance") == "binance"


def test_a_timeframe_that_only_another_exchange_has_is_not_taken_from_there() -> None:
    with pytest.raises(ActionError, match="no 5m candles of EURUSD on oanda"):
        _of_chart("EURUSD", "5m", None)
    assert _of_chart("EURUSD", "5m", "binance") == "binance"


def test_what_is_nowhere_is_said() -> None:
    with pytest.raises(ActionError, match="no 1m candles of EURUSD on nasdaq"):
        _of_chart("EURUSD", "1m", "nasdaq")
    with pytest.raises(ActionError, match=r"no 1m candles of NOPE$"):
        _of_chart("NOPE", "1m", None)

"""Trades stay exact, sorted, each id once, and hash by their content alone; what doesn't fit is refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Trade
from market_platform.domain.trades import MAX_UNITS, UNKNOWN_ID, Trades, concat_trades

amounts = st.decimals(min_value="0.00000001", max_value=10**9, places=8, allow_nan=False, allow_infinity=False)
events = st.lists(
    st.builds(
        Trade,
        symbol=st.just("BTCUSDT"),
        trade_id=st.integers(0, 50),
        price=amounts,
        quantity=amounts,
        side=st.sampled_from(["buy", "sell"]),
        time_ms=st.integers(1_700_000_000_000, 1_700_000_000_005),
        first_id=st.none() | st.integers(0, 99),
        last_id=st.none() | st.integers(0, 99),
    ),
    max_size=30,
)


def made(trade_id: int = 1, price: str = "2.50", quantity: str = "10", time_ms: int = 1_700_000_000_000) -> Trade:
    return Trade("BTCUSDT", trade_id, Decimal(price), Decimal(quantity), "buy", time_ms)


def back(trades: Trades) -> list[tuple[object, ...]]:
    prices = [Decimal(each).scaleb(-trades.price_scale) for each in trades.price.tolist()]
    quantities = [Decimal(each).scaleb(-trades.quantity_scale) for each in trades.quantity.tolist()]
    others = (trades.trade_id, trades.time, trades.side, trades.first_id, trades.last_id)
    return list(zip(prices, quantities, *(column.tolist() for column in others), strict=True))


def row(trade: Trade) -> tuple[object, ...]:
    inner = (UNKNOWN_ID if each is None else each for each in (trade.first_id, trade.last_id))
    return (trade.price, trade.quantity, trade.trade_id, trade.time_ms, int(trade.side == "buy"), *inner)


@given(events)
def test_columns_hold_exactly_what_the_events_say(trades: list[Trade]) -> None:
    assert back(Trades.from_events(trades)) == [row(each) for each in trades]


@given(events)
def test_parts_put_together_equal_the_whole(trades: list[Trade]) -> None:
    pieces = [Trades.from_events(trades[start : start + 7]) for start in range(0, len(trades), 7)]

    assert concat_trades(pieces).content_hash() == Trades.from_events(trades).content_hash()


def test_the_hash_does_not_depend_on_the_scales() -> None:
    trades = Trades.from_events([made(1), made(2, price="3")])

    finer = trades.with_scales(8, 8)

    assert finer.price.tolist() == [250_000_000, 300_000_000]
    assert finer.content_hash() == trades.content_hash()
    assert (trades.price_scale, trades.quantity_scale) == (1, 0)
    with pytest.raises(ValueError, match="coarser"):
        finer.with_scales(0, 0)


def test_each_id_stays_once_sorted_by_time_and_id() -> None:
    first, second, third = made(7, time_ms=2), made(3, time_ms=1), made(5, time_ms=1)

    unique, repeated = Trades.from_events([first, second, third, first, second]).sorted_unique()

    assert unique.trade_id.tolist() == [3, 5, 7]
    assert repeated == 2


def test_one_id_with_two_contents_is_an_error_that_names_it() -> None:
    trades = Trades.from_events([made(1), made(4711, price="2"), made(4711, price="2.1")])

    with pytest.raises(BadPayloadError, match="trade 4711 came twice with different content"):
        trades.sorted_unique()


@pytest.mark.parametrize(
    "bad",
    [
        made(price="0"),
        made(price="-1"),
        made(price="NaN"),
        made(price="Infinity"),
        made(quantity="0"),
        made(quantity="1e60"),
        made(quantity="1e-19"),
        made(quantity="1e-400"),
        made(quantity=str(MAX_UNITS)),
        made(trade_id=MAX_UNITS),
        made(trade_id=2**70),
        made(trade_id=-1),
        made(time_ms=-1),
        made(time_ms=10**16),
        made(price="123456789012345678901234567890"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_never_wrapped(bad: Trade) -> None:
    good = made(900)

    with pytest.raises(BadPayloadError, match=rf"trade {bad.trade_id} of BTCUSDT is out of bounds"):
        Trades.from_events([good, bad])


def test_trades_that_only_fit_apart_say_so() -> None:
    with pytest.raises(BadPayloadError, match="each other's finest digits"):
        Trades.from_events([made(1, quantity="1e-18"), made(2, quantity=str(10**17))])


def test_a_quantity_of_a_coin_worth_nothing_fits() -> None:
    trades = Trades.from_events([made(quantity="4000000000000000000")])

    assert trades.quantity.tolist() == [4 * 10**18]


def test_nothing_is_nothing() -> None:
    assert len(Trades.from_events([])) == len(Trades.empty()) == len(concat_trades([])) == 0
    assert Trades.empty().sorted_unique()[1] == 0
    assert replace(Trades.empty(), price_scale=3).content_hash() == Trades.empty().content_hash()

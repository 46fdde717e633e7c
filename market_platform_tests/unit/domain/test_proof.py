"""A proof lists every value that differs, both ways, and nothing else; a reason needs evidence."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.clock import from_ms
from market_platform.domain.events import Trade
from market_platform.domain.intervals import MINUTE_MS
from market_platform.domain.proof import FIELDS, MINUTE, PAIRS, Difference, Reason, Side, compare_sides
from market_platform.domain.proof_reasons import Evidence, KnownGap, explain
from market_platform.domain.trade_minutes import IdHole, id_holes, minutes_of_trades
from market_platform.domain.trades import Trades

START = 1_773_100_800_000
"""2026-03-10 00:00 UTC."""
Minutes = dict[int, dict[str, Any]]

amounts = st.decimals(min_value="0.00000001", max_value=10**6, places=8, allow_nan=False, allow_infinity=False)
candles = st.builds(
    lambda prices, volume, count: {
        "open": prices[0],
        "high": max(prices),
        "low": min(prices),
        "close": prices[1],
        "volume": volume,
        "num_trades": count,
    },
    st.tuples(amounts, amounts, amounts),
    amounts,
    st.integers(1, 1000),
)
days: st.SearchStrategy[Minutes] = st.dictionaries(st.integers(0, 30), candles, min_size=1, max_size=12)


def frame(minutes: Minutes) -> pl.DataFrame:
    rows = [{"time": from_ms(START + number * MINUTE_MS), **values} for number, values in sorted(minutes.items())]
    return pl.DataFrame(rows, schema=dict(CANDLE_SCHEMA))


def made(
    trade_id: int, second: float, price: str = "100", quantity: str = "1", inner: tuple[int, int] | None = None
) -> Trade:
    """A trade so many seconds after the day's start; an aggregate of the single trades `inner`."""
    first, last = inner if inner is not None else (None, None)
    time_ms = START + round(second * 1000)
    return Trade("BTCUSDT", trade_id, Decimal(price), Decimal(quantity), "buy", time_ms, first, last)


def three(minutes: Minutes, **changed: Minutes) -> dict[Side, pl.DataFrame]:
    """The three sides, the same but for those that are given."""
    return {side: frame(changed.get(side.value, minutes)) for side in Side}


def listed(sides: dict[Side, pl.DataFrame]) -> list[tuple[int, str, str, str | None, str | None]]:
    return [
        ((each.time_ms - START) // MINUTE_MS, each.sides, each.field, each.left_value, each.right_value)
        for each in compare_sides(sides).differences
    ]


def reasons(sides: dict[Side, pl.DataFrame], **known: Any) -> dict[tuple[str, str], tuple[Reason, str]]:
    evidence = replace(Evidence(all_sides=len(sides) == 3), **known)
    found = explain(compare_sides(sides).differences, evidence)
    return {(each.sides, each.field): (each.reason, each.detail) for each in found}


FLAT: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close"), Decimal(100)) | {
    "volume": Decimal(0),
    "num_trades": 0,
}
BUSY: dict[str, Any] = FLAT | {"volume": Decimal(3), "num_trades": 3}


# ---------------------------------------------------------------------------------------------------------------- comparing


@given(days)
def test_equal_sides_have_no_differences(minutes: Minutes) -> None:
    found = compare_sides(three(minutes))
    assert found.differences == ()
    assert found.minutes == len(minutes)
    assert set(found.compared.values()) == {len(minutes)}


@given(days, st.data())
def test_a_changed_value_is_listed_with_both_values_and_nothing_else(minutes: Minutes, data: st.DataObject) -> None:
    side = data.draw(st.sampled_from(list(Side)))
    minute = data.draw(st.sampled_from(sorted(minutes)))
    name = data.draw(st.sampled_from(FIELDS))
    before = minutes[minute][name]
    after = before + (1 if name == "num_trades" else Decimal("0.00000001"))
    changed = minutes | {minute: minutes[minute] | {name: after}}

    found = compare_sides(three(minutes, **{side.value: changed})).differences

    assert {each.sides for each in found} == {f"{left}/{right}" for left, right in PAIRS if side in (left, right)}
    for each in found:
        assert (each.time_ms, each.field) == (START + minute * MINUTE_MS, name)
        values = [None if value is None else Decimal(value) for value in (each.left_value, each.right_value)]
        assert values == ([after, before] if each.left is side else [before, after])
    assert len(found) == 2


@given(days, st.data())
def test_a_missing_minute_is_listed_whole_and_nothing_else(minutes: Minutes, data: st.DataObject) -> None:
    side = data.draw(st.sampled_from(list(Side)))
    minute = data.draw(st.sampled_from(sorted(minutes)))
    without = {number: values for number, values in minutes.items() if number != minute}
    found = compare_sides(three(minutes, **{side.value: without})).differences
    assert [(each.field, each.time_ms) for each in found] == [(MINUTE, START + minute * MINUTE_MS)] * 2
    for each in found:
        missing, there = (
            (each.left_value, each.right_value) if each.left is side else (each.right_value, each.left_value)
        )
        assert missing is None
        assert there is not None
        assert f"num_trades={minutes[minute]['num_trades']}" in there


def test_the_least_digit_of_eighteen_counts() -> None:
    fine = BUSY | {"close": Decimal("100.000000000000000001")}
    assert listed({Side.STREAMED: frame({0: BUSY}), Side.EXCHANGE: frame({0: fine})}) == [
        (0, "streamed/exchange", "close", "100", "100.000000000000000001")
    ]


def test_a_side_that_does_not_say_how_many_trades_is_not_compared_in_that() -> None:
    silent = BUSY | {"num_trades": None}
    assert listed({Side.STREAMED: frame({0: silent}), Side.EXCHANGE: frame({0: BUSY})}) == []


def test_sides_that_are_left_out_are_not_compared() -> None:
    found = compare_sides({Side.STREAMED: frame({0: BUSY}), Side.EXCHANGE: frame({0: BUSY, 1: BUSY})})
    assert found.compared == {"streamed/exchange": 2}
    assert compare_sides({Side.REBUILT: frame({0: BUSY})}).compared == {}


def test_a_minute_without_trades_is_the_same_as_a_candle_that_says_so() -> None:
    quiet = {0: BUSY, 1: FLAT, 2: FLAT, 3: BUSY}
    assert listed(three(quiet, rebuilt={0: BUSY, 3: BUSY})) == []
    assert listed(three({0: FLAT, 1: BUSY}, rebuilt={1: BUSY})) == [], "no price is known before the first trade"


def test_a_candle_without_trades_at_another_price_than_the_last_is_a_difference() -> None:
    elsewhere = FLAT | dict.fromkeys(("open", "high", "low", "close"), Decimal(101))
    sides = three({0: BUSY, 1: elsewhere}, rebuilt={0: BUSY})
    assert listed(sides) == [
        (1, pair, name, *values)
        for pair, values in (("streamed/rebuilt", ("101", "100")), ("rebuilt/exchange", ("100", "101")))
        for name in ("open", "high", "low", "close")
    ]


# ------------------------------------------------------------------------------------------------------------ trades' minutes


def test_minutes_of_trades_are_exact_and_count_single_trades() -> None:
    trades = Trades.from_events(
        [
            made(1, 0, "100.5", "0.1", (10, 12)),
            made(2, 59.999, "99.25", "0.2", (13, 13)),
            made(3, 120, "7", "0.30", None),
        ]
    )
    rows = minutes_of_trades(trades).rows()
    assert rows == [
        (from_ms(START), *map(Decimal, ("100.5", "100.5", "99.25", "99.25", "0.3")), 4),
        (from_ms(START + 2 * MINUTE_MS), *map(Decimal, ("7", "7", "7", "7", "0.3")), 1),
    ]
    assert minutes_of_trades(Trades.empty()).is_empty()


def test_holes_in_the_numbers_are_found_with_the_time_between() -> None:
    trades = Trades.from_events([made(5, 10, inner=(50, 51)), made(6, 20, inner=(54, 54)), made(9, 95, inner=(60, 60))])
    assert id_holes(trades) == [
        IdHole("single", 52, 53, START + 10_000, START + 20_000),
        IdHole("trades", 7, 8, START + 20_000, START + 95_000),
    ]
    assert id_holes(trades, 3)[0] == IdHole("trades", 4, 4, START, START + 10_000)
    assert len(id_holes(trades, 4)) == 2


# -------------------------------------------------------------------------------------------------------------------- reasons


def test_a_streamed_candle_that_is_wrong_has_no_excuse() -> None:
    found = reasons(three({0: BUSY}, streamed={0: BUSY | {"close": Decimal(99)}}), confirmed=frozenset({START}))
    assert set(found.values()) == {(Reason.UNEXPLAINED, "rebuilt and exchange agree")}


@pytest.mark.parametrize(
    ("gap_side", "explained"),
    [(Side.STREAMED, {"streamed/rebuilt", "streamed/exchange"}), (Side.REBUILT, {"streamed/rebuilt"})],
)
def test_a_gap_explains_what_its_side_lacks(gap_side: Side, explained: set[str]) -> None:
    gap = KnownGap(gap_side, START + MINUTE_MS, START + 2 * MINUTE_MS, "gap 7", repaired=False)
    found = reasons(three({0: BUSY, 1: BUSY, 5: BUSY}, streamed={0: BUSY, 5: BUSY}), gaps=[gap])
    assert {sides for (sides, _), (reason, _) in found.items() if reason is Reason.GAP} == explained
    later = replace(gap, start_ms=START + 4 * MINUTE_MS, end_ms=START + 5 * MINUTE_MS)
    found = reasons(three({1: BUSY, 2: BUSY}, streamed={2: BUSY}), gaps=[later])
    assert {reason for reason, _ in found.values()} == {Reason.MINUTE_MISSING}


def test_a_repaired_gap_explains_nothing_and_is_named() -> None:
    gap = KnownGap(Side.STREAMED, START, START + MINUTE_MS, "gap 7", repaired=True)
    found = reasons(three({0: BUSY, 1: BUSY}, streamed={1: BUSY}), gaps=[gap])
    assert set(found.values()) == {(Reason.MINUTE_MISSING, "rebuilt and exchange agree; in gap 7, which was repaired")}


def test_a_trade_that_is_missing_in_the_lake_is_named_by_its_id() -> None:
    trades = Trades.from_events([made(1, 0), made(3, 40)])
    sides = three({0: BUSY}, rebuilt={}) | {Side.REBUILT: minutes_of_trades(trades)}
    found = reasons(sides, trades=trades, holes=id_holes(trades))
    assert found == {
        (pair, name): (Reason.TRADE_MISSING, "trades 2")
        for pair in ("streamed/rebuilt", "rebuilt/exchange")
        for name in ("volume", "num_trades")
    }
    gone = Trades.from_events([made(1, 0), made(3, 600)])
    sides[Side.STREAMED] = frame({0: BUSY | {"volume": Decimal(1), "num_trades": 1}, 4: BUSY, 10: BUSY})
    found = reasons({**sides, Side.REBUILT: minutes_of_trades(gone)}, trades=gone, holes=id_holes(gone))
    assert found["streamed/rebuilt", MINUTE] == (Reason.TRADE_MISSING, "trades 2")


def test_single_trades_that_no_aggregate_has_explain_more_volume_and_never_less() -> None:
    trades = Trades.from_events([made(1, 0, inner=(1, 1)), made(2, 40, inner=(3, 3))])
    more, less = ({0: BUSY | {"volume": Decimal(volume)}} for volume in (3, 1))
    found = reasons({Side.STREAMED: frame(more), Side.REBUILT: minutes_of_trades(trades)}, holes=id_holes(trades))
    assert set(found.values()) == {(Reason.SINGLE_TRADES, "single trades 2")}
    found = reasons({Side.STREAMED: frame(less), Side.REBUILT: minutes_of_trades(trades)}, holes=id_holes(trades))
    assert {reason for reason, _ in found.values()} == {Reason.UNEXPLAINED}


def test_an_aggregate_across_a_minute_s_edge_moves_volume_and_none_is_lost() -> None:
    trades = Trades.from_events([made(1, 30), made(2, 59.95, quantity="2"), made(3, 90)])
    theirs = {0: BUSY | {"volume": Decimal(2), "num_trades": 2}, 1: BUSY | {"volume": Decimal(2), "num_trades": 1}}
    sides = {Side.STREAMED: frame(theirs), Side.REBUILT: minutes_of_trades(trades)}
    assert {reason for reason, _ in reasons(sides, trades=trades).values()} == {Reason.SINGLE_TRADES}
    far = Trades.from_events([made(1, 30), made(2, 50, quantity="2"), made(3, 90)])
    assert {reason for reason, _ in reasons({**sides, Side.REBUILT: minutes_of_trades(far)}, trades=far).values()} == {
        Reason.UNEXPLAINED
    }


def test_trades_of_one_millisecond_have_no_order_where_ids_do_not_count() -> None:
    trades = Trades.from_events([made(9, 1, "100"), made(4, 1, "101"), made(7, 30, "100.5")]).sorted_unique()[0]
    rebuilt = minutes_of_trades(trades)
    theirs = rebuilt.with_columns(open=pl.lit(Decimal(100)).cast(CANDLE_SCHEMA["open"]))
    sides = {Side.REBUILT: rebuilt, Side.EXCHANGE: theirs}
    assert reasons(sides, trades=trades, numbered=False) == {
        ("rebuilt/exchange", "open"): (Reason.SAME_MOMENT, "2 prices within one millisecond")
    }
    assert {each for each, _ in reasons(sides, trades=trades).values()} == {Reason.UNEXPLAINED}
    other = rebuilt.with_columns(open=pl.lit(Decimal("100.7")).cast(CANDLE_SCHEMA["open"]))
    found = reasons({**sides, Side.EXCHANGE: other}, trades=trades, numbered=False)
    assert {each for each, _ in found.values()} == {Reason.UNEXPLAINED}


def test_an_exchange_that_says_otherwise_later_issued_the_candle_again() -> None:
    sides = three({0: BUSY, 1: BUSY}, exchange={0: BUSY | {"high": Decimal(102)}})
    known = frozenset({START, START + MINUTE_MS})
    assert {reason for reason, _ in reasons(sides, confirmed=known).values()} == {Reason.REISSUED}
    assert Reason.REISSUED not in {reason for reason, _ in reasons(sides).values()}, (
        "the stream did not say it was the exchange's"
    )
    del sides[Side.REBUILT]
    assert Reason.REISSUED not in {reason for reason, _ in reasons(sides, confirmed=known).values()}, (
        "nobody else saw it"
    )


def test_what_was_before_the_record_began_is_not_held_against_it() -> None:
    sides = three({0: BUSY, 1: BUSY, 2: BUSY}, streamed={2: BUSY})
    found = reasons(sides, begins={Side.STREAMED: START + 2 * MINUTE_MS})
    assert {each[0] for each in found.values()} == {Reason.NOT_RECORDED}
    begun = {Side.STREAMED: START + MINUTE_MS}
    late = compare_sides(sides).differences
    assert [each.reason for each in explain(late, Evidence(begins=begun, all_sides=True)) if each.time_ms > START] == [
        Reason.MINUTE_MISSING
    ] * 2


def test_only_reasons_with_evidence_explain() -> None:
    assert [each for each in Reason if not each.is_explained] == [Reason.MINUTE_MISSING, Reason.UNEXPLAINED]
    assert Difference(0, Side.STREAMED, Side.REBUILT, "open", "1", "2").reason is Reason.UNEXPLAINED

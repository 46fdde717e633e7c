"""What a backfill asks for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from market_platform.defs.choices import Wanted, choose_layers, choose_pairs, find_pairs, usual_layers
from market_platform.defs.direct import runs_of
from market_platform.defs.plan import Target, check_range, periods_completed, plan_targets, split
from market_platform.domain.clock import days_between
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform_tests.unit.defs.conftest import BTCUSDT, EURUSD, PERPETUAL

TODAY = date(2024, 4, 10)
WEEK, MONTH = parse_interval("1w"), parse_interval("1M")


@pytest.mark.parametrize("spelling", ["dukascopy/EURUSD", "EURUSD", "eurusd", "EUR/USD", "eur-usd", "Dukascopy/eurusd"])
def test_a_pair_may_be_spelled_as_people_do(pairs: list[TradingPair], spelling: str) -> None:
    assert [pair.name for pair in choose_pairs(pairs, [spelling])] == ["dukascopy/EURUSD"]


def test_all_means_all_and_twice_means_once(pairs: list[TradingPair]) -> None:
    assert choose_pairs(pairs, ["all"]) == pairs
    assert choose_pairs(pairs, ["EURUSD", "dukascopy/EURUSD"]) == pairs[:1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("EURUSS", "did you mean dukascopy/EURUSD"),
        ("dukascopi/GBPUSD", "did you mean dukascopy/GBPUSD"),
        ("??", "configured are dukascopy/EURUSD, dukascopy/GBPUSD"),
    ],
)
def test_an_unknown_pair_is_answered_with_the_nearest(pairs: list[TradingPair], name: str, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        choose_pairs(pairs, [name])


def test_a_symbol_of_two_exchanges_is_asked_back(pairs: list[TradingPair], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market_platform.defs.names.TICK_EXCHANGES", ("dukascopy", "other"))
    with pytest.raises(BadRequestError, match="ambiguous: dukascopy/EURUSD, other/EURUSD"):
        choose_pairs([*pairs, replace(EURUSD, exchange="other")], ["EURUSD"])


def test_pairs_without_ticks_are_chosen_by_name_and_ticks_come_first(pairs: list[TradingPair]) -> None:
    oanda = replace(EURUSD, exchange="oanda")
    assert choose_pairs([oanda, PERPETUAL, *pairs], ["all"]) == pairs
    assert choose_pairs([oanda, PERPETUAL, *pairs], ["EURUSD"]) == pairs[:1]
    assert choose_pairs([oanda, PERPETUAL, *pairs], ["oanda/EURUSD", "btcusdt.p"]) == [oanda, PERPETUAL]


def test_a_pair_without_any_past_is_told_what_to_do_instead(pairs: list[TradingPair]) -> None:
    spot = replace(BTCUSDT, exchange="hyperliquid")
    with pytest.raises(BadRequestError, match=r"has no history to backfill.*market-platform gaps"):
        choose_pairs([spot, *pairs], ["hyperliquid/BTCUSDT"])
    with pytest.raises(BadRequestError, match=r"has no history to backfill.*market-platform gaps"):
        find_pairs([spot, *pairs], Wanted(exchange="hyperliquid"))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(exchange="binance"), ["binance/BTCUSDT", "binance/BTCUSDT.P", "binance/ETHUSDT"]),
        (Wanted(exchange="Binance", coin="btc", quote="USDT", market_type="perps"), ["binance/BTCUSDT.P"]),
        (Wanted(coin="BTC,ETH", market_type="spot"), ["binance/BTCUSDT", "binance/ETHUSDT"]),
        (Wanted(coin="eur"), ["dukascopy/EURUSD"]),
    ],
)
def test_pairs_may_be_said_by_options(wanted: Wanted, names: list[str]) -> None:
    ether = replace(BTCUSDT, coin="ETH", symbol="ETHUSDT")
    assert [pair.name for pair in find_pairs([EURUSD, BTCUSDT, PERPETUAL, ether], wanted)] == names


def test_options_that_mean_no_pair_are_answered_with_what_there_is() -> None:
    with pytest.raises(
        BadRequestError, match=r"--exchange binance --coin DOGE is no .* binance BTC/USDT spot, binance"
    ):
        find_pairs([EURUSD, BTCUSDT, PERPETUAL], Wanted(exchange="binance", coin="DOGE"))
    with pytest.raises(BadRequestError, match=r"configured are dukascopy EUR/USD spot"):
        find_pairs([EURUSD], Wanted(exchange="kraken"))


def test_layers_of_a_past_are_the_exchange_s_own() -> None:
    assert usual_layers(EURUSD) == ["ticks", "candles"]
    assert choose_layers(PERPETUAL, usual_layers(PERPETUAL)) == [
        f"history_candles_{name}" for name in ("1m", "1h", "1d")
    ]
    assert choose_layers(PERPETUAL, ["oi", "1h", "funding", "candles_1m", "history_trades"]) == [
        "history_candles_1m",
        "history_candles_1h",
        "history_funding_rates",
        "history_open_interest",
        "history_trades",
    ]
    assert choose_layers(BTCUSDT, ["candles"])[-1] == "history_candles_1M"
    with pytest.raises(BadRequestError, match="has no layer 'funding'; choose from trades, candles, 1m, 5m"):
        choose_layers(BTCUSDT, ["funding"])
    with pytest.raises(BadRequestError, match="has no layer 'ticks'"):
        choose_layers(BTCUSDT, ["ticks"])


def test_a_past_is_planned_by_days_and_the_periods_they_complete() -> None:
    first, last = date(2024, 3, 1), date(2024, 3, 31)
    training = replace(BTCUSDT, database="training")
    targets = plan_targets(training, choose_layers(training, ["1h", "1w", "1M"]), first, last, TODAY)
    assert [target.name for target in targets] == [
        "training/binance/BTCUSDT/history_candles_1h",
        "training/binance/BTCUSDT/history_candles_1w",
        "training/binance/BTCUSDT/history_candles_1M",
    ]
    assert [target.partitions for target in targets] == [31, 4, 1]


def test_layers_may_be_groups_intervals_or_names() -> None:
    assert choose_layers(EURUSD, ["ticks"]) == ["ticks"]
    assert choose_layers(EURUSD, ["5m", "candles_1h", "ticks"]) == ["ticks", "candles_5m", "candles_1h"]
    assert choose_layers(EURUSD, ["candles"])[-1] == "candles_1M"
    with pytest.raises(BadRequestError, match="no layer '7m'; choose from ticks, candles, 1m"):
        choose_layers(EURUSD, ["7m"])


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (date(2024, 3, 2), date(2024, 3, 1), "is before --from"),
        (date(2024, 3, 2), TODAY, "is not over yet; the last complete day .UTC. is 2024-04-09"),
        (date(1999, 1, 1), date(2024, 3, 1), "before all history, which begins on 2003-05-04"),
    ],
)
def test_a_wrong_range_is_named(first: date, last: date, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        check_range(first, last, TODAY)


def test_a_month_completes_its_weeks_and_itself() -> None:
    first, last = date(2024, 3, 1), date(2024, 3, 31)
    targets = plan_targets(EURUSD, choose_layers(EURUSD, ["ticks", "candles"]), first, last, TODAY)
    by_layer = {target.path[-1]: target for target in targets}
    assert (by_layer["ticks"].first, by_layer["ticks"].last, by_layer["ticks"].partitions) == (first, last, 31)
    assert (by_layer["candles_1w"].first, by_layer["candles_1w"].last) == (date(2024, 3, 4), date(2024, 3, 25))
    assert by_layer["candles_1w"].partitions == 4
    assert by_layer["candles_1M"] == Target(("dukascopy", "EURUSD", "candles_1M"), first, first, 1)


def test_one_day_completes_no_period_unless_the_other_days_are_there() -> None:
    friday = date(2024, 3, 8)
    assert periods_completed(WEEK, friday, friday, TODAY, frozenset()) == []
    others = frozenset(days_between(date(2024, 3, 4), date(2024, 3, 10))) - {friday}
    assert periods_completed(WEEK, friday, friday, TODAY, others) == [date(2024, 3, 4)]


def test_a_period_that_is_not_over_is_left_out() -> None:
    assert periods_completed(MONTH, date(2024, 4, 1), date(2024, 4, 9), TODAY, frozenset()) == []
    assert periods_completed(WEEK, date(2024, 4, 8), date(2024, 4, 9), TODAY, frozenset()) == []


def test_many_days_of_many_pairs_are_a_backfill_each_and_a_day_is_one() -> None:
    targets = {"a": [Target(("x",), TODAY, TODAY, 1)], "b": [Target(("y",), TODAY, TODAY, 1)]}
    assert [list(part) for part in split(targets, date(2024, 3, 1), date(2024, 3, 31))] == [["a"], ["b"]]
    assert [list(part) for part in split(targets, date(2024, 3, 1), date(2024, 3, 2))] == [["a", "b"]]


def test_runs_in_this_process_are_cut_as_the_daemon_cuts_them() -> None:
    first, last = date(2024, 1, 1), date(2024, 3, 10)
    targets = plan_targets(EURUSD, choose_layers(EURUSD, ["ticks", "1m", "1w"]), first, last, TODAY)
    runs = runs_of(targets, 31)
    assert [(run[0].first, run[0].last, len(run)) for run in runs] == [
        (date(2024, 1, 1), date(2024, 1, 31), 2),
        (date(2024, 2, 1), date(2024, 3, 2), 2),
        (date(2024, 3, 3), last, 2),
        (date(2024, 1, 1), date(2024, 3, 4), 1),
    ]
    assert (
        sum(target.partitions for run in runs for target in run) == 2 * ((last - first) // timedelta(days=1) + 1) + 10
    )

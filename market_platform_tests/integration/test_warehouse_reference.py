"""Bringing the configuration to the reference tables: idempotent, shown before it is done, nothing ever deleted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import psycopg
import pytest
from psycopg import sql

from market_platform.domain.days import Instrument
from market_platform.domain.errors import ConfigError
from market_platform.domain.sessions import FOREX
from market_platform.settings import PROJECT_ROOT
from market_platform.starlistings import load_starlistings
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import (
    PairRow,
    ReferenceDiff,
    load_instrument,
    load_pair,
    load_pairs,
    store_instrument,
    sync_reference,
)
from market_platform_tests.fixtures.reference import STARLISTINGS, small_config, synced_pair

TABLES = ("exchanges", "coins", "quote_currencies", "market_types", "intervals", "trading_pairs", "starlistings")


def sync(warehouse: Warehouse, text: str = STARLISTINGS, *, dry_run: bool = False) -> ReferenceDiff:
    with warehouse.begin() as conn:
        return sync_reference(conn, small_config(text), dry_run=dry_run)


def pair(warehouse: Warehouse, exchange: str, symbol: str) -> PairRow:
    with warehouse.connect() as conn:
        return load_pair(conn, exchange, symbol)


def counts(warehouse: Warehouse) -> dict[str, int]:
    with psycopg.connect(warehouse.url) as conn:
        found = {}
        for table in TABLES:
            row = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
            assert row is not None
            found[table] = row[0]
        return found


def test_a_dry_run_shows_everything_and_changes_nothing(warehouse: Warehouse) -> None:
    shown = str(sync(warehouse, dry_run=True))
    assert set(counts(warehouse).values()) == {0}
    assert "+ exchanges dukascopy (Dukascopy, public)" in shown
    assert "+ trading_pairs dukascopy/BTCUSD (BTC, USD, spot, 2017-05-07, exchange)" in shown
    assert "+ starlistings oanda/EURUSD 1m utc bid" in shown
    assert str(sync(warehouse)) == shown


def test_syncing_twice_changes_nothing(warehouse: Warehouse) -> None:
    assert sync(warehouse)
    before = counts(warehouse)
    assert before == {
        "exchanges": 2,
        "coins": 2,
        "quote_currencies": 1,
        "market_types": 2,
        "intervals": 10,
        "trading_pairs": 3,
        "starlistings": 18,
    }
    again = sync(warehouse)
    assert not again
    assert str(again) == "nothing to change"
    assert counts(warehouse) == before


def test_the_repositorys_own_configuration_syncs(warehouse: Warehouse) -> None:
    config = load_starlistings(PROJECT_ROOT / "config" / "starlistings.yaml")
    with warehouse.begin() as conn:
        sync_reference(conn, config)
        pairs = load_pairs(conn)
    assert [each.name for each in pairs] == sorted(each.name for each in config.pairs())
    assert {each.name: list(each.starlistings) for each in pairs} == {
        each.name: [interval.name for interval in each.intervals] for each in config.pairs()
    }


def test_where_a_pairs_candles_come_from_is_kept(warehouse: Warehouse) -> None:
    assert synced_pair(warehouse).candles_from == "exchange"
    built = STARLISTINGS.replace("{coin: EUR, quote: USD}", "{coin: EUR, quote: USD, candles_from: trades}", 1)
    with warehouse.begin() as conn:
        assert str(sync_reference(conn, small_config(built))) == (
            "~ trading_pairs dukascopy/EURUSD: candles_from exchange → trades"
        )
        assert load_pair(conn, "dukascopy", "EURUSD").candles_from == "trades"


def test_a_pair_as_stored(warehouse: Warehouse) -> None:
    found = synced_pair(warehouse, "dukascopy", "BTCUSD")
    assert (found.coin, found.quote, found.market_type) == ("BTC", "USD", "spot")
    assert (found.first_day, found.active, found.licence, found.price_scale) == (date(2017, 5, 7), True, "public", None)
    assert list(found.starlistings) == ["1m", "5m", "1h", "1d", "1w", "1M"]
    assert found.name == "dukascopy/BTCUSD"


def test_what_is_removed_is_deactivated_and_comes_back_as_it_was(warehouse: Warehouse) -> None:
    sync(warehouse)
    before = pair(warehouse, "dukascopy", "BTCUSD")
    without = STARLISTINGS.replace(
        "    BTCUSD: {coin: BTC, quote: USD, first_day: 2017-05-07, intervals: [1m, 5m, 1h, 1d, 1w, 1M]}\n", ""
    )
    shown = sync(warehouse, without)
    assert len(shown.of("deactivated")) == len(shown.changes) == 7
    assert "- trading_pairs dukascopy/BTCUSD (deactivated; its data stays)" in str(shown)
    gone = pair(warehouse, "dukascopy", "BTCUSD")
    assert (gone.active, dict(gone.starlistings)) == (False, {})
    back = sync(warehouse)
    assert "~ trading_pairs dukascopy/BTCUSD: active inactive → active" in str(back)
    assert pair(warehouse, "dukascopy", "BTCUSD") == before


def test_names_licences_and_first_days_change_in_place(warehouse: Warehouse) -> None:
    sync(warehouse)
    changed = STARLISTINGS.replace("licence: private", "licence: public").replace("2017-05-07", "2018-01-01")
    shown = str(sync(warehouse, changed)).splitlines()
    assert shown == [
        "~ exchanges oanda: licence private → public",
        "~ trading_pairs dukascopy/BTCUSD: first_day 2017-05-07 → 2018-01-01",
    ]


def test_candles_of_another_price_are_another_starlisting(warehouse: Warehouse) -> None:
    sync(warehouse)
    before = pair(warehouse, "oanda", "EURUSD").starlistings
    at_ask = STARLISTINGS.replace("candle_price: bid", "candle_price: ask")
    shown = sync(warehouse, at_ask)
    assert [(change.action, change.key[2:]) for change in shown.changes] == [
        ("deactivated", ("1m", "utc", "bid")),
        ("deactivated", ("1h", "utc", "bid")),
        ("added", ("1m", "utc", "ask")),
        ("added", ("1h", "utc", "ask")),
    ]
    after = pair(warehouse, "oanda", "EURUSD").starlistings
    assert set(after.values()).isdisjoint(before.values())
    sync(warehouse)
    assert pair(warehouse, "oanda", "EURUSD").starlistings == before


@pytest.mark.parametrize(
    ("text", "instead", "message"),
    [
        ("BTCUSD: {coin: BTC", "BTCUSD: {coin: EUR, market_type: perps", "BTCUSD is stored as BTC USD spot"),
        ("    BTCUSD:", "    XBTUSD:", "dukascopy BTC USD spot is stored under the symbol BTCUSD"),
    ],
)
def test_a_symbol_never_changes_its_meaning(warehouse: Warehouse, text: str, instead: str, message: str) -> None:
    sync(warehouse)
    before = counts(warehouse)
    with pytest.raises(ConfigError, match=message):
        sync(warehouse, STARLISTINGS.replace(text, instead, 1))
    assert counts(warehouse) == before


def test_several_syncs_at_once_are_one_after_the_other(warehouse: Warehouse) -> None:
    started = threading.Barrier(4)

    def one(_: int) -> int:
        started.wait(10)
        return len(sync(warehouse).changes)

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(one, range(4))) == [0, 0, 0, 38]


def test_an_unknown_pair_is_named_with_what_to_do(warehouse: Warehouse) -> None:
    with pytest.raises(
        ConfigError, match=r"dukascopy/NOSUCH is not in the database; add it to config/starlistings\.yaml"
    ):
        pair(warehouse, "dukascopy", "NOSUCH")


def test_an_instrument_is_kept_and_the_same_again_is_not_written(warehouse: Warehouse) -> None:
    found = synced_pair(warehouse)
    instrument = Instrument("EURUSD", "EUR-USD", 5, FOREX, 1_052_074_800_048, {"priceScale": 5})
    with warehouse.begin() as conn:
        assert load_instrument(conn, found.id) is None
        store_instrument(conn, found.id, instrument)
    with psycopg.connect(warehouse.url, autocommit=True) as listener:
        listener.execute("LISTEN reference")
        with warehouse.begin() as conn:
            store_instrument(conn, found.id, instrument)
            assert load_instrument(conn, found.id) == instrument
        assert list(listener.notifies(timeout=0.05)) == []
    assert pair(warehouse, "dukascopy", "EURUSD").price_scale == 5

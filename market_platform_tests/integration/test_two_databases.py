"""Both databases end to end: what is written to each, and that no mutation of a URL or a flag can cross them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from market_platform.domain.databases import DATABASES, Database
from market_platform.domain.errors import MarketPlatformError
from market_platform.embedded.databases import claim_database, migrate_database, sync_database
from market_platform.replay.testing import running_replay
from market_platform.settings import Settings
from market_platform.warehouse.candles import load_candle_days
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.reference import load_pair
from market_platform_tests.fixtures.history_world import past_world
from market_platform_tests.fixtures.scripted_history import ScriptedHistory
from market_platform_tests.fixtures.two_databases import DAY, TwoDatabases, row_counts, run_sql, write_candles
from market_platform_tests.fixtures.user_shell import run_command

ROLE_OF_THE_OTHER = "UPDATE database_role SET role = CASE role WHEN 'realtime' THEN 'training' ELSE 'realtime' END"


@pytest.fixture
def two(make_database: Callable[[], str], tmp_path: Path) -> TwoDatabases:
    """Both, synced, each with a day of candles."""
    made = TwoDatabases(make_database(), make_database(), tmp_path)
    made.sync()
    for each in DATABASES:
        assert write_candles(made.settings, made.pair(each)) == 24
    return made


@pytest.fixture
def one(make_database: Callable[[], str], tmp_path: Path) -> TwoDatabases:
    """The realtime one alone, not synced."""
    return TwoDatabases(make_database(), None, tmp_path)


def test_each_kind_of_data_is_in_its_own_database(two: TwoDatabases) -> None:
    held = two.contents()
    assert {name: (each["trading_pairs"], each["starlistings"]) for name, each in held.items()} == {
        "realtime": (2, 6),
        "training": (2, 4),
    }
    assert {each["candles"] for each in held.values()} == {24}
    source = ScriptedHistory()
    assert write_candles(two.settings, two.pair("training", "ETHUSDT.P"), source) == 24
    assert source.asked == [("candles_1h", (DAY,))]
    assert two.contents()["realtime"] == held["realtime"]
    assert two.training_url is not None
    warehouse = create_warehouse(two.training_url)
    try:
        with warehouse.connect() as conn:
            row = load_pair(conn, "binance", "ETHUSDT.P")
            assert load_candle_days(conn, row.starlistings["1h"], DAY, DAY)[DAY].rows == 24
    finally:
        warehouse.close()


def spelt_otherwise(url: str) -> str:
    """Another URL of the same database."""
    parts = urlsplit(url)
    login, _, _ = parts.netloc.rpartition("@")
    return f"postgres://{login}@localhost:{parts.port}{parts.path}?hostaddr=127.0.0.1&application_name=other"


@dataclass(frozen=True)
class Mutation:
    """Wrong settings or a wrong row, and which of the two may still be written to: then it is the right one."""

    urls: Callable[[TwoDatabases], tuple[str, str | None]] = lambda two: (two.realtime_url, two.training_url)
    damage: Callable[[TwoDatabases], None] = lambda _: None
    works: tuple[Database, ...] = ()


def training_of(two: TwoDatabases) -> str:
    assert two.training_url is not None
    return two.training_url


MUTATIONS = {
    "none": Mutation(works=("realtime", "training")),
    "the two swapped": Mutation(lambda two: (training_of(two), two.realtime_url)),
    "both the realtime one": Mutation(lambda two: (two.realtime_url, two.realtime_url), works=("realtime",)),
    "both the realtime one, spelt otherwise": Mutation(
        lambda two: (two.realtime_url, spelt_otherwise(two.realtime_url)), works=("realtime",)
    ),
    "both the training one": Mutation(lambda two: (training_of(two), training_of(two)), works=("training",)),
    "realtime is the training one, spelt otherwise": Mutation(
        lambda two: (spelt_otherwise(training_of(two)), training_of(two)), works=("training",)
    ),
    "training alone, as realtime": Mutation(lambda two: (training_of(two), None)),
    "the row of the realtime one is gone": Mutation(
        damage=lambda two: run_sql(two.realtime_url, "DELETE FROM database_role"), works=("training",)
    ),
    "the row of the training one is gone": Mutation(
        damage=lambda two: run_sql(training_of(two), "DELETE FROM database_role"), works=("realtime",)
    ),
    "the row of the training one is the other's": Mutation(
        damage=lambda two: run_sql(training_of(two), ROLE_OF_THE_OTHER), works=("realtime",)
    ),
    "the row of the realtime one is the other's": Mutation(
        damage=lambda two: run_sql(two.realtime_url, ROLE_OF_THE_OTHER), works=("training",)
    ),
}


def a_day_again(two: TwoDatabases, settings: Settings, database: Database) -> None:
    """A writing run, which changes nothing when it may write."""
    assert write_candles(settings, two.pair(database)) == 0


def a_sync(_two: TwoDatabases, settings: Settings, database: Database) -> None:
    """The pairs of the configuration."""
    sync_database(settings, database)


def a_migration(_two: TwoDatabases, settings: Settings, database: Database) -> None:
    """The schema."""
    migrate_database(settings, database)


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_a_mutation_is_refused_with_nothing_written_or_changes_nothing(two: TwoDatabases, name: str) -> None:
    mutation = MUTATIONS[name]
    mutation.damage(two)
    before = two.contents()
    settings = two.with_urls(*mutation.urls(two))
    for operation, database in itertools.product((a_day_again, a_sync, a_migration), DATABASES):
        if database in mutation.works:
            operation(two, settings, database)
        else:
            with pytest.raises(MarketPlatformError) as caught:
                operation(two, settings, database)
            assert "nothing was written" in str(caught.value)
            assert "market-platform" in str(caught.value)
        assert two.contents() == before, (operation.__name__, database)


@pytest.mark.parametrize("database", DATABASES)
def test_a_refused_run_asks_the_exchange_for_nothing(two: TwoDatabases, database: Database) -> None:
    source = ScriptedHistory()
    with pytest.raises(MarketPlatformError, match="nothing was written"):
        write_candles(two.with_urls(two.training_url, two.realtime_url), two.pair(database), source)
    assert source.opened == 0


@pytest.mark.parametrize(("database", "symbol"), [("realtime", "XRPUSDT"), ("training", "ETHUSDT.P")])
def test_a_pair_with_the_flag_of_the_other_is_unknown_there(two: TwoDatabases, database: Database, symbol: str) -> None:
    before = two.contents()
    other: Database = "training" if database == "realtime" else "realtime"
    flipped = replace(two.pair(database, symbol), database=other)
    with pytest.raises(MarketPlatformError, match=f"binance/{symbol} is not in the database"):
        write_candles(two.settings, flipped)
    assert two.contents() == before


@pytest.mark.parametrize("spelling", [str, spelt_otherwise])
def test_a_new_database_is_not_claimed_for_training_while_it_is_the_realtime_one_too(
    one: TwoDatabases, spelling: Callable[[str], str]
) -> None:
    settings = one.with_urls(one.realtime_url, spelling(one.realtime_url))
    before = one.contents()
    for refused in (claim_database, sync_database, migrate_database):
        with pytest.raises(MarketPlatformError, match="are one database"):
            refused(settings, "training")
        assert one.contents() == before
    assert claim_database(settings, "realtime")
    with pytest.raises(MarketPlatformError, match="is the realtime database"):
        sync_database(settings, "training")


def test_without_a_training_database_each_file_leaves_what_the_other_lists(one: TwoDatabases) -> None:
    sync_database(one.settings, "realtime")
    assert [str(each) for each in sync_database(one.settings, "training").changes] == [
        "+ coins ETH (Ether)",
        "+ market_types perps (Perpetuals)",
        "+ trading_pairs binance/ETHUSDT.P (ETH, USDT, perps, exchange)",
        "+ starlistings binance/BTCUSDT 4h utc mid",
        "+ starlistings binance/ETHUSDT.P 1h utc mid",
        "+ starlistings binance/ETHUSDT.P 4h utc mid",
    ]
    for each in (*DATABASES, *DATABASES):
        assert not sync_database(one.settings, each)
    assert write_candles(one.settings, one.pair("training", "ETHUSDT.P")) == 24
    assert write_candles(one.settings, one.pair("training")) == 24
    assert write_candles(one.settings, one.pair("realtime")) == 0


def test_what_a_file_does_not_list_any_more_goes_only_when_the_other_does_not_list_it(one: TwoDatabases) -> None:
    for each in DATABASES:
        sync_database(one.settings, each)
    files = {each: one.folder / f"{each}.yaml" for each in DATABASES}
    for file in files.values():
        file.write_text(file.read_text().replace("    BTCUSDT: {coin: BTC, quote: USDT}\n", ""))
    shown = str(sync_database(one.settings, "realtime"))
    assert "trading_pairs binance/BTCUSDT" not in shown
    assert "- starlistings binance/BTCUSDT 1m utc mid" in shown
    assert "BTCUSDT 1h" not in shown
    shown = str(sync_database(one.settings, "training"))
    assert "- trading_pairs binance/BTCUSDT (deactivated; its data stays)" in shown
    assert "XRPUSDT" not in shown
    for each in DATABASES:
        assert not sync_database(one.settings, each)


def test_two_kinds_of_candles_of_one_pair_are_not_brought_into_one_database(one: TwoDatabases) -> None:
    sync_database(one.settings, "realtime")
    before = row_counts(one.realtime_url)
    file = one.folder / "training.yaml"
    file.write_text(file.read_text().replace("{coin: BTC, quote: USDT}", "{coin: BTC, quote: USDT, candle_price: bid}"))
    with pytest.raises(MarketPlatformError, match="binance/BTCUSDT 1h is listed for training as utc bid candles"):
        sync_database(one.settings, "training")
    assert row_counts(one.realtime_url) == before


def test_a_training_database_set_later_takes_its_pairs_out_of_the_realtime_one(
    one: TwoDatabases, make_database: Callable[[], str]
) -> None:
    for each in DATABASES:
        sync_database(one.settings, each)
    settings = one.with_urls(one.realtime_url, make_database())
    assert "- trading_pairs binance/ETHUSDT.P (deactivated; its data stays)" in str(sync_database(settings, "realtime"))
    assert "+ trading_pairs binance/ETHUSDT.P" in str(sync_database(settings, "training"))
    for each in DATABASES:
        assert not sync_database(settings, each)


@pytest.mark.slow
def test_the_backfill_command_fills_the_training_database_and_no_other(two: TwoDatabases) -> None:
    line = "backfill binance/BTCUSDT --from 2026-11-16 --to 2026-11-17 --intervals 4h --direct --database training"
    with running_replay(world=past_world()) as exchange:
        right = two.with_urls(two.realtime_url, two.training_url, **exchange.live_urls)
        before = candles_of(two)
        done = run_command(environment(right), *line.split())
        assert (done.returncode, done.stderr) == (0, "")
        assert candles_of(two) == {**before, "training": before["training"] + 12}
        swapped = two.with_urls(two.training_url, two.realtime_url, **exchange.live_urls)
        held = two.contents()
        refused = run_command(environment(swapped), *line.split())
    assert refused.returncode == 1
    assert "nothing was written" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert two.contents() == held


def candles_of(two: TwoDatabases) -> dict[str, int]:
    """How many candles each has."""
    return {name: each["candles"] for name, each in two.contents().items()}


def environment(settings: Settings) -> dict[str, str]:
    """What makes a process see these settings, and nothing of this one's beside them."""
    given = settings.model_dump(exclude_unset=True, mode="json")
    secrets = {"database_url": settings.database_url, "training_database_url": settings.training_database_url}
    values = given | {name: value.get_secret_value() for name, value in secrets.items() if value is not None}
    return {**os.environ, **{name.upper(): str(value) for name, value in values.items() if value is not None}}

"""A database says which of the two it is, and nothing is written to it as the other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from market_platform.domain.errors import SchemaMismatchError, WrongDatabaseError
from market_platform.warehouse.database_role import (
    ROLE_MIGRATION,
    change_role,
    claim_role,
    describe_database,
    is_same_database,
    load_role,
    require_another_database,
)
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.migrations import MIGRATIONS_DIR, migrate
from market_platform.warehouse.reference import sync_reference
from market_platform_tests.fixtures.reference import small_config


@pytest.fixture
def opened() -> Iterator[Callable[..., Warehouse]]:
    """Warehouses that are closed after the test."""
    made: list[Warehouse] = []

    def make(url: str, **options: object) -> Warehouse:
        made.append(create_warehouse(url, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()


def role_of(warehouse: Warehouse) -> str | None:
    with warehouse.connect() as conn:
        found = load_role(conn)
    return None if found is None else found.role


def test_a_new_database_is_claimed_once(warehouse: Warehouse) -> None:
    with warehouse.begin() as conn:
        assert claim_role(conn, "training")
        assert not claim_role(conn, "training")
    assert role_of(warehouse) == "training"
    with warehouse.begin() as conn, pytest.raises(WrongDatabaseError, match="is the training database"):
        claim_role(conn, "realtime")
    assert role_of(warehouse) == "training"


def test_a_sync_claims_and_a_dry_run_does_not(warehouse: Warehouse) -> None:
    with warehouse.begin() as conn:
        sync_reference(conn, small_config(), dry_run=True)
    assert role_of(warehouse) is None
    with warehouse.begin() as conn:
        sync_reference(conn, small_config())
    assert role_of(warehouse) == "realtime"


def test_nothing_is_written_through_a_warehouse_of_the_other_role(
    database_url: str, opened: Callable[..., Warehouse]
) -> None:
    plain, realtime, training = (opened(database_url, role=role) for role in (None, "realtime", "training"))
    with plain.begin() as conn:
        claim_role(conn, "realtime")
    realtime.check_role()
    with realtime.begin() as conn:
        sync_reference(conn, small_config())
    with pytest.raises(WrongDatabaseError, match="correct TRAINING_DATABASE_URL") as caught, training.begin():
        pytest.fail("a transaction has begun")
    assert not caught.value.retryable
    assert "market-platform db claim --role training --yes" in str(caught.value)
    with training.connect() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM trading_pairs").scalar_one() == 3


def test_a_connection_that_was_found_right_is_not_asked_again_and_a_new_one_is(
    database_url: str, opened: Callable[..., Warehouse]
) -> None:
    plain, realtime = opened(database_url), opened(database_url, role="realtime", pool_size=1)
    with plain.begin() as conn:
        claim_role(conn, "realtime")
    with realtime.begin():
        pass
    with plain.begin() as conn:
        change_role(conn, "training")
    with realtime.begin():
        pass
    realtime.close()  # as when the address comes to mean another server: connections are made anew
    with pytest.raises(WrongDatabaseError, match="is the training database"), realtime.begin():
        pytest.fail("a transaction has begun")


def test_a_database_that_is_nobodys_is_refused_with_what_to_do(
    database_url: str, opened: Callable[..., Warehouse]
) -> None:
    plain, training = opened(database_url), opened(database_url, role="training")
    training.check_role(may_be_new=True)
    with pytest.raises(WrongDatabaseError, match="run `market-platform config sync --database training`"):
        training.check_role()
    with plain.begin() as conn:
        sync_reference(conn, small_config())
        conn.exec_driver_sql("DELETE FROM database_role")
    for may_be_new in (False, True):
        with pytest.raises(WrongDatabaseError, match="it has pairs: look whose they are"):
            training.check_role(may_be_new=may_be_new)
    with plain.begin() as conn, pytest.raises(WrongDatabaseError, match="it has pairs"):
        claim_role(conn, "training")
    assert role_of(plain) is None


def test_a_database_without_the_table_says_migrate(empty_database_url: str, opened: Callable[..., Warehouse]) -> None:
    with pytest.raises(SchemaMismatchError, match="run `market-platform migrate`"):
        opened(empty_database_url, role="realtime").check_role()


def spellings(url: str) -> dict[str, str]:
    """Other URLs of the same database."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    port, name = parts.port, parts.path.lstrip("/")
    return {
        "the same": url,
        "another scheme": url.replace("postgresql://", "postgres://"),
        "another host name": f"postgresql://{login}@localhost:{port}/{name}?hostaddr=127.0.0.1",
        "options": f"{url}?application_name=elsewhere",
        "everything in the query": f"postgresql://{login}@/{name}?host=127.0.0.1&port={port}",
        "the address in another form": f"postgresql://{login}@localhost:{port}/{name}?host=127.0.0.1",
    }


@pytest.mark.parametrize("spelling", list(spellings("postgresql://u:p@127.0.0.1:5432/x")))
def test_one_database_is_one_however_it_is_spelt(
    database_url: str, opened: Callable[..., Warehouse], spelling: str
) -> None:
    one, other = opened(database_url), opened(spellings(database_url)[spelling])
    assert is_same_database(one, other)
    assert is_same_database(other, one)
    with pytest.raises(WrongDatabaseError, match="are one database"):
        require_another_database(one, other)


def test_a_copy_of_a_database_is_another_one(
    make_database: Callable[[], str], opened: Callable[..., Warehouse]
) -> None:
    one, copy = opened(make_database()), opened(make_database())
    assert not is_same_database(one, copy)
    require_another_database(one, copy)


def test_describing_a_database_takes_no_privilege(database_url: str, opened: Callable[..., Warehouse]) -> None:
    parts = urlsplit(database_url)
    role = f"plain_{parts.path.lstrip('/')}"
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'plain'").format(sql.Identifier(role)))
    plain = opened(f"postgresql://{role}:plain@127.0.0.1:{parts.port}{parts.path}")
    try:
        with plain.connect() as mine, opened(database_url).connect() as owners:
            assert describe_database(mine) == describe_database(owners)
    finally:
        plain.close()
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_a_database_from_before_there_were_two_is_the_realtime_one(
    empty_database_url: str, opened: Callable[..., Warehouse], tmp_path: Path
) -> None:
    earlier = tmp_path / "migrations"
    earlier.mkdir()
    for file in MIGRATIONS_DIR.glob("*.sql"):
        if file.name < ROLE_MIGRATION:
            shutil.copy(file, earlier)
    migrate(empty_database_url, migrations_dir=earlier)
    with psycopg.connect(empty_database_url) as conn:
        conn.execute("INSERT INTO exchanges (code, display_name, licence) VALUES ('binance', 'Binance', 'public')")
        for table, code in (("coins", "BTC"), ("quote_currencies", "USDT")):
            conn.execute(f"INSERT INTO {table} (code, name) VALUES ('{code}', '{code}')")
        conn.execute("INSERT INTO market_types (code, display_name) VALUES ('spot', 'Spot')")
        conn.execute("INSERT INTO intervals (name, seconds) VALUES ('1m', 60)")
        conn.execute(
            "INSERT INTO trading_pairs (exchange_id, coin_id, quote_currency_id, market_type_id, symbol) "
            "SELECT exchanges.id, coins.id, quote_currencies.id, market_types.id, 'BTCUSDT' "
            "FROM exchanges, coins, quote_currencies, market_types"
        )
        conn.execute(
            "INSERT INTO starlistings (trading_pair_id, interval_id, alignment, candle_price) "
            "SELECT trading_pairs.id, intervals.id, 'utc', 'mid' FROM trading_pairs, intervals"
        )
    migrate(empty_database_url)
    warehouse = opened(empty_database_url)
    assert role_of(warehouse) == "realtime"
    with warehouse.connect() as conn:
        listed = conn.exec_driver_sql("SELECT role, table_name, key FROM reference_listings ORDER BY 2").all()
    assert [tuple(row) for row in listed] == [
        ("realtime", "coins", ["BTC"]),
        ("realtime", "exchanges", ["binance"]),
        ("realtime", "intervals", ["1m"]),
        ("realtime", "market_types", ["spot"]),
        ("realtime", "quote_currencies", ["USDT"]),
        ("realtime", "starlistings", ["binance", "BTCUSDT", "1m", "utc", "mid"]),
        ("realtime", "trading_pairs", ["binance", "BTCUSDT"]),
    ]

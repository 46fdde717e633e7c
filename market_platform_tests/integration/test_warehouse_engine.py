"""The pool: bounded, with errors that say where and what to do, and never the password."""

from __future__ import annotations

import socket
import threading
import time

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from market_platform.domain.errors import SchemaMismatchError, WarehouseUnavailableError
from market_platform.warehouse.engine import Warehouse, create_warehouse


def answer(warehouse: Warehouse) -> object:
    with warehouse.connect() as conn:
        return conn.execute(text("SELECT 42")).scalar_one()


def test_a_transaction_commits_or_leaves_nothing(warehouse: Warehouse) -> None:
    with warehouse.begin() as conn:
        conn.execute(text("INSERT INTO coins (code, name) VALUES ('EUR', 'Euro')"))
    with pytest.raises(IntegrityError), warehouse.begin() as conn:  # noqa: PT012 - the block's end is what is tested
        conn.execute(text("INSERT INTO coins (code, name) VALUES ('BTC', 'Bitcoin')"))
        conn.execute(text("INSERT INTO coins (code, name) VALUES ('EUR', 'again')"))
    with warehouse.connect() as conn:
        conn.execute(text("INSERT INTO coins (code, name) VALUES ('XAU', 'Gold')"))
    with warehouse.connect() as conn:
        assert conn.execute(text("SELECT code FROM coins")).scalars().all() == ["EUR"]


def test_sessions_are_in_utc(warehouse: Warehouse) -> None:
    with warehouse.connect() as conn:
        assert conn.execute(text("SHOW timezone")).scalar_one() == "UTC"


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(WarehouseUnavailableError) as caught:
        answer(create_warehouse("postgresql://reader:s3cret@127.0.0.1:9/market"))
    assert "127.0.0.1:9/market" in str(caught.value)
    assert "DATABASE_URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_accepts_and_says_nothing_costs_the_time_limit_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://reader:s3cret@127.0.0.1:{silent.getsockname()[1]}/market"
        started = time.monotonic()
        with pytest.raises(WarehouseUnavailableError):
            answer(create_warehouse(url, timeout_s=2))
        assert time.monotonic() - started < 25


def test_a_wrong_password_and_a_missing_database(database_url: str) -> None:
    base, name = database_url.rsplit("/", 1)
    with pytest.raises(WarehouseUnavailableError, match="does not exist"):
        answer(create_warehouse(f"{base}/nowhere"))
    wrong = psycopg.conninfo.make_conninfo(database_url, password="guessed")
    parameters = psycopg.conninfo.conninfo_to_dict(wrong)
    url = f"postgresql://{parameters['user']}:guessed@{parameters['host']}:{parameters['port']}/{name}"
    with pytest.raises(WarehouseUnavailableError, match="authentication failed") as caught:
        answer(create_warehouse(url))
    assert "guessed" not in str(caught.value)


def test_a_full_pool_says_so_within_its_time_limit(database_url: str) -> None:
    warehouse = create_warehouse(database_url, pool_size=1, timeout_s=0.2)
    with warehouse.connect():
        outcome: list[Exception] = []

        def second() -> None:
            try:
                answer(warehouse)
            except WarehouseUnavailableError as error:
                outcome.append(error)

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=10)
    assert "DATABASE_POOL_SIZE" in str(outcome[0])
    assert answer(warehouse) == 42
    warehouse.close()


def test_a_connection_the_server_cut_is_replaced(warehouse: Warehouse) -> None:
    assert answer(warehouse) == 42
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert answer(warehouse) == 42


def test_a_connection_cut_in_the_middle_is_retryable(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseUnavailableError) as caught, warehouse.begin() as conn:  # noqa: PT012 - the same
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(warehouse.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        conn.execute(text("SELECT 1"))
    assert caught.value.retryable


def test_a_deadlock_is_retryable(warehouse: Warehouse) -> None:
    with warehouse.begin() as conn:
        conn.execute(text("INSERT INTO coins (code, name) VALUES ('A', 'a'), ('B', 'b')"))
    update = text("UPDATE coins SET name = name || 'x' WHERE code = :code")
    both_hold_one = threading.Barrier(2)
    outcome: list[Exception] = []

    def swap(first: str, second: str) -> None:
        try:
            with warehouse.begin() as conn:
                conn.execute(update, {"code": first})
                both_hold_one.wait(10)
                conn.execute(update, {"code": second})
        except WarehouseUnavailableError as error:
            outcome.append(error)

    threads = [threading.Thread(target=swap, args=pair) for pair in (("A", "B"), ("B", "A"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert [str(error).count("another transaction") for error in outcome] == [1]


def test_missing_tables_are_missing_migrations(empty_database_url: str) -> None:
    warehouse = create_warehouse(empty_database_url)
    with pytest.raises(SchemaMismatchError, match="run `market-platform migrate`"), warehouse.connect() as conn:
        conn.execute(text("SELECT * FROM candles"))
    warehouse.close()


def test_a_lock_that_is_never_given_back_costs_the_time_limit_only(database_url: str) -> None:
    patient, impatient = create_warehouse(database_url), create_warehouse(database_url, lock_timeout_s=0.2)
    with patient.begin() as holder:
        holder.execute(text("LOCK TABLE coins"))
        with pytest.raises(WarehouseUnavailableError, match="another transaction"), impatient.connect() as conn:
            conn.execute(text("SELECT * FROM coins"))
    patient.close()
    impatient.close()

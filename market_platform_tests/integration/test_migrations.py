"""Migrations: a current database from an empty one, once, by however many at a time, and equal to sql/schema.sql."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from market_platform.domain.errors import SchemaMismatchError, WarehouseError, WarehouseUnavailableError
from market_platform.warehouse import migrations
from market_platform_tests.fixtures.schema_dump import dump_schema

SCHEMA_FILE = migrations.MIGRATIONS_DIR.parent / "schema.sql"


def test_migrating_an_empty_database_applies_everything_once(empty_database_url: str) -> None:
    expected = sorted(path.name for path in migrations.MIGRATIONS_DIR.glob("*.sql"))
    assert migrations.pending(empty_database_url) == expected
    assert migrations.migrate(empty_database_url) == expected
    assert migrations.pending(empty_database_url) == []
    assert migrations.applied(empty_database_url) == expected
    assert migrations.migrate(empty_database_url) == []


def test_the_migrations_add_up_to_schema_sql(database_url: str) -> None:
    dumped = dump_schema(database_url)
    if os.environ.get("UPDATE_SCHEMA_SQL"):
        SCHEMA_FILE.write_text(dumped)
    assert SCHEMA_FILE.read_text() == dumped, "after adding a migration, run this test once with UPDATE_SCHEMA_SQL=1"


def test_schema_sql_itself_makes_the_same_database(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as conn:
        conn.execute(SCHEMA_FILE.read_text().encode())
    assert dump_schema(empty_database_url) == SCHEMA_FILE.read_text()


def test_a_missing_database_is_made(postgres_url: str) -> None:
    url = postgres_url.rsplit("/", 1)[0] + "/made_by_migrate"
    assert migrations.migrate(url)
    assert migrations.pending(url) == []


def test_several_at_once_apply_each_migration_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(lambda _: migrations.migrate(empty_database_url), range(3)))
    assert migrations.pending(empty_database_url) == []
    assert sorted(map(bool, results)) == [False, False, True]


@pytest.fixture
def readable_folder() -> Iterator[Path]:
    """A folder that the server's own user can read, whoever that is."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder


def test_timescale_that_is_installed_but_not_loaded_is_left_alone(
    empty_database_url: str, readable_folder: Path
) -> None:
    """CREATE EXTENSION would end the session then."""
    extensions = readable_folder / "extension"
    extensions.mkdir(mode=0o755)
    (extensions / "timescaledb.control").write_text("default_version = '2.0'\nmodule_pathname = 'none'\n")
    (extensions / "timescaledb.control").chmod(0o644)
    name = urlsplit(empty_database_url).path.lstrip("/")
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE \"{name}\" SET extension_control_path = '{readable_folder}:$system'".encode())
    with psycopg.connect(empty_database_url) as conn:
        known = conn.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
    assert known == (1,)
    assert migrations.migrate(empty_database_url)
    assert dump_schema(empty_database_url) == SCHEMA_FILE.read_text()


def test_a_failing_migration_is_named_and_leaves_nothing(empty_database_url: str, tmp_path: Path) -> None:
    (tmp_path / "0001_good.sql").write_text("-- migrate:up\nCREATE TABLE good (id int);\n-- migrate:down\n")
    (tmp_path / "0002_bad.sql").write_text("-- migrate:up\nCREATE TABLE half (id int); SELECT 1/0;\n-- migrate:down\n")
    with pytest.raises(WarehouseError, match="division by zero") as caught:
        migrations.migrate(empty_database_url, migrations_dir=tmp_path)
    assert (urlsplit(empty_database_url).password or "") not in str(caught.value)
    assert migrations.applied(empty_database_url, migrations_dir=tmp_path) == ["0001_good.sql"]
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute("SELECT to_regclass('good') IS NULL, to_regclass('half') IS NULL").fetchone() == (
            False,
            True,
        )


def test_a_database_that_lags_behind_is_told_apart(empty_database_url: str, database_url: str) -> None:
    migrations.require_current_schema(database_url)
    with pytest.raises(SchemaMismatchError, match="run `market-platform migrate`"):
        migrations.require_current_schema(empty_database_url)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(WarehouseUnavailableError, match=r"127\.0\.0\.1:9/nowhere") as caught:
        migrations.migrate("postgresql://someone:pa%24s@127.0.0.1:9/nowhere", wait_s=0)
    assert not re.search(r"pa(%24|\$)s", str(caught.value))


def test_a_wrong_password_is_not_waited_for(postgres_url: str) -> None:
    wrong = postgres_url.replace(urlsplit(postgres_url).password or "", "guessed-wrong")
    with pytest.raises(WarehouseUnavailableError, match="authentication failed") as caught:
        migrations.migrate(wrong, wait_s=60)
    assert "guessed-wrong" not in str(caught.value)

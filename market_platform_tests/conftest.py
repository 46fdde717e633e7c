"""What every test may ask for: a real Postgres, and a fresh, migrated database on it.

One server a test process (so one a pytest-xdist worker), started on first use; a database of a test is a copy of a
migrated template, which takes tens of milliseconds.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest

from market_platform.embedded.errors import PortTakenError
from market_platform.embedded.postgres import EmbeddedPostgres
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.migrations import migrate
from market_platform_tests.fixtures.ports import free_port

_names = itertools.count(1)
# no test is a measurement, and a run of CI is that of the same examples again; elsewhere they are new ones every time
hypothesis.settings.register_profile(
    "platform",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("platform")
logging.getLogger("werkzeug").setLevel(logging.WARNING)  # moto's server tells every request


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the test server's database `market`; make databases beside it, don't use it."""
    server, url = _start_server(tmp_path_factory.mktemp("postgres"))
    yield url
    server.destroy()


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """Name of a migrated, empty database that nothing is connected to."""
    migrate(_url_of(postgres_url, "market_template"))
    return "market_template"


@pytest.fixture
def make_database(postgres_url: str, template_database: str) -> Iterator[Callable[[], str]]:
    """A function that makes another migrated database and returns its URL; all are dropped after the test."""
    made: list[str] = []

    def make() -> str:
        name = f"market_{next(_names)}"
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
        made.append(name)
        return _url_of(postgres_url, name)

    yield make
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        for name in made:
            conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def database_url(make_database: Callable[[], str]) -> str:
    """URL of a migrated database of this test alone."""
    return make_database()


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """URL of a database of this test alone without any table."""
    name = f"empty_{next(_names)}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}"')
    yield _url_of(postgres_url, name)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    """A warehouse on a migrated database of this test alone."""
    made = create_warehouse(database_url)
    yield made
    made.close()


def _start_server(folder: Path, attempts: int = 3) -> tuple[EmbeddedPostgres, str]:
    server = EmbeddedPostgres(folder, free_port(), durable=False)
    try:
        return server, server.start()
    except PortTakenError:  # somebody was quicker
        if attempts == 1:
            raise
        return _start_server(folder, attempts - 1)


def _url_of(server_url: str, database: str) -> str:
    return f"{server_url.rsplit('/', 1)[0]}/{database}"

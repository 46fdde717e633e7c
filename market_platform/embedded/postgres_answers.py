"""Whether a server that says it is ready answers a query, in a database that is made on the first day.

Belongs here: connecting as the stack does. Does not: waiting (postgres.py), tables (sql/).
"""

from __future__ import annotations

import psycopg

from market_platform.embedded.errors import EmbeddedPostgresError
from market_platform.embedded.postgres_data import explain
from market_platform.embedded.postgres_home import DATABASE, PostgresHome

_CONNECT_TIMEOUT_S = 5


def answers(home: PostgresHome) -> bool:
    """Connect to database `market`, making it when it is not there yet.

    Raises:
        EmbeddedPostgresError: the server has another password than the state file, or the database can't be made.
    """
    try:
        psycopg.connect(home.state.url(), connect_timeout=_CONNECT_TIMEOUT_S).close()
        return True
    except psycopg.OperationalError as error:
        message = str(error)
    if f'database "{DATABASE}" does not exist' in message:
        _make_database(home)
        return True
    if "password authentication failed" in message:
        raise EmbeddedPostgresError(
            f"the server on port {home.state.port} refuses the password in {home.state_file}; restore that "
            f"file from {home.credentials_file}"
        )
    return False


def _make_database(home: PostgresHome) -> None:
    maintenance = home.state.url().rpartition("/")[0] + "/postgres"
    try:
        with psycopg.connect(maintenance, connect_timeout=_CONNECT_TIMEOUT_S, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.Error as error:
        raise explain(
            f"could not make database {DATABASE} in {home.data}", str(error).splitlines(), home.path
        ) from None

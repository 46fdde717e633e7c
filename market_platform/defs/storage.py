"""dagster-postgres with its connections kept: what dagster.yaml names as storage.

dagster-postgres opens a connection for every statement, so that idle processes hold none. An event is three statements, a
run over a month of days and nine layers is some six hundred events: measured here, an event took 30 ms, of which a kept
connection needs 9. Each process keeps one, opens more while it needs them, and checks a connection that was idle before
using it, so that a restart of Postgres costs nothing.

What the event log stores, it stores together (event_log.py).

It reaches for private names because dagster-postgres offers none of this. Tests store events through the repository's
dagster.yaml and compare the rows with what the parent class stores.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
    set_pg_statement_timeout,
)
from sqlalchemy import event, exc

from market_platform.defs.event_log import BatchedEventLog

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData
    from dagster_postgres.auth import PgTokenProvider
    from sqlalchemy import Engine
    from sqlalchemy.pool import ConnectionPoolEntry

_MOST_CONNECTIONS = 20
_KEPT_S = 1800
IDLE_S = 0.2
"""A connection used this recently is taken to be alive; a server does not restart in less."""


class _KeepsPool:
    """Keeps the shared pool in the webserver too: dagster-postgres would put one there that checks no connection."""

    _engine: Engine

    def optimize_for_webserver(
        self,
        statement_timeout: int,
        pool_recycle: int,  # noqa: ARG002 - for a pool of its own
        max_overflow: int,  # noqa: ARG002
    ) -> None:
        """Only limit how long a statement may take (ms); the pool's own bounds stay."""
        event.listen(
            self._engine, "connect", lambda connection, _: set_pg_statement_timeout(connection, statement_timeout)
        )


class _RunStorage(_KeepsPool, PostgresRunStorage):
    pass


class _ScheduleStorage(_KeepsPool, PostgresScheduleStorage):
    pass


class _EventLogStorage(_KeepsPool, BatchedEventLog):
    """Gives the kept connections back with the instance."""

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


def check_after_idling(engine: Engine) -> None:
    """Make the pool ask the server before it gives out a connection that idled; asking each time costs a third of a write."""

    @event.listens_for(engine, "checkout")
    def _check(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        now = time.monotonic()
        if now - record.info.get("used", now) > IDLE_S:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error:
                raise exc.DisconnectionError from None  # the pool opens another
        record.info["used"] = now


class PooledPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` whose three parts share one small pool of connections. Its configuration is the same."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,  # noqa: FBT001, FBT002 - as its parent
        inst_data: ConfigurableClassData | None = None,
        token_provider: PgTokenProvider | None = None,
    ) -> None:
        self.postgres_url = postgres_url
        self.should_autocreate_tables = should_autocreate_tables
        self._inst_data = inst_data
        self._run_storage = _RunStorage(postgres_url, should_autocreate_tables, token_provider=token_provider)
        self._event_log_storage = _EventLogStorage(
            postgres_url, should_autocreate_tables=should_autocreate_tables, token_provider=token_provider
        )
        self._schedule_storage = _ScheduleStorage(postgres_url, should_autocreate_tables, token_provider=token_provider)
        self._instance_weakref = None
        engine = create_pg_engine(
            postgres_url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=_MOST_CONNECTIONS - 1,
            pool_recycle=_KEPT_S,
        )
        check_after_idling(engine)
        self._run_storage._engine = engine  # noqa: SLF001
        self._event_log_storage._engine = engine  # noqa: SLF001
        self._schedule_storage._engine = engine  # noqa: SLF001

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledPostgresStorage:
        """The storage that dagster.yaml describes."""
        return cls(
            pg_url_from_config(config_value),
            bool(config_value.get("should_autocreate_tables", True)),
            inst_data,
            get_token_provider_from_config(config_value),
        )

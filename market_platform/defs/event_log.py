"""dagster-postgres' event log in fewer statements: events of a batch are one insert, and the schema is asked for once.

A run over a year of days is some seven hundred events a layer: half of them say what it is going to materialise. As
dagster-postgres stores them, much of the time is lost: a statement of a hundred rows is compiled anew every time, a planned
check is serialised and sent once a day of the run, and each step asks a dozen times whether tables and columns are there.

It reaches for private names because dagster-postgres offers none of this. Tests store events through the repository's
dagster.yaml and compare the rows with what the parent class stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._serdes import serialize_value
from dagster_postgres.event_log import PostgresEventLogStorage
from sqlalchemy import ARRAY, Text, bindparam, func, select

if TYPE_CHECKING:
    from dagster import EventLogEntry
    from dagster_postgres.auth import PgTokenProvider

_INSERT = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
_PLANNED_CHECK = (
    "asset_key",
    "check_name",
    "run_id",
    "execution_status",
    "evaluation_event",
    "evaluation_event_timestamp",
    "evaluation_event_storage_id",
)
_INSERT_PLANNED_CHECK = AssetCheckExecutionsTable.insert().from_select(
    [*_PLANNED_CHECK, "partition"],
    select(
        *(bindparam(name, type_=AssetCheckExecutionsTable.c[name].type) for name in _PLANNED_CHECK),
        func.unnest(bindparam("partitions", type_=ARRAY(Text))),
    ),
)


class BatchedEventLog(PostgresEventLogStorage):
    """`PostgresEventLogStorage`, as above. The events of a batch and what is known of their assets are one transaction."""

    def __init__(
        self, postgres_url: str, *, should_autocreate_tables: bool, token_provider: PgTokenProvider | None
    ) -> None:
        self._there: set[str] = set()
        super().__init__(postgres_url, should_autocreate_tables, token_provider=token_provider)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one batch; that an asset failed is no event of a batch, as for dagster-postgres."""
        stored = [each for each in events if not each.get_dagster_event().is_asset_failed_to_materialize]
        if stored:
            self._store(stored)

    def has_table(self, table_name: str) -> bool:
        """Whether the table is there; no table goes while a process lives."""
        return self._is_there(table_name, super().has_table)

    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether the table of asset keys has the column; no column goes either."""
        return self._is_there(column_name, super().has_asset_key_col)

    def _is_there(self, name: str, look: Callable[[str], bool]) -> bool:
        if name not in self._there and look(name):
            self._there.add(name)
        return name in self._there

    def _store(self, events: Sequence[EventLogEntry]) -> None:
        with self.index_transaction() as connection:
            found = connection.scalars(_INSERT, [self._event_to_row(each) for each in events])
            stored = [(event, int(event_id)) for event, event_id in zip(events, found, strict=True)]
            of_assets = {
                event_id: event for event, event_id in stored if event.get_dagster_event().event_type in ASSET_EVENTS
            }
            if of_assets:
                self._store_asset_event_tags(connection, list(of_assets.values()), list(of_assets))
            newest = {event.get_dagster_event().asset_key: (event, event_id) for event_id, event in of_assets.items()}
            for event, event_id in newest.values():
                self._store_asset_event(connection, event, event_id)
        for event, event_id in stored:
            if event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, event_id)

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        planned = event.get_dagster_event().event_specific_data
        assert isinstance(planned, AssetCheckEvaluationPlanned)
        subset = planned.partitions_subset
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
            "evaluation_event_storage_id": event_id,
            "partitions": list(subset.get_partition_keys()) if subset else [None],
        }
        with self.index_connection() as connection:
            connection.execute(_INSERT_PLANNED_CHECK, row)

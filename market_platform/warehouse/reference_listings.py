"""Two configuration files in one database: which rows each of them listed at its last sync.

Without a training database, starlistings.yaml and training_stars.yaml are synced into one. Then each leaves alone what only
the other lists; of what both list, starlistings.yaml decides the columns.

Belongs here: who lists what, and what follows for a sync. Does not: the statements that change rows (reference_sync.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from market_platform.domain.databases import Database
from market_platform.domain.errors import ConfigError

Key = tuple[str, ...]
Row = Mapping[str, Any]
Listed = Mapping[str, frozenset[Key]]

_NONE: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Listings:
    """What the file of `database` listed at its last sync, and what the other file lists in the same database."""

    database: Database
    shared: bool
    mine: Listed
    others: Listed

    def is_mine(self, table: str, key: Key) -> bool:
        """Whether a row that this file does not list (any more) is to be deactivated.

        Rows that nobody listed are of starlistings.yaml.
        """
        if key in self.others.get(table, _NONE):
            return False
        return self.database == "realtime" or not self.shared or key in self.mine.get(table, _NONE)

    def combined(self, table: str, stored: Mapping[Key, Row], desired: Mapping[Key, Row]) -> Mapping[Key, Row]:
        """The rows this file stands for, with what the other file says of those that both list."""
        others = self.others.get(table, _NONE)
        rows: dict[Key, Row] = {}
        for key, row in desired.items():
            if key not in others:
                rows[key] = row
            elif self.database == "training" and key in stored:
                rows[key] = {**stored[key], "active": True}
            else:
                rows[key] = {**row, "active": True}
        return rows

    def check(self, desired: Mapping[str, Mapping[Key, Row]]) -> None:
        """Do nothing when this file and the other can be in one database.

        Raises:
            ConfigError: both list candles of one pair and interval, and of two kinds.
        """
        kinds = {key[:3]: key[3:] for key in self.others.get("starlistings", _NONE)}
        for key, row in desired["starlistings"].items():
            other = kinds.get(key[:3])
            if row["active"] and other is not None and other != key[3:]:
                raise ConfigError(
                    f"{key[0]}/{key[1]} {key[2]} is listed for {self.database} as {' '.join(key[3:])} candles and in the other "
                    f"file as {' '.join(other)} ones, and one database can't hold both: make them equal, or give training data "
                    "a database of its own (TRAINING_DATABASE)"
                )


def load_listings(cursor: psycopg.Cursor[Any], database: Database, *, shared: bool) -> Listings:
    """Who listed what. Where the database is not `shared`, the other file has no say any more."""
    mine: dict[str, set[Key]] = {}
    others: dict[str, set[Key]] = {}
    for role, table, key in cursor.execute("SELECT role, table_name, key FROM reference_listings"):
        if role == database:
            mine.setdefault(table, set()).add(tuple(key))
        elif shared:
            others.setdefault(table, set()).add(tuple(key))
    return Listings(database, shared, _frozen(mine), _frozen(others))


def store_listings(cursor: psycopg.Cursor[Any], listings: Listings, desired: Mapping[str, Mapping[Key, Row]]) -> None:
    """Note what this file lists now."""
    if not listings.shared:
        cursor.execute("DELETE FROM reference_listings WHERE role <> %s", (listings.database,))
    active = {table: frozenset(key for key, row in rows.items() if row["active"]) for table, rows in desired.items()}
    for table, keys in active.items():
        known = listings.mine.get(table, _NONE)
        gone, new = known - keys, keys - known
        if gone:
            cursor.executemany(
                "DELETE FROM reference_listings WHERE role = %s AND table_name = %s AND key = %s",
                [(listings.database, table, list(key)) for key in sorted(gone)],
            )
        if new:
            cursor.executemany(
                "INSERT INTO reference_listings (role, table_name, key) VALUES (%s, %s, %s)",
                [(listings.database, table, list(key)) for key in sorted(new)],
            )


def _frozen(found: Mapping[str, set[Key]]) -> Listed:
    return {table: frozenset(keys) for table, keys in found.items()}

"""The difference between a config file and the reference tables, and the statements that close it.

Belongs here: desired rows, stored rows, what differs, one statement a change. Everything is by natural key (codes and
names, not ids), so that a dry run can show rows that depend on each other. Does not: transactions and locks, what the other
file lists in the same database (reference_listings.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import psycopg

from market_platform.domain.errors import ConfigError
from market_platform.domain.intervals import parse_interval
from market_platform.starlistings import StarlistingsConfig
from market_platform.warehouse.reference_listings import Key, Listings, Row


@dataclass(frozen=True, slots=True)
class ReferenceChange:
    """One row's change. `before` is empty for an added row; `after` holds all columns but the key's."""

    action: Literal["added", "changed", "deactivated"]
    table: str
    key: Key
    before: Row
    after: Row

    def __str__(self) -> str:
        name = f"{self.table} {_shown_key(self.key)}"
        if self.action == "deactivated":
            return f"- {name} (deactivated; its data stays)"
        if self.action == "added":
            return f"+ {name}{_shown_values(self.after)}"
        parts = [
            f"{column} {_shown(self.before[column])} → {_shown(value)}"
            for column, value in self.after.items()
            if self.before[column] != value
        ]
        return f"~ {name}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class ReferenceDiff:
    """All changes of a sync, in the order they are made; prints one line a change, `+` added, `~` changed, `-` deactivated."""

    changes: tuple[ReferenceChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        return "\n".join(str(change) for change in self.changes) or "nothing to change"

    def of(self, action: Literal["added", "changed", "deactivated"]) -> list[ReferenceChange]:
        """The changes of one kind."""
        return [change for change in self.changes if change.action == action]


@dataclass(frozen=True, slots=True)
class _Table:
    """How one table is read and written. `read` selects the key's columns, then the others by name."""

    name: str
    key: tuple[str, ...]
    read: str
    insert: str
    update: str


def _simple(name: str, key: str, *columns: str) -> _Table:
    """A table whose key is one column of its own; names are constants of this module."""
    listed = ", ".join((*columns, "active"))
    values = ", ".join(f"%({column})s" for column in (*columns, "active"))
    assigned = ", ".join(f"{column} = %({column})s" for column in (*columns, "active"))
    return _Table(
        name=name,
        key=(key,),
        read=f"SELECT {key}, {listed} FROM {name}",
        insert=f"INSERT INTO {name} ({key}, {listed}) VALUES (%({key})s, {values})",
        update=f"UPDATE {name} SET {assigned} WHERE {key} = %({key})s",
    )


_PAIRS = _Table(
    name="trading_pairs",
    key=("exchange", "symbol"),
    read="""
        SELECT exchanges.code AS exchange, symbol, coins.code AS coin, quote_currencies.code AS quote,
            market_types.code AS market_type, first_day, candles_from, trading_pairs.active
        FROM trading_pairs
        JOIN exchanges ON exchanges.id = exchange_id
        JOIN coins ON coins.id = coin_id
        JOIN quote_currencies ON quote_currencies.id = quote_currency_id
        JOIN market_types ON market_types.id = market_type_id
    """,
    insert="""
        INSERT INTO trading_pairs (exchange_id, coin_id, quote_currency_id, market_type_id, symbol, first_day, candles_from,
            active)
        SELECT exchanges.id, coins.id, quote_currencies.id, market_types.id, %(symbol)s, %(first_day)s, %(candles_from)s,
            %(active)s
        FROM exchanges, coins, quote_currencies, market_types
        WHERE exchanges.code = %(exchange)s AND coins.code = %(coin)s AND quote_currencies.code = %(quote)s
            AND market_types.code = %(market_type)s
    """,
    update="""
        UPDATE trading_pairs SET first_day = %(first_day)s, candles_from = %(candles_from)s, active = %(active)s
        FROM exchanges WHERE exchanges.id = exchange_id AND exchanges.code = %(exchange)s AND symbol = %(symbol)s
    """,
)

_STARLISTING_OF = """
    FROM trading_pairs JOIN exchanges ON exchanges.id = exchange_id, intervals
    WHERE exchanges.code = %(exchange)s AND symbol = %(symbol)s AND intervals.name = %(interval)s
"""

_STARLISTINGS = _Table(
    name="starlistings",
    key=("exchange", "symbol", "interval", "alignment", "candle_price"),
    read="""
        SELECT exchanges.code AS exchange, symbol, intervals.name AS interval, alignment, candle_price, starlistings.active
        FROM starlistings
        JOIN trading_pairs ON trading_pairs.id = trading_pair_id
        JOIN exchanges ON exchanges.id = exchange_id
        JOIN intervals ON intervals.id = interval_id
    """,
    insert=f"""
        INSERT INTO starlistings (trading_pair_id, interval_id, alignment, candle_price, active)
        SELECT trading_pairs.id, intervals.id, %(alignment)s, %(candle_price)s, %(active)s {_STARLISTING_OF}
    """,
    update=f"""
        UPDATE starlistings SET active = %(active)s
        FROM (SELECT trading_pairs.id AS pair_id, intervals.id AS interval_id {_STARLISTING_OF}) AS named
        WHERE trading_pair_id = named.pair_id AND starlistings.interval_id = named.interval_id
            AND alignment = %(alignment)s AND candle_price = %(candle_price)s
    """,
)

_TABLES = (
    _simple("exchanges", "code", "display_name", "licence"),
    _simple("coins", "code", "name"),
    _simple("quote_currencies", "code", "name"),
    _simple("market_types", "code", "display_name"),
    _simple("intervals", "name", "seconds"),
    _PAIRS,
    _STARLISTINGS,
)


def find_reference_changes(
    cursor: psycopg.Cursor[Any], desired: Mapping[str, Mapping[Key, Row]], listings: Listings
) -> list[ReferenceChange]:
    """What must change, in an order in which the statements work. Reads only.

    Raises:
        ConfigError: a stored symbol would come to mean another pair, or a stored pair would get another symbol.
    """
    changes: list[ReferenceChange] = []
    for table in _TABLES:
        stored = _stored(cursor, table)
        if table is _PAIRS:
            _check_meaning(stored, desired[table.name])
        wanted = listings.combined(table.name, stored, desired[table.name])
        changes += sorted(
            _differences(table, stored, wanted, listings), key=lambda change: change.action != "deactivated"
        )
    return changes


def apply_changes(cursor: psycopg.Cursor[Any], changes: Iterable[ReferenceChange]) -> None:
    """Run one statement a change, in order."""
    tables = {table.name: table for table in _TABLES}
    for change in changes:
        table = tables[change.table]
        values = dict(zip(table.key, change.key, strict=True)) | dict(change.after)
        cursor.execute(table.insert if change.action == "added" else table.update, values)


def _differences(
    table: _Table, stored: Mapping[Key, Row], desired: Mapping[Key, Row], listings: Listings
) -> Iterator[ReferenceChange]:
    for key, before in stored.items():
        if key not in desired and before["active"] and listings.is_mine(table.name, key):
            yield ReferenceChange("deactivated", table.name, key, before, {**before, "active": False})
    for key, after in desired.items():
        known = stored.get(key)
        if known is None:
            yield ReferenceChange("added", table.name, key, {}, after)
        elif known != after:
            off = known["active"] and not after["active"]
            yield ReferenceChange("deactivated" if off else "changed", table.name, key, known, after)


def _stored(cursor: psycopg.Cursor[Any], table: _Table) -> dict[Key, Row]:
    cursor.execute(table.read)
    names = [column.name for column in cursor.description or ()]
    width = len(table.key)
    return {tuple(row[:width]): dict(zip(names[width:], row[width:], strict=True)) for row in cursor}


def desired_rows(config: StarlistingsConfig) -> dict[str, dict[Key, Row]]:
    """The rows a config stands for: table → natural key → the other columns."""
    pairs: dict[Key, Row] = {}
    starlistings: dict[Key, Row] = {}
    for pair in config.all_pairs():
        pairs[pair.exchange, pair.symbol] = {
            "coin": pair.coin,
            "quote": pair.quote,
            "market_type": pair.market_type,
            "first_day": date.fromisoformat(pair.first_day) if pair.first_day else None,
            "candles_from": pair.candles_from,
            "active": pair.active,
        }
        for interval in pair.intervals:
            key = (pair.exchange, pair.symbol, interval.name, pair.alignment.value, pair.candle_price)
            starlistings[key] = {"active": pair.active}
    return {
        "exchanges": {
            (code,): {"display_name": each.name, "licence": each.licence, "active": True}
            for code, each in config.exchanges.items()
        },
        "coins": {(code,): {"name": name, "active": True} for code, name in config.coins.items()},
        "quote_currencies": {(code,): {"name": name, "active": True} for code, name in config.quote_currencies.items()},
        "market_types": {(code,): {"display_name": name, "active": True} for code, name in config.market_types.items()},
        "intervals": {(name,): {"seconds": parse_interval(name).seconds, "active": True} for name in config.intervals},
        "trading_pairs": pairs,
        "starlistings": starlistings,
    }


def _check_meaning(stored: Mapping[Key, Row], desired: Mapping[Key, Row]) -> None:
    def meaning(row: Row) -> tuple[str, str, str]:
        return row["coin"], row["quote"], row["market_type"]

    symbols = {(key[0], *meaning(row)): key[1] for key, row in stored.items()}
    for (exchange, symbol), row in desired.items():
        before = stored.get((exchange, symbol))
        if before is not None and meaning(before) != meaning(row):
            raise ConfigError(
                f"{exchange}/{symbol} is stored as {' '.join(meaning(before))} and its data means that; "
                f"{' '.join(meaning(row))} needs another symbol"
            )
        known = symbols.get((exchange, *meaning(row)), symbol)
        if known != symbol:
            raise ConfigError(
                f"{exchange} {' '.join(meaning(row))} is stored under the symbol {known}; keep that symbol instead of {symbol}"
            )


def _shown_key(key: Key) -> str:
    return key[0] if len(key) == 1 else f"{key[0]}/{key[1]}" + "".join(f" {part}" for part in key[2:])


def _shown_values(row: Row) -> str:
    shown = [_shown(value) for column, value in row.items() if column != "active" and value is not None]
    return f" ({', '.join(shown)})" if shown else ""


def _shown(value: object) -> str:
    return (
        {True: "active", False: "inactive", None: "none"}.get(value, str(value))
        if isinstance(value, bool | None)
        else str(value)
    )

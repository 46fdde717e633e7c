"""The reference tables: exchanges, coins, …, trading pairs and their starlistings, as the config file says.

Belongs here: bringing the tables to the config (never deleting), and reading pairs. Does not: reading the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from market_platform.domain.databases import Database
from market_platform.domain.days import Instrument
from market_platform.domain.errors import ConfigError
from market_platform.starlistings import StarlistingsConfig
from market_platform.warehouse.database_role import claim_role, load_role, require_role
from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.instruments import instrument_from_json, instrument_to_json
from market_platform.warehouse.reference_listings import load_listings, store_listings
from market_platform.warehouse.reference_sync import (
    ReferenceDiff,
    apply_changes,
    desired_rows,
    find_reference_changes,
)

__all__ = [
    "PairRow",
    "ReferenceDiff",
    "load_instrument",
    "load_pair",
    "load_pairs",
    "store_instrument",
    "sync_reference",
]

_SYNC_LOCK = 0x6D61726B6574  # "market"; one sync at a time


@dataclass(frozen=True, slots=True)
class PairRow:
    """A trading pair as stored. `starlistings` are its active ones, interval name → id, shortest first.

    `instrument` is the stored description of the exchange, None until the first fetch; see `load_instrument`. `kinds` says of
    each active starlisting which candles it holds: candle price and alignment. `candles_from` is `exchange` or `trades`.
    """

    id: int
    exchange: str
    symbol: str
    coin: str
    quote: str
    market_type: str
    price_scale: int | None
    first_day: date | None
    active: bool
    licence: str
    instrument: Mapping[str, Any] | None = None
    starlistings: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, Sequence[str]] = field(default_factory=dict)
    candles_from: str = "exchange"

    @property
    def name(self) -> str:
        """How commands and messages name it: `dukascopy/EURUSD`."""
        return f"{self.exchange}/{self.symbol}"


_PAIRS = """
SELECT trading_pairs.id, exchanges.code, symbol, coins.code, quote_currencies.code, market_types.code, price_scale, first_day,
    trading_pairs.active, licence, instrument, coalesce(listed.ids, '{}'), coalesce(listed.kinds, '{}'), candles_from
FROM trading_pairs
JOIN exchanges ON exchanges.id = exchange_id
JOIN coins ON coins.id = coin_id
JOIN quote_currencies ON quote_currencies.id = quote_currency_id
JOIN market_types ON market_types.id = market_type_id
LEFT JOIN LATERAL (
    SELECT json_object_agg(intervals.name, starlistings.id ORDER BY intervals.seconds) AS ids,
        json_object_agg(intervals.name, json_build_array(candle_price, alignment)) AS kinds
    FROM starlistings JOIN intervals ON intervals.id = interval_id
    WHERE trading_pair_id = trading_pairs.id AND starlistings.active
) AS listed ON true
WHERE (%(exchange)s::text IS NULL OR exchanges.code = %(exchange)s) AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
ORDER BY exchanges.code, symbol
"""

_INSTRUMENT = "SELECT instrument, price_scale FROM trading_pairs WHERE id = %s"

_STORE_INSTRUMENT = """
UPDATE trading_pairs SET instrument = %(instrument)s, price_scale = %(price_scale)s WHERE id = %(id)s
"""


def sync_reference(
    conn: Connection,
    config: StarlistingsConfig,
    *,
    dry_run: bool = False,
    database: Database = "realtime",
    shared: bool = True,
) -> ReferenceDiff:
    """Bring the reference tables to the config in the caller's transaction; what it does (or would do) is returned.

    Doing it again changes nothing. What is not in the config any more is deactivated, never deleted. A starlisting whose
    `candle_price` or `alignment` changes becomes another starlisting, so that candles of two kinds never mix. `database` is
    what the config lists pairs for; where the database is `shared`, what the config of the other one listed stays. A new
    database that was not claimed is claimed: as the realtime one when it is shared, else as `database`.

    Raises:
        ConfigError: a stored symbol would come to mean another pair, or the two configs contradict each other.
        WrongDatabaseError: this is the other database.
    """
    role: Database = "realtime" if shared else database
    with driver_connection(conn).cursor() as cursor:
        if not dry_run:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_SYNC_LOCK,))
            claim_role(conn, role)
        elif load_role(conn) is not None:
            require_role(conn, role)
        desired = desired_rows(config)
        listings = load_listings(cursor, database, shared=shared)
        listings.check(desired)
        changes = find_reference_changes(cursor, desired, listings)
        if not dry_run:
            apply_changes(cursor, changes)
            store_listings(cursor, listings, desired)
    return ReferenceDiff(tuple(changes))


def load_pair(conn: Connection, exchange: str, symbol: str) -> PairRow:
    """One trading pair.

    Raises:
        ConfigError: it is not in the database.
    """
    pairs = _load(conn, exchange, symbol)
    if not pairs:
        raise ConfigError(
            f"{exchange}/{symbol} is not in the database; add it to config/starlistings.yaml and run `market-platform config sync`"
        )
    return pairs[0]


def load_pairs(conn: Connection) -> list[PairRow]:
    """Every trading pair, inactive ones too, sorted by exchange and symbol."""
    return _load(conn, None, None)


def store_instrument(conn: Connection, trading_pair_id: int, instrument: Instrument) -> None:
    """Keep what the exchange says of the pair: price scale, sessions, holidays, and its raw answer.

    The same again is not written: readers that keep the reference tables are told of every statement that writes them.
    """
    document = instrument_to_json(instrument)
    with driver_connection(conn).cursor() as cursor:
        if cursor.execute(_INSTRUMENT, (trading_pair_id,)).fetchone() != (document, instrument.price_scale):
            parameters = {"id": trading_pair_id, "instrument": Jsonb(document), "price_scale": instrument.price_scale}
            cursor.execute(_STORE_INSTRUMENT, parameters)


def load_instrument(conn: Connection, trading_pair_id: int) -> Instrument | None:
    """The pair's instrument as it was last stored; None before the first fetch."""
    with driver_connection(conn).cursor() as cursor:
        row = cursor.execute(_INSTRUMENT, (trading_pair_id,)).fetchone()
    return instrument_from_json(row[0]) if row and row[0] else None


def _load(conn: Connection, exchange: str | None, symbol: str | None) -> list[PairRow]:
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_PAIRS, {"exchange": exchange, "symbol": symbol})
        return [PairRow(*row) for row in cursor]

"""What `/health/detailed` reads beside the streams: versions of the database, how fresh candles are, what the lake holds. Async.

Belongs here: those reads and their rows. Does not: the streamer's state and gaps (health_queries.py), what they mean for health
(api_service/health).

Each is a few steps down an index for every pair, so none grows with history.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from market_platform.warehouse.chart_queries import Connection


class DatabaseVersions(NamedTuple):
    """The server's version, that of TimescaleDB where it is installed, and the newest migration applied."""

    server: str
    timescaledb: str | None
    migration: str | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """An exchange's active pairs, how many have candles, and open times of their newest candles.

    `newest` is of any pair, `stalest` of the pair that is furthest behind, which is `stalest_pair`; None without candles.
    """

    pairs: int
    pairs_with_candles: int
    newest: datetime | None
    stalest: datetime | None
    stalest_pair: str | None


class LakeHoldings(NamedTuple):
    """What the lake holds by the manifests in Postgres: day files, rows and bytes in them, and the newest day."""

    days: int
    rows: int
    bytes: int
    newest_day: date | None


_VERSIONS = """
SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
    (SELECT max(version) FROM schema_migrations)
"""

_FRESHNESS = """
SELECT e.code, count(*), count(candle.newest), max(candle.newest), min(candle.newest),
    (array_agg(p.symbol ORDER BY candle.newest, p.symbol) FILTER (WHERE candle.newest IS NOT NULL))[1]
FROM trading_pairs AS p
JOIN exchanges AS e ON e.id = p.exchange_id
CROSS JOIN LATERAL (
    SELECT max(edge.last_time) AS newest
    FROM starlistings AS s
    CROSS JOIN LATERAL (SELECT d.last_time FROM candle_days AS d
                        WHERE d.starlisting_id = s.id AND d.rows > 0 ORDER BY d.day DESC LIMIT 1) AS edge
    WHERE s.trading_pair_id = p.id AND s.active
) AS candle
WHERE p.active AND e.active
GROUP BY e.code
"""

_LAKE = """
SELECT coalesce(sum(t.days), 0)::bigint, coalesce(sum(t.rows), 0)::bigint, coalesce(sum(t.bytes), 0)::bigint, max(newest.day)
FROM lake_totals AS t
LEFT JOIN LATERAL (
    SELECT d.day FROM lake_days AS d
    WHERE d.trading_pair_id = t.trading_pair_id AND d.kind = t.kind AND d.rows > 0 ORDER BY d.day DESC LIMIT 1
) AS newest ON true
"""


async def load_database_versions(connection: Connection) -> DatabaseVersions:
    """The database's versions."""
    row = await (await connection.execute(_VERSIONS, prepare=True)).fetchone()
    assert row is not None
    return DatabaseVersions(*row)


async def load_freshness(connection: Connection) -> dict[str, Freshness]:
    """How fresh candles are, by exchange."""
    cursor = await connection.execute(_FRESHNESS, prepare=True)
    return {code: Freshness(*row) for code, *row in await cursor.fetchall()}


async def load_lake_holdings(connection: Connection) -> LakeHoldings:
    """What the lake holds."""
    row = await (await connection.execute(_LAKE, prepare=True)).fetchone()
    assert row is not None
    return LakeHoldings(*row)

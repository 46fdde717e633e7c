"""`/health/detailed`: all that is known of how the service is, in one answer.

Belongs here: reading it in one go, and its shape filled in. Does not: what makes an exchange or the service unhealthy
(exchanges.py, routes.py), SQL.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

from api_service.docs.routes import service_version
from api_service.health.exchanges import StreamFacts, age_of, exchange_health, load_facts
from api_service.health.schemas import CandleFreshness, DetailedHealth, Health, LakeHealth, VersionsInUse
from market_platform.warehouse.chart_queries import Connection
from market_platform.warehouse.pair_queries import check_ready
from market_platform.warehouse.service_queries import (
    DatabaseVersions,
    Freshness,
    LakeHoldings,
    load_database_versions,
    load_freshness,
    load_lake_holdings,
)


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What Postgres knows of the service; `latency_ms` is how long it took to answer a question."""

    streams: StreamFacts
    latency_ms: float
    versions: DatabaseVersions
    freshness: Mapping[str, Freshness]
    lake: LakeHoldings


async def load_service_facts(connection: Connection) -> ServiceFacts:
    """The facts; fails as any query would where the API's tables can't be read."""
    asked = perf_counter()
    await check_ready(connection)
    latency_ms = round((perf_counter() - asked) * 1000, 3)
    return ServiceFacts(
        await load_facts(connection),
        latency_ms,
        await load_database_versions(connection),
        await load_freshness(connection),
        await load_lake_holdings(connection),
    )


def detailed_health(
    health: Health, facts: ServiceFacts | None, exchanges: Mapping[str, str], now: datetime
) -> DetailedHealth:
    """`health` with everything known; `exchanges` are names by code, `facts` None when the database can't be read."""
    made = DetailedHealth(
        **health.model_dump(),
        reasons=[],
        database_latency_ms=facts.latency_ms if facts else None,
        exchanges={},
        freshness={},
        lake=None,
        versions=VersionsInUse(
            service=service_version(),
            python=platform.python_version(),
            postgres=facts.versions.server if facts else None,
            timescaledb=facts.versions.timescaledb if facts else None,
            migration=facts.versions.migration if facts else None,
        ),
    )
    if facts is None:
        made.reasons.append(f"the database is {health.database}")
        return made
    made.lake = LakeHealth(**facts.lake._asdict())
    for code, name in exchanges.items():
        made.exchanges[code] = exchange_health(code, name, facts.streams, now)
        made.reasons += [f"{code}: {each}" for each in made.exchanges[code].reasons if code in health.collectors]
    made.freshness = {code: _freshness(each, now) for code, each in sorted(facts.freshness.items())}
    for streamer in health.streamers:
        if not streamer.running:
            made.reasons.append(f"{streamer.name} has not written its state for {streamer.updated_age_s or 0:.0f} s")
        if streamer.alarm is not None:
            made.reasons.append(f"{streamer.name}: {streamer.alarm}")
        elif not streamer.accepting:
            made.reasons.append(f"{streamer.name} takes nothing")
    if health.change_feed != "listening":
        made.reasons.append("changes are not heard of; every request asks Postgres")
    return made


def _freshness(freshness: Freshness, now: datetime) -> CandleFreshness:
    return CandleFreshness(
        pairs=freshness.pairs,
        pairs_with_candles=freshness.pairs_with_candles,
        newest_candle=freshness.newest,
        newest_candle_age_s=age_of(freshness.newest, now),
        stalest_pair=freshness.stalest_pair,
        stalest_candle_age_s=age_of(freshness.stalest, now),
    )

"""How each exchange's stream is: what the streamer and the gap ledger wrote, judged.

Belongs here: reading the facts in one go, and the rules of healthy, degraded and unhealthy. Does not: HTTP, SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api_service.health.schemas import (
    ConnectionHealth,
    ExchangeHealth,
    ExchangeStatus,
    StreamerHealth,
)
from market_platform.warehouse.chart_queries import Connection
from market_platform.warehouse.health_queries import (
    BreakerState,
    OpenGaps,
    StreamConnection,
    StreamState,
    count_dead_letters,
    load_connections,
    load_open_gaps,
    load_stream_states,
)
from market_platform.warehouse.pair_queries import check_ready

SILENT_S = 30.0
"""The streamer rewrites its rows every few seconds; one that did not for so long is not running."""
OLD_GAP_S = 900.0
"""A gap that is open for so long is not being repaired."""
_DEAD_LETTERS_OF = timedelta(days=1)
_BREAKERS: tuple[BreakerState, ...] = ("closed", "half_open", "open")


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What Postgres knows of the streams, of one moment as near as makes no difference."""

    connections: Sequence[StreamConnection] = ()
    streamers: Sequence[StreamState] = ()
    gaps: Mapping[str, OpenGaps] = field(default_factory=dict)
    dead_letters: Mapping[str, int] = field(default_factory=dict)


async def load_facts(connection: Connection) -> StreamFacts:
    """The facts; fails as any query would where the API's tables can't be read."""
    await check_ready(connection)
    return StreamFacts(
        await load_connections(connection),
        await load_stream_states(connection),
        await load_open_gaps(connection),
        await count_dead_letters(connection, _DEAD_LETTERS_OF),
    )


def streamer_health(state: StreamState, now: datetime) -> StreamerHealth:
    """A streamer's state as of `now`."""
    age = age_of(state.updated_at, now)
    return StreamerHealth(
        name=state.name,
        running=age is not None and age <= SILENT_S,
        accepting=state.accepting,
        alarm=state.alarm,
        started_at=state.started_at,
        journal_rows=state.journal_rows,
        journal_bytes=state.journal_bytes,
        oldest_pending_age_s=age_of(state.oldest_pending_at, now),
        updated_age_s=age,
    )


def exchange_health(exchange: str, display: str, facts: StreamFacts, now: datetime) -> ExchangeHealth:
    """An exchange's health as of `now`; `not_streamed` when no streamer ever had a connection to it."""
    mine = [each for each in facts.connections if each.exchange == exchange]
    gaps = facts.gaps.get(exchange)
    oldest_gap = age_of(gaps.oldest if gaps else None, now)
    connections = [_connection_health(each, now) for each in mine]
    status, reasons = _judged(connections, oldest_gap, _unknown_pairs(mine))
    ages = [each.last_message_age_s for each in connections if each.last_message_age_s is not None]
    return ExchangeHealth(
        exchange=exchange,
        exchange_display=display,
        status=status,
        reasons=reasons,
        timestamp=now,
        connections_total=len(connections),
        connections_open=sum(each.state == "open" for each in connections),
        breaker=max((each.breaker for each in mine), key=_BREAKERS.index, default=None),
        last_message_age_s=min(ages, default=None),
        last_event_time=max((each.last_event_time for each in mine if each.last_event_time), default=None),
        lag_ms=max((each.lag_ms for each in mine if each.lag_ms is not None), default=None),
        subscriptions=sum(each.subscriptions for each in mine),
        stale_subscriptions=sum(each.stale_subscriptions for each in mine),
        messages=sum(each.messages for each in mine),
        dead_letters=sum(each.dead_letters for each in mine),
        dead_letters_24h=facts.dead_letters.get(exchange, 0),
        reconnects=sum(each.reconnects for each in mine),
        gaps_open=gaps.open if gaps else 0,
        oldest_gap_age_s=oldest_gap,
        updated_age_s=max((each.updated_age_s for each in connections if each.updated_age_s is not None), default=None),
        connections=connections,
    )


def streamed_exchanges(facts: StreamFacts) -> list[str]:
    """The exchanges that have a connection, sorted."""
    return sorted({each.exchange for each in facts.connections})


def is_well(streamers: Iterable[StreamerHealth]) -> bool:
    """Whether every streamer runs and takes what comes."""
    return all(each.running and each.accepting and each.alarm is None for each in streamers)


def _connection_health(connection: StreamConnection, now: datetime) -> ConnectionHealth:
    return ConnectionHealth(
        name=connection.name,
        state=connection.state,
        breaker=connection.breaker,
        connected_at=connection.connected_at,
        last_message_age_s=age_of(connection.last_message_at, now),
        last_event_time=connection.last_event_time,
        lag_ms=connection.lag_ms,
        subscriptions=connection.subscriptions,
        stale_subscriptions=connection.stale_subscriptions,
        messages=connection.messages,
        dead_letters=connection.dead_letters,
        reconnects=connection.reconnects,
        last_error=connection.last_error,
        updated_age_s=age_of(connection.updated_at, now),
        details=dict(connection.details),
    )


def _unknown_pairs(connections: Iterable[StreamConnection]) -> list[str]:
    """Sentences about configured pairs that the exchange does not know; each connection tells all of its exchange's."""
    told: dict[str, str] = {}
    for each in connections:
        told.update(each.details.get("unknown_pairs") or {})
    return [f"{pair} is not streamed: {why}" for pair, why in sorted(told.items())]


def _judged(
    connections: Sequence[ConnectionHealth], oldest_gap_s: float | None, unknown_pairs: Sequence[str]
) -> tuple[ExchangeStatus, list[str]]:
    if not connections:
        return "not_streamed", ["no streamer has a connection to it"]
    reasons: list[str] = []
    for each in connections:
        if each.updated_age_s is None or each.updated_age_s > SILENT_S:
            reasons.append(f"{each.name}: the streamer has not written its state for {each.updated_age_s or 0:.0f} s")
        elif each.state != "open":
            because = f": {each.last_error}" if each.last_error else ""
            reasons.append(f"{each.name} is {each.state}{because}")
        if each.breaker != "closed":
            reasons.append(f"{each.name}: the circuit breaker is {each.breaker}")
        if each.stale_subscriptions:
            reasons.append(f"{each.name}: {each.stale_subscriptions} of {each.subscriptions} subscriptions are stale")
    alive = [each for each in connections if each.state == "open" and (each.updated_age_s or 0) <= SILENT_S]
    if oldest_gap_s is not None and oldest_gap_s > OLD_GAP_S:
        reasons.append(f"a gap is open for {oldest_gap_s:.0f} s; `market-platform gaps` lists them")
    reasons += unknown_pairs
    if not alive:
        return "unhealthy", reasons
    return ("degraded" if reasons else "healthy"), reasons


def age_of(moment: datetime | None, now: datetime) -> float | None:
    """Seconds since a moment, never negative."""
    return None if moment is None else round(max((now - moment).total_seconds(), 0.0), 3)

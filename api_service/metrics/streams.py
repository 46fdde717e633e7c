"""Every field of an exchange's health, and of the service's, as gauges of one scrape.

Belongs here: names and meanings. Does not: how the fields come about (health/exchanges.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Gauge

from api_service.health.schemas import ExchangeHealth, StreamerHealth

_STATUS = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0}
_BREAKER = {"closed": 0.0, "half_open": 0.5, "open": 1.0}


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else value / 1000


_EXCHANGE: Sequence[tuple[str, str, Callable[[ExchangeHealth], float | None]]] = (
    ("status", "1 healthy, 0.5 degraded, 0 unhealthy", lambda each: _STATUS.get(each.status)),
    ("connections", "Connections the streamer keeps", lambda each: each.connections_total),
    ("connections_open", "Connections that are open", lambda each: each.connections_open),
    (
        "breaker",
        "Worst circuit breaker: 0 closed, 0.5 half open, 1 open",
        lambda each: _BREAKER.get(each.breaker or ""),
    ),
    ("last_message_age_seconds", "Since the newest message", lambda each: each.last_message_age_s),
    (
        "last_event_timestamp_seconds",
        "The exchange's time of the newest event",
        lambda each: each.last_event_time.timestamp() if each.last_event_time else None,
    ),
    ("lag_seconds", "From the exchange's event time to receipt", lambda each: _milliseconds(each.lag_ms)),
    ("subscriptions", "Subscriptions", lambda each: each.subscriptions),
    ("stale_subscriptions", "Subscriptions that are silent for too long", lambda each: each.stale_subscriptions),
    ("messages", "Messages since the streamer's start", lambda each: each.messages),
    ("dead_letters", "Messages that could not be used, since the streamer's start", lambda each: each.dead_letters),
    ("dead_letters_24h", "Messages that could not be used, of a day", lambda each: each.dead_letters_24h),
    ("reconnects", "Reconnects since the streamer's start", lambda each: each.reconnects),
    ("gaps_open", "Gaps neither repaired nor given up", lambda each: each.gaps_open),
    ("oldest_gap_age_seconds", "Since the oldest open gap was found", lambda each: each.oldest_gap_age_s),
    ("updated_age_seconds", "Since the streamer wrote its state", lambda each: each.updated_age_s),
)

_STREAMER: Sequence[tuple[str, str, Callable[[StreamerHealth], float | None]]] = (
    ("running", "1 while it writes its state", lambda each: each.running),
    ("accepting", "1 while it takes what comes; 0 when its disk is full", lambda each: each.accepting),
    ("alarm", "1 while it has an alarm", lambda each: each.alarm is not None),
    ("journal_rows", "Rows that wait in the journal", lambda each: each.journal_rows),
    ("journal_bytes", "Bytes of the journal", lambda each: each.journal_bytes),
    ("oldest_pending_age_seconds", "Since the oldest row that waits", lambda each: each.oldest_pending_age_s),
    ("updated_age_seconds", "Since it wrote its state", lambda each: each.updated_age_s),
)


def stream_registry(
    exchanges: Iterable[ExchangeHealth], streamers: Iterable[StreamerHealth], *, database: bool, listening: bool
) -> CollectorRegistry:
    """A registry of one moment. A field that is not known has no sample."""
    registry = CollectorRegistry()
    Gauge("market_database_up", "1 while Postgres answers the API", registry=registry).set(database)
    Gauge("market_change_feed_listening", "1 while the API hears of changes", registry=registry).set(listening)
    exchange_rows, streamer_rows = list(exchanges), list(streamers)
    for name, meaning, read in _EXCHANGE:
        gauge = Gauge(f"market_exchange_{name}", meaning, ["exchange"], registry=registry)
        for row in exchange_rows:
            if (value := read(row)) is not None:
                gauge.labels(row.exchange).set(value)
    for name, meaning, of_streamer in _STREAMER:
        gauge = Gauge(f"market_streamer_{name}", meaning, ["name"], registry=registry)
        for streamer in streamer_rows:
            if (value := of_streamer(streamer)) is not None:
                gauge.labels(streamer.name).set(value)
    return registry

"""What is counted of WebSockets, for Prometheus.

Belongs here: names and meanings. Does not: serving them.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class LiveMetrics:
    """The measurements, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.clients = Gauge("market_ws_clients", "WebSocket clients now", registry=registry)
        self.refused = Counter("market_ws_refused", "Clients refused for capacity", registry=registry)
        self.messages = Counter("market_ws_messages", "Messages handed to clients", registry=registry)
        self.bytes = Counter("market_ws_bytes", "Bytes of messages handed to clients", registry=registry)
        self.received = Counter("market_ws_received", "Messages from clients", registry=registry)
        self.errors = Counter("market_ws_errors", "Error messages to clients, by code", ["code"], registry=registry)
        self.slow_consumers = Counter("market_ws_slow_consumers", "Clients closed with 1013", registry=registry)
        self.resyncs = Counter("market_ws_resyncs", "Subscriptions told to read anew", registry=registry)
        self.listening = Gauge("market_ws_listening", "1 while changes are heard from Postgres", registry=registry)
        self.read_seconds = Histogram(
            "market_ws_read_seconds",
            "From hearing that rows changed to having handed them to every subscriber",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5),
            registry=registry,
        )

    def sent(self, messages: int, size: int) -> None:
        """So many messages of so many bytes were handed to clients."""
        if messages:
            self.messages.inc(messages)
            self.bytes.inc(size)

"""The streamer's metrics for Prometheus, read from what is counted anyway when they are asked for.

Belongs here: names and meanings of metrics. Does not: counting (tallies, slots, the sink), serving (http.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.bus import Bus
from streamer.health.health import Health
from streamer.supervisor import ExchangeSupervisor

_BREAKER = {"closed": 0, "half_open": 1, "open": 2}


class StreamerMetrics(Collector):
    """All metrics of one process."""

    def __init__(self, health: Health, supervisors: Callable[[], Iterable[ExchangeSupervisor]], bus: Bus) -> None:
        self._health = health
        self._supervisors = supervisors
        self._bus = bus
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Every metric, now."""
        yield from self._of_connections()
        yield from self._of_exchanges()
        yield from self._of_process()

    def _of_connections(self) -> Iterator[Metric]:
        labels = ["exchange", "connection"]
        up = GaugeMetricFamily("streamer_connection_up", "Whether the connection is open.", labels=labels)
        delivering = GaugeMetricFamily(
            "streamer_connection_delivering", "Whether it brings what was asked for.", labels=labels
        )
        subscriptions = GaugeMetricFamily("streamer_subscriptions", "What is asked of it.", labels=labels)
        stale = GaugeMetricFamily("streamer_stale_subscriptions", "Those silent for too long.", labels=labels)
        messages = CounterMetricFamily("streamer_messages", "Messages received.", labels=labels)
        letters = CounterMetricFamily("streamer_dead_letters", "Messages that could not be used.", labels=labels)
        reconnects = CounterMetricFamily("streamer_reconnects", "Connections made after the first.", labels=labels)
        for each in self._supervisors():
            for name, slot in each.slots.items():
                at, report = [each.code, name], slot.refresh()
                up.add_metric(at, float(report.state == "open"))
                delivering.add_metric(at, float(slot.delivering))
                subscriptions.add_metric(at, len(slot.plan.subscriptions))
                stale.add_metric(at, slot.stale_count())
                messages.add_metric(at, report.messages)
                letters.add_metric(at, report.dead_letters)
                reconnects.add_metric(at, report.reconnects)
        yield from (up, delivering, subscriptions, stale, messages, letters, reconnects)

    def _of_exchanges(self) -> Iterator[Metric]:
        breaker = GaugeMetricFamily(
            "streamer_breaker", "Circuit breaker: 0 closed, 1 half open, 2 open.", labels=["exchange"]
        )
        lag = GaugeMetricFamily(
            "streamer_lag_seconds", "From the exchange's clock to receipt, smoothed.", labels=["exchange"]
        )
        pairs = GaugeMetricFamily("streamer_pairs", "Pairs that are streamed.", labels=["exchange"])
        unknown = GaugeMetricFamily(
            "streamer_unknown_pairs", "Pairs that the exchange does not know.", labels=["exchange"]
        )
        waiting = GaugeMetricFamily("streamer_open_gaps", "Gaps that wait for repair.", labels=["exchange"])
        events = CounterMetricFamily("streamer_events", "Events taken.", labels=["exchange"])
        rows = CounterMetricFamily("streamer_rows", "Rows handed to the journal.", labels=["exchange", "layer"])
        gaps = CounterMetricFamily("streamer_gaps", "Gaps found within a stream.", labels=["exchange", "reason"])
        for each in self._supervisors():
            tallies = each.router.tallies
            breaker.add_metric([each.code], _BREAKER[each.gate.breaker])
            lag.add_metric([each.code], (tallies.lag_ms or 0.0) / 1000)
            pairs.add_metric([each.code], len(each.pairs))
            unknown.add_metric([each.code], len(each.unknown))
            waiting.add_metric([each.code], self._health.open_gaps(each.code))
            events.add_metric([each.code], tallies.events)
            for layer, count in sorted(tallies.rows.items()):
                rows.add_metric([each.code, layer], count)
            for reason, count in sorted(tallies.gaps.items()):
                gaps.add_metric([each.code, reason], count)
        yield from (breaker, lag, pairs, unknown, waiting, events, rows, gaps)

    def _of_process(self) -> Iterator[Metric]:
        state = self._health.state()
        yield GaugeMetricFamily(
            "streamer_accepting", "Whether the journal takes anything.", value=float(state.accepting)
        )
        yield GaugeMetricFamily("streamer_alarm", "Whether a person should look.", value=float(state.alarm is not None))
        yield GaugeMetricFamily("streamer_journal_rows", "Rows that wait in the journal.", value=state.journal_rows)
        yield GaugeMetricFamily("streamer_journal_bytes", "Bytes that wait in the journal.", value=state.journal_bytes)
        oldest = state.oldest_pending_at
        yield GaugeMetricFamily(
            "streamer_journal_oldest_timestamp_seconds",
            "When the oldest waiting row came; 0 when none waits.",
            value=0.0 if oldest is None else oldest.timestamp(),
        )
        yield GaugeMetricFamily(
            "streamer_bus_connected", "Whether frames reach Postgres.", value=float(self._bus.connected)
        )
        yield CounterMetricFamily("streamer_bus_frames", "Frames sent to the API.", value=self._bus.frames)

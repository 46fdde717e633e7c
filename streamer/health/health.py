"""How the streamer is: rows in Postgres every few seconds, and the same as a document for `/health`.

Belongs here: putting together what slots, routers and the sink know. Does not: what it means for the API (api_service/health).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import structlog

from market_platform.domain.clock import from_ms
from market_platform.domain.errors import WarehouseError
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.stream_health import (
    StreamConnection,
    StreamState,
    save_connections,
    save_stream_state,
)
from streamer.sink import Sink
from streamer.supervisor import ExchangeSupervisor

EVERY_S = 2.0
NAME = "streamer"

log = structlog.get_logger("streamer")


class Health:
    """What is known of the whole process. `alarms` are sentences of others, `open_gaps` how many of an exchange wait for repair."""

    def __init__(
        self,
        sink: Sink,
        supervisors: Callable[[], Iterable[ExchangeSupervisor]],
        alarms: Callable[[], Iterable[str]],
        open_gaps: Callable[[str], int],
        started_at: datetime,
    ) -> None:
        self.started_at = started_at
        self._sink = sink
        self._supervisors = supervisors
        self._alarms = alarms
        self.open_gaps = open_gaps

    def connections(self, supervisor: ExchangeSupervisor) -> list[StreamConnection]:
        """A row a connection."""
        tallies, rows = supervisor.router.tallies, []
        for name, slot in supervisor.slots.items():
            report = slot.refresh()
            rows.append(
                StreamConnection(
                    exchange=supervisor.code,
                    name=name,
                    state=report.state,
                    breaker=supervisor.gate.breaker,
                    connected_at=report.connected_at,
                    last_message_at=report.last_message_at,
                    last_event_time=None if tallies.last_event_ms is None else from_ms(tallies.last_event_ms),
                    lag_ms=tallies.lag_ms,
                    subscriptions=len(slot.plan.subscriptions),
                    stale_subscriptions=slot.stale_count(),
                    messages=report.messages,
                    dead_letters=report.dead_letters,
                    reconnects=report.reconnects,
                    last_error=report.last_error,
                    details={
                        "delivering": slot.delivering,
                        "open_gaps": self.open_gaps(supervisor.code),
                        "unknown_pairs": supervisor.unknown,
                    },
                )
            )
        return rows

    def state(self) -> StreamState:
        """The row of the process."""
        sink = self._sink.state()
        alarms = [each for each in (sink.alarm, *self._alarms(), *self._exchange_alarms()) if each]
        return StreamState(
            name=NAME,
            started_at=self.started_at,
            accepting=sink.accepting,
            alarm="; ".join(dict.fromkeys(alarms)) or None,
            journal_rows=sink.journal_rows,
            journal_bytes=sink.journal_bytes,
            oldest_pending_at=sink.oldest_pending_at,
            details={each.code: self._summary(each) for each in self._supervisors()},
        )

    def document(self) -> dict[str, Any]:
        """What `/health` answers. An exchange is healthy when all its connections deliver and its gaps are repaired."""
        state = self.state()
        exchanges = {each.code: self._summary(each) for each in self._supervisors()}
        healthy = state.alarm is None and all(each["healthy"] for each in exchanges.values())
        return {
            "status": "ok" if healthy else "degraded",
            "started_at": state.started_at.isoformat(),
            "accepting": state.accepting,
            "alarm": state.alarm,
            "journal_rows": state.journal_rows,
            "journal_bytes": state.journal_bytes,
            "oldest_pending_at": None if state.oldest_pending_at is None else state.oldest_pending_at.isoformat(),
            "exchanges": exchanges,
        }

    def _summary(self, supervisor: ExchangeSupervisor) -> dict[str, Any]:
        slots, open_gaps = supervisor.slots.values(), self.open_gaps(supervisor.code)
        delivering = sum(each.delivering for each in slots)
        return {
            "healthy": delivering == len(slots) and not open_gaps and supervisor.gate.breaker == "closed",
            "pairs": len(supervisor.pairs),
            "connections": len(slots),
            "delivering": delivering,
            "breaker": supervisor.gate.breaker,
            "open_gaps": open_gaps,
            "lag_ms": supervisor.router.tallies.lag_ms,
            "unknown_pairs": dict(supervisor.unknown),
            "errors": {
                name: slot.report.last_error for name, slot in supervisor.slots.items() if slot.report.last_error
            },
        }

    def _exchange_alarms(self) -> list[str | None]:
        found: list[str | None] = []
        for each in self._supervisors():
            found += [each.problem, *each.watch.problems.values()]
            found += [slot.report.alarm for slot in each.slots.values()]
        return found

    async def keep(self, warehouse: Warehouse) -> None:
        """Write the rows every few seconds until cancelled; when Postgres is away they are old, which says enough."""
        away = False
        while True:
            rows = {each.code: self.connections(each) for each in self._supervisors()}
            try:
                await asyncio.to_thread(_save, warehouse, rows, self.state())
                away = False
            except WarehouseError as error:
                if not away:
                    log.warning("health is not stored", reason=str(error))
                away = True
            await asyncio.sleep(EVERY_S)

    async def say_goodbye(self, warehouse: Warehouse) -> None:
        """Write the rows for the last time: everything is stopped."""
        try:
            async with asyncio.timeout(EVERY_S):
                rows = {each.code: self.connections(each) for each in self._supervisors()}
                await asyncio.to_thread(_save, warehouse, rows, self.state())
        except (WarehouseError, TimeoutError):
            log.info("the last state is not stored")


def _save(warehouse: Warehouse, rows: dict[str, list[StreamConnection]], state: StreamState) -> None:
    with warehouse.begin() as conn:
        for exchange in sorted(rows):
            save_connections(conn, exchange, rows[exchange])
        save_stream_state(conn, state)

"""What all processes together ask of exchanges: the ledger of `LimitLedger`, kept in Postgres.

Belongs here: a limit's next turn, and pauses, in one statement each. Does not: what requests weigh, what is done without a
turn (exchanges/limits.py).

The generic cell rate algorithm: a limit's row holds `next_at`, when its next request would be due if requests flowed evenly.
A request moves it on by its cost; one that moves it no more than the burst ahead of now may be sent at once, the others wait
for the rest. One statement reads and moves it, so no two processes get the same turn. Times are the server's.

Whoever asks is an event loop, which the database must not block, so statements run in a thread with one connection. While
Postgres is away nobody waits for it: after a failure it is not asked again for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg

from market_platform.domain.limits import Turn
from market_platform.warehouse.engine import connect_options
from market_platform.warehouse.urls import libpq_url

Value = TypeVar("Value")

LONGEST_QUEUE = 2.0
"""Bursts ahead of now beyond which no turn is promised: a process that is killed while it waits wastes no more than that."""
_AWAY_S = 30.0
_STATEMENT_S = 2.0
_SHORTEST_WAIT_S = 0.01

_TURN = """
INSERT INTO rate_limits AS held (name, next_at)
VALUES (%(name)s, clock_timestamp() + %(cost)s * interval '1 second')
ON CONFLICT (name) DO UPDATE
SET next_at = greatest(held.next_at, clock_timestamp()) + %(cost)s * interval '1 second'
WHERE held.next_at <= clock_timestamp() + %(queue)s * interval '1 second'
    AND (held.paused_until IS NULL OR held.paused_until <= clock_timestamp())
RETURNING extract(epoch FROM next_at - clock_timestamp())::float8
"""
_REFUSED = """
SELECT extract(epoch FROM next_at - clock_timestamp())::float8,
    coalesce(extract(epoch FROM paused_until - clock_timestamp())::float8, 0)
FROM rate_limits WHERE name = %s
"""
_PAUSE = """
INSERT INTO rate_limits AS held (name, paused_until)
VALUES (%(name)s, clock_timestamp() + %(seconds)s * interval '1 second')
ON CONFLICT (name) DO UPDATE
SET paused_until = greatest(held.paused_until, clock_timestamp() + %(seconds)s * interval '1 second')
"""


class PostgresLedger:
    """See `LimitLedger`. Connects when first asked; `close` it.

    `timeout_s` bounds what a request waits for Postgres before it goes without.
    """

    def __init__(self, url: str, *, timeout_s: float = _STATEMENT_S, away_s: float = _AWAY_S) -> None:
        self._url = libpq_url(url)
        self._timeout_s = timeout_s
        self._away_s = away_s
        self._away_until = 0.0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rate-limits")
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._lock = threading.Lock()
        self._closed = False

    async def turn(self, name: str, cost_s: float, burst_s: float) -> Turn | None:
        """See `LimitLedger.turn`."""
        return await self._ask(lambda conn: _turn(conn, name, cost_s, burst_s))

    async def pause_left(self, name: str) -> float:
        """See `LimitLedger.pause_left`."""
        found = await self._ask(lambda conn: conn.execute(_REFUSED, (name,)).fetchone())
        return 0.0 if found is None else max(0.0, float(found[1]))

    def pause(self, name: str, seconds: float) -> None:
        """See `LimitLedger.pause`."""
        self._submit(lambda conn: conn.execute(_PAUSE, {"name": name, "seconds": seconds}))

    def close(self) -> None:
        """Finish what was begun, and give back the connection; from then on the ledger is away."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._thread.submit(self._disconnect)
        self._thread.shutdown(wait=True)

    async def _ask(self, statement: Callable[[psycopg.Connection[tuple[Any, ...]]], Value]) -> Value | None:
        """What the statement brings; None when Postgres does not answer in time."""
        future = self._submit(statement)
        if future is None:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if future.done() and not future.cancelled():
                return future.result()  # it was our event loop that had no time
            self._step_away()
            return None

    def _submit(self, statement: Callable[[psycopg.Connection[tuple[Any, ...]]], Value]) -> Future[Value | None] | None:
        with self._lock:
            if self._closed or time.monotonic() < self._away_until:
                return None
            return self._thread.submit(self._run, statement)

    def _run(self, statement: Callable[[psycopg.Connection[tuple[Any, ...]]], Value]) -> Value | None:
        """In the thread: the statement's result; None, and no more questions for a while, when it fails."""
        if time.monotonic() < self._away_until:
            return None
        for _ in range(2):
            held = self._connection is not None
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(self._url, autocommit=True, **self._options())
                return statement(self._connection)
            except psycopg.Error:
                self._disconnect()
                if not held:
                    break  # a connection that was idle may have died since; a fresh one that fails says that Postgres is away
        self._step_away()
        return None

    def _options(self) -> dict[str, Any]:
        options = connect_options(self._timeout_s)
        limit = f"{round(self._timeout_s * 1000)}ms"
        # a count that a crash of the server forgets is not worth a write to disk a request
        more = f"-c synchronous_commit=off -c statement_timeout={limit} -c lock_timeout={limit}"
        return options | {
            "options": f"{options['options']} {more}",
            "tcp_user_timeout": round(self._timeout_s * 1000),
            "application_name": "market-platform limits",
        }

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
        self._connection = None

    def _step_away(self) -> None:
        self._away_until = time.monotonic() + self._away_s


def _turn(conn: psycopg.Connection[tuple[Any, ...]], name: str, cost_s: float, burst_s: float) -> Turn:
    given = {"name": name, "cost": cost_s, "queue": LONGEST_QUEUE * burst_s}
    moved = conn.execute(_TURN, given, prepare=True).fetchone()
    if moved is not None:
        return Turn(granted=True, wait_s=max(0.0, float(moved[0]) - burst_s))
    ahead, pause = conn.execute(_REFUSED, (name,)).fetchone() or (0.0, 0.0)
    return Turn(
        granted=False, wait_s=max(_SHORTEST_WAIT_S, float(ahead) - LONGEST_QUEUE * burst_s), pause_s=max(0.0, pause)
    )

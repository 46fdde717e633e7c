"""Repairs gaps while the stream goes on: what is due, newest first, a few at a time, within the exchange's own limits.

Belongs here: when gaps of an exchange are repaired, and how whole its data is. Does not: what a repair asks and decides
(pipeline/gap_repair.py), limits of requests (the exchange's REST client).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.errors import WarehouseError
from market_platform.domain.live import LivePair
from market_platform.exchanges.live import LiveRest
from market_platform.pipeline.gap_repair import Outcome, overlapping_gaps, repair_gaps
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.gap_repairs import load_due_gaps
from market_platform.warehouse.gaps import Gap, GapCount, read_open_gap_counts
from streamer.sink import IntakeStoppedError, Sink

log = structlog.get_logger("streamer")

LOOK_S = 2.0
"""How often the ledger is asked what is due."""
AT_ONCE = 2
"""Repairs of an exchange that go on side by side; each of them asks for one thing after the other."""


class Repairer:
    """Repairs the gaps of one exchange. `pairs` are those that are streamed just now; gaps of others wait.

    Nothing is repaired before it is `ready`: who does not know the exchange's time does not know what is over there.
    """

    def __init__(
        self,
        exchange: str,
        rest: LiveRest,
        sink: Sink,
        warehouse: Warehouse,
        pairs: Callable[[], Sequence[LivePair]],
        *,
        clock: Clock = utc_now,
        ready: Callable[[], bool] = lambda: True,
        look_s: float = LOOK_S,
        at_once: int = AT_ONCE,
    ) -> None:
        self.exchange = exchange
        self.open_gaps = 0
        """Open gaps of the exchange as of the last look, those included that have not ended yet."""
        self.oldest_open: datetime | None = None
        """When the oldest of them was found; None without any."""
        self.repaired = 0
        self.unrepairable = 0
        self.failed = 0
        """Attempts since the start, by how they ended."""
        self._rest = rest
        self._sink = sink
        self._warehouse = warehouse
        self._pairs = pairs
        self._clock = clock
        self._ready = ready
        self._look_s = look_s
        self._at_once = at_once
        self._wake = asyncio.Event()
        self._busy: set[int] = set()

    def is_healthy(self, age_s: float) -> bool:
        """Whether no gap is open for longer than that."""
        return self.oldest_open is None or (self._clock() - self.oldest_open).total_seconds() <= age_s

    def wake(self) -> None:
        """Look now: a gap has ended."""
        self._wake.set()

    async def run(self) -> None:
        """Repair until cancelled. Nothing that a repair meets ends it: the ledger keeps what was not repaired."""
        free = asyncio.Semaphore(self._at_once)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._look(group, free)
                try:
                    async with asyncio.timeout(self._look_s):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()

    async def repair_due(self) -> int:
        """Make one attempt at everything that is due now; how many attempts that were.

        Raises:
            WarehouseError: the ledger can't be read.
        """
        due = await asyncio.to_thread(self._load)
        groups = self._groups(due)
        for pair, gaps in groups:
            await self._attempt(pair, gaps)
        return len(groups)

    async def _look(self, group: asyncio.TaskGroup, free: asyncio.Semaphore) -> None:
        if not self._sink.accepting or not self._ready():
            return
        try:
            due = await asyncio.to_thread(self._load)
        except WarehouseError as error:
            log.debug("the gap ledger can't be read", exchange=self.exchange, error=str(error))
            return
        for pair, gaps in self._groups(due):
            if free.locked():  # what is newest when a place is free again comes first then
                return
            await free.acquire()
            self._busy.update(gap.id for gap in gaps)
            group.create_task(self._attempt_within(free, pair, gaps))

    def _load(self) -> list[Gap]:
        streamed = [pair.id for pair in self._pairs()]
        with self._warehouse.connect() as conn:
            self._note(read_open_gap_counts(conn, self.exchange))
            return load_due_gaps(conn, self.exchange, streamed)

    def _note(self, counts: Sequence[GapCount]) -> None:
        self.open_gaps = sum(each.open for each in counts)
        self.oldest_open = min((each.oldest for each in counts), default=None)

    def _groups(self, due: Sequence[Gap]) -> list[tuple[LivePair, list[Gap]]]:
        pairs = {pair.id: pair for pair in self._pairs()}
        mine = [gap for gap in due if gap.trading_pair_id in pairs and gap.id not in self._busy]
        return [(pairs[gaps[0].trading_pair_id], gaps) for gaps in overlapping_gaps(mine)]

    async def _attempt_within(self, free: asyncio.Semaphore, pair: LivePair, gaps: Sequence[Gap]) -> None:
        try:
            await self._attempt(pair, gaps)
        finally:
            self._busy.difference_update(gap.id for gap in gaps)
            free.release()
            self._wake.set()

    async def _attempt(self, pair: LivePair, gaps: Sequence[Gap]) -> None:
        try:
            outcome = await repair_gaps(self._warehouse, gaps, pair, self._rest, self._sink)
        except (WarehouseError, IntakeStoppedError) as error:
            log.warning("a repair has to wait", pair=pair.name, error=str(error))
        except Exception:
            self.failed += 1
            log.exception("a repair failed", pair=pair.name, gaps=[gap.id for gap in gaps])
        else:
            self._tell(pair, gaps, outcome)

    def _tell(self, pair: LivePair, gaps: Sequence[Gap], outcome: Outcome) -> None:
        facts = {"pair": pair.name, "kind": gaps[0].kind, "gaps": [gap.id for gap in gaps]}
        if outcome.error is not None:
            self.failed += 1
            log.warning("gap is not repaired yet", **facts, attempt=gaps[0].attempts + 1, error=outcome.error)
        elif outcome.unrepairable is not None:
            self.unrepairable += len(gaps)
            log.warning("gap can't be repaired", **facts, why=outcome.unrepairable)
        else:
            self.repaired += len(gaps)
            log.info("gap is repaired", **facts, rows=outcome.rows, lost=len(outcome.lost), note=outcome.note)

"""Which pairs to stream, as the database says now: read at the start, on every hint, and every few seconds anyway.

Belongs here: when to look and what to make of it. Does not: SQL (warehouse/live_pairs.py), connections (supervisor.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from market_platform.domain.errors import ConfigError, WarehouseError
from market_platform.domain.live import LivePair
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.live_bus import listen
from market_platform.warehouse.live_pairs import load_live_pairs
from streamer.known_candles import last_candle_ends

PAIRS_FILE = "pairs.json"
POLL_S = 15.0
_RETRY_S = 2.0
_REMEMBER_LOOKS = 4
"""Every so many looks it is noted anew until when candles are stored, for a start without Postgres."""
_TOGETHER_S = 0.3

log = structlog.get_logger("streamer")

WireSymbol = Callable[[str, str, str, str], str | None]
OnPairs = Callable[[Sequence[LivePair]], None]


class _Remembered(msgspec.Struct, frozen=True):
    pair: LivePair
    until_ms: int | None


class Pairs:
    """The pairs of some exchanges. `known_until` says until when candles of a pair are stored.

    They are in `file`, too, for a start without Postgres.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        exchanges: Sequence[str],
        wire: WireSymbol,
        timeout_s: float,
        file: Path,
    ) -> None:
        self.loaded = asyncio.Event()
        self.problem: str | None = "the pairs are not known yet"
        self._warehouse = warehouse
        self._exchanges = list(exchanges)
        self._wire = wire
        self._timeout_s = timeout_s
        self._hint = asyncio.Event()
        self._until: dict[int, int] = {}
        self._pairs: list[LivePair] = []
        self._refused: set[str] = set()
        self._file = file
        self._looks = 0

    def known_until(self, pair: LivePair) -> int | None:
        """When the newest stored candle of the pair ended as the pair was loaded, in ms; None when there was none."""
        return self._until.get(pair.id)

    async def run(self, on_pairs: OnPairs) -> None:
        """Tell of the pairs whenever they change, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            while True:
                self._hint.clear()
                known = await self._look(on_pairs)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S if known else _RETRY_S):
                        await self._hint.wait()
                        await asyncio.sleep(_TOGETHER_S)  # changes come in groups

    async def _look(self, on_pairs: OnPairs) -> bool:
        self._looks += 1
        try:
            pairs = await asyncio.to_thread(self._load)
            fresh = [pair for pair in pairs if pair.id not in {each.id for each in self._pairs}]
            until: Mapping[int, int] = {}
            if fresh:
                until = await asyncio.to_thread(last_candle_ends, self._warehouse, fresh)
            elif self._looks % _REMEMBER_LOOKS == 0:
                stored = await asyncio.to_thread(last_candle_ends, self._warehouse, pairs)
                await asyncio.to_thread(self._remember, pairs, stored)
        except WarehouseError as error:
            if self.problem != str(error):
                log.warning("pairs can't be read", reason=str(error))
            self.problem = str(error)
            if not self.loaded.is_set():
                await self._recall(on_pairs)
            return False
        self._until.update(until)
        self.problem = None
        if pairs != self._pairs or not self.loaded.is_set():
            self._pairs = pairs
            on_pairs(pairs)
            await asyncio.to_thread(self._remember, pairs, self._until)
        self.loaded.set()
        return True

    async def _recall(self, on_pairs: OnPairs) -> None:
        """Postgres is away as we start: go on with the pairs that were streamed last."""
        remembered = await asyncio.to_thread(self._read)
        known = [each for each in remembered if self._spell_of(each.pair) == each.pair.wire]
        if not known:
            return
        self._until = {each.pair.id: each.until_ms for each in known if each.until_ms is not None}
        self._pairs = [each.pair for each in known]
        log.warning("pairs are those of last time", pairs=len(known))
        on_pairs(self._pairs)
        self.loaded.set()

    def _remember(self, pairs: Sequence[LivePair], until: Mapping[int, int]) -> None:
        content = msgspec.json.encode([_Remembered(pair, until.get(pair.id)) for pair in pairs])
        try:
            beside = self._file.with_suffix(".tmp")
            beside.write_bytes(content)
            beside.replace(self._file)
        except OSError as error:
            log.warning("pairs can't be remembered", reason=str(error))

    def _read(self) -> list[_Remembered]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=list[_Remembered])
        except (OSError, msgspec.MsgspecError):
            return []

    def _spell_of(self, pair: LivePair) -> str | None:
        if pair.exchange not in self._exchanges:
            return None
        return self._spell(pair.exchange, pair.coin, pair.quote, pair.market_type)

    def _load(self) -> list[LivePair]:
        with self._warehouse.connect() as conn:
            return load_live_pairs(conn, self._exchanges, self._spell)

    def _spell(self, exchange: str, coin: str, quote: str, market_type: str) -> str | None:
        try:
            return self._wire(exchange, coin, quote, market_type)
        except ConfigError as error:
            if str(error) not in self._refused:
                self._refused.add(str(error))
                log.warning("pair is left out", exchange=exchange, coin=coin, quote=quote, reason=str(error))
            return None

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(WarehouseError):
                async with contextlib.aclosing(listen(self._warehouse.url, "reference", self._timeout_s)) as hints:
                    async for _ in hints:
                        self._hint.set()
            await asyncio.sleep(_RETRY_S)

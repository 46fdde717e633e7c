"""What the stream does not say and the exchange's REST side must be asked for, within its limits.

Belongs here: confirming candles that have no closed flag (Hyperliquid), asking for candles that the stream does not have
(OANDA), asking for open interest every minute (Binance). Does not: repairing gaps (gaps/repair.py), what answers mean
(routing/router.py).
Questions that are due are merged, so that a slow exchange is asked less often, not later and later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from market_platform.domain.errors import ExchangeError, HistoryGoneError, is_retryable
from market_platform.domain.events import Candle, Funding, OpenInterest
from market_platform.domain.intervals import MINUTE_MS, bucket_start, parse_interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.live import LiveRest
from streamer.sink import IntakeStoppedError

_LOOK_S = 0.5
_SETTLE_MS = 2_000
"""How long after a candle's end the exchange is given to make up its mind."""
_PATIENCE = 5
_MOST_BUCKETS = 500
"""Asked for at once; what is left has its turn after it."""
_AT_ONCE = 4

log = structlog.get_logger("streamer")


class Answers(Protocol):
    """Takes what the exchange says. May raise IntakeStoppedError."""

    def asked_for(self, pair: LivePair, rows: Sequence[Candle | Funding | OpenInterest]) -> None:
        """Closed candles, or the context of this minute."""
        ...


@dataclass(slots=True)
class _Question:
    pair: LivePair
    interval: str
    start_ms: int
    end_ms: int
    attempts: int = 0


class Polls:
    """The questions to one exchange. `now_ms` is the exchange's time."""

    def __init__(self, rest: LiveRest, now_ms: Callable[[], int]) -> None:
        self.answers: Answers | None = None
        self._rest = rest
        self._now_ms = now_ms
        self._questions: dict[tuple[int, str], _Question] = {}
        self._asked_until: dict[tuple[int, str], int] = {}
        self._pairs: list[LivePair] = []

    def set_pairs(self, pairs: Sequence[LivePair]) -> None:
        """The pairs to ask about."""
        self._pairs = list(pairs)
        wanted = {pair.id for pair in pairs}
        self._questions = {key: each for key, each in self._questions.items() if key[0] in wanted}
        self._asked_until = {key: each for key, each in self._asked_until.items() if key[0] in wanted}

    def want(self, pair: LivePair, interval: str, start_ms: int, end_ms: int) -> None:
        """The closed candles that open in [start, end) of the pair."""
        known = self._questions.get((pair.id, interval))
        if known is not None:
            start_ms, end_ms = min(start_ms, known.start_ms), max(end_ms, known.end_ms)
        self._questions[pair.id, interval] = _Question(pair, interval, start_ms, end_ms)

    async def run(self, *, every_candle: bool) -> None:
        """Ask until cancelled; `every_candle` of every pair, as each ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_candles(every_candle=every_candle))
            group.create_task(self._ask_context())

    # ------------------------------------------------------------------------------------------------------------ candles

    async def _ask_candles(self, *, every_candle: bool) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            now_ms = self._now_ms()
            if every_candle:
                self._want_ended(now_ms)
            due = [each for each in self._questions.values() if each.end_ms + _SETTLE_MS <= now_ms]
            for start in range(0, len(due), _AT_ONCE):
                await asyncio.gather(*(self._ask(each) for each in due[start : start + _AT_ONCE]))

    def _want_ended(self, now_ms: int) -> None:
        """Candles that ended since they were last asked for."""
        for pair in self._pairs:
            for interval in pair.intervals:
                key = (pair.id, interval.name)
                current = bucket_start(now_ms, interval)
                since = self._asked_until.setdefault(key, current)
                if since > current:  # the time was wrong: what was asked for was not there yet
                    asked = self._questions.pop(key, None)
                    self._asked_until[key] = current if asked is None else min(current, asked.start_ms)
                elif current > since and key not in self._questions:
                    until = bucket_start(min(current, since + _MOST_BUCKETS * interval.ms), interval)
                    self.want(pair, interval.name, since, until)

    async def _ask(self, question: _Question) -> None:
        key = (question.pair.id, question.interval)
        interval = parse_interval(question.interval)
        try:
            rows = await self._rest.candles(question.pair, interval, question.start_ms, question.end_ms)
            if self.answers is not None and rows:
                self.answers.asked_for(question.pair, rows)
        except HistoryGoneError:
            rows = []
        except IntakeStoppedError:
            return
        except ExchangeError as error:
            if is_retryable(error):
                await asyncio.sleep(_LOOK_S)
            else:
                log.warning("can't be asked", pair=question.pair.name, interval=question.interval, reason=str(error))
                self._forget(key, question)
            return
        question.attempts += 1
        if self._questions.get(key) is not question:  # more is wanted by now, or less
            return
        if (rows and rows[-1].end_ms >= question.end_ms) or question.attempts >= _PATIENCE:
            self._asked_until[key] = rows[-1].end_ms if rows else self._asked_until.get(key, question.start_ms)
            if not rows or rows[-1].end_ms < question.end_ms:  # nobody traded then
                self._asked_until[key] = max(self._asked_until[key], question.end_ms - interval.ms)
            del self._questions[key]

    def _forget(self, key: tuple[int, str], question: _Question) -> None:
        """Answered, unless more was wanted meanwhile."""
        if self._questions.get(key) is question:
            del self._questions[key]

    # ------------------------------------------------------------------------------------------------------------ context

    async def _ask_context(self) -> None:
        """Every pair once a minute; one that is new at once."""
        asked: dict[int, int] = {}
        while True:
            await asyncio.sleep(_LOOK_S)
            now = self._now_ms() // MINUTE_MS
            due = [pair for pair in self._pairs if asked.get(pair.id) != now]
            asked = {pair.id: now for pair in self._pairs}
            limit = asyncio.Semaphore(_AT_ONCE)
            await asyncio.gather(*(self._ask_context_of(pair, limit) for pair in due))

    async def _ask_context_of(self, pair: LivePair, limit: asyncio.Semaphore) -> None:
        async with limit:
            try:
                rows = await self._rest.context(pair)
                if rows and self.answers is not None:
                    self.answers.asked_for(pair, rows)
            except IntakeStoppedError:
                return
            except ExchangeError as error:
                log.info("context is not to be had", pair=pair.name, reason=str(error))

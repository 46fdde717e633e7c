"""The streamer as one process: what it is made of, in which order it starts, and in which it stops.

Belongs here: putting the parts together. Does not: any of the parts.

Stopping: connections close first, so that nothing new comes; then the unfinished minute is handed in; then the journal brings
what it has to Postgres and the lake, for as long as STREAM_STOP_S allows; the rest waits on disk for the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial

import structlog

from market_platform.domain.clock import Clock, from_ms, utc_now
from market_platform.domain.errors import ConfigError, WarehouseUnavailableError
from market_platform.domain.live import LivePair
from market_platform.exchanges.live import LiveExchange
from market_platform.exchanges.registry import LIVE_EXCHANGES, live_exchange
from market_platform.pipeline.platform import Platform
from market_platform.settings import Settings
from market_platform.warehouse.gaps import read_last_candles
from streamer.bus import Bus
from streamer.gaps.keeper import GapKeeper
from streamer.gaps.log import GapLog
from streamer.gaps.repair import Repairer
from streamer.health.health import Health
from streamer.health.http import serve
from streamer.health.metrics import StreamerMetrics
from streamer.journal_owner import require_own_journal
from streamer.journal_sink import JournalConfig, JournalSink
from streamer.pairs import PAIRS_FILE, Pairs
from streamer.sole import SoleStreamer
from streamer.supervisor import ExchangeSupervisor
from streamer.times import Times
from streamer.watch import Watch

_GAPS_S = 1.0

log = structlog.get_logger("streamer")


class StreamerApp:
    """The process. `run` until `stop`, or until a signal."""

    def __init__(self, settings: Settings, database_url: str, clock: Clock = utc_now) -> None:
        self.port: int | None = None
        self._settings = settings
        self._url = database_url
        self._times = Times(clock)
        self._stopping = asyncio.Event()
        self._exchanges: dict[str, LiveExchange] = {}
        self._refused: dict[str, str] = {}
        self._supervisors: dict[str, ExchangeSupervisor] = {}
        self._repairers: dict[str, Repairer] = {}
        self._health: Health | None = None
        self._watch = Watch()
        self._displaced: ConfigError | None = None

    def stop(self) -> None:
        """Ask it to stop."""
        self._stopping.set()

    def supervisors(self) -> Iterable[ExchangeSupervisor]:
        """Those of the exchanges that have pairs."""
        return list(self._supervisors.values())

    async def run(self) -> None:
        """Stream until asked to stop; then bring everything home.

        Raises:
            ConfigError: a setting is wrong, the port is taken, the journal or the database is another streamer's.
            WrongDatabaseError: the database is the training one.
        """
        settings = self._settings
        wanted = self._wanted()
        platform = Platform.from_settings(settings, self._url, self._times.clock)
        config = JournalConfig.from_settings(settings)
        sink = JournalSink(config, platform.lake, platform.warehouse, self._times.clock)
        async with AsyncExitStack() as stack:
            stack.callback(platform.close)
            sole = SoleStreamer(self._url, settings.database_timeout_s, self._times.now())
            stack.push_async_callback(sole.release)
            if await sole.claim():  # while Postgres is away, it is asked before anything is written
                with contextlib.suppress(WarehouseUnavailableError):
                    await asyncio.to_thread(platform.warehouse.check_role, may_be_new=True)
                    await asyncio.to_thread(require_own_journal, settings.journal_dir, platform.warehouse)
            await sink.start()
            try:
                gaps = GapLog(platform.warehouse, settings.journal_dir, wanted)
                stack.callback(gaps.close)
                keeping = asyncio.create_task(self._keep(sole), name="sole streamer")
                stack.push_async_callback(_end, keeping)
                await self._stream(stack, platform, sink, gaps, wanted)
            finally:
                await sink.stop()
                if self._health is not None:
                    await self._health.say_goodbye(platform.warehouse)
        log.info("streamer has stopped")
        if self._displaced is not None:
            raise self._displaced

    async def _keep(self, sole: SoleStreamer) -> None:
        """Stop when another streamer has the database."""
        try:
            await sole.keep()
        except ConfigError as error:
            log.warning("another streamer has the database", reason=str(error))
            self._displaced = error
            self.stop()

    async def _stream(
        self, stack: AsyncExitStack, platform: Platform, sink: JournalSink, gaps: GapLog, wanted: Sequence[str]
    ) -> None:
        settings, warehouse = self._settings, platform.warehouse
        bus = Bus(self._url, settings.database_timeout_s)
        bus.sources.append(lambda: (tick for each in self.supervisors() for tick in each.router.ticks()))
        pairs = Pairs(warehouse, wanted, self._spell, settings.database_timeout_s, settings.journal_dir / PAIRS_FILE)
        health = Health(sink, self.supervisors, lambda: self._alarms(pairs, gaps), self._open_gaps, self._times.now())
        self._health = health
        metrics = StreamerMetrics(health, self.supervisors, bus)
        address = serve(settings.streamer_metrics_host, settings.streamer_metrics_port, health.document, metrics.render)
        self.port = await stack.enter_async_context(address)
        log.info("streamer is up", port=self.port, exchanges=list(wanted), journal=str(settings.journal_dir))
        streaming = asyncio.create_task(self._streaming(stack, platform, sink, gaps, bus, pairs, health))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({streaming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            streaming.cancel()
            results = await asyncio.gather(streaming, stopping, return_exceptions=True)
        if isinstance(results[0], BaseException) and not isinstance(results[0], asyncio.CancelledError):
            raise results[0]
        log.info("streams are closed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GAPS_S):
                await gaps.flush()

    async def _streaming(
        self,
        stack: AsyncExitStack,
        platform: Platform,
        sink: JournalSink,
        gaps: GapLog,
        bus: Bus,
        pairs: Pairs,
        health: Health,
    ) -> None:
        """Everything that runs, until cancelled."""
        keeper = GapKeeper(gaps)
        async with asyncio.TaskGroup() as group:
            queue: asyncio.Queue[Sequence[LivePair]] = asyncio.Queue()
            parts: dict[str, Callable[[], Awaitable[None]]] = {
                "pairs": partial(pairs.run, queue.put_nowait),
                "gaps": gaps.run,
                "bus": bus.run,
                "health": partial(health.keep, platform.warehouse),
            }
            for name, run_part in parts.items():
                group.create_task(self._watch.forever(name, run_part), name=name)
            while True:
                loaded = await queue.get()
                gaps.end_left_of_others(loaded, self._times.now_ms())
                for code in {pair.exchange for pair in loaded} | set(self._supervisors):
                    supervisor = self._supervisors.get(code)
                    if supervisor is None:
                        try:
                            supervisor = await self._supervise(stack, code, platform, sink, keeper, bus, pairs)
                        except ConfigError as error:
                            self._refuse(code, error)
                            continue
                        group.create_task(supervisor.run(), name=code)
                        repair = supervisor.watch.forever("repair", self._repairers[code].run)
                        group.create_task(repair, name=f"{code} repair")
                    supervisor.set_pairs([pair for pair in loaded if pair.exchange == code])

    async def _supervise(
        self,
        stack: AsyncExitStack,
        code: str,
        platform: Platform,
        sink: JournalSink,
        keeper: GapKeeper,
        bus: Bus,
        pairs: Pairs,
    ) -> ExchangeSupervisor:
        exchange = self._exchanges[code]
        rest = await stack.enter_async_context(exchange.rest())
        real_time = self._settings.market == "live" or self._settings.replay_speed == 1
        supervisor = self._supervisors[code] = ExchangeSupervisor(
            exchange,
            rest,
            sink,
            keeper,
            bus,
            self._times,
            known_until=pairs.known_until,
            last_candles=partial(read_last_candles, platform.warehouse),
            check_future=real_time,
        )
        self._repairers[code] = Repairer(
            code,
            rest,
            sink,
            platform.warehouse,
            lambda: supervisor.pairs,
            clock=self._times.clock,
            ready=lambda: supervisor.clock.known,
        )
        return supervisor

    def _open_gaps(self, code: str) -> int:
        return self._repairers[code].open_gaps if code in self._repairers else 0

    def _wanted(self) -> list[str]:
        """The exchanges that may be streamed."""
        named = self._settings.stream_exchanges
        if named is None:
            return list(LIVE_EXCHANGES)
        wanted = [each.strip() for each in named.split(",") if each.strip()]
        unknown = [each for each in wanted if each not in LIVE_EXCHANGES]
        if unknown or not wanted:
            raise ConfigError(f"STREAM_EXCHANGES={named!r}: name some of {', '.join(LIVE_EXCHANGES)}")
        return wanted

    def _spell(self, exchange: str, coin: str, quote: str, market_type: str) -> str | None:
        """How an exchange spells a pair; None for an exchange that can't be streamed, which is an alarm."""
        if exchange not in self._exchanges:
            try:
                self._exchanges[exchange] = live_exchange(exchange, self._settings, self._clock_of(exchange))
            except ConfigError as error:
                self._refuse(exchange, error)
                return None
        return self._exchanges[exchange].dialect.wire_symbol(coin, quote, market_type)

    def _clock_of(self, exchange: str) -> Clock:
        """The exchange's own time as far as its stream has told: what is over there is over, whatever our clock says."""

        def clock() -> datetime:
            supervisor = self._supervisors.get(exchange)
            return self._times.now() if supervisor is None else from_ms(supervisor.clock.now())

        return clock

    def _refuse(self, exchange: str, error: ConfigError) -> None:
        if self._refused.get(exchange) != str(error):
            log.warning("exchange is left out", exchange=exchange, reason=str(error))
        self._refused[exchange] = str(error)

    def _alarms(self, pairs: Pairs, gaps: GapLog) -> list[str]:
        found = [f"{exchange} is left out: {reason}" for exchange, reason in self._refused.items()]
        found += self._watch.problems.values()
        return found + [each for each in (pairs.problem, gaps.alarm) if each is not None]


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def run(settings: Settings, database_url: str) -> None:
    """Stream until SIGTERM or SIGINT.

    Raises:
        ConfigError: it can't start.
    """

    async def main() -> None:
        app = StreamerApp(settings, database_url)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, app.stop)
        await app.run()

    try:
        import uvloop
    except ImportError:  # not on every platform
        asyncio.run(main())
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

"""The replay exchange inside a test: real HTTP on a free port, in a thread.

Belongs here: starting and stopping it, and looking into it. Does not: assertions. Nothing else in the platform imports it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from market_platform.domain.clock import Clock, utc_now
from market_platform.replay.app import create_app
from market_platform.replay.faults import FaultBook, FaultKind, FaultRule
from market_platform.replay.generator import GeneratorSource
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.limits import LiveLimits
from market_platform.replay.live.truth import Truth
from market_platform.replay.live.world import World
from market_platform.replay.middleware import RequestLog
from market_platform.replay.server import HOST, bind, make_server
from market_platform.replay.source import ReplaySource
from market_platform.settings import Settings
from market_platform.settings_addresses import LiveUrl

STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class RunningReplay:
    """A replay exchange that is up. `url` is its root; `faults`, `log` and `world` (its live markets) are its own."""

    url: str
    faults: FaultBook
    log: RequestLog
    world: World

    @property
    def json_url(self) -> str:
        """Root of the JSON API, as `DUKASCOPY_JSON_URL` takes it."""
        return f"{self.url}/dukascopy/v1"

    @property
    def bi5_url(self) -> str:
        """Root of the bi5 files, as `DUKASCOPY_BI5_URL` takes it."""
        return f"{self.url}/dukascopy/datafeed"

    def live_url(self, name: LiveUrl) -> str:
        """Root of an exchange's stream or REST side, as that setting takes it (`binance_spot_stream`)."""
        port = int(self.url.rpartition(":")[2])
        return Settings(market="replay", replay_port=port).live_url(name)

    @property
    def live_urls(self) -> dict[str, str]:
        """All of them as settings: `load_settings(**replay.live_urls)`."""
        return {f"{name}_url": self.live_url(name) for name in get_args(LiveUrl)}

    @property
    def truth(self) -> Truth:
        """What the live exchanges really did; the same as `GET /_truth/…`."""
        return Truth(self.world)

    def fail(self, match: str, kind: FaultKind | str, *, times: int = 1, seconds: float | None = None) -> None:
        """Spoil the next `times` requests whose path matches; see faults.py for the kinds."""
        self.faults.add([FaultRule(match, FaultKind(kind), times, seconds)])


def clock_from(start: datetime) -> Clock:
    """A clock that shows `start` now and goes on from there at our own pace."""
    ahead = start - utc_now()
    return lambda: utc_now() + ahead


@contextmanager
def running_replay(
    source: ReplaySource | None = None,
    faults: Iterable[FaultRule] = (),
    *,
    world: World | None = None,
    limits: LiveLimits | None = None,
    port: int = 0,
) -> Iterator[RunningReplay]:
    """Run the exchange in a thread until the block ends; the same `world` again is the same exchange, restarted.

    Without a source Dukascopy's side is generated, with seed 7; without a world so are the live markets, at our own speed.

    Raises:
        RuntimeError: when it does not come up or does not stop in time.
    """
    book, log = FaultBook(faults), RequestLog()
    world = world or World(7, ExchangeClock())
    listener = bind(port)
    listener.listen(128)
    server = make_server(create_app(source or GeneratorSource(7), book, log, world, limits), grace_seconds=1)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="replay exchange", daemon=True)
    thread.start()
    try:
        yield RunningReplay(f"http://{HOST}:{listener.getsockname()[1]}", book, log, world)
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)
        listener.close()
        if thread.is_alive():
            raise RuntimeError(f"the replay exchange did not stop within {STOP_SECONDS} s")

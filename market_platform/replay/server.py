"""The process around the replay exchange: its socket, its signals, its start line.

Belongs here: running the application with uvicorn. Does not: routes, markets.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.errors import ConfigError
from market_platform.replay.app import create_app
from market_platform.replay.generator import GeneratorSource
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.recorded import Recordings
from market_platform.replay.live.world import World
from market_platform.replay.recordings import RecordingsSource
from market_platform.replay.source import ReplaySource

HOST = "127.0.0.1"
GRACE_SECONDS = 3


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, which also tells the application its connection, so that faults can break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        self.app_state: dict[str, Any] = {**self.app_state, "transport": transport}
        super().connection_made(transport)


class Server(uvicorn.Server):
    """uvicorn, which leaves with exit code 0 when SIGTERM or SIGINT asked it to stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen; from now on the application knows when the server is to stop."""
        self._stopping = asyncio.Event()
        self.lifespan.state["stopping"] = self._stopping
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, and first of all let go of requests that a fault holds."""
        self._stopping.set()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal, and don't raise it again afterwards: stopping when asked to is success."""
        try:
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: whoever runs it there stops it
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def open_source(recordings: Path | None, seed: int, clock: Clock = utc_now) -> ReplaySource:
    """The recordings when there is a folder of them, else the generator.

    Raises:
        ConfigError: when the folder is none of recordings.
    """
    return GeneratorSource(seed, clock) if recordings is None else RecordingsSource(recordings, clock)


def bind(port: int, host: str = HOST) -> socket.socket:
    """A socket on that port, of this machine only unless another host is given; port 0 takes a free one.

    Raises:
        ConfigError: when the port can't be had, saying why and what to do.
    """
    # named TCP, because asyncio sets TCP_NODELAY on such sockets only; without it each answer waits 40 ms for an ACK
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} is taken by another program; stop it, or choose another port with REPLAY_PORT or --port"
            ) from None
        raise ConfigError(f"the replay exchange can't listen on {host}, port {port}: {error.strerror}") from None
    return listener


def make_server(app: ASGIApp, *, grace_seconds: int = GRACE_SECONDS) -> Server:
    """A server for the application; requests under way when it stops get `grace_seconds` to finish."""
    return Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=1 << 20,
            ws_ping_interval=20,
            ws_ping_timeout=60,
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=grace_seconds,
            timeout_keep_alive=30,
        )
    )


def run(
    port: int,
    seed: int,
    recordings: Path | None,
    clock: Clock = utc_now,
    *,
    speed: float = 1.0,
    host: str = HOST,
) -> None:
    """Serve until asked to stop; live markets run `speed` times faster than the clock.

    Raises:
        ConfigError: when the port is taken or the recordings are not there.
    """
    source = open_source(recordings, seed, clock)
    listener = bind(port, host)
    listener.listen(128)
    log = structlog.get_logger("market_platform.replay")
    root = f"http://{host}:{listener.getsockname()[1]}"
    log.info(
        "replay exchange is up", json_api=f"{root}/dukascopy/v1", bi5=f"{root}/dukascopy/datafeed", source=source.name
    )
    played = None if recordings is None else Recordings(recordings, speed)
    world = World(seed, ExchangeClock(speed, clock), played)
    make_server(create_app(source, world=world)).run(sockets=[listener])
    log.info("replay exchange has stopped")

"""The embedded server as a part of the stack: started first, started again when it ends by itself, stopped last.

Belongs here: what the stack does about its server, and how that is shown. Does not: how a server is started or stopped
(postgres.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from market_platform.domain.clock import Clock
from market_platform.embedded.child import LOG_LIMIT
from market_platform.embedded.errors import EmbeddedPostgresError, PortTakenError, StackFailedError
from market_platform.embedded.files import MEGABYTE, folder_bytes, rotate
from market_platform.embedded.postgres import EmbeddedPostgres
from market_platform.embedded.postgres_home import ROLE, abandoned_homes
from market_platform.embedded.postgres_launch import HOST, PORT_SETTING
from market_platform.embedded.record import ServiceState
from market_platform.embedded.services import Port
from market_platform.settings import Settings

_ATTEMPTS = 3
_ENDS = 5
_ENDS_WITHIN_S = 60.0


class KeptPostgres:
    """The server while a supervisor keeps it. `tell` hears what happens, a text each."""

    def __init__(self, server: EmbeddedPostgres, settings: Settings, clock: Clock, tell: Callable[[str], None]) -> None:
        self._server = server
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._ends: list[float] = []
        #: for the screen and the record
        self.state = ServiceState("postgres", None, None, ready=False, since=clock(), what="Embedded Postgres")

    @property
    def runs(self) -> bool:
        """Whether the server lives."""
        return self._server.is_running()

    @property
    def child_pid(self) -> int | None:
        """The server's process where we are its parent."""
        return self._server.child_pid

    def ports(self) -> Sequence[Port]:
        """The port that must be free before `start()`; none when the server has it already."""
        return () if self.runs else (Port(HOST, self._settings.embedded_postgres_port, PORT_SETTING),)

    def start(self) -> str:
        """Start or adopt the server; its URL.

        Raises:
            MarketPlatformError: as `EmbeddedPostgres.start`.
        """
        url = self._server.start()
        for each in abandoned_homes(self._settings.postgres_dir.absolute()):
            size = folder_bytes(each) // MEGABYTE
            self._tell(
                f"{each} ({size} MB) holds the database of a data folder deleted earlier; delete it if not needed"
            )
        self._note(url, restarts=0)
        return url

    def start_again(self) -> None:
        """Start the server that ended by itself.

        Raises:
            StackFailedError: it ends again and again.
            MarketPlatformError: it can't be started, whatever is tried.
        """
        now = time.monotonic()
        self._ends = [each for each in self._ends if now - each < _ENDS_WITHIN_S] + [now]
        if len(self._ends) >= _ENDS:
            raise StackFailedError(f"Postgres ended {len(self._ends)} times within a minute; see {self._server.log}")
        self._tell("postgres ended by itself; starting it again")
        self._note(self._start_patiently(), restarts=self.state.restarts + 1)

    def _start_patiently(self) -> str:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._server.start()
            except (EmbeddedPostgresError, PortTakenError) as error:
                self._tell(f"{error}\ntrying again")
        return self._server.start()

    def stop(self, timeout_s: float) -> None:
        """Stop the server; see `EmbeddedPostgres.stop`."""
        self._server.stop(timeout_s=timeout_s)

    def rotate_log(self) -> None:
        """Keep its log below the limit of every log."""
        rotate(self._server.log, LOG_LIMIT)

    def _note(self, url: str, restarts: int) -> None:
        shown = f"postgresql://{ROLE}@{url.rpartition('@')[2]}"
        self.state = ServiceState(
            "postgres",
            self._server.pid(),
            shown,
            ready=True,
            since=self._clock(),
            restarts=restarts,
            what="Embedded Postgres",
        )

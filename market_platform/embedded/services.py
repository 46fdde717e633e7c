"""What the stack consists of: each service's command, environment, link, and how it proves that it is ready.

Belongs here: the list. The commands are the very ones docker-compose.yml runs (a test compares them). Does not: starting or
watching anything (child.py, supervisor.py).
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args
from urllib.parse import unquote, urlsplit

from market_platform.domain.errors import ConfigError
from market_platform.embedded.probes import (
    dagster_daemon_beats,
    dagster_load_error,
    dagster_locations_load,
    http_ok,
    tcp_open,
)
from market_platform.embedded.record import log_folder
from market_platform.settings import PROJECT_ROOT, Settings
from market_platform.settings_addresses import LiveUrl
from market_platform.starlistings import load_starlistings

STREAMED = frozenset(name.partition("_")[0] for name in get_args(LiveUrl) if name.endswith("_stream"))
"""Exchanges that can be streamed: those whose streams have an address."""

_STREAM_STOP_S = 1.5

Probe = Callable[[float], bool]
"""Whether a service is ready; the argument is how many seconds ago its process was started."""


@dataclass(frozen=True)
class Port:
    """A TCP port a service listens on, and the environment variable that moves it."""

    host: str
    number: int
    setting: str


@dataclass(frozen=True)
class Service:
    """One child of the supervisor.

    `before` is run to its end before each start; `after` names services that must be ready before this one is started;
    `early` lets it (a Python console script) do its imports while it waits; `stop_phase` says when it is told to stop (1
    first); `link` is what a person opens; `trouble` says what keeps it from being ready although it runs, None when nothing does.
    """

    name: str
    what: str
    command: tuple[str, ...]
    probe: Probe
    stop_phase: int
    port: Port | None = None
    link: str | None = None
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    early: bool = False
    trouble: Callable[[], str | None] | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """What is executed: the command, or a shell that becomes the command once `before` has succeeded."""
        if not self.before:
            return self.command
        return ("sh", "-c", f"{shlex.join(self.before)} && exec {shlex.join(self.command)}")


def stack_services(settings: Settings, *, folder: Path | None = None) -> list[Service]:
    """The services of a stack whose children run in `folder` (default: the project's), in the order they are shown."""
    host, dagster_port, api_port = _reachable(settings.dagster_host), str(settings.dagster_port), settings.api_port
    workspace = "workspace.yaml" if folder in (None, PROJECT_ROOT) else str(PROJECT_ROOT / "workspace.yaml")
    dagster_url = f"http://{host}:{dagster_port}"
    api_url = f"http://{_reachable(settings.api_host)}:{api_port}"
    code_host, code_port = settings.code_location_host, settings.code_location_port
    code_log = log_folder(settings) / "code.log"
    services = [
        Service(
            name="code",
            what="Dagster code server: the assets",
            command=(
                "dagster",
                "code-server",
                "start",
                "-h",
                code_host,
                "-p",
                str(code_port),
                "-m",
                "market_platform.definitions",
            ),
            before=("python", "-m", "market_platform.defs.setup"),
            probe=lambda _age: tcp_open(code_host, code_port),
            stop_phase=2,
            port=Port(code_host, code_port, "CODE_LOCATION_PORT"),
        ),
        Service(
            name="daemon",
            what="Dagster daemon: schedules, sensors, backfills",
            command=("dagster-daemon", "run", "-w", workspace),
            probe=lambda age: dagster_daemon_beats(dagster_url, age),
            stop_phase=1,
            after=("code",),
            early=True,
        ),
        Service(
            name="webserver",
            what="Dagster UI: lineage, runs, backfills",
            command=("dagster-webserver", "-h", settings.dagster_host, "-p", dagster_port, "-w", workspace),
            probe=lambda _age: dagster_locations_load(dagster_url),
            trouble=lambda: _load_trouble(dagster_url, code_log),
            stop_phase=1,
            port=Port(settings.dagster_host, settings.dagster_port, "DAGSTER_PORT"),
            link=dagster_url,
            after=("code",),
            early=True,
        ),
        Service(
            name="api",
            what="API: candles over REST and WebSocket",
            command=("python", "-m", "api_service"),
            probe=lambda _age: http_ok(f"{api_url}/readyz"),
            stop_phase=1,
            port=Port(settings.api_host, api_port, "API_PORT"),
            link=f"{api_url}/docs",
        ),
    ]
    if _streams(settings):
        metrics_host, metrics_port = settings.streamer_metrics_host, settings.streamer_metrics_port
        health_url = f"http://{_reachable(metrics_host)}:{metrics_port}/health"
        services.append(
            Service(
                name="streamer",
                what="Streamer: exchanges' live markets",
                command=("python", "-m", "streamer"),
                probe=lambda _age: http_ok(health_url),
                stop_phase=1,
                port=Port(metrics_host, metrics_port, "STREAMER_METRICS_PORT"),
                link=health_url,
            )
        )
    if settings.market == "replay":
        replay_url = f"http://{settings.replay_address}"
        source = f"recordings in {settings.recordings}" if settings.recordings else "generated markets"
        services.insert(
            0,
            Service(
                name="replay",
                what=f"Replay exchange: {source}",
                command=("python", "-m", "market_platform.replay"),
                probe=lambda _age: http_ok(f"{replay_url}/healthz"),
                stop_phase=3,
                port=Port(settings.replay_host, settings.replay_port, "REPLAY_PORT"),
                link=replay_url,
            ),
        )
    return services


def _load_trouble(dagster_url: str, log: Path) -> str | None:
    reason = dagster_load_error(dagster_url)
    return reason and f"Dagster can't load the assets: {reason} (log: {log})"


def _streams(settings: Settings) -> bool:
    """Whether a pair is configured that can be streamed. A configuration that can't be read is told of elsewhere."""
    try:
        config = load_starlistings(settings.starlistings_file)
    except ConfigError:
        return True
    wanted = (
        STREAMED if settings.stream_exchanges is None else set(settings.stream_exchanges.replace(" ", "").split(","))
    )
    return any(pair.exchange in wanted for pair in config.pairs())


def _reachable(host: str) -> str:
    """An address to open for a host that a server listens on."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def child_environment(settings: Settings, database_url: str) -> dict[str, str]:
    """Our environment, with what the children need to find the database, Dagster's home and this Python's programs."""
    parts = urlsplit(database_url)
    folders = [str(Path(sys.executable).parent), sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    return {
        **os.environ,
        "PATH": os.pathsep.join(dict.fromkeys(folders)),
        "PYTHONUNBUFFERED": "1",
        "MARKET_DATA_DIR": str(settings.market_data_dir.absolute()),
        "DATABASE_URL": database_url,
        "CODE_LOCATION_HOST": _reachable(settings.code_location_host),
        "CODE_LOCATION_PORT": str(settings.code_location_port),
        "DAGSTER_EVENT_BATCH_SIZE": "500",  # a run's materialisations are stored together: a year of a layer at once
        "DAGSTER_HOME": str(settings.dagster_home.absolute()),
        "DAGSTER_PG_USERNAME": unquote(parts.username or ""),
        "DAGSTER_PG_PASSWORD": unquote(parts.password or ""),
        "DAGSTER_PG_HOST": parts.hostname or "localhost",
        "DAGSTER_PG_PORT": str(parts.port or 5432),
        # the stack must be gone in nine seconds; what is not delivered by then waits in the journal
        "STREAM_STOP_S": str(min(settings.stream_stop_s, _STREAM_STOP_S)),
        "DAGSTER_PG_DB": unquote(parts.path.lstrip("/")) or unquote(parts.username or ""),
    }

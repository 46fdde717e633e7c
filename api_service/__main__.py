"""`python -m api_service`: the API under uvicorn, on API_HOST and API_PORT. SIGTERM and Ctrl-C end it with exit code 0."""

from __future__ import annotations

import ipaddress
import resource
import signal
import socket
import sys

import structlog
import uvicorn
from pydantic import SecretStr

from api_service.app import create_app
from api_service.live.wire import SERVER_OPTIONS
from api_service.logs import configure_logs
from market_platform.domain.errors import ConfigError, MarketPlatformError
from market_platform.settings import Settings, load_settings


def main() -> int:
    """Serve until a signal; returns the exit code: 0 after a signal, 1 when it can't start."""
    try:
        settings = load_settings()
        check_address(settings)
        if settings.database_url is None:
            from market_platform.embedded.postgres import find_database_url

            settings = settings.model_copy(update={"database_url": SecretStr(find_database_url(settings))})
        configure_logs(settings.log_level, settings.log_format)
        allow_sockets(settings.ws_max_connections)
        app = create_app(settings)
    except MarketPlatformError as error:
        print(error, file=sys.stderr)  # noqa: T201 - before there is a log
        return 1
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.api_host,
            port=settings.api_port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=3,
            **SERVER_OPTIONS,
        )
    )
    # uvicorn raises the signal again once it has shut down; it has done its work by then.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: None)
    try:
        server.run()
    except SystemExit:  # uvicorn's way to say that it can't listen; it has said why
        return 1
    return 0 if server.started else 1


def allow_sockets(clients: int) -> None:
    """Raise the limit of open files to what that many WebSocket clients need, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = clients + 1000
    if hard != resource.RLIM_INFINITY and hard < needed:
        structlog.get_logger("api").warning(
            "fewer open files than WS_MAX_CONNECTIONS needs", allowed=hard, needed=needed
        )
        needed = hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def check_address(settings: Settings) -> None:
    """Refuse to serve strangers: there is no authentication.

    Raises:
        ConfigError: API_HOST can be reached from other machines, and API_ALLOW_PUBLIC does not say that this is meant.
    """
    if settings.api_allow_public or is_loopback(settings.api_host):
        return
    raise ConfigError(
        f"API_HOST={settings.api_host} can be reached from other machines, and the API asks nobody for a key. "
        "Use 127.0.0.1, or set API_ALLOW_PUBLIC=true where something in front of it guards it (a container's network, a proxy)"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address; a name counts as what it resolves to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(each[4][0]).is_loopback for each in found)


if __name__ == "__main__":
    sys.exit(main())

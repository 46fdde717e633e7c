"""Everything that can be known to be wrong before anything is started.

Belongs here: checks that change nothing. Does not: starting.
"""

from __future__ import annotations

from collections.abc import Sequence

from market_platform.domain.errors import ConfigError
from market_platform.embedded.errors import PortTakenError
from market_platform.embedded.files import check_free_space, make_folder
from market_platform.embedded.ports import why_not_free
from market_platform.embedded.services import Port, Service
from market_platform.settings import PROJECT_ROOT, Settings

_NEEDED_MB = 512
_PROJECT_FILES = ("dagster.yaml", "workspace.yaml", "sql/migrations")


def check_folders(settings: Settings) -> None:
    """Raise unless the data folder can be written and its disk has room.

    Raises:
        FolderNotUsableError, DiskFullError: naming MARKET_DATA_DIR.
    """
    data = make_folder(settings.market_data_dir)
    for each in ("run", "logs", "dagster"):
        make_folder(data / each)
    check_free_space(data, _NEEDED_MB)


def check_project(settings: Settings) -> None:
    """Raise ConfigError when a file of the project that the stack needs is missing."""
    missing = [name for name in (*_PROJECT_FILES, settings.starlistings_file) if not (PROJECT_ROOT / name).exists()]
    if missing:
        raise ConfigError(f"{', '.join(map(str, missing))} not found in {PROJECT_ROOT}; run this from a whole checkout")


def check_ports(services: Sequence[Service], *more: Port) -> None:
    """Raise unless every port is free and no two services were given the same one.

    Raises:
        PortTakenError: naming every port in the way, who has it, and the setting that moves it.
    """
    ports = [*more, *(service.port for service in services if service.port is not None)]
    problems: list[tuple[Port, str]] = []
    seen: dict[int, Port] = {}
    for port in ports:
        if port.number in seen:
            problems.append(
                (port, f"{port.setting} and {seen[port.number].setting} are both {port.number}; change one")
            )
            continue
        seen[port.number] = port
        reason = _not_free(port)
        if reason is not None:
            problems.append((port, reason))
    if problems:
        first = problems[0][0]
        raise PortTakenError("\n".join(reason for _, reason in problems), port=first.number, setting=first.setting)


def _not_free(port: Port) -> str | None:
    reason = why_not_free(port.host, port.number)
    if reason is None:
        return None
    return f"port {port.number} on {port.host} can't be used ({reason}): {_advice(port)}"


def _advice(port: Port) -> str:
    host_setting = port.setting.replace("_PORT", "_HOST").lower()
    host = f" (or {host_setting.upper()} to another address)" if host_setting in Settings.model_fields else ""
    return f"end that program, or set {port.setting} to another port{host}"

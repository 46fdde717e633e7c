"""Errors of the embedded stack; each message ends with what the user can do.

ConfigError
├── PortTakenError              another program listens where we must; names the port, the program, the setting
├── PostgresVersionError        the data folder belongs to another major version of Postgres; nothing was touched
└── FolderNotUsableError        the folder can't be created, written or reached by the user Postgres runs as
MarketPlatformError
├── EmbeddedPostgresError       Postgres did not start or stop; the end of its log is in the message
│   └── DiskFullError           there is no room on the disk; nothing was lost
├── AlreadyRunningError         another `market-platform up` owns this data folder
├── NotRunningError             nothing to stop, nothing to show
└── StackFailedError            a part of the stack keeps ending; the stack was stopped
"""

from __future__ import annotations

from market_platform.domain.errors import ConfigError, MarketPlatformError


class PortTakenError(ConfigError):
    """A port we need is in use. `port` and `setting` (the environment variable that moves it) are attributes."""

    def __init__(self, message: str, *, port: int, setting: str) -> None:
        super().__init__(message)
        self.port = port
        self.setting = setting


class PostgresVersionError(ConfigError):
    """The data folder was made by another major version of Postgres."""


class FolderNotUsableError(ConfigError):
    """A folder can't be created, written, or reached by the user Postgres runs as."""


class EmbeddedPostgresError(MarketPlatformError):
    """The embedded Postgres did not start, or did not stop."""


class DiskFullError(EmbeddedPostgresError):
    """There is no room left on the disk."""


class AlreadyRunningError(MarketPlatformError):
    """Another `market-platform up` owns this data folder; `pid` is its process."""

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class NotRunningError(MarketPlatformError):
    """The stack does not run."""


class StackFailedError(MarketPlatformError):
    """A part of the stack could not be kept running."""

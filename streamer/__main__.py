"""`python -m streamer`: the streamer with this environment's settings, as the supervisor runs it."""

from __future__ import annotations

import signal
import sys

for _number in (
    signal.SIGTERM,
    signal.SIGINT,
):  # asked to stop before anything was begun: there is nothing to bring home
    signal.signal(_number, lambda *_: sys.exit(0))

from market_platform.domain.errors import MarketPlatformError  # noqa: E402 - imports take a second
from market_platform.embedded.postgres import find_database_url  # noqa: E402
from market_platform.settings import load_settings  # noqa: E402
from streamer.app import run  # noqa: E402
from streamer.logs import configure_logs  # noqa: E402


def main() -> int:
    """Stream until asked to stop; returns the exit code: 0 after a signal, 1 when it can't start."""
    try:
        settings = load_settings()
        configure_logs(settings.log_level, settings.log_format)
        run(settings, find_database_url(settings))
    except MarketPlatformError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the message is for the person at the terminal
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

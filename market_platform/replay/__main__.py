"""`python -m market_platform.replay`: the replay exchange with this environment's settings, as the supervisor runs it."""

from __future__ import annotations

import sys

from market_platform.domain.errors import MarketPlatformError
from market_platform.replay.logs import configure_logs
from market_platform.replay.server import run
from market_platform.settings import get_settings


def main() -> int:
    """Serve until asked to stop; returns the exit code."""
    try:
        settings = get_settings()
        configure_logs(settings.log_level, settings.log_format)
        run(
            settings.replay_port,
            settings.replay_seed,
            settings.recordings,
            speed=settings.replay_speed,
            host=settings.replay_host,
        )
    except MarketPlatformError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the message is for the person at the terminal
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

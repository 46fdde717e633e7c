"""What must be done before the services start, in a process of its own: `python -m market_platform.embedded.prepare`.

Migrations, then the pairs of `config/starlistings.yaml`, and the same for the training database where one is set. Its own process, because the supervisor lives as long as the stack
and should not carry the libraries that this needs for a second. Prints one line for each thing that changed.
"""

from __future__ import annotations

import sys
from collections import Counter

from market_platform.domain.databases import DATABASES, Database
from market_platform.domain.errors import MarketPlatformError
from market_platform.embedded.databases import has_training_database, load_config, migrate_database, sync_database
from market_platform.settings import Settings, load_settings

_SHOWN_ONE_BY_ONE = 12


def prepare(settings: Settings) -> list[str]:
    """Bring both databases to this code's schema and their pairs to the configuration; what changed, a line each.

    Without a training database there is one, and training pairs come to it by `config sync --database training` alone.

    Raises:
        WarehouseError, ConfigError: as migrations and configuration say.
    """
    databases: tuple[Database, ...] = DATABASES if has_training_database(settings) else ("realtime",)
    for each in databases:
        load_config(settings, each)  # a mistake in a file is told before anything is changed
    done: list[str] = []
    for each in databases:
        where = "" if each == "realtime" else f"{each} "
        done += [f"{where}migrated: {name}" for name in migrate_database(settings, each)]
        difference = sync_database(settings, each)
        done += [f"{where}pairs: {line}" for line in _shorten(str(difference).splitlines() if difference else [])]
    return done


def _shorten(changes: list[str]) -> list[str]:
    """The changes as they are when they are few, else how many there are of each kind (`+ 120 starlistings`)."""
    if len(changes) <= _SHOWN_ONE_BY_ONE:
        return changes
    kinds = Counter(tuple(line.split(maxsplit=2)[:2]) for line in changes)
    return [", ".join(f"{sign} {count} {table}" for (sign, table), count in kinds.items())]


def main() -> int:
    """Exit code 0, or 1 with one clear message on stderr."""
    try:
        for line in prepare(load_settings()):
            print(line)  # noqa: T201 - the supervisor reads it
    except MarketPlatformError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

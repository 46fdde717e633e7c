"""What must be done before the services start, in a process of its own: `python -m market_platform.embedded.prepare`.

Migrations, then the pairs of `config/starlistings.yaml`. Its own process, because the supervisor lives as long as the stack
and should not carry the libraries that this needs for a second. Prints one line for each thing that changed.
"""

from __future__ import annotations

import sys
from collections import Counter

from market_platform.domain.errors import MarketPlatformError
from market_platform.embedded.postgres import find_database_url
from market_platform.settings import Settings, load_settings

_SHOWN_ONE_BY_ONE = 12


def prepare(settings: Settings) -> list[str]:
    """Bring the database to this code's schema and its pairs to the configuration; what changed, a line each.

    Raises:
        WarehouseError, ConfigError: as migrations and configuration say.
    """
    from market_platform.starlistings import load_starlistings
    from market_platform.warehouse.engine import create_warehouse
    from market_platform.warehouse.migrations import migrate
    from market_platform.warehouse.reference import sync_reference

    config = load_starlistings(settings.starlistings_file)
    url = find_database_url(settings)
    done = [f"migrated: {name}" for name in migrate(url)]
    warehouse = create_warehouse(url, pool_size=1)
    try:
        with warehouse.begin() as connection:
            difference = sync_reference(connection, config)
    finally:
        warehouse.close()
    return [*done, *(f"pairs: {line}" for line in _shorten(str(difference).splitlines() if difference else []))]


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

"""`python -m market_platform.defs.setup`: prepare the Dagster instance of this environment, before its processes start.

Creates Dagster's tables and gives each exchange's pool its limit, unless somebody chose another. Idempotent, and not needed:
the first process creates the tables too, and dagster.yaml has a limit for pools without their own.
"""

from __future__ import annotations

import sys

import dagster as dg

from market_platform.defs.instance import configure_instance, exchange_pools
from market_platform.defs.names import pool_name
from market_platform.domain.errors import MarketPlatformError
from market_platform.settings import load_settings
from market_platform.starlistings import configured_pairs


def main() -> int:
    """Prepare the instance that DAGSTER_HOME names; 0 when it is ready."""
    try:
        settings = load_settings()
        pairs = configured_pairs(settings)
    except MarketPlatformError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with dg.DagsterInstance.get() as instance:
        lines = configure_instance(instance, exchange_pools(sorted({pool_name(pair.exchange) for pair in pairs})))
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

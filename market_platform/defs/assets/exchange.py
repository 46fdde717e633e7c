"""The exchange itself as an external asset, so that lineage begins where the data does."""

from __future__ import annotations

import dagster as dg

from market_platform.defs.names import identifier

SOURCE = "source"


def source_key(exchange: str) -> dg.AssetKey:
    """Key of an exchange's own data: `dukascopy/source`."""
    return dg.AssetKey([exchange, SOURCE])


def exchange_asset(exchange: str) -> dg.AssetSpec:
    """What an exchange publishes; observed through the days fetched from it, never materialised by us."""
    return dg.AssetSpec(
        key=source_key(exchange),
        description=(
            f"What {exchange} publishes: its history of ticks, its own candles, and its description of each instrument "
            "(price scale, sessions, holidays). Everything here is derived from it."
        ),
        group_name=identifier(exchange),
        kinds={"api"},
        owners=["team:market-data"],
        tags={"exchange": exchange, "layer": SOURCE},
    )

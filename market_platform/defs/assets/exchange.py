"""The exchange itself as an external asset, so that lineage begins where the data does."""

from __future__ import annotations

import dagster as dg

from market_platform.defs.names import identifier
from market_platform.exchanges.codes import LIVE_EXCHANGES, TICK_EXCHANGES

SOURCE = "source"


def source_key(exchange: str) -> dg.AssetKey:
    """Key of an exchange's own data: `dukascopy/source`."""
    return dg.AssetKey([exchange, SOURCE])


def exchange_asset(exchange: str) -> dg.AssetSpec:
    """What an exchange publishes; observed through what is fetched or streamed from it, never materialised by us."""
    if exchange in TICK_EXCHANGES:
        what = "its history of ticks, its own candles, and its description of each instrument (price scale, sessions, holidays)"
    elif exchange in LIVE_EXCHANGES:
        what = "its streams, over HTTP the recent past from which gaps of the streams are repaired, and its own history"
    else:
        what = "its own history over HTTP"
    return dg.AssetSpec(
        key=source_key(exchange),
        description=f"What {exchange} publishes: {what}. Everything here is derived from it.",
        group_name=identifier(exchange),
        kinds={"api"},
        owners=["team:market-data"],
        tags={"exchange": exchange, "layer": SOURCE},
    )

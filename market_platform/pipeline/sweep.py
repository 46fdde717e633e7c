"""Day files that no manifest names any more, and what killed writers left: removed once nobody can still be at them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from market_platform.lake.day_files import DayFiles
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.exports.lake_layout import ROOT as EXPORTS
from market_platform.pipeline.platform import Platform
from market_platform.warehouse.lake_days import load_lake_days
from market_platform.warehouse.reference import PairRow, load_pairs

SUPERSEDED_FOR = timedelta(days=1)
"""How long a superseded file stays: a run that reads it, or one about to commit it, has ended by then."""
_ROOTS = (TICK_DAYS.root, TRADE_DAYS.root, EXPORTS)


def sweep_superseded(platform: Platform, on_removed: Callable[[str], None]) -> int:
    """Delete files that a later one of the same day has replaced; returns how many went, and tells the key of each.

    A file a manifest names is never touched, nor the files of a day whose manifest names none of them. What killed writers left
    goes, too, wherever it is.

    Raises:
        WarehouseError, LakeError: one of them does not answer. Doing it again does the rest.
    """
    with platform.warehouse.connect() as connection:
        pairs = load_pairs(connection)
    superseded = sum(
        _sweep_pair(platform, pair, days, on_removed) for pair in pairs for days in (TICK_DAYS, TRADE_DAYS)
    )
    return superseded + sum(_sweep_leftovers(platform, root, on_removed) for root in _ROOTS)


def _sweep_leftovers(platform: Platform, root: str, on_removed: Callable[[str], None]) -> int:
    removed = platform.lake.remove_leftovers(root, platform.clock() - SUPERSEDED_FOR)
    for key in removed:
        on_removed(key)
    return len(removed)


def _sweep_pair(platform: Platform, pair: PairRow, days: DayFiles[Any], on_removed: Callable[[str], None]) -> int:
    parsed = ((info.key, days.parse(info.key)) for info in platform.lake.list(f"{days.root}/{pair.symbol}/"))
    found = {key: day.day for key, day in parsed if day is not None and day.exchange == pair.exchange}
    if not found:
        return 0
    with platform.warehouse.connect() as connection:
        manifests = load_lake_days(connection, pair.id, min(found.values()), max(found.values()), kind=days.root)
    named: dict[date, str] = {day: row.object_key for day, row in manifests.items() if row.object_key}
    strays = sorted({day for key, day in found.items() if day in named and key != named[day]})
    count = 0
    for day in strays:
        keep = {named[day]}
        for key in days.remove_superseded(
            platform.lake, pair.exchange, pair.symbol, day, keep, SUPERSEDED_FOR, platform.clock
        ):
            count += 1
            on_removed(key)
    return count

"""Our ticks against the exchange: minute candles built from them must equal the exchange's own, at bid and at ask."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt

from market_platform.domain.candles import PRICE_COLUMNS, CandleUnits, candle_units
from market_platform.domain.clock import from_ms
from market_platform.domain.errors import WarehouseError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.domain.ticks import Ints
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.platform import Platform
from market_platform.pipeline.reports import ExchangeComparison, MinuteDifference
from market_platform.warehouse.lake_days import load_lake_days
from market_platform.warehouse.reference import load_pair

_MINUTE = parse_interval("1m")
DIFFERENCES_KEPT = 100


async def compare_with_exchange(platform: Platform, pair: TradingPair, day: date) -> ExchangeComparison:
    """Compare each minute of the day: prices to the last digit, volumes to the precision the exchange keeps them in.

    Exchanges store candle volumes as 32-bit floats and may round each tick's volume to whole units, so volumes count as
    equal within two float32 steps plus half a unit a tick. A side the exchange keeps no candles of is not compared, so
    `compared` may be 0. At most `DIFFERENCES_KEPT` differences are listed.

    Raises:
        WarehouseError: the day's ticks are not in the lake.
        ExchangeError: the exchange's own candles can't be had.
    """
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        manifest = load_lake_days(connection, row.id, day, day).get(day)
    if manifest is None:
        raise WarehouseError(f"{pair.name} {day}: its ticks are not in the lake, so there is nothing to compare")
    if manifest.object_key is None:
        return ExchangeComparison(pair.name, day, 0, ())
    ticks = TICK_DAYS.read(platform.lake, manifest.object_key, expect_hash=manifest.content_hash)
    differences: list[MinuteDifference] = []
    compared = 0
    async with platform.open_source(pair.exchange) as source:
        instrument = await source.fetch_instrument(pair.symbol)
        for side in _SIDES:
            theirs = await source.fetch_minute_candles(instrument, day, side)
            if not len(theirs):
                continue
            ours = candle_units(ticks, _MINUTE, side)
            compared += len(np.union1d(ours.time, theirs.time))
            differences += differences_between(ours, theirs, side)
    return ExchangeComparison(pair.name, day, compared, tuple(differences[:DIFFERENCES_KEPT]))


_SIDES: tuple[Literal["bid", "ask"], ...] = ("bid", "ask")


def differences_between(ours: CandleUnits, theirs: CandleUnits, side: str) -> list[MinuteDifference]:
    """Every value in which two sets of minute candles differ, by time; a minute only one has differs in `close`."""
    _, at_ours, at_theirs = np.intersect1d(ours.time, theirs.time, assume_unique=True, return_indices=True)
    scale = max(ours.price_scale, theirs.price_scale)
    found: list[MinuteDifference] = []
    for name in PRICE_COLUMNS:
        mine = getattr(ours, name)[at_ours] * 10 ** (scale - ours.price_scale)
        other = getattr(theirs, name)[at_theirs] * 10 ** (scale - theirs.price_scale)
        found += [
            _difference(ours.time[at_ours[index]], side, name, (mine[index], scale), (other[index], scale))
            for index in np.flatnonzero(mine != other)
        ]
    found += [
        _difference(
            ours.time[at_ours[index]],
            side,
            "volume",
            (ours.volume[at_ours[index]], ours.volume_scale),
            (theirs.volume[at_theirs[index]], theirs.volume_scale),
        )
        for index in np.flatnonzero(_volumes_differ(ours, theirs, at_ours, at_theirs))
    ]
    found += [
        _difference(ours.time[index], side, "close", (ours.close[index], ours.price_scale), None)
        for index in np.flatnonzero(~np.isin(ours.time, theirs.time))
    ]
    found += [
        _difference(theirs.time[index], side, "close", None, (theirs.close[index], theirs.price_scale))
        for index in np.flatnonzero(~np.isin(theirs.time, ours.time))
    ]
    return sorted(found, key=lambda each: (each.time, each.field))


def _volumes_differ(ours: CandleUnits, theirs: CandleUnits, at_ours: Ints, at_theirs: Ints) -> npt.NDArray[np.bool_]:
    mine = ours.volume[at_ours] / 10**ours.volume_scale
    other = theirs.volume[at_theirs] / 10**theirs.volume_scale
    tolerance = 2 * np.spacing(other.astype(np.float32)).astype(np.float64) + 0.5 * ours.num_trades[at_ours]
    differ: npt.NDArray[np.bool_] = np.abs(mine - other) > tolerance
    return differ


def _difference(
    time: np.int64,
    side: str,
    field: str,
    ours: tuple[np.int64, int] | None,
    theirs: tuple[np.int64, int] | None,
) -> MinuteDifference:
    """A difference; values are (units, scale), None where that side has no candle."""
    values = [None if value is None else Decimal(int(value[0])).scaleb(-value[1]) for value in (ours, theirs)]
    return MinuteDifference(from_ms(int(time)), side, field, *values)

"""Bodies of Dukascopy's JSON API, written as it writes them, key by key and digit by digit.

Belongs here: columns to JSON text. Does not: addresses and where columns come from. Arrays hold differences: a time or
price is the first value plus the sum of the differences up to it, in units of `shift` or `multiplier`.
"""

from __future__ import annotations

import numpy as np
import orjson

from market_platform.domain.ticks import Ints, Ticks
from market_platform.replay.candles import CandleRows
from market_platform.replay.numbers import java_double, multiplier, scaled


def tick_body(ticks: Ticks, hour_ms: int) -> bytes:
    """`/v1/ticks/…`: times in ms, prices in units, volumes in units of the base currency, as many decimals as they have."""
    scale = ticks.price_scale
    ask, bid = _first(ticks.ask, scale), _first(ticks.bid, scale)
    return (
        f'{{"timestamp":{hour_ms},"multiplier":{multiplier(scale)},"ask":{ask},"bid":{bid},'
        f'"times":{_differences(ticks.time, hour_ms)},"asks":{_differences(ticks.ask)},"bids":{_differences(ticks.bid)},'
        f'"askVolumes":{_volumes(ticks.ask_volume, ticks.volume_scale)},'
        f'"bidVolumes":{_volumes(ticks.bid_volume, ticks.volume_scale)}}}'
    ).encode()


def candle_body(candles: CandleRows, start_ms: int, step_ms: int, price_scale: int) -> bytes:
    """`/v1/candles/…` without flat candles: a step of more than 1 in `times` skips them; volumes in millions."""
    candles = candles.without_flats()
    first = {name: _first(getattr(candles, name), price_scale) for name in ("open", "high", "low", "close")}
    prices = ",".join(f'"{name}":{text}' for name, text in first.items())
    arrays = ",".join(f'"{name}s":{_differences(getattr(candles, name))}' for name in first)
    volumes = ",".join(map(java_double, candles.millions.tolist()))
    return (
        f'{{"timestamp":{start_ms},"multiplier":{multiplier(price_scale)},{prices},"shift":{step_ms},'
        f'"times":{_differences((candles.time - start_ms) // step_ms, 0)},{arrays},"volumes":[{volumes}]}}'
    ).encode()


def _first(units: Ints, scale: int) -> str:
    return java_double(scaled(int(units[0]), scale)) if len(units) else "null"


def _differences(column: Ints, base: int | None = None) -> str:
    """The JSON array of steps from `base` (the first value itself if None, so that the array begins with 0)."""
    if not len(column):
        return "[]"
    steps = np.diff(column, prepend=column[0] if base is None else base)
    return orjson.dumps(np.ascontiguousarray(steps), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _volumes(units: Ints, scale: int) -> str:
    """Volumes repeat a lot, so each distinct one is written once."""
    distinct, which = np.unique(units, return_inverse=True)
    texts = [java_double(scaled(value, scale)) for value in distinct.tolist()]
    return f"[{','.join([texts[index] for index in which.tolist()])}]"

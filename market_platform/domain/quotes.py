"""Quotes of a live stream as quote ticks. Belongs here: that, and putting ticks of several price scales together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import DecimalException

import numpy as np

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Quote
from market_platform.domain.ticks import MAX_SUM, MAX_UNITS, Ticks, concat_ticks
from market_platform.domain.units import MAX_TIME_MS, exact_units, finer_units, least_scale


def ticks_from_quotes(quotes: Sequence[Quote]) -> Ticks:
    """The quotes in the order given, exact, at the smallest scales that hold every digit.

    Raises:
        BadPayloadError: a quote has no time, a price that is not above zero, a volume below it, or too large a number.
    """
    count = len(quotes)
    try:
        prices, price_scale = exact_units([each.bid for each in quotes] + [each.ask for each in quotes])
        volumes, volume_scale = exact_units([each.bid_volume for each in quotes] + [each.ask_volume for each in quotes])
        time = np.array([-1 if each.time_ms is None else each.time_ms for each in quotes], np.int64)
    except (OverflowError, ValueError, DecimalException):
        raise BadPayloadError(f"quotes of {quotes[0].symbol} have numbers out of bounds") from None
    prices, price_scale = least_scale(prices, price_scale)
    volumes, volume_scale = least_scale(volumes, volume_scale)
    largest = max(int(prices.max(initial=0)), int(volumes.max(initial=0)))
    if largest >= MAX_UNITS or float(volumes.sum(dtype=np.float64)) >= MAX_SUM:
        raise BadPayloadError(f"quotes of {quotes[0].symbol} have numbers out of bounds")
    if count and not 0 <= int(time.min()) <= int(time.max()) < MAX_TIME_MS:
        raise BadPayloadError(f"quotes of {quotes[0].symbol} have no time, or an impossible one")
    ticks = Ticks(time, prices[:count], prices[count:], volumes[:count], volumes[count:], price_scale, volume_scale)
    ticks.check(f"quotes of {quotes[0].symbol}" if quotes else "quotes")
    return ticks


def concat_quote_ticks(parts: Sequence[Ticks]) -> Ticks:
    """One batch of several, in the order given, at the smallest scales that hold every digit.

    Raises:
        BadPayloadError: units of one would be too large at the scales of another.
    """
    parts = [part for part in parts if len(part)]
    if not parts:
        return Ticks.empty()
    scale = max(part.price_scale for part in parts)
    whole = concat_ticks([_with_price_scale(part, scale) for part in parts])
    prices, price_scale = least_scale(np.concatenate([whole.bid, whole.ask]), whole.price_scale)
    volumes, volume_scale = least_scale(np.concatenate([whole.bid_volume, whole.ask_volume]), whole.volume_scale)
    count = len(whole)
    return Ticks(
        whole.time, prices[:count], prices[count:], volumes[:count], volumes[count:], price_scale, volume_scale
    )


def _with_price_scale(ticks: Ticks, scale: int) -> Ticks:
    bid, ask = (finer_units(each, ticks.price_scale, scale, MAX_UNITS, "prices") for each in (ticks.bid, ticks.ask))
    return replace(ticks, bid=bid, ask=ask, price_scale=scale)

"""Decimals as columns of integers with a scale, exact: `value = units / 10**scale`. Belongs here: that, and other scales."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext

import numpy as np

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.ticks import Ints

MAX_SCALE = 18
"""Digits after the point at most; what the warehouse holds too."""
MAX_TIME_MS = 253_402_300_800_000
"""The end of the year 9999; times stay below."""

_EXACT = Context(prec=80, traps=[Inexact, InvalidOperation])


def exact_units(values: Sequence[Decimal]) -> tuple[Ints, int]:
    """Units at the scale of the finest value, and that scale.

    Raises:
        OverflowError, decimal.DecimalException: a value has more than 18 decimals or 63 bits, or is no number.
    """
    with localcontext(_EXACT):
        exponent = sum(values, Decimal(0)).as_tuple().exponent  # an exact sum is as fine as its finest term
        if not isinstance(exponent, int):
            raise OverflowError("not a number")
        scale = max(0, -exponent)
        factor = Decimal(10) ** scale
        units = [int(value * factor) for value in values]
    while scale > MAX_SCALE:
        if any(unit % 10 for unit in units):
            raise OverflowError("more than 18 decimals")
        units, scale = [unit // 10 for unit in units], scale - 1
    return np.array(units, np.int64), scale


def least_scale(units: Ints, scale: int) -> tuple[Ints, int]:
    """The same values in the coarsest units that hold every digit."""
    while scale and not (units % 10).any():
        units, scale = units // 10, scale - 1
    return units, scale


def finer_units(units: Ints, scale: int, wanted: int, limit: int, what: str) -> Ints:
    """The same values counted at a scale as fine or finer; `limit` is what no unit may reach.

    Raises:
        ValueError: `wanted` is coarser, which could lose digits.
        BadPayloadError: a value is too large to be counted in such fine units.
    """
    if wanted == scale:
        return units
    if wanted < scale:
        raise ValueError(f"scale {wanted} is coarser than {scale}")
    factor = 10 ** (wanted - scale)
    if max(int(units.max(initial=0)), -int(units.min(initial=0))) * factor >= limit:
        raise BadPayloadError(f"{what} at scale {scale} are too large to be counted at scale {wanted}")
    finer: Ints = units * factor
    return finer

"""Decimals from numbers that passed through a 32-bit float on their way.

Belongs here: the rule. Does not: JSON. Yahoo keeps prices as 32-bit floats and writes them as 64-bit ones: a close of 19.59 is
sent as `19.59000015258789`. The price is taken to be the decimal with the fewest places, but at least as many as the
chart's `priceHint`, from which the number sent differs by no more than a 32-bit float can (half a unit of 24 bits), where
that many places are coarser than the float's own steps. Where there is none, as for prices divided by a later split or for
those too large for a 32-bit float, the number is kept as sent, and said to be so.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import NamedTuple

MOST_PLACES = 6
_KEPT_PLACES = Decimal(1).scaleb(-18)
_FLOAT_BITS = 2**24
_WIDE = Context(prec=80)


class Price(NamedTuple):
    """A price; `exact` says whether it is on the grid of prices, and not just the number that was sent."""

    value: Decimal
    exact: bool


def decimal_price(sent: Decimal, hint: int) -> Price:
    """The price meant by a number of the JSON text, whose usual places are `hint`; at most 18 places."""
    for places in range(hint, max(hint, MOST_PLACES) + 1):
        step = Decimal(1).scaleb(-places)
        nearest = sent.quantize(step, context=_WIDE)
        if places == hint and nearest == sent:
            return Price(nearest, exact=True)
        noise = abs(nearest) / _FLOAT_BITS
        if 2 * noise >= step:
            break  # neighbouring floats are further apart than prices: which price was meant can't be told
        if abs(sent - nearest) <= noise:
            return Price(nearest, exact=True)
    return Price(sent.quantize(_KEPT_PLACES, context=_WIDE).normalize(_WIDE) if _has_more(sent) else sent, exact=False)


def _has_more(sent: Decimal) -> bool:
    exponent = sent.as_tuple().exponent
    return isinstance(exponent, int) and exponent < -18

"""Numbers as Dukascopy's JSON API writes them: the text of a Java double.

Belongs here: number to text. Does not: which numbers.
"""

from __future__ import annotations


def java_double(value: float) -> str:
    """The shortest text that reads back as the same double, in Java's notation.

    Plain from 0.001 up to (not including) ten million, always with a decimal point (`1800000.0`), scientific outside
    of that (`1.0E-5`, `9.0E-4`, `1.2E7`).
    """
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    power = int(exponent or 0) + len(whole) - 1
    if whole.strip("0") == "":
        power = int(exponent or 0) - (len(fraction) - len(fraction.lstrip("0"))) - 1
    digits = digits.rstrip("0") or "0"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{power}"


def scaled(units: int, scale: int) -> float:
    """The double nearest to `units / 10**scale`, which is what a price in JSON is."""
    return units / float(10**scale)


def multiplier(scale: int) -> str:
    """`multiplier` of a body: the size of one unit at that price scale (`1.0E-5` at 5, `0.1` at 1)."""
    return java_double(float(f"1e-{scale}"))

"""Exact decimals of what CCXT hands over. Pure.

CCXT is told to hand numbers over as text, so mostly this is the exchange's own text. Where an exchange's code in CCXT makes
floats all the same, a float becomes the decimal on the market's own grid that it stands for: the one whose nearest float it
is. When there is none, its shortest text is kept, and the day says so.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from market_platform.domain.errors import BadPayloadError

_WIDE = Context(prec=60)


class Amounts:
    """Numbers of one answer; counts those that were floats, and those of them that fit no grid."""

    def __init__(self) -> None:
        self.floats = 0
        self.off_grid: list[str] = []

    def exact(self, value: object, step: Decimal | None, what: str) -> Decimal:
        """The number of a value. `step` is the market's smallest step, None when it is not known.

        Raises:
            BadPayloadError: it is no finite number; `what` names it.
        """
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise BadPayloadError(f"{what} is {value!r}, which is no number")
        if isinstance(value, float):
            return self._of_float(value, step, what)
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise BadPayloadError(f"{what} is {str(value)[:40]!r}, which is no number") from None
        if not number.is_finite():
            raise BadPayloadError(f"{what} is {number}")
        return number

    def _of_float(self, value: float, step: Decimal | None, what: str) -> Decimal:
        shortest = Decimal(repr(value))
        if not shortest.is_finite():
            raise BadPayloadError(f"{what} is {value}")
        self.floats += 1
        if step is not None:
            steps = _WIDE.divide(Decimal(value), step).to_integral_value(ROUND_HALF_EVEN)
            on_grid = _WIDE.multiply(steps, step)
            if float(on_grid) == value:
                return on_grid
        self.off_grid.append(f"{what} {shortest}")
        return shortest

    def flags(self, name: str) -> tuple[str, ...]:
        """What a person should know of the numbers; nothing when all were text."""
        if not self.floats:
            return ()
        found = [f"{name}: ccxt handed {self.floats} numbers over as floats; decimals are by the market's precision"]
        if self.off_grid:
            found.append(f"{name}: {len(self.off_grid)} of them fit no step of the market, such as {self.off_grid[0]}")
        return tuple(found)


def smallest_step(precision: object, mode: int) -> Decimal | None:
    """The step of a market's prices or amounts by CCXT's `precision` and `precisionMode`; None when it has no fixed one."""
    if isinstance(precision, bool) or not isinstance(precision, str | int | float) or not precision:
        return None if precision != 0 or mode != _DECIMAL_PLACES else Decimal(1)
    if mode == _TICK_SIZE:
        step = Decimal(str(precision))
        return step if step > 0 else None
    if mode == _DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(precision))
    return None


_DECIMAL_PLACES = 2
_TICK_SIZE = 4

"""What is probably wrong with a stock's bars: prices 100 times off, splits not applied or applied twice, dividends forgotten.

Belongs here: finding, by the bars around and the declared dividends and splits. Does not: repairing; nobody can know what the
right price was, so it is stored as sent and its day is marked. Ratios are floats here: they judge prices and become none.

A series without mistakes is continuous: Yahoo divides prices by later splits. So where the price jumps from one bar to the
next by nearly 100 (pounds and pence mixed up), or by nearly the ratio of a declared split, the bars on one side are on
another level. Which side is wrong:

- of a split, whatever is not on the level of the first bar on or after its day, for that is what was really paid;
- of pounds and pence, the lower level where the currency is a hundredth one (GBp), else the one with fewer bars.

A split by less than `LEAST_SPLIT` can't be told from an ordinary day and is not looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import exp, log
from statistics import median

UNIT = 100.0
LEAST_SPLIT = 1.4
_UNIT_TOLERANCE = log(1.5)
_SPLIT_TOLERANCE = 0.25
_MOST_TOLERANCE = log(3.0)
_LEAST_DIVIDEND = 1e-4
FIELDS = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class PriceBar:
    """A bar as sent; `time_ms` is when it opens, `adj_close` its close less later dividends, where Yahoo sends one."""

    time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    adj_close: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """A dividend per share, or a split as new shares for an old one, from the bar on that opens at `time_ms` or next."""

    time_ms: int
    value: Decimal
    is_split: bool = False


@dataclass(frozen=True, slots=True)
class Suspect:
    """What is wrong with a bar: its `field` (`prices`: all four) is about `factor` times what it should be.

    Of `adj_close`, `factor` is by what the closes before the dividend's day should be multiplied and are not.
    """

    time_ms: int
    field: str
    factor: float
    reason: str


def find_suspects(
    bars: Sequence[PriceBar], declared: Sequence[Declared] = (), *, hundredths: bool | None = None
) -> tuple[Suspect, ...]:
    """The suspects among bars (in order, prices above zero), by time.

    `hundredths` says whether the currency is a hundredth one (GBp, ZAc, ILA); None when it is not known.
    """
    found = [suspect for bar in bars for suspect in _odd_fields(bar)]
    levels = [median((float(bar.open), float(bar.high), float(bar.low), float(bar.close))) for bar in bars]
    for split in declared:
        if split.is_split:
            found += _bad_split(bars, levels, split)
    taken = {suspect.time_ms for suspect in found}
    rest = [index for index, bar in enumerate(bars) if bar.time_ms not in taken]
    found += _units(bars, levels, rest, hundredths=hundredths)
    taken = {suspect.time_ms for suspect in found}
    for dividend in declared:
        if not dividend.is_split:
            found += _forgotten(bars, dividend, taken)
    return tuple(sorted(found, key=lambda suspect: (suspect.time_ms, suspect.field)))


def _odd_fields(bar: PriceBar) -> list[Suspect]:
    """One or two of a bar's prices that are 100 times off its others."""
    values = {name: float(getattr(bar, name)) for name in FIELDS}
    found: list[Suspect] = []
    for name, value in values.items():
        others = median(other for each, other in values.items() if each != name)
        if (power := _steps(value / others, UNIT, _UNIT_TOLERANCE)) != 0:
            found.append(
                Suspect(bar.time_ms, name, UNIT**power, f"{name} is about {_times(UNIT**power)} its bar's others")
            )
    return found if len(found) <= 2 else []


def _units(
    bars: Sequence[PriceBar], levels: Sequence[float], indexes: Sequence[int], *, hundredths: bool | None
) -> list[Suspect]:
    steps = _walk([levels[index] for index in indexes], lambda ratio: _steps(ratio, UNIT, _UNIT_TOLERANCE))
    if not any(steps):
        return []
    usual = max(steps) if hundredths else Counter(steps).most_common(1)[0][0]
    reason = "prices are about {} those of the bars around, as if the unit of the currency were another"
    return [
        Suspect(bars[index].time_ms, "prices", UNIT ** (step - usual), reason.format(_times(UNIT ** (step - usual))))
        for index, step in zip(indexes, steps, strict=True)
        if step != usual
    ]


def _bad_split(bars: Sequence[PriceBar], levels: Sequence[float], split: Declared) -> list[Suspect]:
    ratio = float(split.value)
    if max(ratio, 1 / ratio) < LEAST_SPLIT or not bars:
        return []
    tolerance = min(_SPLIT_TOLERANCE * abs(log(ratio)), _MOST_TOLERANCE)
    steps = _walk(levels, lambda jump: _steps(jump, ratio, tolerance))
    right = next((step for bar, step in zip(bars, steps, strict=True) if bar.time_ms >= split.time_ms), steps[-1])
    found: list[Suspect] = []
    for bar, step in zip(bars, steps, strict=True):
        if step != right:
            factor = ratio ** (step - right)
            how = "not applied" if step > right else "applied twice"
            reason = f"prices are about {_times(factor)} those after the split by {split.value}: it was {how}"
            found.append(Suspect(bar.time_ms, "prices", factor, reason))
    return found


def _forgotten(bars: Sequence[PriceBar], dividend: Declared, taken: AbstractSet[int]) -> list[Suspect]:
    """The bar of a dividend's day, when closes before it are adjusted by something else than the dividend.

    Beside a bar whose prices are suspect themselves (`taken`) nothing can be said.
    """
    after = next((index for index, bar in enumerate(bars) if bar.time_ms >= dividend.time_ms), 0)
    if after == 0:
        return []
    before, on = bars[after - 1], bars[after]
    if taken & {before.time_ms, on.time_ms} or before.adj_close is None or on.adj_close is None or on.adj_close <= 0:
        return []
    expected = 1.0 - float(dividend.value) / float(before.close)
    adjusted = float(before.adj_close / before.close) / float(on.adj_close / on.close)
    cut = 1.0 - expected
    if cut < _LEAST_DIVIDEND or abs(adjusted - expected) <= cut / 2:
        return []
    reason = (
        f"adjusted closes before the dividend of {dividend.value} are {adjusted:.4f} of the close "
        f"and should be {expected:.4f} of it"
    )
    return [Suspect(on.time_ms, "adj_close", expected, reason)]


def _walk(levels: Sequence[float], steps_of: Callable[[float], int]) -> list[int]:
    """How many jumps up (less those down) lie between the first bar and each."""
    steps = [0] if levels else []
    for before, after in pairwise(levels):
        steps.append(steps[-1] + steps_of(after / before))
    return steps


def _steps(ratio: float, base: float, tolerance: float) -> int:
    """1 when the ratio is nearly the base, -1 when nearly its inverse, else 0."""
    for power in (1, -1):
        if abs(log(ratio) - power * log(base)) <= tolerance:
            return power
    return 0


def _times(factor: float) -> str:
    """`100 times`, `1/100 of`."""
    return f"{factor:.6g} times" if factor >= 1 else f"1/{exp(-log(factor)):.6g} of"

"""Randomness and prices as functions of a number, so that any moment can be had without those before it.

Belongs here: hashes of whole arrays, and the path of a price. Does not: trades. Only sums, products and comparisons of
doubles are used, which every machine rounds alike: one unit of difference would be another price.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

_OCTAVES: Final = (1_728_000, 432_000, 86_400, 21_600, 5_400, 1_500, 420, 120, 36, 10)
"""Seconds between the points that each layer of the price moves through."""
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


def key(*names: object) -> int:
    """64 bits that depend on these names only."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, names)).encode(), digest_size=8).digest())


def words(seed: int, numbers: Ints) -> Words:
    """64 random bits for each number (SplitMix64)."""
    mixed = (numbers.astype(np.uint64) * _GOLDEN) + np.array([seed], np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


def units(mixed: Words) -> Floats:
    """Of each word's upper bits, a number in [0, 1)."""
    return (mixed >> np.uint64(11)).astype(np.float64) * (1.0 / (1 << 53))


class PricePath:
    """The price around which a market trades: smooth layers, from weeks down to ten seconds, each half as wide as it is long."""

    def __init__(self, seed: int, base: float, volatility: float) -> None:
        self._base = base
        self._layers = [
            (period, volatility * (period / 86_400) ** 0.5 * 0.7, key(seed, "layer", period)) for period in _OCTAVES
        ]

    def at(self, first_s: int, count: int) -> Floats:
        """The price at `count` whole seconds from `first_s` (since the epoch) on."""
        moments = np.arange(first_s, first_s + count)
        total = np.zeros(count)
        for period, width, seed in self._layers:
            place, rest = np.divmod(moments, period)
            first = int(place[0])
            heights = units(words(seed, np.arange(first, int(place[-1]) + 2))) * 2.0 - 1.0
            share = rest / period
            share = share * share * (3.0 - 2.0 * share)
            place -= first
            before = heights[place]
            total += width * (before + (heights[place + 1] - before) * share)
        return self._base * (1.0 + total)

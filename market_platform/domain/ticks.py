"""Quote ticks as exact integers with a scale.

A price is `units / 10**price_scale`, a volume `units / 10**volume_scale` in the base currency's own units. Times are
milliseconds since the epoch, UTC. Nothing here is ever a float.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from market_platform.domain.column_hash import hash_columns
from market_platform.domain.errors import BadPayloadError

Ints = npt.NDArray[np.int64]
HASH_FORM = "ticks/1"
"""What is hashed of ticks: the columns in their canonical order at their own scales."""
MAX_UNITS = 2**52
"""Prices and volumes stay below this many units, so that doubles hold each exactly."""
MAX_SUM = 2**57
"""All volumes of a batch together stay below this many units, so that the sums of a day's 24 hours fit 64 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """Columns of equal length: `time` (ms), `bid`, `ask` (price units), `bid_volume`, `ask_volume` (volume units)."""

    time: Ints
    bid: Ints
    ask: Ints
    bid_volume: Ints
    ask_volume: Ints
    price_scale: int
    volume_scale: int

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def empty(cls, price_scale: int = 0, volume_scale: int = 0) -> Ticks:
        """No ticks at all."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, none, price_scale, volume_scale)

    @property
    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """The five columns in their canonical order."""
        return (self.time, self.bid, self.ask, self.bid_volume, self.ask_volume)

    def with_volume_scale(self, scale: int) -> Ticks:
        """The same ticks with volumes counted in finer units.

        Raises:
            ValueError: when `scale` is coarser than the present one, which could lose digits.
            BadPayloadError: when the volumes are too large to be counted in such fine units.
        """
        if scale < self.volume_scale:
            raise ValueError(f"volume scale {scale} is coarser than {self.volume_scale}")
        if scale == self.volume_scale:
            return self
        factor, volumes = 10 ** (scale - self.volume_scale), (self.bid_volume, self.ask_volume)
        total = sum(float(each.sum(dtype=np.float64)) for each in volumes) * factor
        if total >= MAX_SUM or any(int(each.max(initial=0)) * factor > MAX_UNITS for each in volumes):
            raise BadPayloadError(f"volumes at scale {self.volume_scale} are too large to be counted at scale {scale}")
        return replace(self, bid_volume=volumes[0] * factor, ask_volume=volumes[1] * factor, volume_scale=scale)

    def between(self, start_ms: int, end_ms: int) -> Ticks:
        """Ticks of the half-open range; the ticks must be sorted."""
        low, high = np.searchsorted(self.time, [start_ms, end_ms])
        return self.with_columns(column[low:high] for column in self.columns)

    def sorted_unique(self) -> tuple[Ticks, int]:
        """Sorted by time, order of arrival kept within a millisecond; exact duplicates dropped.

        Returns the ticks and how many duplicates went. A duplicate is equal in all five columns.
        """
        if len(self) < 2:
            return self, 0
        ordered = self
        if not (self.time[1:] >= self.time[:-1]).all():
            order = np.argsort(self.time, kind="stable")
            ordered = self.with_columns(column[order] for column in self.columns)
        repeats = _repeats(ordered.columns)
        if not len(repeats):
            return ordered, 0
        return self.with_columns(np.delete(column, repeats) for column in ordered.columns), len(repeats)

    def check(self, what: str) -> None:
        """Refuse what can't be a quote. `what` names the source in the message.

        Raises:
            BadPayloadError: for prices or volumes that can't be. Crossed quotes pass: they occur, and are checked later.
        """
        for name, column in (("bid", self.bid), ("ask", self.ask)):
            if len(column) and int(column.min()) <= 0:
                at = int(column.argmin())
                raise BadPayloadError(f"{what}: {name} price {column[at]} at {self.time[at]} ms is not above zero")
        for name, column in (("bid", self.bid_volume), ("ask", self.ask_volume)):
            if len(column) and int(column.min()) < 0:
                at = int(column.argmin())
                raise BadPayloadError(f"{what}: {name} volume {column[at]} at {self.time[at]} ms is below zero")

    def content_hash(self) -> str:
        """SHA-256, hex, of the exact content; the same ticks, the same hash, whatever they were decoded from (column_hash.py)."""
        scales = self.price_scale, self.volume_scale
        return hash_columns(HASH_FORM, scales, len(self), ([column] for column in self.columns))

    def with_columns(self, columns: Iterable[Ints]) -> Ticks:
        """Other columns, in the canonical order, at the same scales."""
        time, bid, ask, bid_volume, ask_volume = columns
        return Ticks(time, bid, ask, bid_volume, ask_volume, self.price_scale, self.volume_scale)


def concat_ticks(parts: Sequence[Ticks]) -> Ticks:
    """One batch of several, in the order given, with volumes at the finest scale among them.

    Raises:
        BadPayloadError: when price scales differ; that is two instruments or a changed one.
    """
    parts = [part for part in parts if len(part)] or list(parts[:1])
    if not parts:
        return Ticks.empty()
    scales = {part.price_scale for part in parts}
    if len(scales) > 1:
        raise BadPayloadError(f"ticks of one pair came with several price scales: {sorted(scales)}")
    volume_scale = max(part.volume_scale for part in parts)
    scaled = [part.with_volume_scale(volume_scale) for part in parts]
    return scaled[0].with_columns(
        np.concatenate(column) for column in zip(*(part.columns for part in scaled), strict=True)
    )


def _repeats(columns: Sequence[Ints]) -> npt.NDArray[np.intp]:
    """Indexes of the rows that equal an earlier row in all columns; the rows are sorted by the first column."""
    time = columns[0]
    same = np.flatnonzero(time[1:] == time[:-1])
    if not len(same):
        return same
    where = np.union1d(same, same + 1)
    rows = np.stack([column[where] for column in columns], axis=1)
    _, first = np.unique(rows, axis=0, return_index=True)
    return np.delete(where, first)

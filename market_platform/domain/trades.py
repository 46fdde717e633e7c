"""Trades as exact integers with a scale.

A price is `units / 10**price_scale`, a quantity `units / 10**quantity_scale` in the base currency's own units. Times are
milliseconds since the epoch, UTC. Nothing here is ever a float. A trade is known by its id: the same id is the same trade.

Limits: an id, and a price or quantity counted in units of the finest digit among the trades beside it, stays below 2**62.
What doesn't fit is refused, never cut or wrapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import DecimalException

import numpy as np

from market_platform.domain.column_hash import hash_columns
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Trade
from market_platform.domain.ticks import Ints
from market_platform.domain.units import MAX_TIME_MS, exact_units, finer_units, least_scale

HASH_FORM = "trades/1"
"""What is hashed of trades: the columns in their canonical order, at the smallest scales that hold every digit."""
MAX_UNITS = 2**62
"""Ids and units stay below this."""
SELL, BUY = 0, 1
"""Values of the side column: the side of the order that took."""
UNKNOWN_ID = -1
"""In `first_id` and `last_id`: the exchange does not say."""


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Columns of equal length: `trade_id`, `time` (ms), `price`, `quantity` (units), `side`, `first_id`, `last_id`.

    `first_id` and `last_id` are those of the single trades within an aggregated one, `UNKNOWN_ID` where unknown.
    """

    trade_id: Ints
    time: Ints
    price: Ints
    quantity: Ints
    side: Ints
    first_id: Ints
    last_id: Ints
    price_scale: int
    quantity_scale: int

    def __len__(self) -> int:
        return len(self.trade_id)

    @classmethod
    def empty(cls) -> Trades:
        """No trades at all."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, none, none, none, 0, 0)

    @classmethod
    def from_events(cls, trades: Sequence[Trade]) -> Trades:
        """The trades in the order given, exact, at the smallest scales that hold every digit.

        Raises:
            BadPayloadError: naming the trade that is out of bounds, or whose price or quantity is not above zero.
        """
        try:
            price, price_scale = exact_units([trade.price for trade in trades])
            quantity, quantity_scale = exact_units([trade.quantity for trade in trades])
            made = cls(
                _ids(trade.trade_id for trade in trades),
                _ids(trade.time_ms for trade in trades),
                price,
                quantity,
                _ids(BUY if trade.side == "buy" else SELL for trade in trades),
                _ids(UNKNOWN_ID if trade.first_id is None else trade.first_id for trade in trades),
                _ids(UNKNOWN_ID if trade.last_id is None else trade.last_id for trade in trades),
                price_scale,
                quantity_scale,
            )
        except (OverflowError, ValueError, DecimalException):
            made = None
        if made is None or not _is_within_bounds(made):
            raise BadPayloadError(_problem(trades))
        return made.canonical()

    @property
    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints, Ints]:
        """The seven columns in their canonical order."""
        return (self.trade_id, self.time, self.price, self.quantity, self.side, self.first_id, self.last_id)

    def with_columns(self, columns: Iterable[Ints]) -> Trades:
        """Other columns, in the canonical order, at the same scales."""
        trade_id, time, price, quantity, side, first_id, last_id = columns
        scales = self.price_scale, self.quantity_scale
        return Trades(trade_id, time, price, quantity, side, first_id, last_id, *scales)

    def canonical(self) -> Trades:
        """The same trades at the smallest scales that hold every digit."""
        price, price_scale = least_scale(self.price, self.price_scale)
        quantity, quantity_scale = least_scale(self.quantity, self.quantity_scale)
        return replace(self, price=price, quantity=quantity, price_scale=price_scale, quantity_scale=quantity_scale)

    def with_scales(self, price_scale: int, quantity_scale: int) -> Trades:
        """The same trades counted in units as fine or finer.

        Raises:
            BadPayloadError: a price or quantity is too large to be counted in such fine units.
        """
        price = finer_units(self.price, self.price_scale, price_scale, MAX_UNITS, "prices")
        quantity = finer_units(self.quantity, self.quantity_scale, quantity_scale, MAX_UNITS, "quantities")
        return replace(self, price=price, quantity=quantity, price_scale=price_scale, quantity_scale=quantity_scale)

    def between(self, start_ms: int, end_ms: int) -> Trades:
        """Those of the half-open range of time, in the same order."""
        within = (self.time >= start_ms) & (self.time < end_ms)
        return self if within.all() else self.with_columns(column[within] for column in self.columns)

    def sorted_unique(self) -> tuple[Trades, int]:
        """Sorted by time and id, each id once; returns how many repetitions went.

        Raises:
            BadPayloadError: two trades of one id differ; the message names the id.
        """
        by_id = np.lexsort((self.time, self.trade_id))
        ordered = [column[by_id] for column in self.columns]
        again = np.flatnonzero(ordered[0][1:] == ordered[0][:-1]) + 1
        for column in ordered[1:]:
            differs = column[again] != column[again - 1]
            if differs.any():
                raise BadPayloadError(f"trade {ordered[0][again[differs][0]]} came twice with different content")
        unique = [np.delete(column, again) for column in ordered]
        order = np.lexsort((unique[0], unique[1]))
        return self.with_columns(column[order] for column in unique), len(again)

    def content_hash(self) -> str:
        """SHA-256, hex, of the exact content: the same trades in the same order, the same hash, at whatever scales."""
        least = self.canonical()
        scales = least.price_scale, least.quantity_scale
        return hash_columns(HASH_FORM, scales, len(least), ([column] for column in least.columns))


def concat_trades(parts: Sequence[Trades]) -> Trades:
    """One batch of several, in the order given, at the smallest scales that hold every digit.

    Raises:
        BadPayloadError: units of one would be too large at the scales of another.
    """
    parts = [part.canonical() for part in parts if len(part)]
    if not parts:
        return Trades.empty()
    scales = max(part.price_scale for part in parts), max(part.quantity_scale for part in parts)
    scaled = [part.with_scales(*scales) for part in parts]
    return scaled[0].with_columns(
        np.concatenate(column) for column in zip(*(part.columns for part in scaled), strict=True)
    )


def _is_within_bounds(trades: Trades) -> bool:
    if not len(trades):
        return True
    low_enough = all(int(column.max()) < MAX_UNITS for column in trades.columns)
    positive = int(trades.price.min()) > 0 and int(trades.quantity.min()) > 0
    least_inner = min(int(trades.first_id.min()), int(trades.last_id.min()))
    possible = int(trades.time.min()) >= 0 and int(trades.time.max()) < MAX_TIME_MS
    return low_enough and positive and possible and int(trades.trade_id.min()) >= 0 and least_inner >= UNKNOWN_ID


def _ids(values: Iterable[int]) -> Ints:
    return np.fromiter(values, np.int64)


def _problem(trades: Sequence[Trade]) -> str:
    """Which trade can't be counted, in words."""
    for trade in trades:
        try:
            alone = len(trades) > 1 and bool(Trades.from_events([trade]))
        except BadPayloadError:
            alone = False
        if not alone:
            return (
                f"trade {trade.trade_id} of {trade.symbol} is out of bounds: price {trade.price}, quantity {trade.quantity}, "
                f"at {trade.time_ms} ms"
            )
    first = trades[0]
    return (
        f"trades of {first.symbol} from {first.trade_id} on are too large to be counted in each other's finest digits"
    )

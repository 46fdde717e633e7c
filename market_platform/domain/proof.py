"""The proof of a day's minutes: what was streamed = what the trades make = what the exchange has. Pure.

Belongs here: finding every difference. Does not: why they differ (proof_reasons.py), candles of trades (trade_minutes.py).

Every value is compared exactly. A minute of which one side has a candle without trades says the same as no trade at all in the
lake, provided that it stands at the last price; such a minute is compared with that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

import polars as pl

from market_platform.domain.candles import CANDLE_SCHEMA, PRICE_COLUMNS

MINUTE = "minute"
"""Field of a difference in which one side has a candle and the other none; values are whole candles."""
FIELDS = (*PRICE_COLUMNS, "volume", "num_trades")


class Side(StrEnum):
    """Who says what a minute was."""

    STREAMED = "streamed"
    """The rows of `candles`, as streamed and repaired."""
    REBUILT = "rebuilt"
    """Made of the lake's trades."""
    EXCHANGE = "exchange"
    """The exchange's own, asked for now."""


PAIRS = ((Side.STREAMED, Side.REBUILT), (Side.STREAMED, Side.EXCHANGE), (Side.REBUILT, Side.EXCHANGE))


class Reason(StrEnum):
    """Why a value differs, as far as it can be shown."""

    GAP = "gap"
    """The gap ledger has the minute: it is open, or lost for good."""
    NOT_RECORDED = "not_recorded"
    """The pair began to be streamed later that day."""
    TRADE_MISSING = "trade_missing"
    """Numbers of trades are missing in the lake at that time."""
    SINGLE_TRADES = "single_trades"
    """Single trades are in no aggregated one, or in one that lies across the minute's edge."""
    SAME_MOMENT = "same_moment"
    """Several trades in the minute's first or last millisecond, in an order that nobody tells."""
    REISSUED = "reissued"
    """What the exchange streamed is what its trades make; it says otherwise now."""
    MINUTE_MISSING = "minute_missing"
    """A side has no such minute, and nothing says why."""
    UNEXPLAINED = "unexplained"
    """None of these."""

    @property
    def is_explained(self) -> bool:
        """Whether it says why."""
        return self not in (Reason.MINUTE_MISSING, Reason.UNEXPLAINED)


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of one minute in which two sides differ; values are exact texts, None where a side has no such minute."""

    time_ms: int
    left: Side
    right: Side
    field: str
    left_value: str | None
    right_value: str | None
    reason: Reason = Reason.UNEXPLAINED
    detail: str = ""

    @property
    def sides(self) -> str:
        """`streamed/rebuilt`."""
        return f"{self.left}/{self.right}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing a day's sides found: minutes that any side has, minutes compared by sides, and every difference."""

    minutes: int
    compared: Mapping[str, int] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()


def compare_sides(sides: Mapping[Side, pl.DataFrame]) -> Comparison:
    """Compare each two of the sides given, candle frames (`CANDLE_SCHEMA`), minute by minute and value by value.

    A NULL number of trades is no value: that side does not say. Differences are sorted by time, then by sides.
    """
    compared: dict[str, int] = {}
    found: list[Difference] = []
    times: set[int] = set()
    for left, right in PAIRS:
        if left not in sides or right not in sides:
            continue
        ours, theirs = sides[left], sides[right]
        if right is Side.REBUILT:
            theirs = with_quiet_minutes(theirs, ours)
        elif left is Side.REBUILT:
            ours = with_quiet_minutes(ours, theirs)
        joined = ours.join(theirs, on="time", how="full", coalesce=True, suffix="_right").sort("time")
        compared[f"{left}/{right}"] = joined.height
        found += _differences(joined, left, right)
    for frame in sides.values():
        times.update(frame["time"].dt.epoch("ms").to_list())
    order = {sides: number for number, sides in enumerate(PAIRS)}
    found.sort(key=lambda each: (each.time_ms, order[each.left, each.right]))
    return Comparison(len(times), compared, tuple(found))


def with_quiet_minutes(rebuilt: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """The candles made of trades, and one without trades for every minute of which `other` says that it had none.

    It stands at the last price before it; before the day's first trade, at the price that the other side has.
    """
    quiet = other.filter(
        (pl.col("volume") == 0)
        & (pl.col("num_trades").fill_null(0) == 0)
        & pl.all_horizontal(pl.col(name) == pl.col("open") for name in PRICE_COLUMNS)
    ).join(rebuilt, on="time", how="anti")
    if quiet.is_empty():
        return rebuilt
    last = quiet.sort("time").join_asof(
        rebuilt.select("time", last=pl.col("close")).sort("time"), on="time", strategy="backward"
    )
    price = pl.coalesce("last", "open")
    flat = last.with_columns(price.alias(name) for name in PRICE_COLUMNS).select(rebuilt.columns)
    return pl.concat([rebuilt, flat.cast(CANDLE_SCHEMA)]).sort("time")


def _differences(joined: pl.DataFrame, left: Side, right: Side) -> Iterator[Difference]:
    differs = pl.any_horizontal(
        *(pl.col(name).ne(pl.col(f"{name}_right")) for name in FIELDS),
        pl.col("open").is_null(),
        pl.col("open_right").is_null(),
    )
    rows = joined.filter(differs).with_columns(pl.col("time").dt.epoch("ms"))
    for row in rows.iter_rows(named=True):
        yield from _of_minute(row, left, right)


def _of_minute(row: Mapping[str, Any], left: Side, right: Side) -> Iterator[Difference]:
    time_ms = row["time"]
    ours = {name: row[name] for name in FIELDS}
    theirs = {name: row[f"{name}_right"] for name in FIELDS}
    if ours["open"] is None or theirs["open"] is None:
        yield Difference(time_ms, left, right, MINUTE, _candle(ours), _candle(theirs))
        return
    for name in FIELDS:
        if ours[name] is not None and theirs[name] is not None and ours[name] != theirs[name]:
            yield Difference(time_ms, left, right, name, plain(ours[name]), plain(theirs[name]))


def plain(value: Decimal | int) -> str:
    """A number as people write it: all its digits, no zeros that say nothing."""
    if isinstance(value, int):
        return str(value)
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _candle(values: Mapping[str, Any]) -> str | None:
    """A whole candle in one text; None where there is none."""
    if values["open"] is None:
        return None
    return " ".join(f"{name}={plain(value)}" for name, value in values.items() if value is not None)

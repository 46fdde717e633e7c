"""Files of aggregate trades to columns of integers, block by block. Belongs here: aggTrades. Does not: zips, days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.ticks import Ints
from market_platform.domain.trades import BUY, MAX_UNITS, SELL, Trades, concat_trades
from market_platform.exchanges.binance.dumps.files import DumpFile
from market_platform.exchanges.binance.dumps.tables import Table, header_of, milliseconds

COLUMNS = (
    "agg_trade_id",
    "price",
    "quantity",
    "first_trade_id",
    "last_trade_id",
    "transact_time",
    "is_buyer_maker",
)


@dataclass(frozen=True, slots=True, eq=False)
class FileTrades:
    """A file's trades, sorted by id, each once. `holes` are the ids that are missing between them: first and last of each."""

    trades: Trades
    flags: tuple[str, ...]

    @property
    def holes(self) -> list[tuple[int, int]]:
        """Ids that are not among the trades although they are between two of them."""
        ids = self.trades.trade_id
        before = np.flatnonzero(np.diff(ids) > 1)
        return [(int(ids[place]) + 1, int(ids[place + 1]) - 1) for place in before]


def read_agg_trades(blocks: Iterable[bytes], file: DumpFile) -> FileTrades:
    """The trades of a file. Rows out of order are sorted and identical ones taken once, both flagged.

    Raises:
        BadPayloadError: naming the file: a value is no number, a trade is outside the file's span or without price or
            quantity, or two of one id differ.
    """
    header: list[str] | None = None
    parts: list[Trades] = []
    for block in blocks:
        if parts:
            table = Table.read(block, COLUMNS, file.path, header=header or COLUMNS)
        else:
            header = header_of(block)
            table = Table.read(block, COLUMNS, file.path)
        parts.append(_trades_of(table, file))
    trades = concat_trades(parts)
    flags: list[str] = []
    if (np.diff(trades.trade_id) <= 0).any():
        trades, flags = _in_order(trades, file)
    return FileTrades(trades, tuple(flags))


def _trades_of(table: Table, file: DumpFile) -> Trades:
    time = milliseconds(table.times("transact_time"))
    if len(time) and not (time.min() >= file.start_ms and time.max() < file.end_ms):  # type: ignore[operator]
        wrong = time.filter((time < file.start_ms) | (time >= file.end_ms))[0]
        table.refuse(f"a trade at {wrong} is outside the file's span")
    ids = table.whole("agg_trade_id", "first_trade_id", "last_trade_id")
    maker = table.frame["is_buyer_maker"].str.to_lowercase()
    if not maker.is_in(["true", "false"]).fill_null(value=False).all():
        table.refuse("is_buyer_maker is not true or false everywhere")
    price, price_scale = _units(table, "price")
    quantity, quantity_scale = _units(table, "quantity")
    if (ids["agg_trade_id"] < 0).any():
        table.refuse("agg_trade_id is below 0")
    return Trades(
        ids["agg_trade_id"].to_numpy(),
        time.to_numpy(),
        price,
        quantity,
        np.where((maker == "true").to_numpy(), SELL, BUY).astype(np.int64),
        ids["first_trade_id"].to_numpy(),
        ids["last_trade_id"].to_numpy(),
        price_scale,
        quantity_scale,
    )


def _units(table: Table, name: str) -> tuple[Ints, int]:
    """A column of decimals as whole units at the scale of its finest value; none is 0."""
    exact = table.amounts(name)[name]
    finest = table.frame[name].str.strip_chars_end("0")
    digits = (finest.str.len_bytes() - finest.str.find(".", literal=True) - 1).cast(pl.Int64).max()
    scale = digits if isinstance(digits, int) else 0
    units = exact.cast(pl.Decimal(38, scale)).to_physical()
    if len(units) and not (units.min() > 0 and units.max() < MAX_UNITS):  # type: ignore[operator]
        table.refuse(f"a {name} is 0, or too large to be counted in the finest digits of the others")
    return units.cast(pl.Int64).to_numpy(), scale


def _in_order(trades: Trades, file: DumpFile) -> tuple[Trades, list[str]]:
    flags: list[str] = []
    if (np.diff(trades.trade_id) < 0).any():
        flags.append(f"{file.stem}: its trades were not in order of their ids and were sorted")
    try:
        unique, again = trades.sorted_unique()
    except BadPayloadError as error:
        raise BadPayloadError(f"{file.path}: {error}") from None
    if again:
        flags.append(f"{file.stem}: {again} trades came twice, the same each time")
    order = np.argsort(unique.trade_id, kind="stable")
    return unique.with_columns(column[order] for column in unique.columns), flags

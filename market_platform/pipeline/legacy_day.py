"""A day of `market_ticks` as it arrives from Postgres: pieces of text in, exact ticks in a temporary file out.

Belongs here: putting pieces together so that nothing depends on where they were cut, counts, what is refused. Does not: one
piece (legacy_rows.py), where the day goes (legacy_store.py, legacy_drop.py).

The rows come sorted by time. What is equal or is merged is within one millisecond, so the last millisecond of a piece waits for
the next one. Held in memory are a few pieces, and all rows of one millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from market_platform.domain.errors import BadPayloadError, WarehouseError
from market_platform.domain.ticks import MAX_UNITS
from market_platform.pipeline.legacy_rows import EXAMPLES, exact_rows, parse_rows, shown_price, shown_time
from market_platform.pipeline.tick_spool import TickSpool


@dataclass(frozen=True, slots=True)
class Allowances:
    """What may be changed so that a row fits the lake, because the user said so; every change is counted."""

    truncate_times: bool = False
    zero_volumes: bool = False


class LegacyDay:
    """A day's rows, `what` in messages: `add` every piece, then `finish`, then read, and `close` it.

    The counts are those of `LegacyRows` for the whole day. `source_hash` is the SHA-256 of the ticks' exact content at the least
    scales that hold them.
    """

    def __init__(self, what: str, allow: Allowances) -> None:
        self.ticks = TickSpool()
        self.rows = self.duplicates = self.truncated = self.merged = self.zeroed = 0
        self.examples: tuple[str, ...] = ()
        self.source_hash = ""
        self._what, self._allow = what, allow
        self._finer = self._null = ""
        self._waiting: pl.DataFrame | None = None
        self._from = 0

    def add(self, text: bytes) -> None:
        """Take the next piece of `read_day`.

        Raises:
            BadPayloadError: a row is in it that no tick can hold.
            WarehouseError: the rows do not come sorted by time.
        """
        frame = parse_rows(text, self._what)
        if self._waiting is not None:
            frame = pl.concat([self._waiting, frame])
        micros = frame["micros"].to_physical().cast(pl.Int64).to_numpy()
        if int(micros.min()) < self._from:
            raise WarehouseError(f"{self._what}: Postgres gave its rows in another order than asked for; run it again")
        self._from = int(micros.max()) // 1000 * 1000
        whole = pl.Series(micros < self._from)
        self._waiting = frame.filter(~whole)
        self._take(frame.filter(whole))

    def finish(self) -> None:
        """Take what was waiting, and refuse what is not allowed.

        Raises:
            BadPayloadError: times finer than a millisecond, NULL volumes, or values of more digits than fit; the first such row
                is named, and so is the option that helps, if there is one.
        """
        if self._waiting is not None:
            self._take(self._waiting)
            self._waiting = None
        if self.zeroed and not self._allow.zero_volumes:
            raise BadPayloadError(
                f"{self._what}: {self.zeroed:,} rows have a NULL volume, which a tick can't have, first {self._null}; "
                "--zero-volumes takes them as 0"
            )
        self._check_fit()
        if self.truncated and not self._allow.truncate_times:
            raise BadPayloadError(
                f"{self._what}: {self.truncated:,} rows have times finer than a millisecond, which the lake can't hold, first "
                f"{self._finer}; --truncate-times cuts them to milliseconds"
            )
        self.source_hash = self.ticks.content_hash(self.ticks.price_scale, self.ticks.volume_scale)

    def close(self) -> None:
        """Let the temporary file go."""
        self.ticks.close()

    def _take(self, frame: pl.DataFrame) -> None:
        if not frame.height:
            return
        found = exact_rows(frame, self._what)
        self.rows += found.rows
        self.duplicates += found.duplicates
        self.truncated += found.truncated
        self.merged += found.merged
        self.zeroed += found.zeroed
        self.examples = (*self.examples, *found.examples)[:EXAMPLES]
        self._finer = self._finer or found.finer
        self._null = self._null or found.null
        self.ticks.append(found.ticks)

    def _check_fit(self) -> None:
        """Each piece fits at its own scales; all of them must at the day's."""
        scales = self.ticks.price_scale, self.ticks.volume_scale
        for which, scale, highest in zip(("price", "volume"), scales, self.ticks.highest(*scales), strict=True):
            if highest > MAX_UNITS:
                raise BadPayloadError(
                    f"{self._what}: the day's {which}s need {scale} decimals, and with so many the row "
                    f"{self._too_large(which, scale)} is too large for a tick"
                )

    def _too_large(self, which: str, scale: int) -> str:
        for block in self.ticks.blocks():
            of_price = which == "price"
            columns = (block.bid, block.ask) if of_price else (block.bid_volume, block.ask_volume)
            most = MAX_UNITS // 10 ** (scale - (block.price_scale if of_price else block.volume_scale))
            large = (columns[0] > most) | (columns[1] > most)
            if large.any():
                at = int(large.argmax())
                bid, ask = (shown_price(column[at], block.price_scale) for column in (block.bid, block.ask))
                return f"{shown_time(int(block.time[at]) * 1000)} bid {bid} ask {ask}"
        raise AssertionError("no row is too large")


def fitting_price_scale(ticks: TickSpool, wanted: int | None) -> int:
    """The instrument's own scale of prices where that is finer than the ticks' and they fit, else the ticks'."""
    finer = max(wanted or 0, ticks.price_scale)
    return finer if ticks.highest(finer, ticks.volume_scale)[0] <= MAX_UNITS else ticks.price_scale

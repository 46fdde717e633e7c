"""Files of the archive: the same bytes whenever they are asked for, and spoiled ones on demand.

Belongs here: zips, checksums, what is kept of them. Does not: rows, HTTP.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from datetime import date

from market_platform.domain.clock import day_start_ms
from market_platform.replay.cache import BoundedCache
from market_platform.replay.live.binance_dumps.addresses import INTERVALS_MS, Address
from market_platform.replay.live.binance_dumps.bars import Bars, longer, minutes_of_day
from market_platform.replay.live.tape import MINUTE_MS, Tape
from market_platform.replay.live.world import World

_FILES_BYTES = 32 * 2**20
_BARS_BYTES = 48 * 2**20
"""A year of one market's minutes: its other intervals are made of them."""
_QUICK = 1
_REVISED_COLUMN = {"klines": 5, "aggTrades": 2, "fundingRate": 2, "metrics": 2}


class Archive:
    """The files of one world. May be used by several threads."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._files: BoundedCache[tuple[Address, bool], bytes] = BoundedCache(_FILES_BYTES, len)
        self._bars: BoundedCache[tuple[str, str, date], Bars] = BoundedCache(_BARS_BYTES, lambda bars: bars.nbytes)

    def has(self, address: Address) -> bool:
        """Whether the file is published by now. Recorded markets have none."""
        if self._world.market(address.venue, address.symbol) is None:
            return False
        recorded = self._world.recording(address.venue, address.symbol) is not None
        return not recorded and self._world.clock.now().date() >= address.published

    def zip(self, address: Address, *, reissued: bool = False) -> bytes:
        """The file; `reissued` as it is after a row of it was corrected."""
        return self._files.get((address, reissued), lambda: self._make(address, reissued=reissued))

    def _make(self, address: Address, *, reissued: bool) -> bytes:
        from market_platform.replay.live.binance_dumps import rows  # polars comes with it: for who asks for a file

        market = self._world.market(address.venue, address.symbol)
        assert market is not None, "ask `has` first"
        tape = self._world.book(market).tape
        header = "" if address.venue == "binance-spot" else f"{rows.HEADERS[address.kind]}\n"
        text = header + "".join(self._rows(address, tape, day) for day in address.days)
        packed = io.BytesIO()
        entry = zipfile.ZipInfo(f"{address.name}.csv")  # dated 1980: the bytes must not depend on when they are made
        entry.compress_type = zipfile.ZIP_DEFLATED
        if reissued:
            text = _revised(text, _REVISED_COLUMN[address.kind])
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(entry, text, compresslevel=_QUICK)
        return packed.getvalue()

    def _rows(self, address: Address, tape: Tape, day: date) -> str:
        from market_platform.replay.live.binance_dumps import rows

        match address.kind:
            case "klines":
                length = INTERVALS_MS[address.interval]
                return rows.klines(tape, longer(self._minutes(tape, day), length // MINUTE_MS), length, day)
            case "aggTrades":
                return rows.agg_trades(tape, day)
            case "fundingRate":
                return rows.funding(tape, day)
            case "metrics":
                return rows.metrics(tape, day)

    def _minutes(self, tape: Tape, day: date) -> Bars:
        key = (tape.market.venue, tape.market.symbol, day)
        return self._bars.get(key, lambda: minutes_of_day(tape, day_start_ms(day)))


def checksum(address: Address, packed: bytes) -> bytes:
    """What the `.CHECKSUM` of a file says."""
    return f"{hashlib.sha256(packed).hexdigest()}  {address.name}.zip\n".encode()


def cut(packed: bytes) -> bytes:
    """Half of a zip, as if it had been published so."""
    return packed[: len(packed) // 2]


def wrong(line: bytes) -> bytes:
    """A checksum that does not hold."""
    return hashlib.sha256(line).hexdigest().encode() + line[64:]


def _revised(text: str, column: int) -> str:
    """The text with one more unit in the first value of a column that is not 0."""
    first = re.compile(rf"^((?:[^,\n]*,){{{column}}})(-?[0-9.]*[1-9][0-9.]*)", re.MULTILINE)

    def plus_one(match: re.Match[str]) -> str:
        sign = "-" if match[2].startswith("-") else ""
        whole, point, part = match[2].removeprefix("-").partition(".")
        digits = str(int(whole + part) + 1).zfill(len(whole) + len(part))
        return f"{match[1]}{sign}{digits[: len(digits) - len(part)]}{point}{digits[len(digits) - len(part) :]}"

    return first.sub(plus_one, text, count=1)

"""A day's rows in the lake, of whatever kind: one immutable file, written once, read verified.

Belongs here: keys of day files, writing, reading and superseding them. Does not: what the rows are (tick_days.py,
trade_days.py), parts of a day that is still being streamed (parts.py).

Key: `{root}/{SYMBOL}/{YYYY}/{MM}/{DD}/{exchange}-{hash}.parquet`, where `hash` is the first 16 hex digits of the rows'
content hash, and `…-{hash}-{condition}.parquet` when the day is not `available`. So the same rows found again change
nothing, while the same rows with another condition (a day once `pending`, now complete) are another file, and each file
states its condition truly for ever. Everything else in a description (raw inputs, run, code version) is what the first
writer of that name knew. An empty day has no file; only the manifest knows its condition.

The newest file of an exchange's day is its current one: this is what a rebuild of lost manifests goes by, and `write`
keeps it true even when an exchange goes back to rows it had sent before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Generic

import structlog

from market_platform.domain.clock import Clock, day_start_ms, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, CorruptObjectError
from market_platform.domain.intervals import DAY_MS
from market_platform.lake.row_file import R, RowFile, Summary
from market_platform.lake.row_groups import RowGroups
from market_platform.lake.store import Lake, ObjectInfo

log = structlog.get_logger(__name__)

_KEY = re.compile(
    r"(?P<root>[^/]+)/(?P<symbol>[^/]+)/(?P<year>\d{4})/(?P<month>\d{2})/(?P<day>\d{2})/"
    r"(?P<exchange>[^/]+?)-(?P<hash>[0-9a-f]{16})(?:-(?P<condition>[a-z]+))?\.parquet"
)


@dataclass(frozen=True, slots=True)
class DayFile:
    """A day's file as it is in the lake; `first_ms` and `last_ms` are the times of its first and last row."""

    object_key: str
    content_hash: str
    rows: int
    bytes: int
    first_ms: int | None
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class DayKey:
    """What a day file's key says."""

    exchange: str
    symbol: str
    day: date
    hash_prefix: str
    condition: str


@dataclass(frozen=True, slots=True)
class DayFiles(Generic[R]):
    """The day files of one kind of rows. `root` is the lake's folder, the manifests' kind and the noun in messages.

    `disorder` says in words what is wrong with the order of a day's rows, or which come twice; it is given the day in
    pieces, which it may go through again.
    """

    root: str
    file: RowFile[R]
    disorder: Callable[[Iterable[R]], str | None]

    def folder(self, symbol: str, day: date) -> str:
        """Where a symbol's day lives, without a slash at the end."""
        return f"{self.root}/{symbol}/{day:%Y/%m/%d}"

    def key(self, exchange: str, symbol: str, day: date, content_hash: str, condition: str) -> str:
        """The object key of a day's file; see the module."""
        suffix = "" if condition == Condition.AVAILABLE else f"-{condition}"
        return f"{self.folder(symbol, day)}/{exchange}-{content_hash[:16]}{suffix}.parquet"

    def parse(self, key: str) -> DayKey | None:
        """What a key says, or None when it is not that of a day file of this kind."""
        found = _KEY.fullmatch(key)
        if not found or found["root"] != self.root:
            return None
        try:
            day = date(int(found["year"]), int(found["month"]), int(found["day"]))
        except ValueError:
            return None
        condition = found["condition"] or Condition.AVAILABLE.value
        return DayKey(found["exchange"], found["symbol"], day, found["hash"], condition)

    def write(
        self, lake: Lake, exchange: str, symbol: str, day: date, rows: R, description: Mapping[str, str]
    ) -> DayFile:
        """Put a day's rows into the lake, durably; doing it again changes nothing.

        `description` may hold `condition` (default `available`), `raw_inputs` (compact JSON), `code_version`, `run_id` and
        whatever else is worth knowing of the file.

        Raises:
            BadPayloadError: no rows, rows out of order, or rows of another day.
            LakeError: they could not be written.
        """
        return self.write_pieces(lake, exchange, symbol, day, [rows], self.file.summary(rows), description)

    def write_pieces(
        self,
        lake: Lake,
        exchange: str,
        symbol: str,
        day: date,
        pieces: Iterable[R],
        summary: Summary,
        description: Mapping[str, str],
    ) -> DayFile:
        """As `write`, of rows in pieces (see `RowFile.encode_pieces`): of a large day only the file's bytes are ever held whole."""
        self._check(exchange, symbol, day, summary)
        condition = Condition(description.get("condition", Condition.AVAILABLE))
        named = {"exchange": exchange, "symbol": symbol, "day": day.isoformat(), "condition": condition.value}
        in_order = self._in_order(f"{exchange}/{symbol} {day}", pieces)
        data = self.file.encode_pieces(in_order, summary, {**description, **named})
        key = self.key(exchange, symbol, day, summary.content_hash, condition)
        size = len(data)
        if not lake.put_new(key, data):
            size = self._keep_existing(lake, key, data, summary.content_hash)
        return DayFile(key, summary.content_hash, summary.rows, size, summary.first_ms, summary.last_ms)

    def read(self, lake: Lake, object_key: str, expect_hash: str | None) -> R:
        """All rows of a file, proved to be those it was written with; columns are read-only.

        `expect_hash` is the manifest's content hash; None compares with the file's own description only.

        Raises:
            CorruptObjectError: the object is missing, damaged, or holds other rows than expected.
            LakeUnavailableError: the lake does not answer.
        """
        return self.verified(lake.get(object_key), f"lake object {object_key}", expect_hash)

    def verified(self, data: bytes, what: str, expect_hash: str | None) -> R:
        """The rows of a file's bytes after comparing their hash; see `read`."""
        expected = expect_hash or self.file.describe(data, what).get("content_hash", "")
        rows = self.file.decode(data, what)
        found = rows.content_hash()
        if found != expected:
            raise self.mismatch(what, found, expected, "its manifest" if expect_hash else "its own description")
        return rows

    def check_hash(self, data: bytes, what: str, expect_hash: str) -> None:
        """Prove that a file's bytes hold the rows of a content hash, without decoding them all at once; see `read`."""
        found = RowGroups(self.file, data, what).content_hash()
        if found != expect_hash:
            raise self.mismatch(what, found, expect_hash, "its manifest")

    def mismatch(self, what: str, found: str, expected: str, who: str) -> CorruptObjectError:
        """The error for a file that holds other rows than `who` says, by their hashes."""
        return CorruptObjectError(
            f"{what} holds {self.root} with the hash {found[:16]}…, {who} says {expected[:16]}…; materialise the day again"
        )

    def files(self, lake: Lake, exchange: str, symbol: str, day: date) -> list[ObjectInfo]:
        """The files of an exchange's day, the newest (the current one) last."""
        found = []
        for info in lake.list(self.folder(symbol, day)):
            parsed = self.parse(info.key)
            if parsed is not None and parsed.exchange == exchange:
                found.append(info)
        return sorted(found, key=lambda info: (info.last_modified, info.key))

    def remove_superseded(
        self,
        lake: Lake,
        exchange: str,
        symbol: str,
        day: date,
        keep: Collection[str],
        older_than: timedelta,
        clock: Clock = utc_now,
    ) -> list[str]:
        """Delete the day's files that no manifest names, and what killed writers left; returns the keys removed.

        `keep` are the keys that manifests name. Nothing goes that was written within `older_than` (a writer may be about to
        commit it), and nothing at all unless a file of `keep` is there: without a successor nothing is superseded.

        Raises:
            LakeError: the lake does not answer or refuses.
        """
        before = clock() - older_than
        files = self.files(lake, exchange, symbol, day)
        removed = lake.remove_leftovers(self.folder(symbol, day), before)
        if not any(info.key in keep for info in files):
            return removed
        for info in files:
            if info.key not in keep and info.last_modified < before:
                lake.delete(info.key)
                removed.append(info.key)
        return removed

    def _keep_existing(self, lake: Lake, key: str, data: bytes, content_hash: str) -> int:
        """Make sure that the file already there is whole and the newest of its day; returns its size."""
        there = lake.get(key)
        if there != data:
            try:
                self.check_hash(there, f"lake object {key}", content_hash)
            except CorruptObjectError as error:
                log.warning("lake_object_replaced", key=key, reason=str(error))
                lake.replace(key, data)
                return len(data)
        parsed = self.parse(key)
        if parsed is not None and self.files(lake, parsed.exchange, parsed.symbol, parsed.day)[-1].key != key:
            lake.replace(key, there)
        return len(there)

    def _check(self, exchange: str, symbol: str, day: date, summary: Summary) -> None:
        where = f"{exchange}/{symbol} {day}"
        if not summary.rows:
            raise BadPayloadError(f"{where}: no {self.root} to write; an empty day has no file")
        start = day_start_ms(day)
        if summary.first_ms < start or summary.last_ms >= start + DAY_MS:
            raise BadPayloadError(
                f"{where}: {self.root} from {summary.first_ms} to {summary.last_ms} ms are not all of that day"
            )

    def _in_order(self, where: str, pieces: Iterable[R]) -> Iterator[R]:
        last = None
        for rows in pieces:
            if (rows.time[1:] < rows.time[:-1]).any() or (last is not None and int(rows.time[0]) < last):
                raise BadPayloadError(f"{where}: {self.root} are not sorted by time")
            last = int(rows.time[-1])
            yield rows

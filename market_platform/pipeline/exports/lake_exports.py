"""Exports in the lake: the files of a day or month of all pairs, written where they differ.

A file keeps its name when its day changes, so that a folder never holds a day twice: it is replaced whole, then its JSON. Who
reads between the two sees a JSON whose `sha256` is not that of the file; `export verify` says so, and the next run mends what a
killed one left. Belongs here: that. Does not: what a file is called (lake_layout.py), what is in it (export.py), those that may
not be there any more (lake_prune.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

from market_platform.domain.databases import Database
from market_platform.domain.errors import MarketPlatformError, is_retryable
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.lake.store import Lake
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.export import export
from market_platform.pipeline.exports.lake_layout import FILE, file_key, folder_name, sidecar_key
from market_platform.pipeline.exports.licence import PRIVATE
from market_platform.pipeline.exports.request import Dataset, ExportRequest, ExportState, Numbers, Span
from market_platform.pipeline.exports.sidecar import encode_document
from market_platform.pipeline.exports.workplace import workplace
from market_platform.pipeline.platform import Platform


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One file of a partition. `changed` says whether it was written or was there already, byte for byte."""

    key: str
    rows: int
    bytes: int
    sha256: str
    state: ExportState
    changed: bool


@dataclass(frozen=True, slots=True)
class PartitionExport:
    """All files of one partition.

    `left_out` names pairs whose data may not be passed on, `unknown` counts what was never fetched, streamed or built for these
    days and therefore has no file. (What was, and has no rows, has a file that says why.)
    """

    start: date
    folder: str
    files: tuple[LakeFile, ...]
    left_out: tuple[str, ...]
    unknown: int = 0

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(each.rows for each in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(each.bytes for each in self.files)

    @property
    def data_version(self) -> str:
        """Changes when a file does."""
        told = "\n".join(f"{each.key} {each.sha256}" for each in self.files)
        return hashlib.sha256(told.encode()).hexdigest()


def export_partition(
    platform: Platform,
    dataset: Dataset,
    pairs: Sequence[TradingPair],
    start: date,
    span: Span,
    *,
    numbers: Numbers = "decimal",
    database: Database = "realtime",
) -> PartitionExport:
    """Write the files of one day or month (its first day is `start`) of every pair that may be passed on.

    Files that are there already with the same JSON are left as they are.

    Raises:
        ExportError: after all files were tried, naming those that failed; the others are written.
        WarehouseUnavailableError, LakeUnavailableError: a retry helps.
    """
    name = folder_name(dataset, start, span, numbers)
    public = [pair for pair in pairs if pair.licence != PRIVATE]
    files: list[LakeFile] = []
    unknown = 0
    failures: list[str] = []
    with workplace() as folder:
        for pair, interval in _wanted(dataset, public, span):
            request = ExportRequest(
                dataset=dataset,
                exchange=pair.exchange,
                coin=pair.coin,
                quote=pair.quote,
                market_type=pair.market_type,
                start=_midnight(start),
                end=_midnight(_after(start, span)),
                interval=interval,
                numbers=numbers,
                database=database,
            )
            key = file_key(name, pair.exchange, pair.symbol, interval)
            try:
                made = _put(platform, request, folder / FILE, key)
                if made is None:
                    unknown += 1
                else:
                    files.append(made)
            except MarketPlatformError as error:
                if is_retryable(error):
                    raise
                failures.append(f"  {request.name}: {error}")
    if failures:
        told = "\n".join(failures[:5]) + (f"\n  … and {len(failures) - 5} more" if len(failures) > 5 else "")
        raise ExportError(f"{name}: {len(failures)} files failed, {len(files)} are written:\n{told}")
    left_out = tuple(sorted({pair.name for pair in pairs} - {pair.name for pair in public}))
    return PartitionExport(start, name, tuple(files), left_out, unknown)


def has_pairs(dataset: Dataset, pair: TradingPair) -> bool:
    """Whether the data set has anything to do with the pair: funding and open interest are of perpetuals."""
    return dataset.has_interval or pair.market_type == "perps"


def _wanted(dataset: Dataset, pairs: Sequence[TradingPair], span: Span) -> list[tuple[TradingPair, Interval | None]]:
    """Every file of a partition: a day has no candles longer than itself."""
    made: list[tuple[TradingPair, Interval | None]] = []
    for pair in pairs:
        if not has_pairs(dataset, pair):
            continue
        if dataset.has_interval:
            made += [(pair, each) for each in pair.intervals if span == "month" or each.is_intraday]
        else:
            made.append((pair, None))
    return made


def _put(platform: Platform, request: ExportRequest, path: Path, key: str) -> LakeFile | None:
    """The file, written or found as it must be; None when nothing is known of these days and nothing was."""
    result = export(platform.warehouse, request, path, overwrite=True)
    if not result.rows and set(result.conditions) <= {"unknown"} and not platform.lake.exists(key):
        return None
    document = encode_document(result.document)
    changed = not _is_there(platform.lake, key, document, result.sha256)
    if changed:
        platform.lake.replace(key, path.read_bytes())
        platform.lake.replace(sidecar_key(key), document)
    return LakeFile(key, result.rows, result.bytes, result.sha256, result.state, changed)


def _is_there(lake: Lake, key: str, document: bytes, sha256: str) -> bool:
    """Whether the file's JSON says the same, and the file is that of the JSON."""
    if not (lake.exists(key) and lake.exists(sidecar_key(key))):
        return False
    if lake.get(sidecar_key(key)) != document:
        return False
    return hashlib.sha256(lake.get(key)).hexdigest() == sha256


def _after(start: date, span: Span) -> date:
    if span == "day":
        return date.fromordinal(start.toordinal() + 1)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)

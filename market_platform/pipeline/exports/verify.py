"""A file against the JSON beside it: is it what was exported?

Belongs here: hash, size, rows, columns and span. Does not: the database (reproduce.py asks it).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from market_platform.domain.errors import BadRequestError
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.request import iso, request_from_json
from market_platform.pipeline.exports.sidecar import read_document
from market_platform.pipeline.exports.writing import hash_of


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check found: the file that was looked at, and each difference in words; none when it is what its JSON says."""

    path: Path
    rows: int
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Contents:
    rows: int
    columns: list[tuple[str, str]]
    first: str | None
    last: str | None


def verify_export(sidecar: Path, path: Path | None = None) -> Verified:
    """Compare a file (the one beside the JSON unless told) with its JSON: size, hash, rows, columns and span.

    Raises:
        ExportError: the JSON is none of an export, or the file is not there.
    """
    document = read_document(sidecar)
    found = path or sidecar.with_name(document["file"])
    if not found.is_file():
        raise ExportError(
            f"{found} is not there; {sidecar} describes it, so it was moved or its export was interrupted"
        )
    differences = []
    size = found.stat().st_size
    if size != document["bytes"]:
        differences.append(f"bytes: {document['bytes']:,} in the JSON, {size:,} in the file")
    sha256 = hash_of(found)
    if sha256 != document["sha256"]:
        differences.append(f"sha256: {document['sha256']} in the JSON, {sha256} of the file")
    differences += _content_differences(document, found)
    return Verified(found, document["rows"], tuple(differences))


def _content_differences(document: Mapping[str, Any], path: Path) -> list[str]:
    try:
        file_format = request_from_json(document["request"]).format
    except (KeyError, TypeError, ValueError, BadRequestError) as error:
        return [f"request: the JSON's own is not one: {error}"]
    try:
        contents = _parquet_contents(path) if file_format == "parquet" else _csv_contents(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        return [f"contents: the file can't be read as {file_format}: {error}"]
    told = {
        "rows": (document["rows"], contents.rows),
        "first row": (document["span"]["first"], contents.first),
        "last row": (document["span"]["last"], contents.last),
    }
    differences = [
        f"{what}: {said} in the JSON, {is_} in the file" for what, (said, is_) in told.items() if said != is_
    ]
    columns = [(column["name"], column["type"] if file_format == "parquet" else "") for column in document["columns"]]
    if columns != contents.columns:
        differences.append(f"columns: {_shown(columns)} in the JSON, {_shown(contents.columns)} in the file")
    return differences


def _parquet_contents(path: Path) -> _Contents:
    """Rows and columns by the footer; first and last time by the rows, each page compared with its checksum."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        rows, first, last = 0, None, None
        for batch in file.iter_batches(batch_size=65_536, use_threads=False):
            if batch.num_rows:
                times = batch.column("time")
                first = first or iso(times[0].as_py())
                last = iso(times[-1].as_py())
                rows += batch.num_rows
        return _Contents(rows, [(field.name, str(field.type)) for field in file.schema_arrow], first, last)


def _csv_contents(path: Path) -> _Contents:
    rows, first, last = 0, None, None
    with path.open("rb") as file:
        names = next(csv.reader([file.readline().decode()]), [])
        if file.read(1):
            file.seek(0)
            options = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
            for batch in pa_csv.open_csv(file, convert_options=options):
                if batch.num_rows:
                    first = first or batch.column(0)[0].as_py()
                    last = batch.column(0)[-1].as_py()
                    rows += batch.num_rows
    return _Contents(rows, [(name, "") for name in names], first, last)


def _shown(columns: list[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {kind}".rstrip() for name, kind in columns)

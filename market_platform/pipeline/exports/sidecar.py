"""The JSON beside an export: what is in the file, what it was made of, and how to make it again.

Belongs here: its shape, writing and reading it. Does not: comparing (verify.py, reproduce.py).

Neither when nor where a file was made is in it: the same data gives the same JSON.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from market_platform.pipeline.exports.columns import SCHEMA_VERSION, Column, rounding_of
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.inputs import InputDays
from market_platform.pipeline.exports.licence import licence_terms
from market_platform.pipeline.exports.request import EXPORT_VERSION, Dataset, ExportRequest, ExportState, iso
from market_platform.warehouse.reference import PairRow

_LIBRARIES = ("polars", "pyarrow", "numpy")
_NEEDED = {
    "schema_version",
    "file",
    "sha256",
    "bytes",
    "rows",
    "span",
    "request",
    "pair",
    "columns",
    "inputs",
    "feature_version",
}
_KNOWN_AT = {
    Dataset.FUNDING: "time + 1 minute",
    Dataset.OPEN_INTEREST: "time + 1 minute",
}


def sidecar_path(path: Path) -> Path:
    """Where the JSON of a file is: `….parquet.json`."""
    return path.with_name(path.name + ".json")


def file_metadata(request: ExportRequest, pair: PairRow, feature_version: int | None) -> dict[str, str]:
    """What a Parquet file says of itself."""
    known = {
        "dataset": str(request.dataset),
        "exchange": pair.exchange,
        "symbol": pair.symbol,
        "trading_pair": f"{pair.coin}/{pair.quote}",
        "market_type": pair.market_type,
        "start": iso(request.start),
        "end": iso(request.end),
        "numbers": request.numbers,
        "rounding": rounding_of(request.numbers),
        "known_at": _KNOWN_AT.get(request.dataset, "time + interval"),
        "licence": pair.licence,
        "schema_version": SCHEMA_VERSION,
        "code_version": EXPORT_VERSION,
    }
    if request.interval is not None:
        known["interval"] = request.interval.name
    if feature_version is not None:
        known["feature_version"] = str(feature_version)
    return known


def make_document(
    request: ExportRequest,
    pair: PairRow,
    columns: Sequence[Column],
    inputs: Sequence[InputDays],
    *,
    path: Path,
    state: ExportState,
    state_reason: str,
    rows: int,
    size: int,
    sha256: str,
    first: datetime | None,
    last: datetime | None,
    database_role: str | None,
    feature_version: int | None,
) -> dict[str, Any]:
    """The JSON's content."""
    return {
        "schema_version": SCHEMA_VERSION,
        "file": path.name,
        "sha256": sha256,
        "bytes": size,
        "state": str(state),
        "state_reason": state_reason,
        "rows": rows,
        "span": {
            "start": iso(request.start),
            "end": iso(request.end),
            "first": None if first is None else iso(first),
            "last": None if last is None else iso(last),
        },
        "request": request.as_json(),
        "pair": {
            "exchange": pair.exchange,
            "symbol": pair.symbol,
            "trading_pair": f"{pair.coin}/{pair.quote}",
            "market_type": pair.market_type,
        },
        "licence": licence_terms(pair.licence, include_private=request.include_private),
        "database_role": database_role,
        "feature_version": feature_version,
        "rounding": rounding_of(request.numbers),
        "known_at": _KNOWN_AT.get(request.dataset, "time + interval"),
        "columns": [column.as_json() for column in columns],
        "inputs": [each.as_json() for each in inputs],
        "code_version": EXPORT_VERSION,
        "platform_version": _installed("market-platform"),
        "libraries": {name: _installed(name) for name in _LIBRARIES},
    }


@lru_cache
def _installed(name: str) -> str:
    """The version of an installed package."""
    return importlib.metadata.version(name)


def encode_document(document: Mapping[str, Any]) -> bytes:
    """The JSON as bytes, for people too."""
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def read_document(path: Path) -> dict[str, Any]:
    """The JSON of an export.

    Raises:
        ExportError: there is none, or it is something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path} can't be read: {error.strerror}") from None
    return parse_document(content, str(path))


def parse_document(content: bytes, name: str) -> dict[str, Any]:
    """The same from its bytes; `name` is for messages.

    Raises:
        ExportError: it is something else.
    """
    try:
        document = json.loads(content)
    except ValueError:
        raise ExportError(
            f"{name} is not the JSON of an export: it is no JSON at all; give the file that ends in .json"
        ) from None
    if not isinstance(document, dict) or not document.keys() >= _NEEDED:
        raise ExportError(f"{name} is not the JSON of an export")
    if document["schema_version"] != SCHEMA_VERSION:
        raise ExportError(
            f"{name} has schema version {document['schema_version']}, this program reads {SCHEMA_VERSION}: update the program"
        )
    return document

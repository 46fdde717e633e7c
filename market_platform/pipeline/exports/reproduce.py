"""A file made again from its JSON, and what explains a difference: days that changed since, other code, other libraries.

Belongs here: comparing two exports of one request. Does not: making them (export.py), checking a file (verify.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from market_platform.domain.errors import BadRequestError
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.export import export
from market_platform.pipeline.exports.request import ExportRequest, ExportResult, OnProgress, request_from_json
from market_platform.pipeline.exports.sidecar import read_document
from market_platform.pipeline.exports.workplace import workplace
from market_platform.warehouse.engine import Warehouse

_NONE = "none"


@dataclass(frozen=True, slots=True)
class ChangedDay:
    """An input day that is another one now; `was` and `now` are its versions, `none` where it has no rows."""

    series: str
    day: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How an export made again compares with what its JSON says. `other` are differences that are not of days, in words."""

    identical: bool
    result: ExportResult
    changed_days: tuple[ChangedDay, ...]
    other: tuple[str, ...]


def load_request(sidecar: Path) -> ExportRequest:
    """The request that an export's JSON holds.

    Raises:
        ExportError: it holds none.
    """
    document = read_document(sidecar)
    try:
        request = request_from_json(document["request"])
    except (KeyError, TypeError, ValueError, BadRequestError) as error:
        raise ExportError(f"{sidecar} holds no request that can be made again: {error}") from None
    return replace(request, feature_version=document["feature_version"])


def reproduce_export(
    warehouse: Warehouse,
    sidecar: Path,
    output: Path | None = None,
    *,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> Reproduction:
    """Make the export again, into `output` or into a folder that goes afterwards, and compare.

    Raises:
        ExportError: the JSON is none of an export, or `output` can't be written.
        BadRequestError, WarehouseError: as `export`.
    """
    before = read_document(sidecar)
    request = load_request(sidecar)
    if output is not None:
        result = export(warehouse, request, output, overwrite=overwrite, on_progress=on_progress)
    else:
        with workplace() as folder:
            result = export(warehouse, request, folder / before["file"], on_progress=on_progress)
    after = result.document
    return Reproduction(
        result.sha256 == before["sha256"], result, changed_days(before, after), _other_differences(before, after)
    )


def changed_days(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[ChangedDay, ...]:
    """The input days whose versions differ between two exports' JSON, by series and day."""
    was, now = _versions(before), _versions(after)
    return tuple(
        ChangedDay(series, day, was.get((series, day), _NONE), now.get((series, day), _NONE))
        for series, day in sorted(was.keys() | now.keys())
        if was.get((series, day)) != now.get((series, day))
    )


def _versions(document: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    return {(each["series"], day): version for each in document["inputs"] for day, version in each["days"].items()}


def _other_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """What is not of the data: versions of code and libraries, the database, the columns."""
    told = {
        "code": (before.get("code_version"), after["code_version"]),
        **{
            name: (before.get("libraries", {}).get(name), version)
            for name, version in sorted(after["libraries"].items())
        },
        "database role": (before.get("database_role"), after["database_role"]),
        "licence": (before.get("licence", {}).get("licence"), after["licence"]["licence"]),
        "columns": (
            [column["name"] for column in before.get("columns", [])],
            [column["name"] for column in after["columns"]],
        ),
        "rows": (before.get("rows"), after["rows"]),
    }
    return tuple(f"{what}: {was} → {now}" for what, (was, now) in told.items() if was != now)

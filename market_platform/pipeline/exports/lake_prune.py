"""Exports in the lake that may not be passed on any more: found, said and deleted.

A file stays when its exchange becomes private later. What the database says of its pair now decides, and only what is an export
of that pair by its JSON and its hash is deleted. Belongs here: that. Does not: writing exports (lake_exports.py), what is private
(licence.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from market_platform.lake.store import Lake
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.lake_layout import ROOT, Place, place_of, sidecar_key, sidecar_owner
from market_platform.pipeline.exports.licence import PRIVATE
from market_platform.pipeline.exports.sidecar import parse_document
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import load_pairs

_REQUESTS_IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file (or a JSON without its file) of a pair that is private now, or one that nobody can judge.

    `pair` is the private one, else empty. `problem` says why the file is not deleted; empty: it may go.
    """

    key: str
    bytes: int
    pair: str = ""
    problem: str = ""
    deleted: bool = False


def prune_private(warehouse: Warehouse, lake: Lake, *, delete: bool) -> Iterator[StoredFile]:
    """Every file below `exports/` that is private now, deleted where asked, and every one that can't be judged, by key.

    A file goes before its JSON: killed between the two, the next call finds the JSON.

    Raises:
        WarehouseError, LakeError: one of them does not answer. Doing it again does the rest.
    """
    found = find_private(warehouse, lake, ROOT)
    with ThreadPoolExecutor(_REQUESTS_IN_FLIGHT, thread_name_prefix="export-prune") as pool:
        yield from pool.map(lambda file: _judged(lake, file, delete=delete), found)


def find_private(warehouse: Warehouse, lake: Lake, folder: str) -> list[StoredFile]:
    """The same of a folder by its keys alone: nothing is read and nothing deleted.

    Raises:
        WarehouseError, LakeError: one of them does not answer.
    """
    licences = _licences(warehouse)
    sizes = {info.key: info.size for info in lake.list(folder)}
    found = (_found(key, sizes, licences) for key in sizes)
    return [each for each in found if each is not None]


def private_notice(warehouse: Warehouse, lake: Lake, folder: str) -> str | None:
    """What a person must know of a folder in which files of private exchanges lie; None when there are none.

    Raises:
        WarehouseError, LakeError: one of them does not answer.
    """
    if PRIVATE not in _licences(warehouse).values():
        return None
    private = [each for each in find_private(warehouse, lake, folder) if each.pair]
    if not private:
        return None
    exchanges = ", ".join(sorted({each.pair.partition("/")[0] for each in private}))
    return (
        f"{folder} still has {len(private)} files of {exchanges}, which may not be passed on any more; `market-platform export prune` "
        "lists them, and deletes them with --yes"
    )


def _licences(warehouse: Warehouse) -> dict[tuple[str, str], str]:
    with warehouse.connect() as connection:
        return {(pair.exchange, pair.symbol): pair.licence for pair in load_pairs(connection)}


def _found(key: str, sizes: Mapping[str, int], licences: Mapping[tuple[str, str], str]) -> StoredFile | None:
    """What a key is; None where there is nothing to say of it."""
    place = place_of(key)
    if place is None:
        return StoredFile(key, sizes[key], problem="it is no file of an export")
    if place.is_sidecar and sidecar_owner(key) in sizes:
        return None
    name, licence = f"{place.exchange}/{place.symbol}", licences.get((place.exchange, place.symbol))
    if licence is None:
        return StoredFile(key, sizes[key], problem=f"the database does not know {name}")
    lonely = not place.is_sidecar and sidecar_key(key) not in sizes
    if licence != PRIVATE and not lonely:
        return None
    return StoredFile(key, sizes[key], name if licence == PRIVATE else "", "its JSON is missing" if lonely else "")


def _judged(lake: Lake, file: StoredFile, *, delete: bool) -> StoredFile:
    """With the reason to keep it, or deleted."""
    place = place_of(file.key)
    if file.problem or place is None:
        return file
    if not place.is_sidecar:
        problem = _problem(lake, file.key, place)
        if problem:
            return replace(file, problem=problem)
    if not delete:
        return file
    lake.delete(file.key)
    if not place.is_sidecar:
        lake.delete(sidecar_key(file.key))
    return replace(file, deleted=True)


def _problem(lake: Lake, key: str, place: Place) -> str:
    """Why it can't be said that a file is an export of the pair that its key names."""
    beside = sidecar_key(key)
    try:
        document = parse_document(lake.get(beside), beside)
    except ExportError as error:
        return str(error)
    pair = document["pair"]
    if (pair.get("exchange"), pair.get("symbol")) != (place.exchange, place.symbol):
        return f"its JSON is of {pair.get('exchange')}/{pair.get('symbol')}"
    if hashlib.sha256(lake.get(key)).hexdigest() != document["sha256"]:
        return "it is not the file of its JSON: the sha256 differs"
    return ""

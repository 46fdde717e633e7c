"""Whether files are in `market_ticks` already: known by their content, whatever they are called now.

Belongs here: a file's hash, and refusing what would be there twice. Does not: what files hold (tick_files.py), loading them
(bulk_load.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import psycopg

from market_platform.domain.errors import BadRequestError
from market_platform.warehouse.loaded_files import LoadedFile, loaded_files

_SHOWN = 10


def file_hash(path: Path) -> str:
    """SHA-256, hex, of a file's bytes.

    Raises:
        BadRequestError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadRequestError(f"{path}: {error.strerror or error}") from None


def refuse_loaded(connection: psycopg.Connection[Any], pair_id: int, pair: str, files: Sequence[Path]) -> None:
    """Refuse files whose content is in the table by a load of the pair, and two of the same content.

    Raises:
        BadRequestError: some are; each is named with the load that brought it, and so is what to do.
    """
    hashes = {path: file_hash(path) for path in files}
    known: Mapping[str, LoadedFile] = {
        each.sha256: each for each in loaded_files(connection, pair_id, set(hashes.values()))
    }
    first: dict[str, Path] = {}
    found = []
    for path, sha256 in hashes.items():
        if sha256 in known:
            found.append(f"{path}: loaded already, {_named(known[sha256], path)}")
        elif first.setdefault(sha256, path) != path:
            found.append(f"{path}: the same content as {first[sha256]}")
    if found:
        more = [f"… and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        raise BadRequestError(
            "\n".join([*found[:_SHOWN], *more])
            + f"\nwhat is named would be in market_ticks twice for {pair}; leave it out, or load it once more on purpose with --again"
        )


def _named(file: LoadedFile, path: Path) -> str:
    called = "" if file.path == str(path) else f" as {file.path}"
    return f"{file.rows:,} rows{called} by load {file.load_id} of {file.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

"""Files that loads brought into `market_ticks`, found by their content.

Belongs here: reading what `bulk_loads` records of files. Does not: recording it (bulk_loads.py), what follows (pipeline/).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

_LOADED = """
SELECT id, file ->> 'path', file ->> 'sha256', (file ->> 'rows')::bigint, started_at
FROM bulk_loads CROSS JOIN LATERAL jsonb_array_elements(progress -> 'files') AS file
WHERE table_name = 'market_ticks' AND state <> 'rolled_back' AND NOT coalesce((progress ->> 'rolling_back')::boolean, false)
    AND (progress ->> 'pair_id')::integer = %s AND file ->> 'sha256' = ANY(%s) AND file ? 'rows'
ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file that an earlier load brought in, and did not take back."""

    load_id: int
    path: str
    sha256: str
    rows: int
    started_at: datetime


def loaded_files(connection: psycopg.Connection[Any], pair_id: int, hashes: Iterable[str]) -> list[LoadedFile]:
    """The files of these contents that are in the table by earlier loads of the pair, and by one that is not over."""
    return [LoadedFile(*row) for row in connection.execute(_LOADED, (pair_id, list(hashes)))]

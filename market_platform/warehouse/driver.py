"""From SQLAlchemy's connection to psycopg's, for what only the driver can do: COPY, arrays, savepoints.

Belongs here: getting at the driver inside the caller's transaction, and COPY in and out. Does not: statements.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, cast

import polars as pl
import psycopg
from sqlalchemy import Connection

Parameters = Sequence[Any] | Mapping[str, Any]


def driver_connection(conn: Connection) -> psycopg.Connection[Any]:
    """The psycopg connection below; what is done with it is part of `conn`'s transaction."""
    return cast("psycopg.Connection[Any]", conn.connection.driver_connection)


def copy_in(cursor: psycopg.Cursor[Any], target: str, frame: pl.DataFrame) -> None:
    """COPY a frame's columns, which must be named as the table's, into `target` (a table name of ours)."""
    text = io.BytesIO()
    frame.write_csv(text, include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.3f+00")
    columns = ", ".join(f'"{name}"' for name in frame.columns)
    with cursor.copy(f"COPY {target} ({columns}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(text.getbuffer())


def copy_out(cursor: psycopg.Cursor[Any], query: str, parameters: Parameters, schema: pl.Schema) -> pl.DataFrame:
    """The rows of a SELECT as a frame of `schema`, exact; times must be selected as integers."""
    text = bytearray()
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)", parameters) as copy:
        for part in copy:
            text += part
    if not text:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(bytes(text), has_header=False, schema=schema)

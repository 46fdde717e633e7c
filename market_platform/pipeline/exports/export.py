"""`export`: a request → a file and its JSON, from one snapshot of the database.

Belongs here: the order of things. Does not: any of the things.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import polars as pl
from sqlalchemy import Connection

from market_platform.domain.clock import from_ms
from market_platform.pipeline.exports.columns import Column, arrow_schema, polars_schema
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.inputs import DayHashes, InputDays, candle_input, context_input, feature_input
from market_platform.pipeline.exports.leakage import check_known_by_close
from market_platform.pipeline.exports.licence import check_licence
from market_platform.pipeline.exports.reading import ReadPlan, find_pair, plan_reading, read_months
from market_platform.pipeline.exports.request import (
    Dataset,
    ExportProgress,
    ExportRequest,
    ExportResult,
    ExportState,
    OnProgress,
)
from market_platform.pipeline.exports.sidecar import encode_document, file_metadata, make_document, sidecar_path
from market_platform.pipeline.exports.writing import RowWriter, hash_of, open_partial, open_writer
from market_platform.warehouse.database_role import load_role
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.export_queries import FUNDING_VALUES, INTEREST_VALUES, ContextTable, open_snapshot
from market_platform.warehouse.reference import PairRow, load_pairs

_Hashed = ContextTable | Literal["features"]
_JOINED_VALUES = {"funding_rates": FUNDING_VALUES, "open_interest": INTEREST_VALUES}
_TABLES: dict[Dataset, ContextTable] = {Dataset.FUNDING: "funding_rates", Dataset.OPEN_INTEREST: "open_interest"}


@dataclass(slots=True)
class _Written:
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    hashes: dict[_Hashed, DayHashes] = field(default_factory=dict)


def export(
    warehouse: Warehouse,
    request: ExportRequest,
    path: Path,
    *,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> ExportResult:
    """Write the request's rows to `path` and what they are to `path`.json; both appear whole or not at all.

    Everything is read from one snapshot: rows, days and versions are of the same moment, whoever writes meanwhile. Memory does
    not grow with the span. No rows is a state (`ExportState.EMPTY`), not an error.

    Raises:
        BadRequestError: the pair or the interval is not in the database, or the data may not be passed on (`private_data`).
        ExportError: the file exists, can't be written, or a number has no place in it.
        LeakageError: a row would hold what was not known at its close.
        WarehouseError: Postgres does not answer, or lacks migrations.
    """
    if path.exists() and not overwrite:
        raise ExportError(f"{path} exists; --overwrite replaces it, or choose another place")
    with open_snapshot(warehouse) as conn:
        pair = find_pair(load_pairs(conn), request)
        check_licence(pair.name, pair.licence, include_private=request.include_private)
        plan = plan_reading(conn, request, pair)
        with open_partial(path) as partial:
            metadata = file_metadata(request, pair, plan.source.feature_version)
            with open_writer(partial.file, request.format, arrow_schema(plan.columns, metadata)) as writer:
                written = _write_rows(conn, request, plan, writer, on_progress)
            state = ExportState.FILLED if written.rows else ExportState.EMPTY
            reason = "" if written.rows else _why_empty(request)
            inputs = _inputs(conn, request, pair, plan, written)
            role = load_role(conn)
            document = make_document(
                request,
                pair,
                plan.columns,
                inputs,
                path=path,
                state=state,
                state_reason=reason,
                rows=written.rows,
                size=partial.beside.stat().st_size,
                sha256=hash_of(partial.beside),
                first=written.first,
                last=written.last,
                database_role=role.role if role else None,
                feature_version=plan.source.feature_version,
            )
            with open_partial(sidecar_path(path)) as sidecar:
                sidecar.file.write(encode_document(document))
                sidecar.put_in_place()
            partial.put_in_place()
    return ExportResult(
        path=path,
        sidecar=sidecar_path(path),
        state=state,
        state_reason=reason,
        rows=written.rows,
        bytes=document["bytes"],
        sha256=document["sha256"],
        first=written.first,
        last=written.last,
        conditions=inputs[0].conditions,
        document=document,
    )


def _write_rows(
    conn: Connection, request: ExportRequest, plan: ReadPlan, writer: RowWriter, on_progress: OnProgress | None
) -> _Written:
    written = _Written(hashes=_day_hashes(request, plan))
    joined = [f"{table}_time" for table in plan.source.joined]
    with closing(
        read_months(conn, request, plan)
    ) as read:  # the reader is done with the connection before anybody else has it
        for until, frame in read:
            if request.interval is not None:
                check_known_by_close(frame, request.interval, joined, request.name)
            for hashes in written.hashes.values():
                hashes.add(frame)
            writer.write(_typed(frame, plan.columns))
            if frame.height:
                written.rows += frame.height
                written.first = written.first or from_ms(frame["time"][0])
                written.last = from_ms(frame["time"][-1])
            if on_progress is not None:
                on_progress(ExportProgress(written.rows, until))
    return written


def _typed(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """The file's columns of a frame as it was read."""
    schema = polars_schema(columns)
    return frame.select(schema.names()).cast(schema)


def _day_hashes(request: ExportRequest, plan: ReadPlan) -> dict[_Hashed, DayHashes]:
    """What is to be hashed, by series."""
    values = [column.name for column in plan.columns if column.name != "time"]
    if request.dataset is Dataset.FEATURES:
        return {"features": DayHashes(values, "time")}
    if request.dataset in _TABLES:
        return {_TABLES[request.dataset]: DayHashes(values, "time")}
    return {table: DayHashes(_JOINED_VALUES[table], f"{table}_time") for table in plan.source.joined}


def _inputs(
    conn: Connection, request: ExportRequest, pair: PairRow, plan: ReadPlan, written: _Written
) -> list[InputDays]:
    """The days of every series that was read, that of the rows first."""
    inputs: list[InputDays] = []
    span = (request.start, request.end)
    if request.interval is not None:
        assert plan.source.starlisting_id is not None
        inputs.append(candle_input(conn, plan.source.starlisting_id, request.interval, *span))
    for series, hashes in written.hashes.items():
        if series == "features":
            inputs.append(feature_input(inputs[0], hashes))
        else:
            inputs.append(context_input(conn, pair.id, series, *span, hashes))
    return inputs


def _why_empty(request: ExportRequest) -> str:
    what = {
        Dataset.CANDLES: "candles",
        Dataset.FUNDING: "funding rates",
        Dataset.OPEN_INTEREST: "open interest",
        Dataset.MERGED: "candles",
        Dataset.FEATURES: "features",
    }[request.dataset]
    return f"no {what} in this span"

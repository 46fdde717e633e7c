"""A span of the database as frames, month by month, while the next month is on its way.

Belongs here: what is read for each data set, text → frames. Does not: SQL, files.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from sqlalchemy import Connection

from market_platform.domain.errors import BadRequestError
from market_platform.pipeline.exports.columns import Column, columns_of
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.request import Dataset, ExportRequest, iso
from market_platform.warehouse.export_queries import (
    ExportSource,
    find_misfit,
    load_feature_kinds,
    load_newest_feature_version,
    read_export_rows,
)
from market_platform.warehouse.reference import PairRow


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """What is read for a request, and the columns of its file."""

    source: ExportSource
    columns: tuple[Column, ...]


class _UnreadableSpanError(Exception):
    """Text of a span that is not what its columns are."""

    def __init__(self, start: datetime, end: datetime, reason: str) -> None:
        super().__init__(reason)
        self.start, self.end = start, end


def find_pair(pairs: Sequence[PairRow], request: ExportRequest) -> PairRow:
    """The pair of a request.

    Raises:
        BadRequestError: the database does not have it; says what it has of the exchange.
    """
    wanted = (request.exchange, request.coin, request.quote, request.market_type)
    for pair in pairs:
        if (pair.exchange, pair.coin, pair.quote, pair.market_type) == wanted:
            return pair
    known = ", ".join(f"{each.coin}/{each.quote} {each.market_type}" for each in pairs if each.exchange == wanted[0])
    raise BadRequestError(
        f"{request.name}: the {request.database} database has no such pair; "
        f"of {request.exchange} it has {known or 'none'}",
        code="symbol_not_found",
    )


def plan_reading(conn: Connection, request: ExportRequest, pair: PairRow) -> ReadPlan:
    """What to read of a pair for a request.

    Raises:
        BadRequestError: the pair has no such interval.
        ExportError: a feature of the span has values that are no numbers.
    """
    starlisting_id = None if request.interval is None else _starlisting(request, pair)
    if request.dataset is Dataset.FEATURES:
        assert starlisting_id is not None
        return _plan_features(conn, request, pair, starlisting_id)
    source = {
        Dataset.CANDLES: ExportSource("candles", pair.id, starlisting_id),
        Dataset.FUNDING: ExportSource("funding_rates", pair.id),
        Dataset.OPEN_INTEREST: ExportSource("open_interest", pair.id),
        Dataset.MERGED: ExportSource("candles", pair.id, starlisting_id, ("funding_rates", "open_interest")),
    }[request.dataset]
    return ReadPlan(source, columns_of(request.dataset, request.numbers, exchange=request.exchange))


def read_months(conn: Connection, request: ExportRequest, plan: ReadPlan) -> Generator[tuple[datetime, pl.DataFrame]]:
    """The rows of each month (or part of one) of the span and where it ends; all times in a frame are in ms.

    Raises:
        ExportError: a number has no place in its column; names the row.
    """
    try:
        yield from _read_ahead(conn, request, plan)
    except _UnreadableSpanError as error:
        misfit = find_misfit(conn, plan.source, error.start, error.end)
        if misfit is None:
            raise ExportError(f"{request.name} {error.start:%Y-%m}: rows could not be read: {error}") from error
        raise ExportError(
            f"{request.name}: {misfit.column} of {iso(misfit.time)} is {misfit.value}, which a decimal of 38 digits with 18 "
            "decimals can't hold; nothing is rounded and no file was written. Correct the row, or export other days"
        ) from None


def months(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """[start, end) cut at the months of UTC."""
    spans = []
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    while start < end:
        after = datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
        spans.append((start, min(after, end)))
        start = after
    return spans


def _read_ahead(conn: Connection, request: ExportRequest, plan: ReadPlan) -> Generator[tuple[datetime, pl.DataFrame]]:
    schema = _text_schema(plan)
    spans = months(request.start, request.end)
    with ThreadPoolExecutor(1, "export-reader") as reader:
        coming = reader.submit(read_export_rows, conn, plan.source, *spans[0])
        for index, (start, end) in enumerate(spans):
            text = coming.result()
            if index + 1 < len(spans):
                coming = reader.submit(read_export_rows, conn, plan.source, *spans[index + 1])
            try:
                frame = (
                    pl.read_csv(text, has_header=False, schema=schema, quote_char=None) if text else schema.to_frame()
                )
            except pl.exceptions.PolarsError as error:
                raise _UnreadableSpanError(start, end, str(error).partition("\n")[0]) from error
            yield end, frame


def _text_schema(plan: ReadPlan) -> pl.Schema:
    """The columns as they come: times as numbers, and behind those of the file the times of what was joined."""
    kinds = {column.name: pl.Int64() if column.kind == "time" else column.polars_type() for column in plan.columns}
    return pl.Schema({name: kinds.get(name, pl.Int64()) for name in plan.source.columns})


def _starlisting(request: ExportRequest, pair: PairRow) -> int:
    assert request.interval is not None
    try:
        return pair.starlistings[request.interval.name]
    except KeyError:
        raise BadRequestError(
            f"{request.name}: {pair.name} has no {request.interval} candles; it has {', '.join(pair.starlistings) or 'none'}",
            code="invalid_timeframe",
        ) from None


def _plan_features(conn: Connection, request: ExportRequest, pair: PairRow, starlisting_id: int) -> ReadPlan:
    version = request.feature_version
    if version is None:
        version = load_newest_feature_version(conn, starlisting_id)
    kinds = {} if version is None else load_feature_kinds(conn, starlisting_id, version, request.start, request.end)
    for name, found in kinds.items():
        if found - {"number"} or name == "time":
            told = f"has values of type {', '.join(sorted(found))}" if found - {"number"} else "is called time"
            raise ExportError(
                f"{request.name}: the feature {name!r} of version {version} {told}; only numbers are exported"
            )
    source = ExportSource("ml_features", pair.id, starlisting_id, feature_version=version, features=tuple(kinds))
    return ReadPlan(source, columns_of(request.dataset, request.numbers, source.features))

"""Rows to Postgres: records of the journal in as few transactions as their order allows.

Belongs here: which warehouse function writes which record, and telling refused content from a Postgres that is away. Does
not: when (row_drain.py), SQL (warehouse/).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Any

import msgspec
import polars as pl
import psycopg
from sqlalchemy import Connection, exc

from market_platform.domain.candles import CANDLE_SCHEMA, PRICE_COLUMNS
from market_platform.domain.clock import Clock, from_ms, to_ms
from market_platform.domain.errors import SchemaMismatchError, WarehouseError
from market_platform.domain.events import Candle
from market_platform.domain.ranks import CandleRank
from market_platform.pipeline.platform import Provenance
from market_platform.warehouse.candle_changes import CandleWrite
from market_platform.warehouse.candles import write_candle_days
from market_platform.warehouse.dead_letters import DeadLetterRow, add_dead_letters
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.market_context import (
    FundingRow,
    Minute,
    OpenInterestRow,
    write_funding,
    write_open_interest,
)
from market_platform.warehouse.series import SeriesBump
from market_platform.warehouse.stream_days import StreamDayAddition, add_stream_days
from streamer.delivery.placing import Places
from streamer.journal.records import (
    CandleRecord,
    DeadLetterRecord,
    FundingRecord,
    OpenInterestRecord,
    Row,
    StreamDayRecord,
)

_EXACT = Context(prec=38, traps=[Inexact, InvalidOperation])
_UNIT = Decimal("1E-18")
_Day = tuple[int, date]


class Batch:
    """Records that one transaction can write: no starlisting's day has candles of two ranks."""

    def __init__(self) -> None:
        self.candles: dict[_Day, dict[int, Row]] = {}
        self.ranks: dict[_Day, int] = {}
        self.others: list[Row] = []

    def take(self, row: Row) -> bool:
        """Add a record; False when it must go into a later transaction. A later candle of the same time replaces."""
        if not isinstance(row.record, CandleRecord):
            self.others.append(row)
            return True
        key = row.record.starlisting_id, from_ms(row.record.candle.open_ms).date()
        if self.ranks.setdefault(key, row.record.rank) != row.record.rank:
            return False
        self.candles.setdefault(key, {})[row.record.candle.open_ms] = row
        return True


def batches(rows: Sequence[Row]) -> list[Batch]:
    """The records as transactions to make one after the other; the order of each starlisting's is kept."""
    made = [Batch()]
    for row in rows:
        if not made[-1].take(row):
            made.append(Batch())
            made[-1].take(row)
    return made


class RowWriter:
    """Writes records; `provenance` says who does."""

    def __init__(self, warehouse: Warehouse, provenance: Provenance, clock: Clock) -> None:
        self._warehouse = warehouse
        self._provenance = provenance
        self._clock = clock
        self._places = Places()

    def write(self, rows: Sequence[Row]) -> None:
        """Write and commit them, in order. Doing it again changes nothing, dead letters and counts of days excepted.

        Raises:
            WarehouseError: Postgres is away, or refuses a record; see `is_refusal`. Some may be committed.
        """
        try:
            if self._places.is_due(rows):
                with self._warehouse.connect() as connection:
                    self._places.refresh(connection)
            for batch in batches([self._places.place(row) for row in rows]):
                with self._warehouse.begin() as connection:
                    self._write(connection, batch)
        except Exception as error:
            if not is_refusal(error):
                self._places.forget()  # what answers next may be another database
            raise

    def refuse(self, row: Row, error: Exception) -> None:
        """Keep a record that Postgres refused among the dead letters.

        Raises:
            WarehouseError: Postgres is away.
        """
        kind = type(row.record).__name__.removesuffix("Record").lower()
        text = msgspec.json.encode(row.record).decode()
        letter = DeadLetterRow(
            row.pair.exchange, f"{row.pair.symbol} {kind}".strip(), f"Postgres refused it: {error}", text, self._clock()
        )
        with self._warehouse.begin() as connection:
            add_dead_letters(connection, [letter])

    def _write(self, connection: Connection, batch: Batch) -> None:
        series = SeriesBump()
        additions = self._write_candles(connection, batch, series) if batch.candles else []
        funding, interest, letters = [], [], []
        for row in batch.others:
            record = row.record
            if isinstance(record, FundingRecord):
                funding.append(FundingRow(row.pair.id, record.minute_ms, record.funding))
            elif isinstance(record, OpenInterestRecord):
                interest.append(OpenInterestRow(row.pair.id, record.minute_ms, record.open_interest))
            elif isinstance(record, StreamDayRecord):
                span = from_ms(record.first_ms), from_ms(record.last_ms)
                additions.append(
                    StreamDayAddition(row.pair.id, record.layer, record.day, record.rows, *span, record.lag_ms)
                )
            elif isinstance(record, DeadLetterRecord):
                letters.append(
                    DeadLetterRow(record.exchange, record.channel, record.reason, record.payload, record.received_at)
                )
        rates, interests = set[Minute](), set[Minute]()
        write_funding(connection, funding, series=series, added=rates)
        write_open_interest(connection, interest, series=series, added=interests)
        additions += [self._addition(pair_id, "funding_rates", minute) for pair_id, minute in sorted(rates)]
        additions += [self._addition(pair_id, "open_interest", minute) for pair_id, minute in sorted(interests)]
        series.save(connection)
        add_dead_letters(connection, letters)
        add_stream_days(connection, additions)

    def _write_candles(self, connection: Connection, batch: Batch, series: SeriesBump) -> list[StreamDayAddition]:
        days = sorted(batch.candles)
        columns: dict[str, list[Any]] = defaultdict(list)
        for key in days:
            for _, row in sorted(batch.candles[key].items()):
                assert isinstance(row.record, CandleRecord)
                _append(columns, row.record)
        frame = pl.DataFrame(columns, schema_overrides={"time": pl.Int64()} | _DECIMALS).with_columns(
            pl.col("time").cast(CANDLE_SCHEMA["time"])
        )
        frame = frame.select(list(CANDLE_SCHEMA)).cast(CANDLE_SCHEMA)
        writes, start = [], 0
        for key in days:
            height = len(batch.candles[key])
            rank = CandleRank(batch.ranks[key])
            writes.append(CandleWrite(*key, frame.slice(start, height), None, rank, replace=False))
            start += height
        written = write_candle_days(
            connection,
            writes,
            run_id=self._provenance.run_id,
            code_version=self._provenance.code_version,
            series=series,
        )
        return [
            self._candle_addition(list(batch.candles[key].values()), key[1], written[key].changed_rows)
            for key in days
            if written[key].changed_rows
        ]

    def _candle_addition(self, rows: Sequence[Row], day: date, changed: int) -> StreamDayAddition:
        candles = [row.record.candle for row in rows if isinstance(row.record, CandleRecord)]
        first, last = min(each.open_ms for each in candles), max(each.open_ms for each in candles)
        came = max(each.event_ms or each.end_ms for each in candles)
        layer = f"candles_{candles[0].interval}"
        lag = float(to_ms(self._clock()) - came)
        return StreamDayAddition(rows[0].pair.id, layer, day, changed, from_ms(first), from_ms(last), lag)

    def _addition(self, pair_id: int, layer: str, minute: datetime) -> StreamDayAddition:
        lag = float(to_ms(self._clock()) - to_ms(minute))
        return StreamDayAddition(pair_id, layer, minute.date(), 1, minute, minute, lag)


def is_refusal(error: Exception) -> bool:
    """Whether the error is about the content of a record, so that it would come again; else Postgres is not well.

    Numbers and times that Python or polars can't hold are content too.
    """
    if isinstance(error, WarehouseError):
        return not error.retryable and not isinstance(error, SchemaMismatchError)
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    return isinstance(original, _REFUSALS)


_REFUSALS = (psycopg.DataError, psycopg.IntegrityError, ArithmeticError, ValueError, pl.exceptions.PolarsError)

_DECIMALS: dict[str, Any] = {name: CANDLE_SCHEMA[name] for name in (*PRICE_COLUMNS, "volume")}


def _append(columns: dict[str, list[Any]], record: CandleRecord) -> None:
    candle: Candle = record.candle
    columns["time"].append(candle.open_ms)
    for name in (*PRICE_COLUMNS, "volume"):
        columns[name].append(_exact(getattr(candle, name), name, candle))
    columns["num_trades"].append(candle.num_trades)


def _exact(value: Decimal, name: str, candle: Candle) -> Decimal:
    try:
        exact = value.quantize(_UNIT, context=_EXACT)
    except DecimalException:
        exact = None
    if exact is None or not exact.is_finite():
        raise WarehouseError(
            f"{name} {value} of the {candle.interval} candle of {candle.symbol} at {candle.open_ms} ms is not a number of "
            "at most 20 digits before the point and 18 behind it"
        )
    return exact

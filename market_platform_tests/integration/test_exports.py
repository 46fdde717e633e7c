"""Exports against a real database: what is in the files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any, get_args

import polars as pl
import psycopg
import pyarrow.parquet as pq
import pytest

from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import parse_interval
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.export import export
from market_platform.pipeline.exports.reproduce import reproduce_export
from market_platform.pipeline.exports.request import Dataset, ExportProgress, ExportState, Format, Numbers
from market_platform.pipeline.exports.verify import verify_export
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.export_world import (
    END,
    MERGED_COLUMNS,
    MINUTES,
    OPEN,
    START,
    fill_hours,
    make_market,
    request,
)

STORED = {
    Dataset.CANDLES: "SELECT {} FROM candles",
    Dataset.FUNDING: "SELECT {} FROM funding_rates",
    Dataset.OPEN_INTEREST: "SELECT {} FROM open_interest",
    Dataset.MERGED: "SELECT {} FROM candles LEFT JOIN funding_rates USING (time) LEFT JOIN open_interest USING (time)",
}


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return make_market(warehouse)


def stored(database_url: str, dataset: Dataset, columns: list[str]) -> list[tuple[Any, ...]]:
    """What Postgres itself says of the rows; decimals as their text."""
    with psycopg.connect(database_url, options="-c timezone=UTC") as conn:
        selected = ", ".join(
            name if name in ("time", "next_funding_time", "num_trades") else f"{name}::text" for name in columns
        )
        return conn.execute(f"{STORED[dataset].format(selected)} ORDER BY time").fetchall()


@pytest.mark.parametrize("dataset", list(STORED))
def test_a_file_holds_what_is_stored_and_can_be_checked_and_made_again(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path, dataset: Dataset
) -> None:
    for file_format, numbers in product(get_args(Format), get_args(Numbers)):
        path = tmp_path / f"{numbers}.{file_format}"
        result = export(warehouse, request(dataset, format=file_format, numbers=numbers), path)
        shown = rows_of(path, numbers)
        columns = [column["name"] for column in result.document["columns"]]
        expected = stored(database_url, dataset, columns)
        if numbers == "float64":
            expected = [tuple(float(value) if isinstance(value, str) else value for value in row) for row in expected]
        assert shown == expected
        assert result.rows == len(expected)
        assert result.state is ExportState.FILLED
        assert (result.first, result.last) == (expected[0][0], expected[-1][0])
        assert verify_export(result.sidecar).differences == ()
        assert reproduce_export(warehouse, result.sidecar).identical


def rows_of(path: Path, numbers: Numbers) -> list[tuple[Any, ...]]:
    """A file's rows, decimals as text."""
    if path.suffix == ".parquet":
        return [
            tuple(f"{value:f}" if isinstance(value, Decimal) else value for value in row)
            for row in pl.read_parquet(path).rows()
        ]
    frame = pl.read_csv(path, infer_schema=False)
    return [tuple(_read(name, value, numbers) for name, value in row.items()) for row in frame.to_dicts()]


def _read(name: str, value: str | None, numbers: Numbers) -> Any:
    if value is None:
        return None
    if name in ("time", "next_funding_time"):
        return datetime.fromisoformat(value)
    if name == "num_trades":
        return int(value)
    return float(value) if numbers == "float64" else value


def test_the_merged_set_has_18_typed_columns_and_null_stays_null(
    warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    export(warehouse, request(), tmp_path / "m.parquet")
    schema = pq.read_schema(tmp_path / "m.parquet")
    assert tuple(schema.names) == MERGED_COLUMNS
    assert str(schema.field("open").type) == "decimal128(38, 18)"
    assert str(schema.field("time").type) == "timestamp[ms, tz=UTC]"
    assert not schema.field("open").nullable
    assert schema.field("funding_rate").nullable
    assert schema.field("volume").metadata[b"unit"] == b"base"
    frame = pl.read_parquet(tmp_path / "m.parquet")
    assert frame["time"].to_list() == list(MINUTES)
    assert [row is not None for row in frame["funding_rate"]] == [each in (0, 5, 8) for each in range(10)]
    assert [row is not None for row in frame["open_interest"]] == [each in (1, 5) for each in range(10)]
    assert frame["index_price"].null_count() == 10
    assert str(frame["open"][0]) == OPEN


def test_a_parquet_file_has_a_row_group_for_each_month_that_is_large_enough(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_hours(database_url, pair.starlistings["1h"], 24 * 366, datetime(2024, 1, 1, tzinfo=UTC))
    monkeypatch.setattr("market_platform.pipeline.exports.writing.MIN_GROUP_ROWS", 24 * 40)
    year = request(
        Dataset.CANDLES,
        interval=parse_interval("1h"),
        start=datetime(2024, 1, 1, tzinfo=UTC),
        end=datetime(2025, 1, 1, tzinfo=UTC),
    )
    told: list[ExportProgress] = []
    result = export(warehouse, year, tmp_path / "h.parquet", on_progress=told.append)
    assert result.rows == 24 * 366
    assert [each.until.month for each in told] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1]
    metadata = pq.read_metadata(tmp_path / "h.parquet")
    groups = [metadata.row_group(each) for each in range(metadata.num_row_groups)]
    assert len(groups) == 6  # two months each
    firsts = [group.column(0).statistics.min for group in groups]
    assert [(first.month, first.day) for first in firsts] == [(1, 1), (3, 1), (5, 1), (7, 1), (9, 1), (11, 1)]
    assert groups[0].column(0).compression == "ZSTD"


def test_a_span_takes_its_start_and_not_its_end(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    export(warehouse, request(start=MINUTES[2], end=MINUTES[7]), tmp_path / "m.parquet")
    assert pl.read_parquet(tmp_path / "m.parquet")["time"].to_list() == list(MINUTES[2:7])


def test_a_month_of_candles_is_read_by_its_first_day(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO candles VALUES (%s, 30, '2024-03-01 00:00+00', 1, 2, 3, 1, 2, 5)", (pair.starlistings["1M"],)
        )
    months = request(interval=parse_interval("1M"), start=datetime(2024, 2, 15, tzinfo=UTC), end=END)
    result = export(warehouse, months, tmp_path / "m.parquet")
    assert result.rows == 1
    assert set(result.document["inputs"][0]["not_available"]) == {"2024-03-01", "2024-04-01"}


def test_features_become_columns_of_doubles(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as conn:
        for version, minute, values in (
            (1, 0, {"old": 1}),
            (2, 0, {"rsi": 0.1, "ema, 20": 43210.123456789}),
            (2, 1, {"rsi": None}),
        ):
            conn.execute(
                "INSERT INTO ml_features VALUES (%s, %s, %s, %s)",
                (pair.starlistings["1m"], version, MINUTES[minute], json.dumps(values)),
            )
    result = export(warehouse, request(Dataset.FEATURES), tmp_path / "f.parquet")
    frame = pl.read_parquet(tmp_path / "f.parquet")
    assert frame.columns == ["time", "ema, 20", "rsi"]
    assert frame.rows() == [(MINUTES[0], 43210.123456789, 0.1), (MINUTES[1], None, None)]
    assert result.document["feature_version"] == 2
    assert list(result.document["inputs"][1]["days"]) == ["2024-03-31"]
    assert result.document["inputs"][1]["conditions"] == {"degraded": 1, "unknown": 1}
    assert result.document["inputs"][1]["not_available"] == {
        "2024-03-31": {"condition": "degraded", "reason": "as its candles"},
        "2024-04-01": {"condition": "unknown"},
    }
    text = export(warehouse, request(Dataset.FEATURES, format="csv"), tmp_path / "f.csv")
    assert text.path.read_text() == (
        'time,"ema, 20",rsi\n2024-03-31T23:55:00.000Z,43210.123456789,0.1\n2024-03-31T23:56:00.000Z,,\n'
    )
    assert verify_export(text.sidecar).differences == ()
    old = export(warehouse, request(Dataset.FEATURES, feature_version=1), tmp_path / "old.parquet")
    assert pl.read_parquet(old.path).columns == ["time", "old"]
    assert reproduce_export(warehouse, old.sidecar).identical


def test_a_feature_that_is_no_number_is_named(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(
            'INSERT INTO ml_features VALUES (%s, 1, %s, \'{"regime": "bull"}\')', (pair.starlistings["1m"], START)
        )
    with pytest.raises(ExportError, match="'regime' of version 1 has values of type string"):
        export(warehouse, request(Dataset.FEATURES), tmp_path / "f.parquet")
    assert list(tmp_path.iterdir()) == []


def test_no_rows_is_a_state_with_a_name(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    span = {"start": datetime(2020, 1, 1, tzinfo=UTC), "end": datetime(2020, 3, 1, tzinfo=UTC)}
    for dataset, file_format in product(Dataset, get_args(Format)):
        path = tmp_path / f"{dataset}.{file_format}"
        result = export(warehouse, request(dataset, format=file_format, **span), path)
        assert result.state is ExportState.EMPTY
        assert result.state_reason.endswith("in this span")
        assert (result.rows, result.first, result.last) == (0, None, None)
        read = pl.read_parquet(path) if file_format == "parquet" else pl.read_csv(path)
        assert read.height == 0
        assert read.columns == [column["name"] for column in result.document["columns"]]
        assert verify_export(result.sidecar).differences == ()
        assert reproduce_export(warehouse, result.sidecar).identical


@pytest.mark.parametrize(
    ("table", "column", "value", "name"),
    [
        ("candles", "volume", "100000000000000000000", "volume of 2024-04-01T00:03:00.000Z is 100000000000000000000.0"),
        (
            "open_interest",
            "notional_value",
            "1e21",
            "notional_value of 2024-04-01T00:00:00.000Z is 1000000000000000000000.0",
        ),
        ("funding_rates", "premium", "NaN", "premium of 2024-04-01T00:03:00.000Z is NaN"),
    ],
)
def test_a_number_with_no_place_in_a_decimal_ends_the_export_and_is_named(
    warehouse: Warehouse,
    database_url: str,
    pair: PairRow,
    tmp_path: Path,
    table: str,
    column: str,
    value: str,
    name: str,
) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(
            f"UPDATE {table} SET {column} = %s WHERE time = (SELECT max(time) FROM {table} WHERE time <= %s)",
            (value, MINUTES[8]),
        )
    with pytest.raises(ExportError, match=name):
        export(warehouse, request(), tmp_path / "m.parquet")
    assert list(tmp_path.iterdir()) == []


def test_private_data_is_refused_unless_it_stays_with_its_owner(
    warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    private = {"exchange": "oanda", "coin": "EUR", "quote": "USD", "market_type": "spot"}
    with pytest.raises(BadRequestError, match=r"oanda/EURUSD is licensed as private.*--include-private") as refused:
        export(warehouse, request(Dataset.CANDLES, **private), tmp_path / "e.parquet")
    assert refused.value.code == "private_data"
    result = export(warehouse, request(Dataset.CANDLES, include_private=True, **private), tmp_path / "e.parquet")
    assert result.document["licence"] == {
        "licence": "private",
        "include_private": True,
        "terms": "private: this file may not be passed on",
    }


def test_an_unknown_pair_or_interval_is_named(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="no such pair; of binance it has BTC/USDT perps"):
        export(warehouse, request(quote="USD"), tmp_path / "m.parquet")
    with pytest.raises(BadRequestError, match=r"binance/BTCUSDT\.P has no 5m candles; it has 1m, 15m, 1h, 1M"):
        export(warehouse, request(interval=parse_interval("5m")), tmp_path / "m.parquet")

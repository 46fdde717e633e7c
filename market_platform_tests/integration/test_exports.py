"""Exports against a real database: what is in the files, and that it is of one moment."""

from __future__ import annotations

import itertools
import json
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any, get_args

import polars as pl
import psycopg
import pyarrow.parquet as pq
import pytest

from market_platform.domain.clock import to_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadRequestError
from market_platform.domain.events import Funding
from market_platform.domain.intervals import parse_interval
from market_platform.pipeline.exports.errors import ExportError, LeakageError
from market_platform.pipeline.exports.export import export
from market_platform.pipeline.exports.reproduce import ChangedDay, reproduce_export
from market_platform.pipeline.exports.request import Dataset, ExportProgress, ExportState, Format, Numbers
from market_platform.pipeline.exports.sidecar import sidecar_path
from market_platform.pipeline.exports.verify import verify_export
from market_platform.pipeline.exports.writing import open_partial
from market_platform.warehouse import export_queries
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.history_days import move_history_days
from market_platform.warehouse.market_context import FundingRow, write_funding
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.export_world import (
    END,
    FIRST,
    HOURS,
    MINUTES,
    OPEN,
    SECOND,
    START,
    fill_hours,
    hourly_request,
    make_market,
    request,
    store_minutes,
    write_minutes,
)

MERGED_COLUMNS = (
    *("time", "open", "high", "low", "close", "volume", "num_trades"),
    *("funding_rate", "premium", "mark_price", "index_price", "oracle_price", "mid_price", "next_funding_time"),
    *("open_interest", "notional_value", "day_base_volume", "day_notional_volume"),
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


def test_the_json_says_what_is_in_the_file(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    result = export(warehouse, request(), tmp_path / "m.parquet")
    document = json.loads(result.sidecar.read_text())
    assert document == result.document
    assert document["rows"] == 10
    assert document["bytes"] == (tmp_path / "m.parquet").stat().st_size
    assert document["pair"]["symbol"] == "BTCUSDT.P"
    assert document["licence"]["licence"] == "public"
    assert document["span"]["last"] == "2024-04-01T00:04:00.000Z"
    assert [column["name"] for column in document["columns"]] == list(MERGED_COLUMNS)
    assert {column["unit"] for column in document["columns"]} == {"UTC", "quote", "base", "1"}
    candles, funding, interest = document["inputs"]
    with psycopg.connect(database_url) as conn:
        versions = conn.execute(
            "SELECT day::text, data_version FROM candle_days WHERE starlisting_id = %s", (pair.starlistings["1m"],)
        ).fetchall()
    assert candles["days"] == dict(versions)
    assert candles["not_available"] == {"2024-03-31": {"condition": "degraded"}}
    assert result.conditions == {"degraded": 1, "available": 1}
    assert (funding["series"], list(funding["days"])) == ("funding_rates", ["2024-03-31", "2024-04-01"])
    assert (interest["series"], list(interest["days"])) == ("open_interest", ["2024-03-31", "2024-04-01"])


STREAMED = {"condition": "pending", "reason": "streamed; no history of the day was fetched"}


@pytest.mark.parametrize("dataset", [Dataset.MERGED, Dataset.FUNDING, Dataset.OPEN_INTEREST])
def test_every_day_of_every_input_has_a_condition_and_one_that_is_only_streamed_is_pending(
    warehouse: Warehouse, pair: PairRow, tmp_path: Path, dataset: Dataset
) -> None:
    span = {"start": START - timedelta(days=2), "end": END}
    result = export(warehouse, request(dataset, **span), tmp_path / "x.parquet")
    for each in result.document["inputs"]:
        assert sum(each["conditions"].values()) == 4, "29th and 30th of March, FIRST and SECOND"
        if not each["series"].startswith("candles"):
            assert each["conditions"] == {"unknown": 2, "pending": 2}
            assert [each["not_available"][str(day)] for day in (FIRST, SECOND)] == [STREAMED, STREAMED]
            assert set(each["days"]) == {str(FIRST), str(SECOND)}


def test_a_streamed_day_of_which_no_row_is_joined_is_pending_too(
    warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    result = export(warehouse, request(interval=parse_interval("1h")), tmp_path / "h.parquet")
    for each in result.document["inputs"][1:]:
        assert (each["conditions"], each["days"]) == ({"pending": 2}, {})


def test_a_fetched_day_has_the_condition_that_its_history_gave_it(
    warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    fetched = {FIRST: (Condition.AVAILABLE, ""), SECOND: (Condition.DEGRADED, "2 of 3 rates")}
    with warehouse.begin() as conn:
        move_history_days(conn, pair.id, "funding_rates", fetched, run_id="test", code_version="1")
    _, funding, interest = export(warehouse, request(), tmp_path / "m.parquet").document["inputs"]
    assert funding["conditions"] == {"available": 1, "degraded": 1}
    assert funding["not_available"] == {str(SECOND): {"condition": "degraded", "reason": "2 of 3 rates"}}
    assert interest["conditions"] == {"pending": 2}


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


def test_an_export_is_of_one_moment_although_rows_and_versions_change_under_it(
    warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    before = export(warehouse, request(), tmp_path / "before.parquet")
    closes = iter(("43111", "43112", "43113", "43114"))

    def change(_: ExportProgress) -> None:
        close = next(closes)
        store_minutes(warehouse, pair, FIRST, 0, 5, close=close)
        store_minutes(warehouse, pair, SECOND, 5, 10, close=close)

    during = export(warehouse, request(), tmp_path / "during.parquet", on_progress=change)
    assert during.sha256 == before.sha256
    assert during.document["inputs"] == before.document["inputs"]
    after = export(warehouse, request(), tmp_path / "after.parquet")
    assert set(pl.read_parquet(after.path)["close"]) == {Decimal(43112)}
    assert after.document["inputs"] != before.document["inputs"]


def test_every_export_beside_a_writer_is_a_state_that_was_committed(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    committed: dict[str, Decimal] = {}
    started, stop = threading.Event(), threading.Event()

    def write() -> None:
        writer = create_warehouse(database_url)
        try:
            for close in itertools.count(43_101):
                with writer.begin() as conn:
                    days = {
                        day: write_minutes(conn, pair, day, *minutes, close=str(close))
                        for day, minutes in ((FIRST, (0, 5)), (SECOND, (5, 10)))
                    }
                    rate = FundingRow(pair.id, to_ms(MINUTES[0]), Funding("BTC", Decimal(close)))
                    write_funding(conn, [rate])
                committed["".join(days[day].data_version for day in (FIRST, SECOND))] = Decimal(close)
                started.set()
                if stop.is_set() or close > 43_190:  # the candles' high is 43,300
                    return
        finally:
            writer.close()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        assert started.wait(60)
        exported = [export(warehouse, request(), tmp_path / f"{each}.parquet") for each in range(8)]
        stop.set()
        writing.result()
    for result in exported:
        frame = pl.read_parquet(result.path)
        closes = set(frame["close"])
        assert closes == {frame["funding_rate"][0]}
        assert closes == {committed["".join(result.document["inputs"][0]["days"].values())]}


def test_an_export_that_is_given_up_leaves_the_connection_to_others(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    fill_hours(database_url, pair.starlistings["1h"], HOURS, hourly_request().start)

    def give_up(progress: ExportProgress) -> None:
        raise KeyboardInterrupt

    only = create_warehouse(database_url, pool_size=1)
    try:
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                export(only, hourly_request(), tmp_path / "h.parquet", on_progress=give_up)
        assert list(tmp_path.iterdir()) == []
        assert export(only, hourly_request(), tmp_path / "h.parquet").rows == HOURS
    finally:
        only.close()


def test_a_full_disk_is_said_and_leaves_no_file(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    fill_hours(database_url, pair.starlistings["1h"], HOURS, hourly_request().start)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ExportError, match=r"h\.parquet could not be written: File too large"):
            export(warehouse, hourly_request(), tmp_path / "h.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_remade_export_names_the_days_that_changed(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    result = export(warehouse, request(), tmp_path / "m.parquet")
    was = result.document["inputs"][0]["days"]["2024-04-01"]
    now = store_minutes(warehouse, pair, SECOND, 5, 10, close="43111").data_version
    again = reproduce_export(warehouse, result.sidecar, tmp_path / "again.parquet")
    assert not again.identical
    assert again.changed_days == (ChangedDay("candles_1m", "2024-04-01", was, now),)
    assert again.other == ()
    assert verify_export(tmp_path / "again.parquet.json").differences == ()


def test_a_changed_or_new_row_of_funding_names_its_day(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    result = export(warehouse, request(), tmp_path / "m.parquet")
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE funding_rates SET premium = 0 WHERE time = %s", (MINUTES[0],))
        conn.execute("DELETE FROM open_interest WHERE time = %s", (MINUTES[5],))
    again = reproduce_export(warehouse, result.sidecar)
    assert [(day.series, day.day, day.now == "none") for day in again.changed_days] == [
        ("funding_rates", "2024-03-31", False),
        ("open_interest", "2024-04-01", True),
    ]


def test_a_value_of_later_than_the_close_ends_the_export(
    warehouse: Warehouse, pair: PairRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    select = export_queries._select

    def looking_ahead(source: export_queries.ExportSource) -> str:
        joined = 'funding_rates."time" = candles."time"'
        return select(source).replace(joined, f"{joined} + interval '1 minute'")

    monkeypatch.setattr(export_queries, "_select", looking_ahead)
    with pytest.raises(LeakageError, match="the row of 2024-04-01 00:02 would hold a value of 2024-04-01 00:03"):
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


def test_a_file_that_is_there_stays_unless_told(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    path.write_text("mine")
    with pytest.raises(ExportError, match="--overwrite"):
        export(warehouse, request(), path)
    assert path.read_text() == "mine"
    export(warehouse, request(), path, overwrite=True)
    assert verify_export(sidecar_path(path)).differences == ()


def test_two_exports_do_not_write_the_same_file(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    with open_partial(path), pytest.raises(ExportError, match="another export is writing"):
        export(warehouse, request(), path)
    assert list(tmp_path.iterdir()) == []
    export(warehouse, request(), path)


def test_an_unknown_pair_or_interval_is_named(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="no such pair; of binance it has BTC/USDT perps"):
        export(warehouse, request(quote="USD"), tmp_path / "m.parquet")
    with pytest.raises(BadRequestError, match=r"binance/BTCUSDT\.P has no 5m candles; it has 1m, 15m, 1h, 1M"):
        export(warehouse, request(interval=parse_interval("5m")), tmp_path / "m.parquet")


def test_a_check_names_each_difference(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    whole = export(warehouse, request(), tmp_path / "m.parquet")
    other = export(warehouse, request(Dataset.CANDLES, end=MINUTES[4] + timedelta(seconds=1)), tmp_path / "c.parquet")
    told = "\n".join(verify_export(whole.sidecar, other.path).differences)
    for expected in (
        "bytes: ",
        "sha256: ",
        "rows: 10 in the JSON, 5 in the file",
        "last row: 2024-04-01T00:04",
        "columns: ",
    ):
        assert expected in told
    torn = whole.path.read_bytes()[:-100]
    whole.path.write_bytes(torn)
    assert "can't be read as parquet" in "\n".join(verify_export(whole.sidecar).differences)
    whole.path.unlink()
    with pytest.raises(ExportError, match="is not there"):
        verify_export(whole.sidecar)
    whole.sidecar.write_text("{}")
    with pytest.raises(ExportError, match="not the JSON of an export"):
        verify_export(whole.sidecar)

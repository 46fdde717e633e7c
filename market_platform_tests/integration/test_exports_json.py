"""The JSON beside an export: what it says of a file, checking the file by it, and making it again from it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import parse_interval
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.export import export
from market_platform.pipeline.exports.reproduce import ChangedDay, reproduce_export
from market_platform.pipeline.exports.request import Dataset
from market_platform.pipeline.exports.verify import verify_export
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.history_days import move_history_days
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.export_world import (
    END,
    FIRST,
    MERGED_COLUMNS,
    MINUTES,
    SECOND,
    START,
    make_market,
    request,
    store_minutes,
)

STREAMED = {"condition": "pending", "reason": "streamed; no history of the day was fetched"}


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return make_market(warehouse)


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

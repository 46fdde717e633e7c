"""Files into `market_ticks`: right rows, bad ones named, and loads that can be finished or taken back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import psycopg
import pytest

from market_platform.domain.errors import BadRequestError, CorruptObjectError, MarketPlatformError, WarehouseError
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.bulk_load import checked_files, described, load_files, resume_load, roll_back_load
from market_platform.warehouse.bulk_loads import load_open
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.market_ticks import TicksSession, ticks_session
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.legacy_ticks import Row, count_rows, distinct_ticks, insert_rows, rows_of
from market_platform_tests.fixtures.reference import synced_pair

DAY = date(2024, 3, 4)
HEADER = "time,bid,ask,bid_volume,ask_volume\n"
GOOD = "2024-03-04 10:00:00.123,1.1,1.2,100,200\n"
INDEX = "market_ticks_pair_time"


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return synced_pair(warehouse)


@pytest.fixture
def session(warehouse: Warehouse) -> Iterator[TicksSession]:
    with ticks_session(warehouse.url, "test") as made:
        yield made


def quiet(_: str) -> None:
    """Nobody listens."""


def stored(url: str) -> list[tuple[object, ...]]:
    query = "SELECT time, bid, ask, bid_volume, ask_volume FROM market_ticks ORDER BY 1, 2, 3, 4, 5"
    with psycopg.connect(url, options="-c timezone=UTC") as conn:
        return conn.execute(query).fetchall()


def indexes(url: str) -> list[tuple[str, bool]]:
    query = "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = 'market_ticks'::regclass"
    with psycopg.connect(url) as conn:
        return conn.execute(query).fetchall()


def as_csv(path: Path, rows: list[Row]) -> Path:
    path.write_text(HEADER + "".join(",".join(value or "" for value in row) + "\n" for row in rows))
    return path


def test_every_kind_of_file_holds_the_same_rows(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    ticks = distinct_ticks(DAY, 200)
    rows = rows_of(ticks)
    files = [as_csv(tmp_path / "a.csv", rows), tmp_path / "b.csv.gz", tmp_path / "c.parquet", tmp_path / "part-1.json"]
    files[1].write_bytes(gzip.compress(files[0].read_bytes()))
    names = ("bid", "ask", "bid_volume", "ask_volume")
    decimals = {name: [Decimal(row[at] or 0) for row in rows] for at, name in enumerate(names, start=1)}
    times = pl.Series("timestamp", ticks.time).cast(pl.Datetime("ms", "UTC"))
    pl.DataFrame([times, *(pl.Series(name, values) for name, values in decimals.items())]).write_parquet(files[2])
    parts = [
        {"timestamp": int(time), "bidPrice": row[1], "askPrice": row[2], "bidVolume": row[3], "askVolume": row[4]}
        for time, row in zip(ticks.time, rows, strict=True)
    ]
    files[3].write_text(json.dumps(parts))
    file = TICK_DAYS.write(Lake.open((tmp_path / "lake").as_uri()), "dukascopy", "EURUSD", DAY, ticks, {})
    files.append(tmp_path / "lake" / file.object_key)
    insert_rows(warehouse.url, pair.id, rows)
    expected = stored(warehouse.url)
    for path in files:
        with psycopg.connect(warehouse.url) as conn:
            conn.execute("TRUNCATE market_ticks")
        done = load_files(session, pair, [path], quiet, manage_indexes=False)
        assert (done.state, done.rows) == ("done", len(rows))
        assert stored(warehouse.url) == expected, path


def test_times_and_numbers_of_many_forms(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "askPrice,t,bidPrice,note\n1.2,1709546400123,1.1,x\n1.2,2024-03-04T10:00:00.124Z,1e-05,y\n"
        "1.2,2024-03-04 12:00:00.125+02,1.123456789012345678,z"
    )
    load_files(session, pair, [path], quiet, manage_indexes=False)
    found = stored(warehouse.url)
    assert [f"{row[0]:%H:%M:%S.%f}" for row in found] == ["10:00:00.123000", "10:00:00.124000", "10:00:00.125000"]
    assert [row[1] for row in found] == [Decimal("1.1"), Decimal("0.00001"), Decimal("1.123456789012345678")]
    assert {row[3:] for row in found} == {(None, None)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2024-03-04 10:00:00,1.1,x,1,1", "line 3, ask: 'x' is not a price"),
        ("2024-03-04 10:00:00,0.000,1.2,1,1", "line 3, bid: '0.000' is not a price: above zero"),
        ("2024-03-04 10:00:00,NaN,1.2,1,1", "line 3, bid: 'NaN'"),
        ("2024-03-04 10:00:00,1.1,1.2,-1,1", "line 3, bid_volume: '-1' is not a volume"),
        ("2024-03-04 10:00:00,1.1234567890123456789,1.2,1,1", "line 3, bid: '1.1234567890123456789'"),
        ("now,1.1,1.2,1,1", "line 3, time: 'now' is not a time"),
        ("03/04/2024 10:00,1.1,1.2,1,1", "line 3, time: "),
        (",1.1,1.2,1,1", "line 3, time: None"),
        ("2024-13-04 10:00:00,1.1,1.2,1,1", "line 3, time: date/time field value out of range"),
        ("2024-03-04 10:00:00,1.1,1.2,1", "line 3: 4 fields, the header has 5"),
        ("2024-03-04 10:00:00,1.1,1.2,1,1,1", "line 3: 6 fields, the header has 5"),
    ],
)
def test_a_bad_row_is_named_and_nothing_of_its_file_stays(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession, line: str, message: str
) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(HEADER + GOOD)
    bad.write_text(HEADER + GOOD + line + "\n" + GOOD)
    with pytest.raises(MarketPlatformError) as raised:
        load_files(session, pair, [good, bad], quiet, manage_indexes=True)
    assert f"bad.csv, {message}" in str(raised.value)
    assert count_rows(warehouse.url) == 1
    with warehouse.connect() as conn:
        interrupted = load_open(conn)
    assert interrupted is not None
    assert "1 of 2 files (1 rows) are in, the index market_ticks_pair_time is dropped" in described(interrupted)
    with pytest.raises(BadRequestError, match=r"ticks load --resume.*ticks load --roll-back"):
        load_files(session, pair, [good], quiet, manage_indexes=True)
    bad.write_text(HEADER + GOOD)
    done = resume_load(session, quiet)
    assert (done.state, done.rows, count_rows(warehouse.url)) == ("done", 2, 2)
    assert indexes(warehouse.url) == [(INDEX, True)]


def test_floats_only_when_they_are_accepted(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"time": [1709546400123], "bid": [1.1], "ask": [1.2]}).write_parquet(path)
    with pytest.raises(CorruptObjectError, match=r"bid: floating-point numbers.*--accept-floats"):
        load_files(session, pair, [path], quiet, manage_indexes=False)
    load_files(session, pair, [path], quiet, manage_indexes=False, accept_floats=True)
    assert stored(warehouse.url)[0][1:3] == (Decimal("1.1"), Decimal("1.2"))


def test_a_load_taken_back_leaves_what_was_there_before(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    rows = rows_of(distinct_ticks(DAY, 100))
    insert_rows(warehouse.url, pair.id, rows)
    same, bad = as_csv(tmp_path / "same.csv", rows), tmp_path / "bad.csv"
    bad.write_text(HEADER + "x\n")
    with pytest.raises(CorruptObjectError):
        load_files(session, pair, [same, bad], quiet, manage_indexes=True)
    assert count_rows(warehouse.url) == 2 * len(rows)
    assert indexes(warehouse.url) == []
    assert roll_back_load(session, quiet).state == "rolled_back"
    assert count_rows(warehouse.url) == len(rows)
    assert indexes(warehouse.url) == [(INDEX, True)]
    with pytest.raises(BadRequestError, match="no load was interrupted"):
        roll_back_load(session, quiet)


def test_a_bad_file_of_which_nothing_is_in_leaves_no_load_behind(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    wrong, late = tmp_path / "README.csv", as_csv(tmp_path / "late.csv", rows_of(distinct_ticks(DAY, 300_000)))
    wrong.write_text("# a title\nand words\n")
    with late.open("a") as file:
        file.write("x,1,1,1,1\n")
    told: list[str] = []
    with pytest.raises(CorruptObjectError):
        load_files(session, pair, [wrong], told.append, manage_indexes=True)
    assert told == [], "no index was dropped"
    with pytest.raises(CorruptObjectError, match=r"late\.csv"):
        load_files(session, pair, [late], told.append, manage_indexes=True)
    assert count_rows(warehouse.url) == 0
    assert indexes(warehouse.url) == [(INDEX, True)]
    with pytest.raises(BadRequestError, match="no load was interrupted"):
        roll_back_load(session, quiet)


def test_rows_that_changed_since_are_not_taken_back(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    good, bad = as_csv(tmp_path / "good.csv", rows_of(distinct_ticks(DAY, 50))), tmp_path / "bad.csv"
    bad.write_text(HEADER + "x\n")
    with pytest.raises(CorruptObjectError):
        load_files(session, pair, [good, bad], quiet, manage_indexes=True)
    with psycopg.connect(warehouse.url) as conn:
        conn.execute("DELETE FROM market_ticks WHERE ctid = (SELECT min(ctid) FROM market_ticks)")
    with pytest.raises(WarehouseError, match="49 of the 50 rows"):
        roll_back_load(session, quiet)
    assert count_rows(warehouse.url) == 49


def test_a_file_that_was_loaded_is_known_by_its_content_and_loaded_again_only_on_purpose(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    rows = rows_of(distinct_ticks(DAY, 30))
    path, copy = as_csv(tmp_path / "a.csv", rows), as_csv(tmp_path / "b.csv", rows)
    with pytest.raises(BadRequestError, match=r"b\.csv: the same content as .*a\.csv"):
        load_files(session, pair, [path, copy], quiet, manage_indexes=True)
    load_files(session, pair, [path], quiet, manage_indexes=True)
    other = as_csv(tmp_path / "other.csv", rows_of(distinct_ticks(DAY, 10, seed=2)))
    for known in (path, copy):
        with pytest.raises(BadRequestError, match=r"by load 1 of 20\d\d-.* UTC\n.*--again") as raised:
            load_files(session, pair, [other, known], quiet, manage_indexes=True)
        assert f"{known}: loaded already, 30 rows" in str(raised.value)
        assert (f"as {path}" in str(raised.value)) == (known == copy)
    assert (count_rows(warehouse.url), indexes(warehouse.url)) == (len(rows), [(INDEX, True)])
    with warehouse.connect() as conn:
        assert load_open(conn) is None, "what is refused is not a load"
    assert load_files(session, pair, [copy], quiet, manage_indexes=False, again=True).state == "done"
    assert count_rows(warehouse.url) == 2 * len(rows)
    bitcoin = synced_pair(warehouse, symbol="BTCUSD")
    assert load_files(session, bitcoin, [path], quiet, manage_indexes=False).rows == len(rows), (
        "another pair's are others"
    )


def test_a_file_of_a_load_that_was_taken_back_or_is_to_be_resumed_is_not_refused(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    rows = rows_of(distinct_ticks(DAY, 30))
    good, bad = as_csv(tmp_path / "good.csv", rows), tmp_path / "bad.csv"
    for _ in range(2):
        bad.write_text(HEADER + "x\n")
        with pytest.raises(CorruptObjectError):
            load_files(session, pair, [good, bad], quiet, manage_indexes=False)
        roll_back_load(session, quiet)
    with pytest.raises(CorruptObjectError):
        load_files(session, pair, [good, bad], quiet, manage_indexes=False)
    bad.write_text(HEADER + GOOD)
    assert resume_load(session, quiet).state == "done"
    assert count_rows(warehouse.url) == len(rows) + 1


def test_what_the_table_had_in_the_span_of_a_file_is_told(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    def row(at: str) -> str:
        return f"{at},1.1,1.2,1,1\n"

    insert_rows(
        warehouse.url, pair.id, [(f"2024-03-04 {hour}:00+00", "1", "1", "1", "1") for hour in ("09", "11", "15")]
    )
    insert_rows(warehouse.url, pair.id + 1, [("2024-03-04 11:00+00", "1", "1", "1", "1")])
    first, second, away = (tmp_path / name for name in ("first.csv", "second.csv", "away.csv"))
    first.write_text(HEADER + row("2024-03-04T13:00:00+02:00") + row("1709546400123") + row("2024-03-04 12:30:00"))
    second.write_text(HEADER + row("2024-03-04 15:00:00.5") + row("2024-03-04 12:00:00Z"))
    away.write_text(HEADER + row("2024-03-05 00:00:00"))
    told: list[str] = []
    load_files(session, pair, [first, second, away], told.append, manage_indexes=True)
    assert told[-2:] == [
        f"{first}: the table had 1 rows already between 2024-03-04 10:00:00.123+00 and 2024-03-04 12:30:00+00",
        f"{second}: the table had 2 rows already between 2024-03-04 12:00:00+00 and 2024-03-04 15:00:00.5+00",
    ]


def test_an_index_that_was_not_finished_is_built_anew(
    tmp_path: Path, warehouse: Warehouse, pair: PairRow, session: TicksSession
) -> None:
    good, bad = as_csv(tmp_path / "good.csv", rows_of(distinct_ticks(DAY, 5))), tmp_path / "bad.csv"
    bad.write_text(HEADER + "x\n")
    with pytest.raises(CorruptObjectError):
        load_files(session, pair, [good, bad], quiet, manage_indexes=True)
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute(f'CREATE INDEX {INDEX} ON market_ticks (trading_pair_id, "time")')
        conn.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{INDEX}'::regclass")
    assert indexes(warehouse.url) == [(INDEX, False)]
    bad.write_text(HEADER + GOOD)
    told: list[str] = []
    resume_load(session, told.append)
    assert indexes(warehouse.url) == [(INDEX, True)]
    assert told[-1] == f"built the index {INDEX}"


def test_files_are_named_once_and_are_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER)
    with pytest.raises(BadRequestError, match="named 2 times"):
        checked_files([path, tmp_path / "." / "a.csv"])
    with pytest.raises(BadRequestError, match="no such file"):
        checked_files([tmp_path / "b.csv"])

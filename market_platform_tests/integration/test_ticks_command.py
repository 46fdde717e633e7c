"""`market-platform ticks`: what it says, what it asks for, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from market_platform.cli import main
from market_platform.settings import get_settings
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.market_ticks import ticks_session
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.legacy_ticks import count_rows, distinct_ticks, insert_rows, rows_of
from market_platform_tests.fixtures.reference import synced_pair

DAY = date(2024, 3, 4)
HEADER = "time,bid,ask,bid_volume,ask_volume\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return synced_pair(warehouse)


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line; exit code, standard output, standard error."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MARKET_DATA_DIR", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        get_settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(["ticks", *arguments])
        printed = capsys.readouterr()
        code = ended.value.code
        return code if isinstance(code, int) else 0, printed.out, printed.err

    return run


def test_from_a_file_into_the_lake_and_out_of_postgres(
    run: Run, warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    rows = rows_of(distinct_ticks(DAY, 300))
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "".join(f"{','.join(map(str, row))}\n" for row in [*rows, rows[5]]))
    start = ("load", str(path), "--pair", "dukascopy/EUR/USD")
    code, out, err = run(*start, "--dry-run")
    assert (code, out) == (0, f"{path}: {len(rows) + 1} rows\n"), err
    assert count_rows(warehouse.url) == 0
    code, out, err = run(*start, "--manage-indexes")
    assert (code, out) == (0, f"load 1 is done: {len(rows) + 1} rows of dukascopy/EURUSD\n"), err
    assert "built the index market_ticks_pair_time" in err

    for again in (("--dry-run",), ()):
        code, _, err = run(*start, *again)
        assert (code, "by load 1 of" in err, "once more on purpose with --again" in err) == (2, True, True)

    code, out, _ = run("to-lake", "--dry-run")
    assert code == 0
    assert out.splitlines()[0] == f"dukascopy/EURUSD\t2024-03-04\t{len(rows) + 1} rows\tnot moved\tnot in the lake"
    code, out, err = run("to-lake", "dukascopy/EURUSD")
    assert (code, out) == (0, f"1 days: 1 verified; {len(rows) + 1} rows, 1 duplicates among them\n"), err
    assert "1 duplicates\n    duplicate: " in err
    code, out, err = run("to-lake", "--drop-verified")
    assert code == 2
    assert "say --yes as well" in err
    code, out, err = run("to-lake", "--drop-verified", "--yes")
    assert (code, out) == (0, f"1 days: 1 dropped; {len(rows) + 1} rows, 1 duplicates among them\n"), err
    assert count_rows(warehouse.url) == 0
    code, out, _ = run("status")
    assert out.splitlines()[1:] == [
        f"dukascopy/EURUSD\t2024-03-04\tdropped\t0\t{len(rows) + 1}\tmoved",
        "1 days: 1 dropped; 0 rows in Postgres",
    ]
    assert run("to-lake")[1] == "there is nothing to move\n"


def test_an_interrupted_load_is_told_everywhere_with_both_ways_on(
    run: Run, warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    good, path = tmp_path / "good.csv", tmp_path / "a.csv"
    good.write_text(HEADER + "2024-03-04 09:00:00,1.1,1.2,1,1\n")
    path.write_text(HEADER + "2024-03-04 10:00:00,1.1,-1.2,1,1\n")
    start = ("load", str(good), str(path), "--pair", "dukascopy/EURUSD", "--manage-indexes")
    code, _, err = run(*start)
    assert code == 1
    assert f"{path}, line 2, ask: '-1.2' is not a price" in err
    told = (
        "load 1 of dukascopy/EURUSD was interrupted: 1 of 2 files (1 rows) are in, the index market_ticks_pair_time is "
        "dropped; finish it with `market-platform ticks load --resume`, or take it back with `ticks load --roll-back`"
    )
    assert told in err
    assert told in run("status")[1]
    for command in (start, ("to-lake",)):
        code, _, err = run(*command)
        assert (code, told in err) == (2, True)
    assert run("load", "--resume")[0] == 1
    code, out, err = run("load", "--roll-back")
    assert (code, out) == (0, "load 1 is rolled back: 0 rows of dukascopy/EURUSD\n"), err
    code, _, err = run("load", "--resume")
    assert (code, "no load was interrupted" in err) == (2, True)


def test_a_second_one_at_the_same_time_is_refused(
    run: Run, warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    insert_rows(warehouse.url, pair.id, rows_of(distinct_ticks(DAY, 10)))
    path = tmp_path / "a.csv"
    path.write_text(HEADER)
    with ticks_session(warehouse.url, "the first"):
        assert run("status")[1].splitlines()[-1].startswith("at work: the first, Postgres process ")
        for command in (("to-lake",), ("load", str(path), "--pair", "dukascopy/EURUSD")):
            code, _, err = run(*command)
            assert (code, "already, by the first" in err) == (1, True)


def test_status_tells_of_every_day_what_is_in_postgres_and_what_became_of_it(
    run: Run, warehouse: Warehouse, pair: PairRow
) -> None:
    assert run("status")[1] == "no ticks: none in Postgres, none moved\n"
    states = ["postgres_only", "verified", "dropped", "differs", "changed", "copied"]
    days = {state: DAY + timedelta(days=offset) for offset, state in enumerate(states)}
    rows = {state: rows_of(distinct_ticks(day, 50, seed=day.day)) for state, day in days.items()}
    for state in ("dropped", *(each for each in states if each != "dropped")):
        insert_rows(warehouse.url, pair.id, rows[state])
        if state == "dropped":
            assert run("to-lake", "--drop-verified", "--yes")[0] == 0
    assert run("to-lake", "--from", str(days["verified"]))[0] == 0
    with psycopg.connect(warehouse.url) as conn:
        for state, to in (("differs", "kept"), ("copied", "copied")):
            conn.execute("UPDATE tick_moves SET state = %s WHERE day = %s", (to, days[state]))
    insert_rows(warehouse.url, pair.id, rows["changed"][:1])

    code, out, err = run("status")
    assert code == 0, err
    heading, *lines, last = out.splitlines()
    assert heading.split("\t")[:4] == ["pair", "day", "state", "rows in Postgres"]
    held = {state: 0 if state == "dropped" else len(rows[state]) for state in states}
    held["changed"] += 1
    assert [line.split("\t")[:4] for line in lines] == [
        [pair.name, str(day), state.replace("_", " "), str(held[state])] for state, day in days.items()
    ]
    assert last == (
        "6 days: 1 postgres only, 1 copied, 1 verified, 1 dropped, 1 differs, 1 changed; "
        f"{sum(held.values())} rows in Postgres"
    )
    document = json.loads(run("status", "--json")[1])
    assert [(each["day"], each["state"], each["rows_in_postgres"]) for each in document["days"]] == [
        (str(day), state, held[state]) for state, day in days.items()
    ]
    assert document["days"][0]["rows_moved"] is None
    assert document["rows_in_postgres"] == sum(held.values())
    only = run("status", pair.name, "--from", str(days["dropped"]), "--to", str(days["dropped"]))[1]
    assert [line.split("\t")[2] for line in only.splitlines()[1:-1]] == ["dropped"]
    assert run("status", "dukascopy/BTCUSD")[1] == "no ticks: none in Postgres, none moved\n"


def test_status_without_the_index_tells_what_was_moved_and_counts_nothing(
    run: Run, warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    insert_rows(warehouse.url, pair.id, rows_of(distinct_ticks(DAY, 20)))
    assert run("to-lake")[0] == 0
    good, path = tmp_path / "good.csv", tmp_path / "a.csv"
    good.write_text(HEADER + "2024-03-04 09:00:00,1.1,1.2,1,1\n")
    path.write_text(HEADER + "x\n")
    assert run("load", str(good), str(path), "--pair", "dukascopy/EURUSD", "--manage-indexes")[0] == 1
    lines = run("status")[1].splitlines()
    assert lines[1].split("\t")[2:4] == ["verified", "not counted"]
    assert lines[2] == "1 days: 1 verified; rows in Postgres not counted"
    assert json.loads(run("status", "--json")[1])["rows_in_postgres"] is None
    assert run("load", "--roll-back")[0] == 0
    assert run("status")[1].splitlines()[1].split("\t")[3] == "20"


def test_rows_of_no_pair_and_of_no_day_are_told(run: Run, warehouse: Warehouse, pair: PairRow) -> None:
    insert_rows(warehouse.url, 77, [("2024-03-04 10:00+00", "1", "1", "1", "1")])
    insert_rows(warehouse.url, pair.id, [("infinity", "1", "1", "1", "1")])
    code, out, err = run("to-lake")
    assert (code, out) == (0, "there is nothing to move\n")
    assert "rows of trading_pair_id 77 stay: there is no such pair" in err
    assert "dukascopy/EURUSD: 1 rows stay: their time is infinite" in err


def test_a_day_that_cannot_be_moved_ends_in_an_error_that_names_it(
    run: Run, warehouse: Warehouse, pair: PairRow
) -> None:
    insert_rows(warehouse.url, pair.id, [("2024-03-04 10:00:00.0001+00", "1.5", "1.6", "1", "1")])
    code, _, err = run("to-lake")
    assert code == 1
    assert "dukascopy/EURUSD 2024-03-04: 1 rows have times finer than a millisecond" in err
    code, _, err = run("to-lake", "--truncate-times")
    assert (code, "1 times cut" in err) == (0, True)
    with psycopg.connect(warehouse.url) as conn:
        assert conn.execute("SELECT state, truncated FROM tick_moves").fetchall() == [("verified", 1)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("to-lake", "EURUSD"), "'EURUSD' is not a pair"),
        (("to-lake", "--from", "2024-03-05", "--to", "2024-03-04"), "is after"),
        (("status", "--from", "2024-03-05", "--to", "2024-03-04"), "is after"),
        (("load", "--resume", "--roll-back"), "exclude each other"),
        (("load", "--resume", "--pair", "dukascopy/EURUSD"), "give nothing beside them"),
        (("load", "a.csv"), "name the pair"),
        (("load", "--pair", "dukascopy/EURUSD"), "name the files"),
        (("load", "/nowhere.csv", "--pair", "dukascopy/EURUSD"), "no such file"),
    ],
)
def test_wrong_usage_says_what_is_right(run: Run, pair: PairRow, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = run(*arguments)
    assert (code, message in err) == (2, True), err

"""`market-platform lake …` and the manifests: a real lake, a real Postgres."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from market_platform.domain.conditions import Condition
from market_platform.lake.store import Lake
from market_platform.lake.survey import survey
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.manifests import compare_manifests, rebuild_manifests
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import load_lake_days
from market_platform_tests.fixtures.lake_days import NOTES, Run, commit, manifest_of, write
from market_platform_tests.fixtures.made_ticks import made_ticks

DAY = date(2019, 2, 4)


def test_statistics_of_an_empty_lake_say_how_to_fill_it(run: Run) -> None:
    code, printed = run("stats")

    assert code == 0
    assert "no day files" in printed
    assert "market-platform backfill" in printed


def test_statistics_count_and_name_what_is_there(run: Run, lake: Lake) -> None:
    for offset in (0, 1, 4):
        write(lake, DAY + timedelta(days=offset), rows=1000 + offset)
    write(lake, DAY, symbol="GBPUSD", condition="degraded")
    lake.put_new("ticks/notes.txt", b"hello")
    lake.put_new("ticks/EURUSD/2018/01/01/part-0.json", b"[]")

    code, table = run("stats")
    assert code == 0
    assert "dukascopy/EURUSD" in table
    assert "3,005" in table
    assert "not used: ticks/notes.txt: its name is not a day file's" in table
    assert "EURUSD: 1 JSON parts of the old layout" in table

    code, text = run("stats", "dukascopy/EUR-USD", "--json")
    (pair,) = json.loads(text)["pairs"]
    assert code == 0
    assert (pair["symbol"], pair["days"], pair["ticks"]) == ("EURUSD", 3, 3005)
    assert pair["gaps"] == [{"first": "2019-02-06", "last": "2019-02-07", "days": 2}]
    assert pair["expected"] == "weekdays"


def test_verify_without_a_database_checks_the_files_alone_and_says_so(run: Run, lake: Lake) -> None:
    write(lake, DAY)

    code, printed = run("verify")

    assert code == 0
    assert "1 files read, 0 problems; manifests not compared: no database yet" in printed


def test_verify_finds_a_damaged_file(run: Run, lake: Lake) -> None:
    file = write(lake, DAY, rows=100_000)
    write(lake, DAY + timedelta(days=1))
    data = bytearray(lake.get(file.object_key))
    data[1000] ^= 0xFF
    lake.replace(file.object_key, bytes(data))

    code, printed = run("verify", "--json")

    report = json.loads(printed)
    assert code == 1
    assert report["files"] == 2
    assert [each["object_key"] for each in report["problems"]] == [file.object_key]
    assert run("verify", "dukascopy/EURUSD", "--from", "2019-02-05")[0] == 0
    assert run("verify", "--to", "2019-02-04")[0] == 1


def test_verify_compares_with_the_manifests(run: Run, lake: Lake, stored: Warehouse) -> None:
    days = [DAY + timedelta(days=offset) for offset in range(6)]
    files = [write(lake, day) for day in days]
    rows = [manifest_of(stored, file, day) for file, day in zip(files, days, strict=True)]
    commit(stored, rows[0])
    assert run("verify", "--to", "2019-02-04")[0] == 0

    commit(stored, manifest_of(stored, files[1], days[1], rows=7))
    lake.delete(files[2].object_key)
    commit(stored, rows[2])
    commit(stored, manifest_of(stored, files[3], days[3], object_key=None, content_hash="", rows=0, bytes=0,
                               first_time=None, last_time=None, condition=Condition.CLOSED))  # fmt: skip
    commit(stored, rows[4])
    newer = write(lake, days[4], seed=2)
    commit(stored, manifest_of(stored, files[5], days[5], condition=Condition.DEGRADED))

    code, printed = run("verify", "--json")

    report = json.loads(printed)
    assert code == 1
    assert report["manifests"] == "compared"
    said = {each["day"]: each["problem"] for each in report["differences"]}
    assert "its manifest says 7 ticks" in said["2019-02-05"]
    assert "which is not in the lake; backfill the day again" in said["2019-02-06"]
    assert "its manifest says closed without ticks" in said["2019-02-07"]
    assert said["2019-02-08"] == f"the lake has a newer file that was never committed: {newer.object_key}"
    assert "degraded" in said["2019-02-09"]
    assert "2019-02-04" not in said
    assert run("verify", "dukascopy/GBPUSD")[0] == 0


def test_lost_manifests_are_made_again_from_the_files(run: Run, lake: Lake, stored: Warehouse) -> None:
    days = [DAY + timedelta(days=offset) for offset in range(3)]
    files = [write(lake, day) for day in days]
    kept = manifest_of(stored, files[1], days[1], run_id="the one that was kept")
    commit(stored, kept)
    assert run("verify")[0] == 1

    code, printed = run("rebuild", "--dry-run")
    assert (code, "would add 2 manifests; 1 days had theirs" in printed) == (0, True)
    with stored.connect() as connection:
        assert len(load_lake_days(connection, kept.trading_pair_id, days[0], days[-1])) == 1

    code, printed = run("rebuild", "--json")
    assert code == 0
    assert json.loads(printed)["added"] == {"dukascopy/EURUSD": ["2019-02-04", "2019-02-06"]}

    with stored.connect() as connection:
        rows = load_lake_days(connection, kept.trading_pair_id, days[0], days[-1])
    expected = manifest_of(stored, files[0], days[0])
    made = rows[days[0]]
    for field in ("object_key", "content_hash", "rows", "bytes", "first_time", "last_time", "condition", "raw_inputs"):
        assert getattr(made, field) == getattr(expected, field)
    assert (made.run_id, made.code_version) == ("run-1", "1.2.3")
    assert rows[days[1]].run_id == "the one that was kept"
    assert run("verify")[0] == 0
    again = rebuild_manifests(stored, survey(lake))
    assert (again.added, again.kept) == ((), 3)
    assert compare_manifests(lake, stored, survey(lake)) == []


def test_rebuilding_names_pairs_the_database_does_not_know(run: Run, lake: Lake, stored: Warehouse) -> None:
    TICK_DAYS.write(lake, "otherexchange", "EURUSD", DAY, made_ticks(DAY, 10), NOTES)

    code, printed = run("rebuild")

    assert code == 1
    assert "otherexchange/EURUSD is not in the database" in printed
    assert "config sync" in printed


@pytest.mark.parametrize(
    "arguments", [("stats", "EURUSD"), ("stats", "/EURUSD"), ("verify", "--from", "2019-02-05", "--to", "2019-02-04")]
)
def test_a_wrong_argument_is_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    code, printed = run(*arguments)

    assert code == 2
    assert "Traceback" not in printed


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_statistics_never_cut_a_number(run: Run, lake: Lake, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    write(lake, DAY, rows=12_345)
    write(lake, DAY + timedelta(days=30), rows=1_234)

    code, table = run("stats")

    assert code == 0
    assert "…" not in table
    for part in ("dukascopy/", "EURUSD", "13,579", str(DAY), str(DAY + timedelta(days=30)), "weekdays"):
        assert part in table
    if columns == 80:
        assert all(len(line) <= 80 for line in table.splitlines() if "lake at" not in line)


@pytest.mark.parametrize("command", ["stats", "verify", "rebuild"])
def test_a_pair_that_nobody_knows_is_refused(run: Run, stored: Warehouse, command: str) -> None:
    code, printed = run(command, "dukascopy/EURUSS")
    assert code == 1
    assert (
        "dukascopy/EURUSS is not configured, and nothing of it is in the lake; did you mean dukascopy/EURUSD" in printed
    )


def test_a_mistyped_pair_is_refused_without_a_database_too(run: Run) -> None:
    assert run("stats", "dukascopy/NOPE")[0] == 1
    assert run("stats", "dukascopy/EURUSD")[0] == 0


def test_a_pair_that_is_no_more_configured_stays_usable_while_it_has_files(run: Run, lake: Lake) -> None:
    write(lake, DAY, symbol="OLDOLD")
    assert run("stats", "dukascopy/OLDOLD")[0] == 0
    assert run("verify", "dukascopy/OLDOLD", "--from", "2020-01-01")[0] == 0

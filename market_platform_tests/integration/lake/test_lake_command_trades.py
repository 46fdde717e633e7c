"""`market-platform lake …` on trades: their day files, their parts, their manifests, apart from those of quotes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from market_platform.domain.conditions import Condition
from market_platform.domain.trades import Trades, concat_trades
from market_platform.lake.day_files import DayFile
from market_platform.lake.parts import write_trade_parts
from market_platform.lake.store import Lake
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.lake.trade_file import TRADE_FILE
from market_platform.pipeline.compaction import compact_day
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import LakeDay, load_lake_days
from market_platform.warehouse.reference import load_pair
from market_platform_tests.fixtures.lake_days import NOTES, Run, commit, made_trades, manifest_of, write

FRIDAY = date(2026, 3, 6)
SATURDAY, MONDAY = FRIDAY + timedelta(days=1), FRIDAY + timedelta(days=3)
PAIR = ("binance", "BTCUSDT")


def write_trades(lake: Lake, day: date, rows: int = 100, **notes: str) -> DayFile:
    return TRADE_DAYS.write(lake, *PAIR, day, made_trades(day, rows), {**NOTES, **notes})


def put_as_it_is(lake: Lake, day: date, trades: Trades) -> str:
    """A file that no writer of ours would make, with a name and a description that are true."""
    key = TRADE_DAYS.key(*PAIR, day, trades.content_hash(), "available")
    said = {"exchange": PAIR[0], "symbol": PAIR[1], "day": day.isoformat(), "condition": "available"}
    lake.put_new(key, TRADE_FILE.encode(trades, said))
    return key


def test_statistics_tell_trades_and_quotes_apart(run: Run, lake: Lake) -> None:
    write(lake, FRIDAY, rows=1000)
    write_trades(lake, FRIDAY, 2000)
    write_trades(lake, MONDAY, 3000, condition="degraded")
    write_trade_parts(lake, *PAIR, made_trades(MONDAY + timedelta(days=1), 7), {})

    code, table = run("stats")
    assert code == 0
    assert [line.split()[:4] for line in table.splitlines() if "/" in line.split(" ")[0]][:2] == [
        ["binance/BTCUSDT", "trades", "2", "5,000"],
        ["dukascopy/EURUSD", "ticks", "1", "1,000"],
    ]
    assert "binance/BTCUSDT: 1 parts of trades, 0.0 MB, of 2026-03-10 wait for their compaction" in table

    code, text = run("stats", "binance/BTC-USDT", "--json")
    report = json.loads(text)
    (pair,) = report["pairs"]
    assert (pair["symbol"], pair["kind"], pair["days"], pair["ticks"]) == ("BTCUSDT", "trades", 2, 5000)
    assert pair["conditions"] == {"available": 1, "degraded": 1}
    assert pair["gaps"] == [{"first": "2026-03-07", "last": "2026-03-08", "days": 2}], "trades have no weekend"
    assert pair["expected"] == "every day"
    (waiting,) = report["parts"]
    assert (waiting["kind"], waiting["parts"], waiting["first_day"]) == ("trades", 1, "2026-03-10")
    assert report["foreign"] == []


def test_what_is_not_a_file_of_trades_is_named(run: Run, lake: Lake) -> None:
    write_trades(lake, FRIDAY)
    lake.put_new("trades/BTCUSDT/2026/03/06/notes.txt", b"hello")
    lake.put_new("trades/BTCUSDT/2026/03/06/part-1.json", b"[]")

    code, printed = run("verify")

    assert code == 1
    assert "2 problems" in printed
    code, printed = run("stats")
    assert "not used: trades/BTCUSDT/2026/03/06/notes.txt: its name is not a day file's" in printed
    assert "not used: trades/BTCUSDT/2026/03/06/part-1.json" in printed, "the old layout has no trades"


def test_verify_reads_days_and_parts_of_trades(run: Run, lake: Lake) -> None:
    write(lake, FRIDAY)
    write_trades(lake, FRIDAY, 75_000)
    (part,) = write_trade_parts(lake, *PAIR, made_trades(MONDAY, 50), {})

    code, printed = run("verify")
    assert code == 0
    assert "ticks: 1 day files, 0 parts of streamed days" in printed
    assert "trades: 1 day files, 1 parts of streamed days" in printed
    assert "3 files read, 0 problems" in printed

    data = bytearray(lake.get(part.object_key))
    data[60] ^= 0xFF
    lake.replace(part.object_key, bytes(data))
    code, printed = run("verify", "binance/BTCUSDT", "--json")
    report = json.loads(printed)
    assert (code, report["files"], report["kinds"]) == (1, 2, {"trades": {"day_files": 1, "parts": 1}})
    assert [each["object_key"] for each in report["problems"]] == [part.object_key]
    assert run("verify", "binance/BTCUSDT", "--to", "2026-03-08")[0] == 0
    assert run("verify", "dukascopy/EURUSD")[0] == 0


def test_verify_names_trades_that_come_twice_or_in_no_order(run: Run, lake: Lake) -> None:
    trades = made_trades(FRIDAY)
    again = made_trades(FRIDAY, 3, first_id=5).with_columns(
        column + 5_000 if name == "time" else column
        for name, column in zip(TRADE_FILE.layout.columns, made_trades(FRIDAY, 3, first_id=5).columns, strict=True)
    )
    twice = put_as_it_is(lake, FRIDAY, concat_trades([trades, again]))
    backwards = put_as_it_is(lake, SATURDAY, made_trades(SATURDAY).with_columns(
        column[::-1] for column in made_trades(SATURDAY).columns
    ))  # fmt: skip
    elsewhere = put_as_it_is(lake, MONDAY, made_trades(FRIDAY))

    code, printed = run("verify", "--json")

    assert code == 1
    problems = {each["object_key"]: each["problem"] for each in json.loads(printed)["problems"]}
    assert problems == {
        twice: f"lake object {twice} holds trade 5 twice (3 such)",
        backwards: f"lake object {backwards} holds trades that are not sorted by time and id",
        elsewhere: f"lake object {elsewhere} holds trades that are not of its day",
    }


def test_verify_compares_trades_with_their_manifests(run: Run, lake: Lake, stored: Warehouse) -> None:
    days = [FRIDAY + timedelta(days=offset) for offset in range(4)]
    files = [write_trades(lake, day) for day in days]
    rows = [manifest_of(stored, file, day, PAIR, kind="trades") for file, day in zip(files, days, strict=True)]
    commit(stored, rows[0])
    assert run("verify", "--to", "2026-03-06")[0] == 0

    commit(stored, replace(rows[1], rows=7))
    lake.delete(files[2].object_key)
    commit(stored, rows[2])

    code, printed = run("verify", "--json")

    assert code == 1
    said = {(each["day"], each["kind"]): each["problem"] for each in json.loads(printed)["differences"]}
    assert "its manifest says 7 trades" in said["2026-03-07", "trades"]
    assert "which is not in the lake" in said["2026-03-08", "trades"]
    assert said["2026-03-09", "trades"] == (
        f"no manifest names {files[3].object_key}; `market-platform lake rebuild` adds it"
    )
    assert len(said) == 3
    assert "binance/BTCUSDT 2026-03-07, trades: its manifest says 7 trades" in run("verify")[1]


def test_lost_manifests_of_streamed_days_are_made_again(run: Run, lake: Lake, stored: Warehouse) -> None:
    platform = Platform(
        lake,
        stored,
        open_source=lambda _: pytest.fail("no exchange is asked"),
        clock=lambda: datetime(2026, 3, 20, tzinfo=UTC),
    )
    with stored.connect() as connection:
        row = load_pair(connection, *PAIR)
    for day in (FRIDAY, SATURDAY):
        write_trade_parts(lake, *PAIR, made_trades(day), {})
        compact_day(platform, row, day, "trades", Provenance("run-7", "compaction-1"))
    before = manifests(stored, row.id)
    assert [each.condition for each in before] == [Condition.DEGRADED, Condition.AVAILABLE]
    assert run("verify")[0] == 0
    with stored.begin() as connection:
        connection.exec_driver_sql("DELETE FROM lake_days")

    assert run("verify")[0] == 1
    code, printed = run("rebuild", "--dry-run")
    assert code == 0
    assert "binance/BTCUSDT: 2 days of trades, 2026-03-06 to 2026-03-07" in printed
    assert manifests(stored, row.id) == []

    code, printed = run("rebuild", "--json")
    report = json.loads(printed)
    assert (code, report["kinds"]) == (0, {"trades": 2})
    assert report["added"] == {"binance/BTCUSDT": ["2026-03-06", "2026-03-07"]}
    made = manifests(stored, row.id)
    assert [replace(each, raw_inputs=[]) for each in made] == [replace(each, raw_inputs=[]) for each in before]
    assert run("verify")[0] == 0
    again = compact_day(platform, row, SATURDAY, "trades", Provenance("run-8", "compaction-1"))
    assert (again.changed, again.rows) == (False, 100)


def test_a_training_database_has_a_lake_of_its_own(run: Run, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    write_trades(lake, FRIDAY)
    write_trades(Lake.open(f"{lake.url}/training"), MONDAY)

    assert [each["first_day"] for each in json.loads(run("stats", "--json")[1])["pairs"]] == ["2026-03-06"]
    without = json.loads(run("stats", "--database", "training", "--json")[1])
    assert [each["first_day"] for each in without["pairs"]] == ["2026-03-06"], "it falls back to the realtime lake"
    monkeypatch.setenv("TRAINING_DATABASE", "market_training")
    training = json.loads(run("stats", "--database", "training", "--json")[1])
    assert [each["first_day"] for each in training["pairs"]] == ["2026-03-09"]


def manifests(warehouse: Warehouse, pair_id: int) -> list[LakeDay]:
    with warehouse.connect() as connection:
        rows = load_lake_days(connection, pair_id, FRIDAY, MONDAY, kind="trades").values()
    return [replace(each, written_at=None) for each in rows]

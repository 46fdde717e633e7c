"""`market-platform lake import`: the old layout's JSON parts become day files."""

from __future__ import annotations

from datetime import date

from market_platform.domain.clock import day_start_ms
from market_platform.domain.intervals import DAY_MS
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import load_lake_days
from market_platform.warehouse.reference import load_pair
from market_platform_tests.fixtures.lake_days import Run, commit, manifest_of, write

PARTS = "ticks/EURUSD/2018/01"


def part(day: int, *offsets: int) -> bytes:
    start = day_start_ms(date(2018, 1, day))
    row = '{{"t": {}, "bid": 1.2, "ask": "1.20004", "bidVolume": 1, "askVolume": 2.5}}'
    return "\n".join(row.format(start + offset) for offset in offsets).encode()


def test_old_parts_are_taken_over_as_degraded_days(run: Run, lake: Lake, stored: Warehouse) -> None:
    lake.put_new(f"{PARTS}/02/part-1.json", part(2, 10, 30))
    lake.put_new(f"{PARTS}/02/part-2.json", part(2, 20, 30))
    lake.put_new(f"{PARTS}/03/part-1.json", b"nonsense")
    lake.put_new(f"{PARTS}/04/part-1.json", part(4, 1))
    lake.put_new(f"{PARTS}/05/part-1.json", part(5, 1))
    there = write(lake, date(2018, 1, 5))
    commit(stored, manifest_of(stored, there, date(2018, 1, 5)))

    code, printed = run("import", "dukascopy/EURUSD")

    assert code == 1
    assert "2018-01-02: 3 ticks of 2 parts, 1 duplicates dropped" in printed
    assert "1 of 3 days failed, 2 are kept" in printed
    assert f"{PARTS}/03/part-1.json" in printed
    with stored.connect() as connection:
        pair = load_pair(connection, "dukascopy", "EURUSD")
        rows = load_lake_days(connection, pair.id, date(2018, 1, 1), date(2018, 1, 31))
    assert {day.day: row.condition.value for day, row in rows.items()} == {2: "degraded", 4: "degraded", 5: "available"}
    taken = rows[date(2018, 1, 2)]
    assert taken.object_key is not None
    assert taken.raw_inputs == [{"source": f"{PARTS}/02/part-{number}.json"} for number in (1, 2)]
    ticks = TICK_DAYS.read(lake, taken.object_key, expect_hash=taken.content_hash)
    assert (ticks.time % DAY_MS).tolist() == [10, 20, 30]
    assert (ticks.ask.tolist(), ticks.price_scale) == ([120_004] * 3, 5)
    assert (ticks.ask_volume.tolist(), ticks.volume_scale) == ([25] * 3, 1)
    assert lake.exists(f"{PARTS}/02/part-1.json")

    code, printed = run("import", "dukascopy/EURUSD", "--from", "2018-01-04")
    assert (code, "0 days taken over" in printed) == (0, True)
    assert run("verify")[0] == 0

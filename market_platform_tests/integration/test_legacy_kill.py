"""`kill -9` of `ticks to-lake` and `ticks load` at random moments: each goes on, ends whole, and nothing is there twice."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest

from market_platform.domain.ticks import Ticks
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import load_lake_days
from market_platform_tests.fixtures.legacy_ticks import count_rows, distinct_ticks, insert_rows, rows_of
from market_platform_tests.fixtures.reference import synced_pair

KILLS = int(os.environ.get("LEGACY_KILLS", "6"))
DAYS = [date(2024, 3, 4) + timedelta(days=offset) for offset in range(10)]
DAY_ROWS = 2000
LONGEST_S = 0.06
"""Kills come within this time after what they waited for: longer than a day, a file or an index takes."""
log = logging.getLogger(__name__)


_MOVES = "SELECT count(*) FROM tick_moves WHERE state = ANY(%s)"
_LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE locktype = 'advisory' AND datname = current_database()
"""
_LOADED = """
SELECT 1 + count(file.value) + max((state = 'indexing')::integer) FROM bulk_loads
LEFT JOIN LATERAL jsonb_array_elements(progress -> 'files') AS file ON file ? 'rows' GROUP BY bulk_loads.id
"""


class Commands:
    """Commands of `market-platform ticks`, each in a process of its own that can be killed."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._database_url = database_url
        environment = {**os.environ, "DATABASE_URL": database_url, "MARKET_DATA_DIR": str(folder), "NO_COLOR": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "market_platform_tests.fixtures.killed_ticks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def run(self, *arguments: str, kill_when: Callable[[], bool] | None = None, delay_s: float = 0) -> int:
        """The exit code of a command; -9 when it was killed, `delay_s` after `kill_when` held, before its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        if kill_when is not None:
            while not (ended := select.select([self._process.stdout], [], [], 0.002)[0]) and not kill_when():
                pass
            if not ended:
                select.select([self._process.stdout], [], [], delay_s)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        code = int(self._process.stdout.readline())
        self._wait_for_its_session()
        return code

    def _wait_for_its_session(self) -> None:
        """Postgres notices within a second that a session's process is gone; a busy machine may take longer."""
        deadline = time.monotonic() + 60
        with psycopg.connect(self._database_url, autocommit=True) as conn:
            while conn.execute(_LOCKS).fetchone() != (0,):
                assert time.monotonic() < deadline, "the killed command's session lives on"
                time.sleep(0.02)

    def close(self) -> None:
        """End."""
        self._process.communicate(timeout=60)


@pytest.fixture
def dice() -> random.Random:
    seed = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(1_000_000))))
    log.warning("CHAOS_SEED=%s", seed)
    return random.Random(seed)


@pytest.fixture
def commands(database_url: str, tmp_path: Path) -> Iterator[Commands]:
    made = Commands(database_url, tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_a_move_that_is_killed_again_and_again_ends_whole(
    commands: Commands, warehouse: Warehouse, tmp_path: Path, dice: random.Random
) -> None:
    pair = synced_pair(warehouse)
    expected = {day: distinct_ticks(day, DAY_ROWS, seed=day.day) for day in DAYS}
    for ticks in expected.values():
        rows = rows_of(ticks)
        insert_rows(warehouse.url, pair.id, [*rows, rows[0]])
    lake = Lake.open((tmp_path / "lake").as_uri())
    codes = []
    for _ in range(KILLS):
        states = dice.choice((("copied", "verified", "dropped"), ("verified", "dropped"), ("dropped",)))
        further = _count(warehouse, _MOVES, states) + dice.randrange(3)
        codes.append(
            commands.run(
                *("to-lake", "--drop-verified", "--yes"),
                kill_when=lambda: _count(warehouse, _MOVES, states) >= further,  # noqa: B023  called at once
                delay_s=dice.uniform(0, LONGEST_S),
            )
        )
        with psycopg.connect(warehouse.url, options="-c timezone=UTC") as conn:
            left: dict[date, int] = dict(
                conn.execute("SELECT time::date, count(*) FROM market_ticks GROUP BY 1").fetchall()
            )
        for day, ticks in expected.items():
            assert left.get(day, 0) in (0, len(ticks) + 1), "a day is there whole, or dropped whole"
            if day not in left:
                _assert_in_lake(lake, warehouse, pair.id, day, ticks)
    log.warning("exit codes %s", codes)
    assert commands.run("to-lake", "--drop-verified", "--yes") == 0
    assert count_rows(warehouse.url) == 0
    for day, ticks in expected.items():
        _assert_in_lake(lake, warehouse, pair.id, day, ticks)
        assert len(TICK_DAYS.files(lake, "dukascopy", "EURUSD", day)) == 1
    with psycopg.connect(warehouse.url) as conn:
        assert conn.execute("SELECT state, count(*) FROM tick_moves GROUP BY 1").fetchall() == [("dropped", len(DAYS))]


@pytest.mark.slow
def test_a_load_that_is_killed_is_finished_or_taken_back(
    commands: Commands, warehouse: Warehouse, tmp_path: Path, dice: random.Random
) -> None:
    pair = synced_pair(warehouse)
    there = rows_of(distinct_ticks(DAYS[0], 500, seed=99))
    insert_rows(warehouse.url, pair.id, there)
    rows = 0
    files = []
    for day in DAYS[:5]:
        path = tmp_path / f"{day}.csv"
        lines = rows_of(distinct_ticks(day, DAY_ROWS, seed=day.day))
        path.write_text(
            "time,bid,ask,bid_volume,ask_volume\n" + "".join(f"{','.join(map(str, row))}\n" for row in lines)
        )
        rows += len(lines)
        files.append(str(path))
    outcomes = []
    for _ in range(KILLS):
        start = ("load", *files, "--pair", pair.name, "--manage-indexes")
        reached = dice.randrange(1, 8)
        commands.run(
            *start,
            kill_when=lambda: _count(warehouse, _LOADED) >= reached,  # noqa: B023  called at once
            delay_s=dice.uniform(0, LONGEST_S),
        )
        way = dice.choice(("--resume", "--roll-back"))
        if _loads(warehouse, open_only=True):
            before = _progress(warehouse)
            commands.run(
                *("load", way),
                kill_when=lambda: _progress(warehouse) != before,  # noqa: B023  called at once
                delay_s=dice.uniform(0, LONGEST_S),
            )
            if _loads(warehouse, open_only=True):
                assert commands.run("load", way) == 0
        state = _loads(warehouse)[-1:] or ["never began"]
        outcomes.append(state[0])
        assert count_rows(warehouse.url) == len(there) + (rows if state == ["done"] else 0)
        with psycopg.connect(warehouse.url) as conn:
            query = (
                "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = 'market_ticks'::regclass"
            )
            assert conn.execute(query).fetchall() == [("market_ticks_pair_time", True)]
            conn.execute("TRUNCATE market_ticks, bulk_loads")
        insert_rows(warehouse.url, pair.id, there)
    log.warning("outcomes %s", outcomes)


def _assert_in_lake(lake: Lake, warehouse: Warehouse, pair_id: int, day: date, expected: Ticks) -> None:
    with warehouse.connect() as conn:
        manifest = load_lake_days(conn, pair_id, day, day)[day]
    assert manifest.object_key is not None
    found = TICK_DAYS.read(lake, manifest.object_key, expect_hash=manifest.content_hash).with_volume_scale(0)
    for mine, theirs in zip(found.columns, expected.columns, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _count(warehouse: Warehouse, query: str, *parameters: object) -> int:
    with psycopg.connect(warehouse.url) as conn:
        row = conn.execute(
            query.encode(), [list(each) if isinstance(each, tuple) else each for each in parameters]
        ).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def _progress(warehouse: Warehouse) -> object:
    with psycopg.connect(warehouse.url) as conn:
        return conn.execute("SELECT state, rows, progress::text FROM bulk_loads").fetchall()


def _loads(warehouse: Warehouse, *, open_only: bool = False) -> list[str]:
    where = "WHERE state IN ('loading', 'indexing')" if open_only else ""
    with psycopg.connect(warehouse.url) as conn:
        return [row[0] for row in conn.execute(f"SELECT state FROM bulk_loads {where} ORDER BY id")]

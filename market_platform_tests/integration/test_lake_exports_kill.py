"""`kill -9` of exports into the lake: every file is one of the whole ones, what does not belong together is told, the next run mends."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep

import pytest

from market_platform.domain.clock import utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.ranks import CandleRank
from market_platform.lake.store import Lake
from market_platform.pipeline.exports.verify import verify_export
from market_platform.warehouse.candles import CandleWrite, write_candle_days
from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.export_world import FIRST, OPEN, make_market, store_minutes
from market_platform_tests.fixtures.killable import kill
from market_platform_tests.fixtures.killed_lake_export import export_day
from market_platform_tests.fixtures.stored_candles import frame

KILLS = int(os.environ.get("EXPORT_KILLS", "20"))
WRITES = 6
"""A file and its JSON for each of three intervals."""
LONGEST_S = 0.02
"""Kills come within this time after a write began: longer than one takes."""
log = logging.getLogger(__name__)


def described(name: str) -> str:
    """The file that a JSON in the lake is about."""
    return name.removesuffix(".json").replace("/_", "/")


class Exports:
    """Exports of one day, whole or killed; `truths` are the bytes that each file has had when an undisturbed one ended."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._database_url = database_url
        self._folder = folder
        self.truths: dict[str, list[bytes]] = {}
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "market_platform_tests.fixtures.killed_lake_export", database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            text=True,
            bufsize=1,
        )

    def undisturbed(self, lake: str) -> None:
        """Export in this process."""
        export_day(Lake.open((self._folder / lake).as_uri()), self._database_url)

    def note_truth(self) -> None:
        """What is right from now on."""
        self.undisturbed("truth")
        for name, content in self.files("truth").items():
            self.truths.setdefault(name, []).append(content)

    def files(self, lake: str) -> dict[str, bytes]:
        """Every object of a lake."""
        opened = Lake.open((self._folder / lake).as_uri())
        return {info.key: opened.get(info.key) for info in opened.list()}

    def kill_before_write(self, lake: str, number: int) -> None:
        """Let one kill itself."""
        self._start(lake, number)
        assert "done" not in self._rest(), "it was to be killed"

    def kill_after_writes(self, lake: str, number: int, delay_s: float) -> bool:
        """Kill one `delay_s` after that many writes began; whether it had not ended before."""
        assert self.process.stdout is not None
        pid = self._start(lake, -1)
        for _ in range(number):
            line = self.process.stdout.readline().strip()
            assert line in ("write", "done"), line
            if line == "done":
                break
        sleep(delay_s)
        kill(pid)
        return "done" not in self._rest()

    def check(self, lake: str) -> int:
        """Each object is a whole one, and a JSON that is another file's is told; how many were."""
        found = self.files(lake)
        told = 0
        for name, content in found.items():
            assert content in self.truths[name], f"{name} is half written, or of nobody"
            if name.endswith(".json"):
                fits = json.loads(content)["sha256"] == hashlib.sha256(found[described(name)]).hexdigest()
                differences = verify_export(self._folder / lake / name).differences
                assert any(each.startswith("sha256: ") for each in differences) is not fits
                told += not fits
        return told

    def check_mended(self, lake: str) -> None:
        """The next run makes it whole, whatever was left."""
        self.undisturbed(lake)
        assert self.files(lake) == {name: contents[-1] for name, contents in self.truths.items()}
        assert self.check(lake) == 0

    def close(self) -> None:
        """End."""
        self.process.communicate(timeout=60)

    def _start(self, lake: str, number: int) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{self._folder / lake} {number}\n")
        return int(self.process.stdout.readline())

    def _rest(self) -> list[str]:
        assert self.process.stdout is not None
        rest = [line.strip() for line in iter(self.process.stdout.readline, "end\n")]
        assert "" not in rest, "the exporting process ended"
        return rest


@pytest.fixture
def exports(database_url: str, warehouse: Warehouse, tmp_path: Path) -> Iterator[Exports]:
    pair = make_market(warehouse)
    with warehouse.begin() as conn:
        for interval, opens in (("15m", timedelta(hours=23, minutes=45)), ("1h", timedelta(hours=23))):
            rows = frame([(datetime.combine(FIRST, time(), UTC) + opens, OPEN, "43300", "43100", "43210.5", "5")])
            write = CandleWrite(
                pair.starlistings[interval], FIRST, rows, Condition.AVAILABLE, CandleRank.COMPLETE_TICKS
            )
            write_candle_days(conn, [write], run_id="test", code_version="1")
    made = Exports(database_url, tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_whichever_write_it_dies_before_the_next_run_mends(exports: Exports, warehouse: Warehouse) -> None:
    """An export of a new day, and one of a day that changed, whose file is the new one and whose JSON is not yet."""
    exports.note_truth()
    for writes in range(WRITES):
        exports.kill_before_write(f"lake {writes}", writes)
        assert len(exports.files(f"lake {writes}")) == writes
        assert exports.check(f"lake {writes}") == 0
        exports.check_mended(f"lake {writes}")
    store_minutes(warehouse, make_market(warehouse), FIRST, 0, 5, close="43210.7")
    exports.note_truth()
    for writes in range(2):
        exports.kill_before_write(f"lake {writes}", writes)
        assert exports.check(f"lake {writes}") == writes
        exports.check_mended(f"lake {writes}")


@pytest.mark.slow
def test_killed_at_random_again_and_again(
    exports: Exports, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(1_000_000))))
    log.warning("CHAOS_SEED=%s", seed)
    dice = random.Random(seed)
    pair = make_market(warehouse)
    exports.note_truth()
    killed = told = 0
    for number in range(KILLS):
        store_minutes(warehouse, pair, FIRST, 0, 5, close=f"43210.{number % 9 + 1}")
        exports.note_truth()
        killed += exports.kill_after_writes("lake", dice.randrange(3), dice.uniform(0, LONGEST_S))
        told += exports.check("lake")
    log.warning("%s killed, %s times a JSON was another file's", killed, told)
    exports.check_mended("lake")
    monkeypatch.setattr(tempfile, "tempdir", str(exports.temporary))
    for folder in exports.temporary.iterdir():
        os.utime(folder, (0, 0))  # long ago
    exports.undisturbed("lake")
    assert list(exports.temporary.iterdir()) == []
    lake = Lake.open((tmp_path / "lake").as_uri())
    lake.remove_leftovers("exports", utc_now() + timedelta(hours=1))
    found = {
        path.relative_to(tmp_path / "lake").as_posix() for path in (tmp_path / "lake").rglob("*") if path.is_file()
    }
    assert found == set(exports.files("lake"))

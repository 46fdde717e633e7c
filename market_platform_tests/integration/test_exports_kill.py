"""`kill -9` of an export at random points: never a half file under the file's name, and the next export is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from market_platform.pipeline.exports.export import export
from market_platform.pipeline.exports.sidecar import sidecar_path
from market_platform.pipeline.exports.verify import verify_export
from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.export_world import HOURS, fill_hours, hourly_request, sync_export_pairs

KILLS = 20


def test_a_killed_export_leaves_no_half_file_and_the_next_one_is_whole(
    warehouse: Warehouse, database_url: str, tmp_path: Path
) -> None:
    asked = hourly_request()
    pair, _ = sync_export_pairs(warehouse)
    fill_hours(database_url, pair.starlistings["1h"], HOURS, asked.start)
    expected = export(warehouse, asked, tmp_path / "expected" / "file.parquet")
    path = tmp_path / "killed" / "file.parquet"
    allowed = {path.name, sidecar_path(path).name, f"{path.name}.partial", f"{sidecar_path(path).name}.partial"}
    dice = random.Random(seed := random.SystemRandom().randrange(1_000_000))
    command = [sys.executable, "-m", "market_platform_tests.fixtures.killed_export", database_url, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(KILLS):
            nursery.stdin.write("another\n")
            child = int(nursery.stdout.readline())
            for _ in range(dice.randrange(21)):
                line = nursery.stdout.readline()
                assert line not in ("end\n", ""), f"seed {seed}: the export failed"
                if line == "done\n":
                    break
            os.kill(child, signal.SIGKILL)
            for line in iter(nursery.stdout.readline, "end\n"):
                assert line, f"seed {seed}: the nursery ended"
            left = {each.name for each in path.parent.iterdir()} if path.parent.exists() else set()
            assert left <= allowed, f"seed {seed}: {left}"
            if path.exists():
                assert path.read_bytes() == expected.path.read_bytes(), f"seed {seed}"
                assert verify_export(sidecar_path(path)).differences == (), f"seed {seed}"
        nursery.stdin.close()
    again = export(warehouse, asked, path, overwrite=True)
    assert again.sha256 == expected.sha256
    assert {each.name for each in path.parent.iterdir()} == {path.name, sidecar_path(path).name}

"""Every example of reading an export runs as it stands, on a real export, as a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from market_platform.exchanges.registry import open_tick_source
from market_platform.lake.store import Lake
from market_platform.pipeline.exports.export import export
from market_platform.pipeline.exports.lake_exports import export_partition
from market_platform.pipeline.exports.request import Dataset
from market_platform.pipeline.platform import Platform
from market_platform.settings import load_settings
from market_platform.starlistings import parse_starlistings
from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.export_world import CONFIG, FIRST, OPEN, SECOND, make_market, request
from market_platform_tests.recordings import PROJECT_ROOT

EXAMPLES = PROJECT_ROOT / "examples" / "exports"
TORCH = PROJECT_ROOT / "build" / "torch"
"""Where `.ci/run` puts PyTorch, which is too large for everybody's virtual environment."""


def run(name: str, path: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), path],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def merged(warehouse: Warehouse, tmp_path: Path) -> Path:
    make_market(warehouse)
    return export(warehouse, request(Dataset.MERGED), tmp_path / "merged.parquet").path


def test_polars(merged: Path) -> None:
    told = run("with_polars.py", str(merged))
    assert "45.000000000000000090 traded" in told


def test_pandas(merged: Path) -> None:
    assert "10 rows, 3 with a funding rate" in run("with_pandas.py", str(merged))


def test_pyarrow(merged: Path) -> None:
    told = run("with_pyarrow.py", str(merged))
    assert "numbers: decimal" in told
    assert "volume: decimal128(38, 18) base" in told
    assert "10 rows; the last close is 43210.5" in told


def test_duckdb(merged: Path) -> None:
    [_, first, second] = run("with_duckdb.py", str(merged)).splitlines()
    assert OPEN in first
    assert (first.split("\t")[-1], second.split("\t")[-1]) == ("1", "2")


@pytest.mark.parametrize("name", ["with_polars.py", "with_duckdb.py"])
def test_a_folder_of_days_is_read_as_one(warehouse: Warehouse, tmp_path: Path, name: str) -> None:
    make_market(warehouse)
    settings = load_settings(_env_file=None, market_data_dir=tmp_path)
    platform = Platform(
        Lake.open((tmp_path / "lake").as_uri()), warehouse, lambda exchange: open_tick_source(exchange, settings)
    )
    pairs = parse_starlistings(CONFIG).pairs()
    for day in (FIRST, SECOND):
        export_partition(platform, Dataset.MERGED, pairs, day, "day")
    told = run(name, f"{tmp_path}/lake/exports/merged/**/interval=1m/*.parquet")
    assert "2024-03-31" in told
    assert "2024-04-01" in told


def test_polars_does_not_call_doubles_exact(warehouse: Warehouse, tmp_path: Path) -> None:
    make_market(warehouse)
    file = export(warehouse, request(Dataset.MERGED, numbers="float64"), tmp_path / "merged.parquet").path
    assert "rounded, as its numbers are doubles" in run("with_polars.py", str(file))


@pytest.mark.parametrize("numbers", ["decimal", "float64"])
def test_pytorch(warehouse: Warehouse, tmp_path: Path, numbers: str) -> None:
    path = os.pathsep.join([str(TORCH)] if TORCH.is_dir() else [])
    if not path and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed here; `pip install torch` runs this example, too")
    make_market(warehouse)
    file = export(warehouse, request(Dataset.MERGED, numbers=numbers), tmp_path / "merged.parquet").path
    told = run("with_pytorch.py", str(file), **({"PYTHONPATH": path} if path else {}))
    assert "6 samples of 4 candles and 7 numbers" in told

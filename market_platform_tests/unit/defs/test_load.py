"""What loading the definitions costs, in a fresh interpreter: seconds, and what it imports."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import dagster as dg
import pytest

from market_platform.defs.build import accept_beta
from market_platform.domain.intervals import INTERVALS
from market_platform_tests.recordings import PROJECT_ROOT

_HISTORY = 'starlistings.load_starlistings(__import__("pathlib").Path("config/starlistings.yaml")).pairs()[0]'
_LIVE = (
    '__import__("market_platform.domain.pairs").domain.pairs.TradingPair("binance", "BTC", "USDT", "perps", "BTCUSDT.P", '
    '__import__("market_platform.domain.intervals").domain.intervals.INTERVALS)'
)
_SCRIPT = """
import json, socket, sys, time
started = time.process_time()
import dagster
imported = time.process_time()

def refuse(*_args, **_kwargs):
    raise AssertionError("loading definitions opened a connection")

socket.socket.connect = refuse
from dataclasses import replace
import market_platform.starlistings as starlistings
first = FIRST
starlistings.configured_pairs = lambda *_: [replace(first, symbol=f"PAIR{n:03}") for n in range(100)]
from market_platform.definitions import defs
repository = defs().get_repository_def()
done = time.process_time()
heavy = [name for name in ("polars", "pyarrow", "numpy", "obstore", "psycopg", "pandas", "httpx") if name in sys.modules]
print(json.dumps([imported - started, done - imported, len(repository.asset_graph.get_all_asset_keys()), heavy]))
"""


@pytest.mark.parametrize(
    ("first", "count"),
    [(_HISTORY, 100 * 11 + 2 + 10), (_LIVE, 100 * (2 * len(INTERVALS) + 8) + 1 + 10)],
    ids=["history", "live"],
)
def test_a_hundred_pairs_load_in_a_second_on_top_of_dagster(first: str, count: int) -> None:
    """Seconds of processor time, the best of three: other work on the machine is not what is measured.

    A second is for the eleven assets of a hundred pairs with ticks; streamed pairs have 28 each, and more time.
    """
    most_s = max(1.0, count / 1500)
    best: tuple[float, float] | None = None
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _SCRIPT.replace("FIRST", first)],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        dagster_s, ours_s, assets, heavy = json.loads(done.stdout.splitlines()[-1])
        assert assets == count
        assert heavy == [], "definitions import what only a running step needs"
        best = min(best or (ours_s, dagster_s), (ours_s, dagster_s))
        if ours_s < most_s:
            break
    assert best is not None
    ours_s, dagster_s = best
    assert ours_s < max(most_s, 2 * dagster_s), f"{ours_s:.2f} s beyond {dagster_s:.2f} s for importing Dagster itself"


def test_importing_the_definitions_does_no_work() -> None:
    """Neither settings nor the configuration are read until Dagster asks for the definitions."""
    script = (
        "import sys, market_platform.definitions, market_platform.defs.build;"
        "print([name for name in ('market_platform.pipeline.platform', 'polars') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=PROJECT_ROOT,
        env={"PATH": "", "STARLISTINGS_FILE": "/nowhere.yaml", "REPLAY_PORT": "not a number"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_what_dagster_calls_beta_and_we_use_is_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accept_beta()
        job = dg.define_asset_job("days")
        sensor = dg.SensorDefinition(name="repairs", job=job, evaluation_fn=lambda _: None, owners=["team:market-data"])
    assert sensor.owners == ["team:market-data"]

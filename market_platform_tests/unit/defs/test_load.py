"""What loading the definitions costs, in a fresh interpreter: calls, and what it imports."""

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
import json, socket, sys
import dagster

def refuse(*_args, **_kwargs):
    raise AssertionError("loading definitions opened a connection")

socket.socket.connect = refuse
from dataclasses import replace
import market_platform.defs.build
import market_platform.starlistings as starlistings
first = FIRST
starlistings.configured_pairs = lambda *_: [replace(first, symbol=f"PAIR{n:03}") for n in range(100)]
from market_platform.definitions import defs
calls = 0

def count(_frame, event, _argument):
    global calls
    calls += event == "call"

sys.setprofile(count)
repository = defs().get_repository_def()
sys.setprofile(None)
heavy = [name for name in ("polars", "pyarrow", "numpy", "obstore", "psycopg", "pandas", "httpx") if name in sys.modules]
print(json.dumps([calls, len(repository.asset_graph.get_all_asset_keys()), heavy]))
"""


@pytest.mark.parametrize(
    ("first", "count", "most_calls"),
    [
        (_HISTORY, 100 * 11 + 2 + 10, 100 * 13_000),
        (_LIVE, 100 * (2 * len(INTERVALS) + 8) + 2 + 10, 100 * 20_000),
    ],
    ids=["history", "live"],
)
def test_a_hundred_pairs_load_in_a_second_on_top_of_dagster(first: str, count: int, most_calls: int) -> None:
    """Calls of Python functions, which the machine's other work doesn't change; `bench_definitions` has the seconds.

    A million of them took a third of a second. Made by Dagster's decorators, steps would take half as many again.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _SCRIPT.replace("FIRST", first)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    calls, assets, heavy = json.loads(done.stdout.splitlines()[-1])
    assert assets == count
    assert heavy == [], "definitions import what only a running step needs"
    assert calls <= most_calls


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

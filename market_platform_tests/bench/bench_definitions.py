"""What a code server pays before it answers: the definitions of a hundred pairs, beside importing Dagster alone.

Seconds of processor time in fresh interpreters, the best of a few, so that other work on the machine is not what is measured.
Everything of ours is in it: imports, settings, and the repository that Dagster asks for.
"""

from __future__ import annotations

import json
import subprocess
import sys

from market_platform.settings import PROJECT_ROOT
from market_platform_tests.bench.rows import BenchRow

ROUNDS = 3
LIMIT_S = 1.0
PAIRS = {
    "pairs of ticks": ("dukascopy", "EUR", "USD", "spot", "EURUSD"),
    "streamed pairs": ("binance", "BTC", "USDT", "perps", "BTCUSDT.P"),
}
SCRIPT = """
import json, sys, time
started = time.process_time()
import dagster
imported = time.process_time()
from dataclasses import replace
import market_platform.starlistings as starlistings
from market_platform.domain.intervals import INTERVALS
from market_platform.domain.pairs import TradingPair
first = TradingPair(*json.loads(sys.argv[1]), INTERVALS)
starlistings.configured_pairs = lambda *_: [replace(first, symbol=f"PAIR{n:03}") for n in range(100)]
from market_platform.definitions import defs
repository = defs().get_repository_def()
done = time.process_time()
print(json.dumps([done - imported, imported - started, len(repository.asset_graph.get_all_asset_keys())]))
"""


def measure() -> list[BenchRow]:
    """Load each kind of pairs: seconds on top of importing Dagster, and their ratio to it."""
    rows: list[BenchRow] = []
    for what, pair in PAIRS.items():
        ours_s, dagster_s, assets = min(_load(pair) for _ in range(ROUNDS))
        name = f"definitions of 100 {what}: loading"
        peer = f"{ours_s:.2f} s for {assets:.0f} assets, {dagster_s:.2f} s for Dagster"
        rows += [
            BenchRow(f"{name}, beyond importing Dagster", ours_s, "s", LIMIT_S),
            BenchRow(f"{name} ÷ importing Dagster", ours_s / dagster_s, "×", peer=peer),
        ]
    return rows


def _load(pair: tuple[str, ...]) -> tuple[float, float, float]:
    """Seconds of ours, seconds of importing Dagster, and how many assets there are."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, json.dumps(pair)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    ours_s, dagster_s, assets = json.loads(done.stdout.splitlines()[-1])
    return ours_s, dagster_s, assets

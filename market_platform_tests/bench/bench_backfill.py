"""A month of one pair through Dagster's daemon, against the same pipeline functions called in a plain loop.

Everything is real: code server, daemon and webserver as `make up` starts them, a durable Postgres, and the generator's
markets over HTTP. Before anything is measured the exchange has made the month once, so that no side pays for that. The loop
runs in a process of its own (plain_loop.py), before and after the backfill, and its mean counts: a machine's speed drifts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import httpx

from market_platform.commands.dagster_api import DagsterApi
from market_platform.defs.choices import choose_layers
from market_platform.defs.plan import plan_targets
from market_platform.domain.clock import utc_now
from market_platform.domain.pairs import TradingPair
from market_platform.embedded.services import child_environment, stack_services
from market_platform.settings import PROJECT_ROOT, Settings, load_settings
from market_platform.starlistings import load_starlistings
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.migrations import migrate
from market_platform.warehouse.reference import sync_reference
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.e2e.stack import wait_until
from market_platform_tests.fixtures.ports import free_port

FIRST, LAST = date(2024, 3, 1), date(2024, 3, 31)
LIMIT = 1.5
WHAT = "backfill, 31 days × 1 pair"


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of a backfill through the daemon, by part."""

    runs: int
    run_s: float
    waiting_s: float
    launching_s: float
    noticing_s: float


def measure(database_url: str, folder: Path) -> list[BenchRow]:
    """One run, and at most half as long again as a plain loop; the daemon's fixed ticks are told beside it."""
    config = load_starlistings(PROJECT_ROOT / "config" / "starlistings.yaml")
    pair = next(each for each in config.pairs() if each.symbol == "EURUSD")
    settings = load_settings(
        _env_file=None,
        market="replay",
        replay_port=free_port(),
        dagster_port=free_port(),
        code_location_port=free_port(),
        market_data_dir=folder,
    )
    with processes(settings, database_url, ["replay"], folder):
        wait_until("the exchange answers", lambda: answers(f"http://127.0.0.1:{settings.replay_port}/healthz"), 60)
        in_a_loop(settings, pair, another_database(database_url, "warm"), folder / "warm")
        before = in_a_loop(settings, pair, another_database(database_url, "before"), folder / "before")
        backfill = through_the_daemon(settings, pair, database_url, folder)
        after = in_a_loop(settings, pair, another_database(database_url, "after"), folder / "after")
    loop_s = (before + after) / 2
    peer = f"run {backfill.run_s:.1f} s; loop {before:.1f} s before, {after:.1f} s after"
    return [
        BenchRow(f"{WHAT}: runs", backfill.runs, "runs", 1),
        BenchRow(f"{WHAT}: its run ÷ the same functions in a loop", backfill.run_s / loop_s, "×", LIMIT, peer=peer),
        BenchRow(f"{WHAT}: until the daemon looks", backfill.waiting_s, "s", peer="every 30 s, fixed by Dagster"),
        BenchRow(
            f"{WHAT}: until its process has started", backfill.launching_s, "s", peer="planned events, queue, import"
        ),
        BenchRow(
            f"{WHAT}: until the daemon notices its end", backfill.noticing_s, "s", peer="every 30 s, fixed by Dagster"
        ),
    ]


def in_a_loop(settings: Settings, pair: TradingPair, database_url: str, lake: Path) -> float:
    """Seconds for the functions that the assets call, one after the other, on a fresh database and a fresh lake."""
    prepare(database_url)
    done = subprocess.run(
        [sys.executable, "-m", "market_platform_tests.bench.plain_loop", pair.name, str(FIRST), str(LAST)],
        cwd=PROJECT_ROOT,
        env={**os.environ, **moved(settings), "DATABASE_URL": database_url, "LAKE_URL": lake.absolute().as_uri()},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    return float(done.stdout.split()[-1])


def through_the_daemon(settings: Settings, pair: TradingPair, database_url: str, folder: Path) -> Measured:
    """Launch the same days as a backfill and take the times that Dagster itself recorded."""
    prepare(database_url)
    home = settings.dagster_home
    home.mkdir(parents=True)
    (home / "dagster.yaml").symlink_to(PROJECT_ROOT / "dagster.yaml")
    api = DagsterApi(f"http://127.0.0.1:{settings.dagster_port}")
    layers = [layer for layer in choose_layers(pair, ["ticks", "candles"]) if layer not in ("candles_1w", "candles_1M")]
    targets = plan_targets(pair, layers, FIRST, LAST, utc_now().date())
    with (
        processes(settings, database_url, ["code", "daemon", "webserver"], folder),
        instance_of(settings, database_url) as instance,
    ):
        wait_until("Dagster answers", lambda: knows(api, targets[0].path), 120)
        backfill_id = api.launch(targets, "bench", {})
        wait_until("the backfill is over", lambda: api.progress(backfill_id).status != "REQUESTED", 300, every=0.5)
        assert api.progress(backfill_id).status == "COMPLETED_SUCCESS", api.progress(backfill_id)
        records = instance.get_run_records(filters=dg.RunsFilter(tags={"dagster/backfill": backfill_id}))
        backfill = instance.get_backfill(backfill_id)
    api.close()
    assert backfill is not None
    starts = [record.start_time or 0.0 for record in records]
    ends = [record.end_time or 0.0 for record in records]
    created = min(record.create_timestamp.timestamp() for record in records)
    return Measured(
        runs=len(records),
        run_s=max(ends) - min(starts),
        waiting_s=created - backfill.backfill_timestamp,
        launching_s=min(starts) - created,
        noticing_s=(backfill.backfill_end_timestamp or 0.0) - max(ends),
    )


def prepare(database_url: str) -> None:
    """Bring the reference tables to the repository's configuration."""
    warehouse = create_warehouse(database_url, pool_size=1)
    with warehouse.begin() as connection:
        sync_reference(connection, load_starlistings(PROJECT_ROOT / "config" / "starlistings.yaml"))
    warehouse.close()


def another_database(database_url: str, name: str) -> str:
    """A migrated database beside the given one."""
    url = f"{database_url}_{name}"
    migrate(url)
    return url


@contextmanager
def processes(settings: Settings, database_url: str, names: Sequence[str], folder: Path) -> Iterator[None]:
    """Services of the stack, by the commands that `make up` runs."""
    environment = {**child_environment(settings, database_url), **moved(settings)}
    services = {each.name: each for each in stack_services(settings)}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name in names:
            with (folder / f"{name}.log").open("ab") as log:
                started.append(
                    subprocess.Popen(
                        services[name].command,
                        cwd=PROJECT_ROOT,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        yield
    finally:
        for process in reversed(started):
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)


def moved(settings: Settings) -> Mapping[str, str]:
    """The settings that differ from the defaults, for the children."""
    return {
        "MARKET": settings.market,
        "REPLAY_PORT": str(settings.replay_port),
        "DAGSTER_PORT": str(settings.dagster_port),
        "CODE_LOCATION_PORT": str(settings.code_location_port),
        "MARKET_DATA_DIR": str(settings.market_data_dir),
    }


@contextmanager
def instance_of(settings: Settings, database_url: str) -> Iterator[dg.DagsterInstance]:
    """The instance that the processes share."""
    before = dict(os.environ)
    os.environ.update(child_environment(settings, database_url))
    try:
        with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            yield instance
    finally:
        os.environ.clear()
        os.environ.update(before)


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def knows(api: DagsterApi, path: tuple[str, ...]) -> bool:
    """Whether the webserver has loaded the code location."""
    from market_platform.commands.dagster_api import DagsterUnavailableError

    try:
        return api.knows(path)
    except DagsterUnavailableError:
        return False

"""`backfill --direct` that can't succeed: what a person reads, and that nothing is committed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from market_platform.domain.clock import utc_now
from market_platform.replay.generator.source import GeneratorSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.starlistings import load_starlistings
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import sync_reference
from market_platform_tests.fixtures.failing_command import SECRET, CommandLine
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.recordings import PROJECT_ROOT


@pytest.fixture
def command(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(seed=7, clock=utc_now)) as running:
        yield running


@dataclass(frozen=True)
class Backfill:
    """`backfill --direct` of a day from the replay exchange into a migrated, synced database."""

    command: CommandLine
    environment: dict[str, str]
    warehouse: Warehouse

    def fail(self, prefix: tuple[str, ...] = (), **environment: str) -> str:
        """Run it; the failure's message. Nothing may be committed."""
        made = CommandLine(self.command.folder, prefix, timeout_s=170)
        day = ("--from", "2024-03-04", "--to", "2024-03-04")
        failed = made.fail("backfill", "EURUSD", *day, "--direct", **self.environment | environment)
        assert failed.code == 1
        with self.warehouse.connect() as connection:
            for table in ("lake_days", "candles", "candle_days"):
                assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0
        return failed.message


@pytest.fixture
def backfill(command: CommandLine, exchange: RunningReplay, database_url: str, warehouse: Warehouse) -> Backfill:
    exchange.faults.clear()
    with warehouse.begin() as connection:
        sync_reference(connection, load_starlistings(PROJECT_ROOT / "config" / "starlistings.yaml"))
    environment = {
        "DATABASE_URL": database_url,
        "DUKASCOPY_JSON_URL": exchange.json_url,
        "DUKASCOPY_BI5_URL": exchange.bi5_url,
    }
    return Backfill(command, environment, warehouse)


def in_a_mount(folder: Path, options: str) -> tuple[str, ...]:
    """A prefix that runs a command with a tmpfs of these options mounted there, in a namespace of its own."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare (util-linux) is not here: no mount of the test's own")
    folder.mkdir()
    script = f'mount -t tmpfs -o {options} tmpfs "$1" && shift && exec "$@"'
    prefix = ("unshare", "-rm", "sh", "-c", script, "sh", str(folder))
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system in a namespace of its own")
    return prefix


MOUNTS = {
    "ro": "the file system is read-only: remount it writable, or point LAKE_URL to another place",
    "size=64k": "the disk is full: free space there, or point LAKE_URL to another place",
}


@pytest.mark.parametrize(("options", "told"), MOUNTS.items())
def test_a_lake_that_can_not_be_written_fails_the_backfill_and_commits_nothing(
    backfill: Backfill, options: str, told: str
) -> None:
    lake = backfill.command.folder / "lake"
    message = backfill.fail(in_a_mount(lake, options), LAKE_URL=lake.as_uri())
    assert f"in the lake at {lake.as_uri()}: {told}" in message


def test_a_bad_hour_fails_the_backfill_and_names_pair_day_and_hour(backfill: Backfill, exchange: RunningReplay) -> None:
    exchange.fail("/ticks/EUR-USD/2024/3/4/10$", "wrong_types", times=100)
    message = backfill.fail()
    assert "dukascopy/EURUSD/ticks 2024-03-04: 10h (json): " in message
    assert (
        "Expected `int`, got `str` - at `$.times[0]` (tried 5 times); ask again later, or take the other format"
        in message
    )
    assert not list(backfill.command.folder.rglob("*.parquet"))


def test_a_lake_on_s3_that_does_not_answer_is_told_before_anything_is_fetched(
    backfill: Backfill, exchange: RunningReplay
) -> None:
    exchange.log.clear()
    away = f"http://127.0.0.1:{free_port()}"
    message = backfill.fail(
        R2_BUCKET_NAME="lake", R2_ENDPOINT=away, R2_ACCESS_KEY_ID="key", R2_SECRET_ACCESS_KEY=SECRET
    )
    assert "in the lake at s3://lake: the store does not answer as it should" in message
    assert "needs both R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY" in backfill.fail(
        LAKE_URL="s3://lake", R2_ACCESS_KEY_ID="a"
    )
    assert exchange.log.paths.total() == 0


def test_a_database_that_is_away_or_without_tables_is_told_at_once(
    command: CommandLine, empty_database_url: str
) -> None:
    arguments = ("backfill", "EURUSD", "--from", "2024-03-04", "--to", "2024-03-04", "--direct")
    port = free_port()
    away = command.fail(*arguments, DATABASE_URL=f"postgresql://me:{SECRET}@127.0.0.1:{port}/market")
    assert f"error: Postgres at 127.0.0.1:{port}/market can't be used: Connection refused." in away.message
    empty = command.fail(*arguments, DATABASE_URL=empty_database_url)
    assert "lacks" in empty.message
    assert "run `market-platform migrate`" in empty.message
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)

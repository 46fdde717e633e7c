"""`kill -9` of `market-platform db migrate` at random moments: a migration is applied or pending, and the next run does the rest.

Killed is the command, dbmate, which it runs, or both. A dbmate whose command is dead goes on, and the next one waits for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from market_platform.warehouse import migrations
from market_platform_tests.fixtures.killable import Commands, kill
from market_platform_tests.fixtures.schema_dump import dump_schema

KILLS = int(os.environ.get("MIGRATION_KILLS", "4"))
LONGEST_S = 0.1
"""Kills come within this time after a migration: longer than most take."""
NAMES = [path.name for path in sorted(migrations.MIGRATIONS_DIR.glob("*.sql"))]
SCHEMA = (migrations.MIGRATIONS_DIR.parent / "schema.sql").read_text()
log = logging.getLogger(__name__)


def kill_dbmate(pid: int) -> None:
    """The command lives on, and tells."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children():
            kill(child.pid)


def kill_both(pid: int) -> None:
    """As when the machine stops."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(pid).children()
        kill(pid)
        for child in children:
            kill(child.pid)


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * KILLS)
def test_a_migration_that_is_killed_is_applied_or_pending_and_the_next_run_does_the_rest(
    postgres_url: str, tmp_path: Path
) -> None:
    seed = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(1_000_000))))
    log.warning("CHAOS_SEED=%s", seed)
    dice = random.Random(seed)
    url = f"{postgres_url.rpartition('/')[0]}/killed_migration"
    asked = ["db", "migrate"]
    environment = {"DATABASE_URL": url, "MARKET_DATA_DIR": str(tmp_path)}
    outcomes = []
    with Commands(tmp_path) as commands:
        for _ in range(KILLS):
            code = commands.run(
                asked,
                environment,
                kill_when=_reached(url, dice.randrange(len(NAMES) + 1)),
                delay_s=dice.uniform(0, LONGEST_S),
                how=(how := dice.choice((kill, kill_dbmate, kill_both))),
            )
            assert code in (-9, 0) or (how is kill_dbmate and "ended by signal 9" in commands.printed), commands.printed
            left = migrations.applied(url)
            assert left == NAMES[: len(left)]
            assert commands.run(asked, environment) == 0, commands.printed
            outcomes.append(f"{how.__name__} after {len(left)}: {code}")
            assert migrations.applied(url) == NAMES
            assert dump_schema(url) == SCHEMA
            with psycopg.connect(url) as conn:
                assert conn.execute("SELECT count(*), min(role) FROM database_role").fetchone() == (1, "realtime")
                deadline = time.monotonic() + 60
                while conn.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() != (0,):
                    assert time.monotonic() < deadline, "dbmate's lock outlives it"
                    time.sleep(0.02)  # between two looks at a condition
            assert commands.run([*asked, "--status"], environment) == 0, "nothing is pending"
            _drop(postgres_url)
    log.warning("%s", outcomes)


def _reached(url: str, count: int) -> Callable[[], bool]:
    """Whether that many migrations are applied; of none, whether there is a database at all."""

    def reached() -> bool:
        try:
            with psycopg.connect(url) as conn:
                if conn.execute("SELECT to_regclass('schema_migrations')").fetchone() == (None,):
                    return count == 0
                row = conn.execute("SELECT count(*) FROM schema_migrations").fetchone()
        except psycopg.OperationalError:
            return False
        assert row is not None
        return int(row[0]) >= count

    return reached


def _drop(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("DROP DATABASE killed_migration WITH (FORCE)")

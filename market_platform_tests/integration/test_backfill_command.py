"""`market-platform backfill` and `status` as a user runs them: arguments, this process, no daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from market_platform.domain.clock import utc_now
from market_platform.replay.generator.source import GeneratorSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.settings import load_settings
from market_platform_tests.fixtures.defs_world import dagster_on_postgres
from market_platform_tests.fixtures.user_shell import run_command as run
from market_platform_tests.fixtures.user_shell import user_environment
from market_platform_tests.recordings import PROJECT_ROOT

WEEK = ("--from", "2024-03-04", "--to", "2024-03-10")


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(seed=7, clock=utc_now)) as running:
        yield running


@pytest.fixture
def environment(exchange: RunningReplay, database_url: str, tmp_path: Path) -> dict[str, str]:
    """What a user's shell would have; nothing listens where the webserver would be."""
    exchange.faults.clear()
    return user_environment(
        database_url, tmp_path, DUKASCOPY_JSON_URL=exchange.json_url, DUKASCOPY_BI5_URL=exchange.bi5_url
    )


def tomorrow() -> str:
    return (utc_now().date() + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["EURUSS", *WEEK], "did you mean dukascopy/EURUSD?"),
        (["EURUSD", "--from", "2024-03-10", "--to", "2024-03-04"], "--to 2024-03-04 is before --from 2024-03-10"),
        (["EURUSD", "--from", "2024-03-10", "--to", tomorrow()], "is not over yet"),
        (["EURUSD", "--from", "2001-01-01", "--to", "2001-01-02"], "before all history"),
        (
            ["EURUSD", "--from", "2024-02-30", "--to", "2024-03-02"],
            "--from '2024-02-30' is not a day; write YYYY-MM-DD",
        ),
        (["EURUSD", *WEEK, "--direct", "--no-wait"], "--no-wait has nothing to leave"),
        (["EURUSD", *WEEK, "--no-wait", "--strict"], "--no-wait returns before any day is known"),
        (["EURUSD", *WEEK, "--layers", "7m"], "has no layer '7m'"),
        (["EURUSD", *WEEK, "--layers", ""], "--layers names no layer; write `ticks`, `candles` or intervals"),
        (["EURUSD", "--from", "2024-03-05", "--to", "2024-03-05", "--layers", "1w"], "completes no week and no month"),
    ],
)
def test_a_wrong_argument_is_one_clear_message(environment: dict[str, str], arguments: list[str], message: str) -> None:
    done = run(environment, "backfill", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_has_examples() -> None:
    done = run({"PATH": os.environ["PATH"]}, "backfill", "--help")
    assert done.returncode == 0
    assert "market-platform backfill dukascopy/EURUSD --from 2024-03-04 --to 2024-03-08" in done.stdout


def test_without_a_running_platform_it_says_what_to_do(environment: dict[str, str]) -> None:
    done = run(environment, "backfill", "EURUSD", *WEEK)
    assert done.returncode == 1
    assert f"Dagster at http://127.0.0.1:{environment['DAGSTER_PORT']} does not answer" in done.stderr
    assert "`make up`" in done.stderr
    assert "--direct" in done.stderr


def test_something_else_on_dagster_s_port_is_named(environment: dict[str, str], exchange: RunningReplay) -> None:
    port = exchange.url.rpartition(":")[2]
    done = run({**environment, "DAGSTER_PORT": port}, "backfill", "EURUSD", *WEEK)
    assert done.returncode == 1
    assert f"what answers at http://127.0.0.1:{port} is not Dagster" in done.stderr


def test_a_dry_run_shows_the_plan_and_asks_for_nothing(environment: dict[str, str], exchange: RunningReplay) -> None:
    exchange.log.clear()
    done = run(environment, "backfill", "EURUSD", "dukascopy/GBPUSD", *WEEK, "--dry-run")
    assert done.returncode == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "dukascopy/EURUSD"
    assert "ticks 2024-03-04 to 2024-03-10 7 partitions" in lines
    assert "candles_1w 2024-03-04 to 2024-03-04 1 partitions" in lines
    assert lines[-1] == f"{2 * (9 * 7 + 1)} partitions; nothing was asked for"
    assert not exchange.log.paths


def test_directly_from_ticks_to_the_week_s_candle_and_green_in_dagster(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    done = run(environment, "backfill", "dukascopy/EURUSD", *WEEK, "--direct")
    assert (done.returncode, done.stdout) == (0, "64 partitions materialised\n"), done.stderr
    assert done.stderr == "", "a terminal sees a bar; a log sees nothing"
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT count(*) FROM candles_1w WHERE symbol = 'EURUSD'").fetchone()
    assert found == (1,)
    with dagster_on_postgres(
        load_settings(_env_file=None, market_data_dir=tmp_path / "data"), database_url
    ) as instance:
        materialised = instance.get_materialized_partitions(dg.AssetKey(["dukascopy", "EURUSD", "candles_1d"]))
        assert materialised == {date(2024, 3, day).isoformat() for day in range(4, 11)}
        assert {run.tags["market/trigger"] for run in instance.get_runs()} == {"direct"}


def test_directly_a_bad_day_is_named_and_the_others_are_kept(
    environment: dict[str, str], exchange: RunningReplay, database_url: str
) -> None:
    exchange.fail("/ticks/EUR-USD/2024/3/5/10$", "wrong_types", times=1000)
    coloured = {**environment, "FORCE_COLOR": "1"}  # which makes no terminal of a pipe
    done = run(coloured, "backfill", "EURUSD", "--from", "2024-03-04", "--to", "2024-03-06", "--direct")
    assert done.returncode == 1
    assert "18 of 27 partitions materialised; failed:" in done.stderr
    assert "dukascopy/EURUSD/ticks 2024-03-05: 10h (json): " in done.stderr
    assert "BadPayloadError" not in done.stderr
    assert "\n\n" not in done.stderr
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT day::text FROM lake_days ORDER BY 1").fetchall()
    assert found == [("2024-03-04",), ("2024-03-06",)]


def test_days_that_are_not_whole_are_named_with_their_reason(
    environment: dict[str, str], exchange: RunningReplay
) -> None:
    exchange.fail("(/ticks/EUR-USD/2024/3/6/|/EURUSD/2024/02/06/)", "empty_once", times=1000)
    exchange.fail("(/ticks/EUR-USD/2024/3/8/10$|/EURUSD/2024/02/08/10h_ticks)", "empty_once", times=1000)
    asked = ("backfill", "EURUSD", "--from", "2024-03-05", "--to", "2024-03-09", "--direct", "--layers", "ticks,1m")
    done = run(environment, *asked)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "10 partitions materialised: 4 available, 2 degraded, 2 closed, 2 missing"
    assert lines[1].startswith(
        "  dukascopy/EURUSD 2024-03-06 missing (candles_1m, ticks): no ticks in open hours 0, 1, "
    )
    assert lines[2] == "  dukascopy/EURUSD 2024-03-08 degraded (candles_1m, ticks): no ticks in open hours 10"
    assert len(lines) == 3
    strict = run(environment, *asked, "--strict", "--json")
    assert strict.returncode == 3, strict.stderr
    document = json.loads(strict.stdout)
    assert (document["partitions"], document["materialised"], document["failures"]) == (10, 10, {})
    assert document["conditions"] == {"available": 4, "degraded": 2, "missing": 2, "closed": 2}
    assert [(each["day"], each["condition"]) for each in document["days"]] == [
        *[("2024-03-06", "missing")] * 2,
        *[("2024-03-08", "degraded")] * 2,
    ]
    whole = run(environment, *asked[:2], "--from", "2024-03-09", "--to", "2024-03-09", "--direct", "--strict")
    assert (whole.returncode, whole.stdout) == (0, "9 partitions materialised\n"), whole.stderr


def test_open_days_before_all_history_are_missing_and_a_weekend_is_closed(environment: dict[str, str]) -> None:
    asked = ("backfill", "EURUSD", "--from", "2014-03-01", "--to", "2014-03-03", "--direct", "--layers", "ticks")
    done = run(environment, *asked)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "3 partitions materialised: 1 closed, 2 missing"
    assert lines[1].startswith(
        "  dukascopy/EURUSD 2014-03-02 to 2014-03-03 missing (ticks): the pair's history begins later"
    )


def test_the_last_missing_day_of_a_week_completes_it(environment: dict[str, str], database_url: str) -> None:
    six = run(
        environment,
        "backfill",
        "EURUSD",
        "--from",
        "2024-03-04",
        "--to",
        "2024-03-09",
        "--direct",
        "--layers",
        "ticks,1d",
    )
    assert six.returncode == 0, six.stderr
    last = run(environment, "backfill", "EURUSD", "--from", "2024-03-10", "--to", "2024-03-10", "--direct")
    assert (last.returncode, last.stdout) == (0, "10 partitions materialised\n"), last.stderr
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT time::date::text FROM candles_1w WHERE symbol = 'EURUSD'").fetchall()
    assert found == [("2024-03-04",)]


def test_status_shows_conditions_gaps_and_lag(environment: dict[str, str], exchange: RunningReplay) -> None:
    exchange.fail("(/ticks/EUR-USD/2024/3/8/10$|/EURUSD/2024/02/08/10h_ticks)", "empty_once", times=1000)
    for first, last in (("2024-03-04", "2024-03-05"), ("2024-03-08", "2024-03-10")):
        done = run(environment, "backfill", "EURUSD", "--from", first, "--to", last, "--direct", "--layers", "ticks,1m")
        assert done.returncode == 0, done.stderr
    shown = run(environment, "status", "--days", "10")
    assert shown.returncode == 0
    [line] = [
        line for line in shown.stdout.splitlines() if line.startswith("dukascopy/EURUSD ") and "2024-03-10" in line
    ]
    assert "   ██!!▆·█" in line
    assert "3 available, 1 degraded, 1 closed" in line
    assert "dukascopy/EURUSD: 2 gaps: 2024-03-06, 2024-03-07" in shown.stdout
    assert "nothing runs here" in shown.stdout
    assert "Dagster does not answer" in shown.stdout
    document = json.loads(run(environment, "status", "--days", "10", "--json").stdout)
    [pair] = [each for each in document["pairs"] if each["pair"] == "dukascopy/EURUSD"]
    assert pair["days"]["2024-03-08"] == "degraded"
    assert pair["gaps"] == ["2024-03-06", "2024-03-07"]
    assert pair["conditions"] == {"available": 3, "degraded": 1, "closed": 1}
    until = utc_now() - datetime(2024, 3, 11, tzinfo=UTC)
    assert abs(pair["lag_seconds"] - until.total_seconds()) < 60, "counted from the end of the last candle"
    assert document["failed_runs"] is None


def test_status_without_a_database_is_one_clear_message(environment: dict[str, str]) -> None:
    unreachable = {**environment, "DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/nowhere"}
    done = run(unreachable, "status")
    assert done.returncode == 1
    assert "127.0.0.1:1/nowhere" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_the_command_line_starts_without_dagster() -> None:
    script = (
        "import sys; from market_platform.cli import make_app; make_app();"
        "import market_platform.commands.backfill, market_platform.commands.status, market_platform.commands.dagster_api;"
        "import market_platform.defs.plan; print([name for name in sys.modules if name.split('.')[0] == 'dagster'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"

"""`market-platform backfill` of an exchange's own past as a user runs it, in this process, against the replay exchange."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from market_platform.domain.clock import utc_now
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.settings import load_settings
from market_platform_tests.fixtures.defs_world import dagster_on_postgres
from market_platform_tests.fixtures.user_shell import run_command as run
from market_platform_tests.fixtures.user_shell import user_environment

PERPETUAL = ("--exchange", "binance", "--coin", "BTC", "--quote", "USDT", "--market-type", "perps")


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay() as running:
        yield running


@pytest.fixture
def environment(exchange: RunningReplay, database_url: str, tmp_path: Path) -> dict[str, str]:
    """What a user's shell would have; nothing listens where the webserver would be."""
    return user_environment(database_url, tmp_path, REPLAY_PORT=exchange.url.rpartition(":")[2])


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_dry_run_shows_the_layers_of_every_pair_it_means(environment: dict[str, str]) -> None:
    week = ("--from", "2024-03-04", "--to", "2024-03-10", "--dry-run")
    done = run(
        environment,
        "backfill",
        "--exchange",
        "binance",
        "--coin",
        "BTC",
        *week,
        "--intervals",
        "1h,1w",
        "--with",
        "funding,oi",
    )
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout) == [
        "binance/BTCUSDT",
        "history_candles_1h 2024-03-04 to 2024-03-10 7 partitions",
        "history_candles_1w 2024-03-04 to 2024-03-04 1 partitions",
        "binance/BTCUSDT.P",
        "history_candles_1h 2024-03-04 to 2024-03-10 7 partitions",
        "history_funding_rates 2024-03-04 to 2024-03-10 7 partitions",
        "history_open_interest 2024-03-04 to 2024-03-10 7 partitions",
        "history_candles_1w 2024-03-04 to 2024-03-04 1 partitions",
        "30 partitions; nothing was asked for",
    ]
    ticked = run(environment, "backfill", "EURUSD", *week, "--intervals", "1h")
    assert [line.split()[0] for line in lines(ticked.stdout)[:3]] == ["dukascopy/EURUSD", "ticks", "candles_1h"]
    training = run(environment, "backfill", "--coin", "SOL", *week, "--intervals", "4h", "--database", "training")
    assert lines(training.stdout)[:2] == [
        "training/binance/SOLUSDT",
        "history_candles_4h 2024-03-04 to 2024-03-10 7 partitions",
    ]


def test_directly_into_the_tables_and_green_in_dagster(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    last = utc_now().date() - timedelta(days=2)
    span = ("--from", str(last - timedelta(days=1)), "--to", str(last))
    done = run(environment, "backfill", *PERPETUAL, *span, "--intervals", "1m,1h", "--with", "funding,oi", "--direct")
    assert (done.returncode, done.stdout) == (0, "8 partitions materialised\n"), done.stderr
    assert done.stderr == "", "a terminal sees a bar; a log sees nothing"
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM candles), (SELECT count(*) FROM funding_rates), (SELECT count(*) FROM open_interest)"
        ).fetchone()
    assert found == (2 * 1464, 2 * 3, 2 * 288)
    with dagster_on_postgres(
        load_settings(_env_file=None, market_data_dir=tmp_path / "data"), database_url
    ) as instance:
        key = dg.AssetKey(["binance", "BTCUSDT.P", "history_open_interest"])
        assert instance.get_materialized_partitions(key) == {str(last - timedelta(days=1)), str(last)}


def test_status_shows_days_that_were_fetched_at_a_longer_interval_alone(environment: dict[str, str]) -> None:
    last = utc_now().date() - timedelta(days=2)
    days = [str(last - timedelta(days=1)), str(last)]
    done = run(environment, "backfill", *PERPETUAL, "--from", days[0], "--to", days[1], "--intervals", "1h", "--direct")
    assert done.returncode == 0, done.stderr
    shown = json.loads(run(environment, "status", "--json").stdout)
    [pair] = [each for each in shown["pairs"] if each["pair"] == "binance/BTCUSDT.P"]
    assert pair["days"] == dict.fromkeys(days, "available")
    assert pair["last_candle"] == f"{days[1]}T23:00:00+00:00"


def test_directly_into_the_training_database_and_nothing_into_the_other(
    environment: dict[str, str], database_url: str, make_database: Callable[[], str]
) -> None:
    training_url = make_database()
    both = {**environment, "TRAINING_DATABASE_URL": training_url}
    synced = run(both, "config", "sync", "--database", "training")
    assert synced.returncode == 0, synced.stderr
    last = str(utc_now().date() - timedelta(days=2))
    pair = ("--exchange", "binance", "--coin", "SOL", "--market-type", "spot")
    done = run(
        both, "backfill", *pair, "--from", last, "--to", last, "--intervals", "1h", "--database", "training", "--direct"
    )
    assert (done.returncode, done.stdout) == (0, "1 partitions materialised\n"), done.stderr
    counts = []
    for url in (training_url, database_url):
        with psycopg.connect(url) as connection:
            counts.append(connection.execute("SELECT count(*) FROM candles").fetchone())
    assert counts == [(24,), (0,)]


def test_without_a_running_platform_it_says_what_to_do(environment: dict[str, str]) -> None:
    done = run(environment, "backfill", *PERPETUAL, "--days", "2")
    assert done.returncode == 1
    assert f"Dagster at http://127.0.0.1:{environment['DAGSTER_PORT']} does not answer" in done.stderr
    assert "--direct" in done.stderr

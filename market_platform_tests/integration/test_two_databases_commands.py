"""`--database`, `db …`, what `up` prepares and the streamer, as a user meets them with one database or two."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from market_platform.cli import main
from market_platform.domain.databases import DATABASES
from market_platform.domain.errors import WrongDatabaseError
from market_platform.embedded.databases import FALLBACK_NOTICE, find_database_url, sync_database
from market_platform.embedded.prepare import prepare
from market_platform.settings import PROJECT_ROOT, get_settings
from market_platform.starlistings import load_starlistings
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.live_pairs import load_live_pairs
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.fixtures.two_databases import TwoDatabases, row_counts
from streamer.app import StreamerApp

_names = itertools.count(1)


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs `market-platform …` in this process, with the databases that a test gives."""

    def __init__(self, one: TwoDatabases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.given(
            MARKET_DATA_DIR=str(one.folder / "data"),
            STARLISTINGS_FILE=str(one.folder / "realtime.yaml"),
            TRAINING_STARS_FILE=str(one.folder / "training.yaml"),
            DATABASE_URL=one.realtime_url,
            TRAINING_DATABASE_URL="",
            TRAINING_DATABASE="",
            DAGSTER_PORT=str(free_port()),
            COLUMNS="200",
        )

    def given(self, **environment: str) -> None:
        """Set variables."""
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)

    def __call__(self, line: str) -> Outcome:
        get_settings.cache_clear()
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            main(line.split())
        shown = self._capsys.readouterr()
        return Outcome(exited.value.code if isinstance(exited.value.code, int) else 0, shown.out, shown.err)


@pytest.fixture
def one(make_database: Callable[[], str], tmp_path: Path) -> TwoDatabases:
    """A realtime database, migrated and new."""
    return TwoDatabases(make_database(), None, tmp_path)


@pytest.fixture
def market_platform(
    one: TwoDatabases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    """The command line with the realtime database alone."""
    yield CommandLine(one, monkeypatch, capsys)
    get_settings.cache_clear()


@pytest.fixture
def new_name(postgres_url: str) -> Iterator[str]:
    """Name of a database that is not there yet; dropped after the test."""
    name = f"market_training_{next(_names)}"
    yield name
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def test_without_a_training_database_a_command_says_once_that_it_falls_back(market_platform: CommandLine) -> None:
    done = market_platform("config sync --database training")
    assert done.code == 0, done.err
    assert done.err.count(FALLBACK_NOTICE) == 1
    assert FALLBACK_NOTICE not in done.out
    assert market_platform("config sync").err == ""
    assert "nothing to change" in market_platform("config diff --database training").out


def test_two_commands_make_a_training_database_beside_the_realtime_one(
    market_platform: CommandLine, new_name: str
) -> None:
    assert market_platform("config sync").code == 0
    market_platform.given(TRAINING_DATABASE=new_name)
    made = market_platform("migrate --database training")
    assert (made.code, made.err) == (0, "")
    assert "applied  0001_reference_tables.sql" in made.out
    synced = market_platform("config sync --database training")
    assert (synced.code, synced.err) == (0, "")
    assert "+ trading_pairs binance/ETHUSDT.P" in synced.out
    states = json.loads(market_platform("db status --json").out)
    assert [(each["database"], each["role"], each["active_pairs"], each["problem"]) for each in states] == [
        ("realtime", "realtime", 2, None),
        ("training", "training", 2, None),
    ]
    assert states[1]["where"].endswith(f"/{new_name}")
    shown = market_platform("db status")
    assert shown.code == 0
    assert f"/{new_name}: 2 active pairs" in shown.out
    again = market_platform("db migrate --database training --status")
    assert (again.code, "pending" in again.out) == (0, False)


def test_status_shows_both_and_the_pairs_of_the_one_asked_for(
    market_platform: CommandLine, make_database: Callable[[], str]
) -> None:
    assert "training  the realtime database (no training database is set)" in market_platform("status").out
    market_platform.given(TRAINING_DATABASE_URL=make_database())
    for option in ("", " --database training"):
        assert market_platform(f"config sync{option}").code == 0
    training = json.loads(market_platform("status --json --database training").out)
    assert [each["database"] for each in training["databases"]] == ["realtime", "training"]
    assert [each["pair"] for each in training["pairs"]] == ["binance/BTCUSDT", "binance/ETHUSDT.P"]
    realtime = json.loads(market_platform("status --json").out)
    assert [each["pair"] for each in realtime["pairs"]] == ["binance/BTCUSDT", "binance/XRPUSDT"]


def test_a_database_changes_its_role_only_by_a_claim_with_yes(
    market_platform: CommandLine, one: TwoDatabases, make_database: Callable[[], str]
) -> None:
    training_url = make_database()
    market_platform.given(TRAINING_DATABASE_URL=training_url)
    for option in ("", " --database training"):
        assert market_platform(f"config sync{option}").code == 0
    market_platform.given(DATABASE_URL=training_url, TRAINING_DATABASE_URL=one.realtime_url)
    before = row_counts(training_url), row_counts(one.realtime_url)
    for line in ("config sync", "config sync --database training", "config diff", "migrate"):
        refused = market_platform(line)
        assert refused.code == 1
        assert "nothing was written" in refused.err
    for database in ("realtime", "training"):
        refused = market_platform(f"export candles --coin all --intervals all --days 1 --dry-run --database {database}")
        assert (refused.code, f"was opened as the {database} one" in refused.err) == (1, True)
    assert market_platform("db status").code == 1
    shown = market_platform("db claim --role realtime")
    assert (shown.code, "training → realtime" in shown.out) == (1, True)
    assert "nothing was changed" in shown.err
    assert market_platform("config sync").code == 1
    assert (row_counts(training_url), row_counts(one.realtime_url)) == before
    for role in ("realtime", "training"):
        assert market_platform(f"db claim --role {role} --yes").code == 0
        assert f"is the {role} database already" in market_platform(f"db claim --role {role}").out
    assert market_platform("db status").code == 0
    assert (row_counts(training_url), row_counts(one.realtime_url)) == before


def test_the_realtime_database_cannot_be_claimed_for_training(market_platform: CommandLine, one: TwoDatabases) -> None:
    assert market_platform("config sync").code == 0
    refused = market_platform("db claim --role training --yes")
    assert (refused.code, "no training database is set" in refused.err) == (1, True)
    market_platform.given(TRAINING_DATABASE_URL=one.realtime_url.replace("127.0.0.1", "localhost"))
    refused = market_platform("db claim --role training --yes")
    assert (refused.code, "are one database" in refused.err) == (1, True)
    assert market_platform("config sync").out == "nothing to change\n"


def test_up_prepares_both_databases(one: TwoDatabases, new_name: str) -> None:
    alone = prepare(one.settings)
    assert not any("training" in line for line in alone)
    settings = one.with_urls(one.realtime_url, None, training_database=new_name)
    done = prepare(settings)
    assert "training migrated: 0010_history.sql" in done
    assert any(line.startswith("training pairs: +") for line in done)
    assert prepare(settings) == []
    assert row_counts(find_database_url(settings, "training"))["trading_pairs"] == 2


def test_the_streamer_refuses_the_training_database(one: TwoDatabases, make_database: Callable[[], str]) -> None:
    settings = one.with_urls(
        one.realtime_url, make_database(), streamer_metrics_port=free_port(), stream_exchanges="binance"
    )
    sync_database(settings, "training")
    url = find_database_url(settings, "training")
    before = row_counts(url)
    with pytest.raises(WrongDatabaseError, match="is the training database"):
        asyncio.run(StreamerApp(settings, url).run())
    assert row_counts(url) == before


def test_what_is_there_for_training_alone_is_not_streamed(one: TwoDatabases) -> None:
    for each in DATABASES:
        sync_database(one.settings, each)
    warehouse = create_warehouse(one.realtime_url)
    try:
        with warehouse.connect() as conn:
            live = load_live_pairs(conn, ["binance"], lambda _exchange, coin, quote, _type: f"{coin}{quote}")
    finally:
        warehouse.close()
    assert [pair.symbol for pair in live] == ["BTCUSDT", "XRPUSDT"]


def test_the_repositorys_training_stars_are_what_they_should_be() -> None:
    pairs = load_starlistings(PROJECT_ROOT / "config" / "training_stars.yaml").pairs()
    assert {(pair.coin, pair.market_type) for pair in pairs} == {
        (coin, market_type) for coin in ("BTC", "ETH", "SOL") for market_type in ("spot", "perps")
    }
    assert {pair.exchange for pair in pairs} == {"binance"}
    assert {tuple(each.name for each in pair.intervals) for pair in pairs} == {("1m", "5m", "15m", "1h", "4h", "1d")}

"""Mistakes on the command line, in settings, in the configuration, of databases and of lakes, as a person meets them.

Every command is a process of its own. Each mistake is one short message on standard error that names what is wrong and says
what to do: exit code 2 for wrong usage, 1 for the rest, no traceback, no secret, nothing on standard output.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from market_platform.domain.clock import utc_now
from market_platform.domain.errors import ConfigError
from market_platform.settings import load_settings
from market_platform_tests.e2e.s3 import S3Server
from market_platform_tests.fixtures.failing_command import SECRET, CommandLine, Failed
from market_platform_tests.fixtures.ports import free_port

YESTERDAY, TODAY = (utc_now().date() - timedelta(days=days) for days in (1, 0))


@pytest.fixture
def command(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


# ------------------------------------------------------------------------------------------------------------------ settings


def url(rest: str) -> str:
    return f"postgresql://{rest}"


SETTINGS: list[tuple[str, str, str]] = [
    ("API_PORT", "abc", "must be a whole number"),
    ("API_PORT", "99999", "must be at most 65535"),
    ("REPAIR_RUNS_PER_TICK", "0", "must be at least 1"),
    ("DATABASE_TIMEOUT_S", "-1", "must be more than 0"),
    ("API_ALLOW_PUBLIC", "perhaps", "must be true or false"),
    ("DUKASCOPY_TRANSPORT", "ftp", "must be 'json' or 'bi5'"),
    ("MARKET", "Live", "must be 'replay' or 'live'"),
    ("LOG_LEVEL", "verbose", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ("DUKASCOPY_BI5_URL", "ftp://host/files", "must be https://host/path, http://host/path or file:///folder"),
    ("DUKASCOPY_JSON_URL", "http://host:port/v1", "must be https://host/path, http://host/path or file:///folder"),
    ("LAKE_URL", "/data/lake", "must be s3://bucket, s3://bucket/prefix or file:///folder"),
    ("LAKE_URL", "s3:/bucket", "must be s3://bucket, s3://bucket/prefix or file:///folder"),
    ("LAKE_URL", "file://lake", "must be s3://bucket, s3://bucket/prefix or file:///folder"),
    ("R2_BUCKET_NAME", "a bucket", "must be a name alone"),
    ("R2_ENDPOINT", "minio:9000", "must be https://host or http://host:port"),
    ("R2_ENDPOINT", "http://minio:nine", "must be https://host or http://host:port"),
    ("R2_ENDPOINT", "http://mi nio:9000", "must be https://host or http://host:port"),
    ("DATABASE_URL", f"mysql://me:{SECRET}@host/market", "must be a postgresql:// URL"),
    ("DATABASE_URL", "host:5432/market", "must be a postgresql:// URL"),
    ("DATABASE_URL", url(f"me:{SECRET}@host:port/market"), "with a number as port"),
    ("DATABASE_URL", url(f"me:{SECRET}@host:99999/market"), "with a number as port"),
    (
        "DATABASE_URL",
        url(f"me:{SECRET}/more@host/market"),
        "write @ : / ? # % in a password as %40 %3A %2F %3F %23 %25",
    ),
    ("DATABASE_URL", url(f"me:12/{SECRET}@host/market"), "write @ : / ? # % in a password as"),
    ("DATABASE_URL", url(f"me:12#{SECRET}@host/market"), "write @ : / ? # % in a password as"),
    ("DATABASE_URL", url(f"me:12?{SECRET}@host/market"), "write @ : / ? # % in a password as"),
    ("DATABASE_URL", url(f"me:a@{SECRET}@host/market"), "write @ : / ? # % in a password as"),
    ("DATABASE_URL", url(f"me:a%zz{SECRET}@host/market"), "write @ : / ? # % in a password as"),
]


def test_every_wrong_setting_is_named_with_its_rule_and_without_its_value(command: CommandLine) -> None:
    several = {name: value for name, value, _ in SETTINGS}
    failed = command.fail("config", "check", **several)
    assert failed.code == 1
    lines = failed.message.splitlines()
    assert lines[0] == "error: settings are wrong (environment or .env):"
    assert sorted(line.split(":")[0].strip() for line in lines[1:-1]) == sorted(several)
    assert lines[-1] == ".env.example explains each of them"


@pytest.mark.parametrize(("name", "value", "told"), SETTINGS)
def test_a_wrong_setting_says_what_it_must_be(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_settings(_env_file=None)
    assert f"  {name}: {told}" in str(caught.value) or (name == "DATABASE_URL" and told in str(caught.value))
    assert SECRET not in str(caught.value)


def test_an_env_file_that_is_no_text_is_named(command: CommandLine) -> None:
    (command.folder / ".env").write_bytes(b"API_PORT=8\xff\xfe")
    failed = command.fail("config", "check")
    assert failed == Failed(1, f"error: .env in {command.folder} can't be read: it is not text in UTF-8")


# ------------------------------------------------------------------------------------------------------- config/starlistings


GOOD = """exchanges:
  dukascopy: {name: Dukascopy, licence: public}
coins: {EUR: Euro}
quote_currencies: {USD: US Dollar}
market_types: {spot: Spot}
starlistings:
  dukascopy:
    EURUSD: {coin: EUR, quote: USD}
"""
YAML: dict[str, tuple[str, str, str, str]] = {
    "syntax": ("licence: public}", "licence: public", ":3: ", "not valid YAML: expected ',' or '}', but got ':'"),
    "a tab": ("  dukascopy:\n", "\tdukascopy:\n", ":7: ", "not valid YAML: found character '\\t'"),
    "a control character": ("Euro", "Eu\0ro", ":3: ", "not valid YAML: it holds the control character '\\x00'"),
    "an unknown key": (
        "licence: public",
        "license: public",
        ":2: ",
        "exchanges.dukascopy.license: unknown key; use one of",
    ),
    "a wrong type": ("name: Dukascopy", "name: [a, b]", ":2: ", "exchanges.dukascopy.name: must be text"),
    "a wrong date": (
        "quote: USD",
        "quote: USD, first_day: 2023-02-29",
        ":8: ",
        "first_day: '2023-02-29' is not a date",
    ),
    "an unknown interval": (
        "quote: USD",
        "quote: USD, intervals: [7m]",
        ":8: ",
        "unknown interval '7m'; use one of 1m, 5m",
    ),
    "an unknown coin": (
        "coin: EUR",
        "coin: EUX",
        ":8: ",
        "unknown coin 'EUX'; use one of EUR, or add it under `coins`",
    ),
    "a key twice": (
        "market_types: {spot: Spot}",
        "coins: {GBP: Pound}",
        ":5: ",
        "coins: is given twice; first in line 3",
    ),
    "a pair twice": ("quote: USD}\n", "quote: USD}\n    EURUSD: {coin: EUR, quote: USD}\n", ":9: ", "first in line 8"),
    "an alias to itself": ("coins: {EUR: Euro}", "coins: &a {EUR: *a}", ":3: ", "look for an alias (*name)"),
    "a missing key": ("market_types: {spot: Spot}\n", "", ":1: ", "market_types: is missing"),
    "nothing": (GOOD, "", ":1: ", "must have the keys exchanges, coins"),
}


@pytest.mark.parametrize(("good", "bad", "line", "told"), YAML.values(), ids=YAML.keys())
def test_a_mistake_of_the_configuration_is_named_with_its_line(
    command: CommandLine, good: str, bad: str, line: str, told: str
) -> None:
    file = command.folder / "pairs.yaml"
    file.write_text(GOOD.replace(good, bad))
    failed = command.fail("config", "check", STARLISTINGS_FILE=str(file))
    assert failed.code == 1
    assert any(
        each.removeprefix("error: ").startswith(f"{file}{line}") and told in each
        for each in failed.message.splitlines()
    )


def test_endless_brackets_are_told_and_do_not_end_in_a_traceback(command: CommandLine) -> None:
    file = command.folder / "pairs.yaml"
    file.write_text("exchanges: " + "[" * 5000)
    assert (
        "pairs.yaml: values are nested deeper than 20 levels"
        in command.fail("config", "check", "--file", str(file)).message
    )


def test_a_configuration_that_is_not_there_or_no_text(command: CommandLine) -> None:
    (command.folder / "latin.yaml").write_bytes("coins: {EUR: Eurö}".encode("latin-1"))
    assert (
        "latin.yaml can't be read: byte 16 is not text in UTF-8"
        in command.fail("config", "check", "--file", "latin.yaml").message
    )
    assert (
        "none.yaml does not exist; set STARLISTINGS_FILE"
        in command.fail("config", "check", "--file", "none.yaml").message
    )
    assert "can't be read: Is a directory" in command.fail("config", "check", "--file", str(command.folder)).message


# --------------------------------------------------------------------------------------------------------- pairs and ranges


DAYS = ("--from", "2024-03-04", "--to", "2024-03-05")
USAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "a misspelt pair": (("EURUDS", *DAYS), "'EURUDS' is not a configured pair; did you mean dukascopy/EURUSD"),
    "another exchange's": (("nowhere/EURUSD", *DAYS), "did you mean dukascopy/EURUSD?"),
    "ticks where there are none": (("oanda/EURUSD", *DAYS, "--layers", "ticks"), "oanda/EURUSD has no layer 'ticks'"),
    "a pair twice said": (("EURUSD", "--coin", "EUR", *DAYS), "not both"),
    "no such coin": (
        ("--exchange", "binance", "--coin", "XRP", *DAYS),
        "--exchange binance --coin XRP is no configured pair",
    ),
    "two ranges": (("EURUSD", *DAYS, "--days", "3"), "give --days, or --from and --to, not both"),
    "two kinds of layers": (("EURUSD", *DAYS, "--layers", "1m", "--intervals", "1m"), "not both"),
    "a series nobody has": (
        ("binance/BTCUSDT.P", *DAYS, "--with", "gossip"),
        "choose from funding, oi, trades, actions",
    ),
    "no such database": (("EURUSD", *DAYS, "--database", "other"), "'other' is not one of"),
    "nothing like a pair": (("QQQQQQ", *DAYS), "is not a configured pair; configured are dukascopy/EURUSD, "),
    "no pair": (DAYS, "name pairs (binance/BTCUSDT), or say which by --exchange"),
    "no day": (("EURUSD",), "say which days: --from 2024-03-04 --to 2024-03-08"),
    "reversed": (
        ("EURUSD", "--from", "2024-03-05", "--to", "2024-03-04"),
        "--to 2024-03-04 is before --from 2024-03-05",
    ),
    "not a date": (
        ("EURUSD", "--from", "04.03.2024", "--to", "2024-03-04"),
        "--from '04.03.2024' is not a day; write YYYY-",
    ),
    "no such day": (("EURUSD", "--from", "2023-02-01", "--to", "2023-02-29"), "--to '2023-02-29' is not a day"),
    "today": (
        ("EURUSD", "--from", str(YESTERDAY), "--to", str(TODAY)),
        f"--to {TODAY} is not over yet; the last complete",
    ),
    "before history": (
        ("EURUSD", "--from", "1999-01-01", "--to", "2024-03-04"),
        "is before all history, which begins on",
    ),
    "an unknown layer": (("EURUSD", *DAYS, "--layers", "7m"), "has no layer '7m'; choose from ticks, candles, 1m, 5m"),
    "no whole week": (("EURUSD", *DAYS, "--layers", "1w"), "the range completes no week and no month"),
}


@pytest.mark.parametrize(("arguments", "told"), USAGE.values(), ids=USAGE.keys())
def test_a_backfill_that_can_not_be_is_wrong_usage(command: CommandLine, arguments: tuple[str, ...], told: str) -> None:
    failed = command.fail("backfill", *arguments)
    assert failed.code == 2
    assert told in failed.message


def test_a_misspelt_command_is_told_the_right_one(command: CommandLine) -> None:
    failed = command.fail("bakfill")
    assert (failed.code, failed.message.splitlines()[-1]) == (
        2,
        "Error: No such command 'bakfill'. Did you mean 'backfill'?",
    )


def test_without_a_running_platform_a_backfill_says_what_to_start(command: CommandLine) -> None:
    failed = command.fail("backfill", "EURUSD", *DAYS, DAGSTER_PORT=str(free_port()))
    assert failed.code == 1
    assert "does not answer" in failed.message
    assert "`make up`" in failed.message


# ------------------------------------------------------------------------------------------------------------------ databases


NEEDS_DATABASE = [("config", "sync"), ("migrate", "--wait", "0"), ("migrate", "--status"), ("lake", "rebuild")]


def test_without_any_database_it_says_how_to_get_one(command: CommandLine) -> None:
    told = "no database yet: start the embedded one with `market-platform up`, or set DATABASE_URL"
    for each in NEEDS_DATABASE[:3]:
        assert command.fail(*each) == Failed(1, f"error: {told}")


@pytest.mark.parametrize("arguments", NEEDS_DATABASE[:3], ids=" ".join)
def test_an_unreachable_database_is_named(command: CommandLine, arguments: tuple[str, ...]) -> None:
    port = free_port()
    failed = command.fail(*arguments, DATABASE_URL=url(f"me:{SECRET}@127.0.0.1:{port}/market"))
    assert failed == Failed(
        1,
        f"error: Postgres at 127.0.0.1:{port}/market can't be used: Connection refused. "
        "Is it running (`market-platform status`), and is DATABASE_URL right?",
    )


@pytest.mark.parametrize("arguments", NEEDS_DATABASE[:3], ids=" ".join)
def test_a_wrong_password_is_told_and_not_shown(
    command: CommandLine, arguments: tuple[str, ...], database_url: str
) -> None:
    parts = urlsplit(database_url)
    wrong = urlunsplit(parts._replace(netloc=f"{parts.username}:{SECRET}@{parts.hostname}:{parts.port}"))
    failed = command.fail(*arguments, DATABASE_URL=wrong)
    assert failed.code == 1
    assert f'password authentication failed for user "{parts.username}"' in failed.message
    assert failed.message.endswith("Correct the user and the password in DATABASE_URL")


def test_a_database_that_is_not_there_or_without_tables_says_migrate(
    command: CommandLine, empty_database_url: str
) -> None:
    nowhere = empty_database_url.rsplit("/", 1)[0] + "/nowhere"
    missing = command.fail("config", "sync", DATABASE_URL=nowhere)
    assert 'database "nowhere" does not exist. Correct DATABASE_URL, or make the database with' in missing.message
    empty = command.fail("config", "sync", DATABASE_URL=empty_database_url)
    assert "run `market-platform migrate`" in empty.message
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)


# ---------------------------------------------------------------------------------------------------------------------- lakes


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


S3_KEYS = {"R2_ACCESS_KEY_ID": "key", "R2_SECRET_ACCESS_KEY": SECRET, "R2_REGION": "us-east-1"}


def test_a_lake_on_s3_that_can_not_be_read_is_told(command: CommandLine, s3: S3Server) -> None:
    bucket = command.fail("lake", "stats", R2_BUCKET_NAME="nowhere", R2_ENDPOINT=s3.endpoint, **S3_KEYS)
    assert (
        "in the lake at s3://nowhere: the bucket does not exist: create it, or correct R2_BUCKET_NAME" in bucket.message
    )
    away = f"http://127.0.0.1:{free_port()}"
    closed = command.fail("lake", "stats", R2_BUCKET_NAME="lake", R2_ENDPOINT=away, **S3_KEYS)
    assert "check R2_ENDPOINT and the network if it stays so (Connection refused)" in closed.message
    keyless = command.fail("lake", "stats", R2_BUCKET_NAME="lake", R2_ENDPOINT=s3.endpoint, R2_ACCESS_KEY_ID="key")
    assert "the lake at s3://lake needs both R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY" in keyless.message
    assert {bucket.code, closed.code, keyless.code} == {1}


def test_a_lake_that_is_a_file_is_told(command: CommandLine) -> None:
    file = command.folder / "lake"
    file.write_text("kept")
    failed = command.fail("lake", "stats", LAKE_URL=file.as_uri())
    assert failed.code == 1
    assert f"in the lake at {file.as_uri()}: a part of its path is not a folder: check LAKE_URL" in failed.message
    assert file.read_text() == "kept"

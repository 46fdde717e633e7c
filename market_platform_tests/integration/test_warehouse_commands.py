"""`market-platform config …` and `migrate`, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from market_platform.cli import main
from market_platform.settings import get_settings
from market_platform_tests.fixtures.reference import STARLISTINGS


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


class CommandLine:
    """Runs `market-platform …` in this process, with an environment of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, database_url: str = "") -> Outcome:
        self._monkeypatch.setenv("DATABASE_URL", database_url)
        get_settings.cache_clear()
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            main(list(arguments))
        shown = self._capsys.readouterr()
        code = exited.value.code
        return Outcome(code if isinstance(code, int) else 0, shown.out, shown.err)


@pytest.fixture
def market_platform(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    """The command line."""
    yield CommandLine(monkeypatch, capsys)
    get_settings.cache_clear()


def test_migrate_says_what_it_did_and_status_what_is_left(
    market_platform: CommandLine, empty_database_url: str
) -> None:
    before = market_platform("migrate", "--status", database_url=empty_database_url)
    assert before.returncode == 1
    assert "pending  0001_reference_tables.sql" in before.stdout
    done = market_platform("migrate", database_url=empty_database_url)
    assert done.returncode == 0, done.stderr
    assert "applied  0001_reference_tables.sql" in done.stdout
    again = market_platform("migrate", database_url=empty_database_url)
    assert again.stdout.endswith(": nothing pending\n")
    assert market_platform("migrate", "--status", database_url=empty_database_url).returncode == 0


def test_sync_shows_then_does_then_has_nothing_to_do(
    market_platform: CommandLine, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.yaml"
    file.write_text(STARLISTINGS)
    shown = market_platform("config", "sync", "--dry-run", "--file", str(file), database_url=database_url)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.endswith("would change: 38 added, 0 changed, 0 deactivated\n")
    done = market_platform("config", "sync", "--file", str(file), database_url=database_url)
    assert done.stdout == shown.stdout.replace("would change", "changed")
    again = market_platform("config", "sync", "--file", str(file), database_url=database_url)
    assert again.stdout == "nothing to change\n"


def test_a_sync_that_would_end_most_pairs_wants_a_yes(
    market_platform: CommandLine, database_url: str, tmp_path: Path
) -> None:
    few = tmp_path / "few.yaml"
    few.write_text(STARLISTINGS)
    assert market_platform("config", "sync", database_url=database_url).returncode == 0
    shown = market_platform("config", "sync", "--dry-run", "--file", str(few), database_url=database_url)
    assert shown.returncode == 0
    assert "active pairs would be deactivated; without --dry-run this needs --yes" in shown.stderr
    refused = market_platform("config", "sync", "--file", str(few), database_url=database_url)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nothing was changed" in refused.stderr
    assert market_platform("config", "sync", database_url=database_url).stdout == "nothing to change\n"
    done = market_platform("config", "sync", "--file", str(few), "--yes", database_url=database_url)
    assert done.returncode == 0, done.stderr
    assert "deactivated" in done.stdout


def test_a_mistake_is_one_line_and_no_traceback(market_platform: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "pairs.yaml"
    file.write_text(STARLISTINGS.replace("licence: public", "licence: free"))
    failed = market_platform("config", "check", "--file", str(file))
    assert failed.returncode == 1
    assert f"{file}:3: exchanges.dukascopy.licence: 'free' is not possible" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_check_and_show_need_no_database(market_platform: CommandLine) -> None:
    assert "no mistake" in market_platform("config", "check").stdout
    assert "dukascopy/EURUSD" in market_platform("config", "show").stdout
    shown = json.loads(market_platform("config", "show", "--json").stdout)
    assert shown[0]["pair"] == "dukascopy/EURUSD"
    assert shown[0]["intervals"][-1] == "1M"


def test_a_database_without_tables_says_migrate(market_platform: CommandLine, empty_database_url: str) -> None:
    failed = market_platform("config", "sync", database_url=empty_database_url)
    assert failed.returncode == 1
    assert "run `market-platform migrate`" in failed.stderr


def test_an_unreachable_database_is_named_without_its_password(market_platform: CommandLine) -> None:
    url = "postgresql://reader:s3cret@127.0.0.1:9/market"
    for command in (("config", "sync"), ("migrate", "--wait", "0"), ("migrate", "--status")):
        failed = market_platform(*command, database_url=url)
        assert failed.returncode == 1
        assert "127.0.0.1:9/market" in failed.stderr
        assert "s3cret" not in failed.stderr + failed.stdout
        assert "Traceback" not in failed.stderr

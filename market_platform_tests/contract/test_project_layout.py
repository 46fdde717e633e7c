"""The repository keeps its own rules: rooms say what they are, imports stay light, files stay short and portable."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from market_platform.settings import PROJECT_ROOT
from market_platform_tests.contract.project import python_files, tracked_files

PACKAGES = sorted(
    path.parent
    for path in python_files()
    if path.name == "__init__.py" and (path.stat().st_size or "market_platform_tests" not in path.parts)
)
LONGEST_FILE, LONGEST_TEST = 450, 600

# joined from parts, so that this file does not hold what it looks for
MACHINE_PATHS = re.compile(
    "|".join(["/" + "work/", "/" + "root/", "/home/" + r"\w+/", "/opt/" + "pypi", "/opt/" + "wheels"])
)
REGISTRY_HOSTS = re.compile("|".join(["pypi" + r"\.org", "python" + "hosted", "npmjs" + r"\.(org|com)"]))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_every_package_says_what_belongs_in_it(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    assert docstring
    assert len(docstring) > 40


def test_every_module_has_a_docstring() -> None:
    without = [
        str(path.relative_to(PROJECT_ROOT))
        for path in python_files()
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not without


def test_the_root_package_holds_no_code() -> None:
    tree = ast.parse((PROJECT_ROOT / "market_platform" / "__init__.py").read_text())
    assert len(tree.body) == 1


@pytest.mark.parametrize("module", ["streamer", "api_service.app", "market_platform.cli", "market_platform.pipeline"])
def test_dagster_is_not_imported_by(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in sys.modules if name.split('.')[0].startswith('dagster')])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""


def test_no_file_is_too_long() -> None:
    too_long = {}
    for path in python_files():
        length = len(path.read_text().splitlines())
        if length > (LONGEST_TEST if "market_platform_tests" in path.parts else LONGEST_FILE):
            too_long[str(path.relative_to(PROJECT_ROOT))] = length
    assert not too_long


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, REGISTRY_HOSTS], ids=["machine paths", "registry hosts"])
def test_no_file_knows_one_machine(pattern: re.Pattern[str]) -> None:
    found = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(PROJECT_ROOT)}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    assert not found


def test_only_one_place_asks_what_time_it_is() -> None:
    clock = re.compile(r"\bdatetime\.(?:utc)?now\(|\bdate\.today\(")
    asking = [
        str(path.relative_to(PROJECT_ROOT))
        for path in python_files()
        if not path.is_relative_to(PROJECT_ROOT / "market_platform_tests")
        and path != PROJECT_ROOT / "market_platform" / "domain" / "clock.py"
        and clock.search(path.read_text())
    ]
    assert not asking


def test_nothing_is_left_to_be_done() -> None:
    mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    stub = re.compile("raise NotImplemented" + "Error")
    left = []
    for path in python_files():
        text, is_ours = path.read_text(), "market_platform_tests" not in path.parts
        if mark.search(text) or (is_ours and stub.search(text)):  # a test's double need not do everything
            left.append(str(path.relative_to(PROJECT_ROOT)))
    assert not left


def test_recordings_are_not_in_the_repository() -> None:
    large = [
        f"{path.relative_to(PROJECT_ROOT)} {path.stat().st_size}"
        for path in tracked_files()
        if path.suffix in {".bi5", ".parquet", ".zip", ".gz", ".jsonl", ".csv"} or path.stat().st_size > 1_500_000
    ]
    assert not large

"""What tests of the lake's commands share: an empty lake, a command line that knows it, a database with pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from market_platform.cli import main
from market_platform.lake.store import Lake
from market_platform.settings import get_settings
from market_platform.starlistings import load_starlistings
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import sync_reference
from market_platform_tests.fixtures.lake_days import Run


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake that nothing was written to."""
    return Lake.open((tmp_path / "lake").as_uri())


@pytest.fixture
def run(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run the command line on the test's lake; exit code and what was printed."""
    monkeypatch.setenv("LAKE_URL", lake.url)
    monkeypatch.setenv("MARKET_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        get_settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(["lake", *arguments])
        printed = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, printed.out + printed.err

    yield run
    get_settings.cache_clear()


@pytest.fixture
def stored(warehouse: Warehouse, database_url: str, monkeypatch: pytest.MonkeyPatch, run: Run) -> Warehouse:
    """The test's database with the configured pairs, known to the command line."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    with warehouse.begin() as connection:
        sync_reference(connection, load_starlistings(get_settings().starlistings_file))
    return warehouse

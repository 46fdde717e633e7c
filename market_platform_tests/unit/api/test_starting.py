"""Where the API may listen, and what it does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from api_service.__main__ import check_address
from api_service.app import create_app
from market_platform.domain.errors import ConfigError
from market_platform.settings import PROJECT_ROOT, load_settings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "no-such-host.invalid"])
def test_a_public_address_is_refused_until_it_is_meant(host: str) -> None:
    with pytest.raises(ConfigError, match="API_ALLOW_PUBLIC"):
        check_address(load_settings(api_host=host))
    check_address(load_settings(api_host=host, api_allow_public=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "127.8.8.8", "localhost"])
def test_a_loopback_address_is_fine(host: str) -> None:
    check_address(load_settings(api_host=host))


def test_without_a_database_there_is_no_application() -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        create_app(load_settings(database_url=None))


def test_the_api_imports_neither_dagster_nor_what_it_does_not_need() -> None:
    unwanted = ["dagster", "polars", "pyarrow", "numpy", "sqlalchemy", "obstore", "market_platform.lake"]
    script = f"import sys, api_service.app, api_service.__main__; print([m for m in {unwanted} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"

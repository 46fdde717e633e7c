"""What integration tests of several rooms ask for by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from market_platform.exchanges.ccxt.client import imported


@pytest.fixture
def instant_retries() -> Iterator[None]:
    """A client tries as often as it would, and does not pause in between."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture(scope="session")
def ccxt_library() -> None:
    """CCXT takes seconds to import, which no test is about."""
    imported()

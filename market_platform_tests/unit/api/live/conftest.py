"""Async tests of the WebSocket API's parts."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and timers are asyncio's."""
    return "asyncio"

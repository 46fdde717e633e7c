"""What the replay tests share: one market at one moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from market_platform.replay.addresses import bi5_address, json_address
from market_platform.replay.generator import GeneratorSource

NOW = datetime(2026, 11, 20, 20, 30, tzinfo=UTC)


def clock() -> datetime:
    """A Friday evening."""
    return NOW


@pytest.fixture(scope="session")
def source() -> GeneratorSource:
    """The generated market of seed 7."""
    return GeneratorSource(7, clock)


@pytest.fixture
def json_body(source: GeneratorSource) -> Callable[..., bytes]:
    """The JSON body of a path below /v1."""

    def body(path: str, from_ms: int | None = None) -> bytes:
        address = json_address(path, from_ms)
        assert address is not None, path
        content = source.json_body(address)
        assert content is not None, path
        return content

    return body


@pytest.fixture
def bi5_body(source: GeneratorSource) -> Callable[[str], bytes]:
    """The bi5 file of a path below /datafeed."""

    def body(path: str) -> bytes:
        address = bi5_address(path)
        assert address is not None, path
        content = source.bi5_body(address)
        assert content is not None, path
        return content

    return body

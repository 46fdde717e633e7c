"""What the WebSocket API's tests share: a live market in a database, an API that hears of it, a network between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.live_market import LiveMarket
from market_platform_tests.fixtures.tcp_proxy import TcpProxy


@pytest.fixture
def anyio_backend() -> str:
    """The clients run on asyncio."""
    return "asyncio"


@pytest.fixture
def market(database_url: str) -> Iterator[LiveMarket]:
    """A live market of this test alone."""
    made = LiveMarket(database_url)
    yield made
    made.close()


@pytest.fixture
def api(market: LiveMarket) -> Iterator[ApiServer]:
    """An API with the usual settings that hears of the market."""
    with ApiServer(market.database_url) as server:
        market.wait_until_heard(server.url)
        yield server


@pytest.fixture
def proxy(market: LiveMarket) -> Iterator[TcpProxy]:
    """The network between an API and the market's Postgres."""
    made = TcpProxy.before(market.database_url)
    yield made
    made.close()

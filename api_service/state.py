"""What lives as long as the process, typed: the lifespan's state, which every request finds in its scope."""

from __future__ import annotations

from typing import TypedDict, cast

from prometheus_client import CollectorRegistry
from starlette.requests import Request

from api_service.candles.answers import Candles
from api_service.catalogue import Catalogue
from api_service.changes import ChangeFeed
from api_service.database import Database
from api_service.live.routes import Clients
from api_service.live.service import LiveService
from api_service.metrics.requests import RequestMetrics
from api_service.starlistings.answers import Rows
from api_service.starlistings.index import StarlistingIndex
from market_platform.domain.clock import Clock


class State(TypedDict):
    """The state: the pool, what is kept in memory, the listeners, WebSocket clients, metrics, and the clock."""

    database: Database
    catalogue: Catalogue
    candles: Candles
    starlistings: StarlistingIndex
    rows: Rows
    feed: ChangeFeed
    live: LiveService
    clients: Clients
    registry: CollectorRegistry
    requests: RequestMetrics
    clock: Clock


def state_of(request: Request) -> State:
    """The state a request was given."""
    return cast("State", request.scope["state"])

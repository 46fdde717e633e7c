"""What lives as long as the process, typed: the lifespan's state, which every request finds in its scope."""

from __future__ import annotations

from typing import TypedDict, cast

from starlette.requests import Request

from api_service.candles.answers import Candles
from api_service.catalogue import Catalogue
from api_service.changes import ChangeFeed
from api_service.database import Database
from market_platform.domain.clock import Clock


class State(TypedDict):
    """The state: the pool, what is kept in memory, the listener, and the clock."""

    database: Database
    catalogue: Catalogue
    candles: Candles
    feed: ChangeFeed
    clock: Clock


def state_of(request: Request) -> State:
    """The state a request was given."""
    return cast("State", request.scope["state"])

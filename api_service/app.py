"""`create_app`: the ASGI application, its routes, and what lives as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from api_service.candles.answers import Candles
from api_service.candles.conditions import Calendars
from api_service.candles.documentation import candle_paths, candle_schemas
from api_service.candles.memory import Bodies, Versions
from api_service.candles.representation import Description
from api_service.candles.routes import candle_routes, fast_candle_routes
from api_service.catalogue import Catalogue
from api_service.changes import ChangeFeed
from api_service.database import Database
from api_service.docs.routes import router as docs
from api_service.docs.routes import service_version
from api_service.fast_path import FastPath
from api_service.health.routes import router as health
from api_service.live.routes import live_routes
from api_service.live.service import LiveService
from api_service.metadata.routes import router as metadata
from api_service.metrics.requests import RequestMetrics
from api_service.metrics.routes import router as metrics
from api_service.middleware import RequestMiddleware
from api_service.problems import EXCEPTION_HANDLERS, ProblemBody
from api_service.routing import get
from api_service.starlistings.answers import Rows
from api_service.starlistings.documentation import row_paths, row_schemas
from api_service.starlistings.index import StarlistingIndex
from api_service.starlistings.routes import fast_row_routes, row_routes
from api_service.starlistings.routes import router as starlistings
from api_service.state import State
from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.errors import ConfigError
from market_platform.settings import Settings

_ABOUT = """Candles from exchange ticks, exact to the last digit, each answer with the version of the data it was made of.

Errors are `application/problem+json` with a stable `code`; `/problems` lists them."""


class Api(FastAPI):
    """FastAPI behind what every request passes: the middleware, then the short way to rows."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._entrance: ASGIApp = RequestMiddleware(
            FastPath(super().__call__, [*fast_candle_routes(), *fast_row_routes()])
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        await self._entrance(scope, receive, send)


def create_app(settings: Settings, *, clock: Clock = utc_now) -> FastAPI:
    """The application on `settings.database_url`. Nothing is connected before it starts; Postgres may come later.

    Raises:
        ConfigError: there is no DATABASE_URL.
    """
    if settings.database_url is None:
        raise ConfigError("DATABASE_URL is not set: the API needs to know which Postgres to read")
    url = settings.database_url.get_secret_value()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
        database = Database(url, pool_size=settings.database_pool_size, timeout_s=settings.database_timeout_s)
        state = make_state(database, settings, clock)
        await database.open()
        tasks = {asyncio.create_task(state["feed"].run()), asyncio.create_task(state["live"].run())}
        try:
            yield state
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)
            await database.close()

    app = Api(
        title="Market data platform",
        description=_ABOUT,
        version=service_version(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        exception_handlers={**EXCEPTION_HANDLERS},
    )
    app.router.routes.extend([*candle_routes(), *row_routes(), *live_routes()])
    for router in (metadata, starlistings, health, metrics, docs):
        app.include_router(router)
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes))
            document["paths"] = {**candle_paths(), **row_paths(), **document["paths"]}
            document["components"]["schemas"].update(
                candle_schemas(), **row_schemas(), Problem=ProblemBody.model_json_schema()
            )
            _forget_default_validation_errors(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]

    @get(app.router, "/openapi.json", include_in_schema=False)
    async def get_openapi_document() -> dict[str, Any]:
        """The description of every path."""
        return app.openapi()

    return app


def _forget_default_validation_errors(document: dict[str, Any]) -> None:
    """FastAPI describes a 422 of its own shape wherever there is a parameter; ours are problems, and said where they occur."""
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for path in document["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]


def make_state(database: Database, settings: Settings, clock: Clock) -> State:
    """What lives as long as the process, wired: the feed empties what the others keep."""

    def on_candles(starlisting_ids: list[int] | None) -> None:
        catalogue.note_candles(starlisting_ids)
        versions.forget(starlisting_ids)
        row_versions.forget(starlisting_ids)

    def on_reference() -> None:
        catalogue.forget()
        index.forget()
        calendars.forget()
        versions.forget(None)
        row_versions.forget(None)

    registry = CollectorRegistry()
    feed = ChangeFeed(database, on_candles, on_reference)
    versions: Versions[Description] = Versions(lambda: feed.trusted)
    row_versions: Versions[str] = Versions(lambda: feed.trusted)
    catalogue = Catalogue(database, lambda: feed.trusted)
    index = StarlistingIndex(database, lambda: feed.trusted)
    calendars = Calendars(database)
    bodies = Bodies()
    candles = Candles(database, catalogue, calendars, versions, bodies, clock)
    live = LiveService(database, catalogue, settings, clock, registry)
    return State(
        database=database,
        catalogue=catalogue,
        candles=candles,
        starlistings=index,
        rows=Rows(database, row_versions, bodies),
        feed=feed,
        live=live,
        clients=live.clients,
        registry=registry,
        requests=RequestMetrics(registry),
        clock=clock,
    )

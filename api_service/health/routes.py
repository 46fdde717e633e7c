"""Health paths. None of them needs a key; all but `/livez` ask Postgres, within its time limit."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request, Response

from api_service.health.detailed import detailed_health, load_service_facts
from api_service.health.exchanges import (
    StreamFacts,
    exchange_health,
    is_well,
    load_facts,
    streamed_exchanges,
    streamer_health,
)
from api_service.health.schemas import Alive, Collector, DetailedHealth, ExchangeHealth, Health, Ready
from api_service.problems import ProblemError, problem_responses
from api_service.routing import get
from api_service.state import state_of
from market_platform.domain.errors import SchemaMismatchError, WarehouseUnavailableError
from market_platform.warehouse.pair_queries import check_ready

router = APIRouter(tags=["health"])
AWAY = (WarehouseUnavailableError, SchemaMismatchError)


@get(
    router,
    "/health",
    summary="How the service is",
    operation_id="get_health",
    responses={503: {"model": Health, "description": "Unhealthy."}},
)
async def get_health(request: Request, response: Response) -> Health:
    """Healthy, degraded or unhealthy; 503 when unhealthy, which is when the database can't be read."""
    state = state_of(request)
    response.headers["cache-control"] = "no-store"
    now = state["clock"]()
    listening = state["feed"].trusted
    try:
        facts = await state["database"].run(load_facts)
    except AWAY as error:
        response.status_code = 503
        return _away(error, now, listening=listening)
    return _judged(facts, now, listening=listening)


@get(
    router,
    "/health/detailed",
    summary="How everything is",
    operation_id="get_detailed_health",
    responses={503: {"model": DetailedHealth, "description": "Unhealthy."}},
)
async def get_detailed_health(request: Request, response: Response) -> DetailedHealth:
    """What `/health` says, and: why, every exchange in full, how fresh candles are, what the lake holds, versions."""
    state = state_of(request)
    response.headers["cache-control"] = "no-store"
    now = state["clock"]()
    listening = state["feed"].trusted
    try:
        names = await state["starlistings"].exchanges()
        facts = await state["database"].run(load_service_facts)
    except AWAY as error:
        response.status_code = 503
        return detailed_health(_away(error, now, listening=listening), None, {}, now)
    return detailed_health(_judged(facts.streams, now, listening=listening), facts, names, now)


@get(
    router,
    "/health/{exchange}",
    summary="How an exchange's stream is",
    operation_id="get_exchange_health",
    responses=problem_responses(404, 503),
)
async def get_exchange_health(request: Request, response: Response, exchange: str) -> ExchangeHealth:
    """Its connections, lag, stale subscriptions, gaps and dead letters, and what is wrong with them."""
    state = state_of(request)
    code = exchange.lower()
    names = await state["starlistings"].exchanges()
    if code not in names:
        raise ProblemError("exchange_not_found", f"there is no exchange {exchange}; there are {', '.join(names)}")
    facts = await state["database"].run(load_facts)
    response.headers["cache-control"] = "no-store"
    return exchange_health(code, names[code], facts, state["clock"]())


@get(router, "/livez", summary="Whether the process runs", operation_id="get_livez")
async def get_livez(response: Response) -> Alive:
    """200 for as long as the process answers at all."""
    response.headers["cache-control"] = "no-store"
    return Alive(status="alive")


@get(
    router,
    "/readyz",
    summary="Whether requests can be answered",
    operation_id="get_readyz",
    responses=problem_responses(503),
)
async def get_readyz(request: Request, response: Response) -> Ready:
    """200 when Postgres answers and has the schema, else 503 with the reason."""
    await state_of(request)["database"].run(check_ready)
    response.headers["cache-control"] = "no-store"
    return Ready(status="ready")


def _away(error: Exception, now: datetime, *, listening: bool) -> Health:
    """Unhealthy: the database can't be read."""
    health = _blank(now, listening=listening)
    health.status = "unhealthy"
    health.database = "schema_mismatch" if isinstance(error, SchemaMismatchError) else "disconnected"
    return health


def _judged(facts: StreamFacts, now: datetime, *, listening: bool) -> Health:
    """Healthy, or degraded where something is not as it should be."""
    health = _blank(now, listening=listening)
    health.streamers = [streamer_health(each, now) for each in facts.streamers]
    for exchange in streamed_exchanges(facts):
        health.collectors[exchange] = Collector(**exchange_health(exchange, exchange, facts, now).model_dump())
    collecting = all(each.status == "healthy" for each in health.collectors.values()) and is_well(health.streamers)
    if not (listening and collecting):
        health.status = "degraded"
    return health


def _blank(now: datetime, *, listening: bool) -> Health:
    return Health(
        status="healthy",
        timestamp=now,
        database="connected",
        collectors={},
        streamers=[],
        change_feed="listening" if listening else "not_listening",
    )

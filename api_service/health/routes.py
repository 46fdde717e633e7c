"""Health paths. None of them needs a key; all but `/livez` ask Postgres, within its time limit."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api_service.health.schemas import Alive, Health, Ready
from api_service.problems import problem_responses
from api_service.routing import get
from api_service.state import state_of
from market_platform.domain.errors import SchemaMismatchError, WarehouseUnavailableError
from market_platform.warehouse.chart_queries import check_ready

router = APIRouter(tags=["health"])


@get(
    router,
    "/health",
    summary="How the service is",
    operation_id="get_health",
    responses={503: {"model": Health, "description": "Unhealthy."}},
)
async def get_health(request: Request, response: Response) -> Health:
    """Healthy, degraded or unhealthy; 503 when unhealthy."""
    state = state_of(request)
    response.headers["cache-control"] = "no-store"
    listening = state["feed"].trusted
    health = Health(
        status="healthy" if listening else "degraded",
        timestamp=state["clock"](),
        database="connected",
        collectors={},
        change_feed="listening" if listening else "not_listening",
    )
    try:
        await state["database"].run(check_ready)
    except (WarehouseUnavailableError, SchemaMismatchError) as error:
        response.status_code = 503
        health.status = "unhealthy"
        health.database = "schema_mismatch" if isinstance(error, SchemaMismatchError) else "disconnected"
    return health


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

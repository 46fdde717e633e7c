"""`GET /metrics`; needs no key, and answers while Postgres is away, then without the exchanges."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api_service.health.exchanges import (
    StreamFacts,
    exchange_health,
    load_facts,
    streamed_exchanges,
    streamer_health,
)
from api_service.metrics.streams import stream_registry
from api_service.routing import get
from api_service.state import state_of
from market_platform.domain.errors import SchemaMismatchError, WarehouseUnavailableError

router = APIRouter(tags=["health"])


@get(
    router,
    "/metrics",
    response_class=Response,
    summary="Prometheus metrics",
    operation_id="get_metrics",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(request: Request) -> Response:
    """Requests, WebSockets, and every field of `/health/{exchange}` by exchange."""
    state = state_of(request)
    now = state["clock"]()
    facts, reachable = StreamFacts(), True
    try:
        facts = await state["database"].run(load_facts)
    except (WarehouseUnavailableError, SchemaMismatchError):
        reachable = False
    streams = stream_registry(
        [exchange_health(each, each, facts, now) for each in streamed_exchanges(facts)],
        [streamer_health(each, now) for each in facts.streamers],
        database=reachable,
        listening=state["feed"].trusted,
    )
    text = generate_latest(state["registry"]) + generate_latest(streams)
    return Response(text, headers={"cache-control": "no-store"}, media_type=CONTENT_TYPE_LATEST)

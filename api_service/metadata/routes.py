"""`GET /api/metadata`, with and without `symbol`: one query on manifests and totals, no scan."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api_service.candles.representation import is_known
from api_service.catalogue import preferred
from api_service.metadata.schemas import Metadata, SymbolWithTimeframes
from api_service.problems import ProblemError, problem_responses
from api_service.routing import get
from api_service.state import state_of
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import INTERVALS
from market_platform.domain.pairs import normalise_symbol
from market_platform.warehouse.pair_queries import SymbolSummary, load_summaries

router = APIRouter(tags=["chart"])


@get(
    router,
    "/api/metadata",
    response_model=Metadata | SymbolWithTimeframes,
    summary="Symbols and timeframes",
    operation_id="get_metadata",
    responses={304: {"description": "The client has this version."}, **problem_responses(400, 404, 503)},
)
async def get_metadata(
    request: Request,
    symbol: Annotated[
        str | None, Query(description="Only this symbol, with its own timeframes.", examples=["EURUSD"])
    ] = None,
    exchange: Annotated[
        str | None,
        Query(
            description="Only its symbols; without it, a symbol is that of the first configured exchange with candles."
        ),
    ] = None,
) -> Response:
    """Every symbol that has data, once, with its span and tick count, or one symbol with its timeframes."""
    database = state_of(request)["database"]
    exchange = exchange.lower() if exchange else None
    if symbol is None:
        found = await database.run(load_summaries)
        listed = _each_symbol([each for each in found if exchange in (None, each.exchange)])
        return _answer(request, {"symbols": [_fields(each) for each in listed], "timeframes": _timeframes(listed)})
    try:
        name = normalise_symbol(symbol)
    except BadRequestError as error:
        raise ProblemError(error.code, str(error)) from None
    found = await database.run(lambda connection: load_summaries(connection, name))
    chosen = _each_symbol([each for each in found if exchange in (None, each.exchange)])
    if not chosen:
        on = f" on {exchange}" if exchange else ""
        raise ProblemError("symbol_not_found", f"there is no data of {name}{on}; a backfill brings it here")
    first = chosen[0]
    return _answer(request, _fields(first) | {"timeframes": first.intervals}, {"x-exchange": first.exchange})


def _each_symbol(summaries: Sequence[SymbolSummary]) -> list[SymbolSummary]:
    """Each symbol once: as the chart API means it."""
    quoted: dict[str, list[SymbolSummary]] = {}
    for each in summaries:
        quoted.setdefault(each.symbol, []).append(each)
    return [preferred(each) for each in quoted.values()]


def _fields(summary: SymbolSummary) -> dict[str, object]:
    return {
        "symbol": summary.symbol,
        "earliest": summary.earliest,
        "latest": summary.latest,
        "tick_count": summary.tick_count,
        "exchange": summary.exchange,
        "market_type": summary.market_type,
    }


def _timeframes(summaries: Sequence[SymbolSummary]) -> list[str]:
    names = {name for each in summaries for name in each.intervals}
    return [each.name for each in INTERVALS if each.name in names]


def _answer(request: Request, document: object, further: Mapping[str, str] | None = None) -> Response:
    body = orjson.dumps(document)
    version = hashlib.sha256(body).hexdigest()[:32]
    headers = {
        "etag": f'"{version}"',
        "cache-control": "public, max-age=60",
        "x-data-version": version,
        **(further or {}),
    }
    asked = ", ".join(request.headers.getlist("if-none-match"))
    if asked and is_known(asked.encode("latin-1"), headers["etag"].encode()):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")

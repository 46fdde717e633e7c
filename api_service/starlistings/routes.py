"""The paths of section 2. Rows are answered by bare ASGI endpoints (see fast_path.py), the lists by FastAPI functions."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api_service.fast_path import FastRoute
from api_service.problems import ProblemError, problem_responses
from api_service.routing import get
from api_service.starlistings.answers import Rows, RowsAnswer
from api_service.starlistings.index import StarlistingFilter, StarlistingIndex
from api_service.starlistings.query import parse_rows_query
from api_service.starlistings.schemas import Starlisting, StarlistingList
from api_service.state import state_of
from market_platform.warehouse.starlisting_queries import PairRows

router = APIRouter(tags=["starlistings"])

_LONGEST_QUERY = 1024
_LARGEST_ID = 2**31 - 1
_PAIR = r"(?P<exchange>[^/]+)/(?P<coin>[^/]+)/(?P<quote>[^/]+)/(?P<market_type>[^/]+)"
_PAIR_PATH = "{exchange}/{coin}/{quote}/{market_type}"
CANDLES_PATH = f"/candles/{_PAIR_PATH}/{{interval}}"
FUNDING_PATH = f"/funding/{_PAIR_PATH}"
OPEN_INTEREST_PATH = f"/open-interest/{_PAIR_PATH}"

Code = Annotated[str | None, Query(max_length=40)]


@get(
    router,
    "/starlistings",
    response_model=StarlistingList,
    summary="Trading pairs and intervals",
    operation_id="get_starlistings",
    responses=problem_responses(422, 503),
)
async def get_starlistings(
    request: Request,
    exchange: Code = None,
    coin: Code = None,
    quote: Code = None,
    market_type: Code = None,
    interval: Code = None,
    active: Annotated[bool | None, Query(description="Both kinds without it.")] = None,
) -> dict[str, object]:
    """Every starlisting that fits all filters given, by id."""
    wanted = StarlistingFilter(_lower(exchange), _upper(coin), _upper(quote), _lower(market_type), interval, active)
    found = await state_of(request)["starlistings"].filtered(wanted)
    return {"starlistings": [each._asdict() for each in found], "total_count": len(found)}


@get(
    router,
    "/starlistings/{starlisting_id}",
    response_model=Starlisting,
    summary="One starlisting",
    operation_id="get_starlisting",
    responses=problem_responses(404, 422, 503),
)
async def get_starlisting(
    request: Request, starlisting_id: Annotated[int, Path(ge=1, le=_LARGEST_ID)]
) -> dict[str, object]:
    """A starlisting, active or not."""
    return (await state_of(request)["starlistings"].by_id(starlisting_id))._asdict()


class RowsEndpoint:
    """`GET` of candles, funding or open interest; the path names the pair."""

    def __init__(self, kind: Literal["candles"] | PairRows) -> None:
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer one request."""
        query_string: bytes = scope["query_string"]
        if len(query_string) > _LONGEST_QUERY:
            raise ProblemError("validation_error", f"the query string is longer than {_LONGEST_QUERY} bytes")
        if_none_match = None
        no_cache = False
        for name, value in scope["headers"]:
            if name == b"if-none-match":
                if_none_match = value if if_none_match is None else if_none_match + b", " + value
            elif name == b"cache-control":
                no_cache = b"no-cache" in value.lower()
        path = scope["path_params"]
        key = (path["exchange"].lower(), path["coin"].upper(), path["quote"].upper(), path["market_type"].lower())
        index: StarlistingIndex = scope["state"]["starlistings"]
        rows: Rows = scope["state"]["rows"]
        query = parse_rows_query(query_string)
        if self._kind == "candles":
            row = await index.find(key, path["interval"])
            answer = await rows.candles(row, query, if_none_match=if_none_match, no_cache=no_cache)
        else:
            row = await index.find_pair(key)
            answer = await rows.of_pair(self._kind, row, query, if_none_match=if_none_match)
        await _send(answer, send, head=scope["method"] == "HEAD")


async def _send(answer: RowsAnswer, send: Send, *, head: bool) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": b"" if head or answer.body is None else answer.body})


_ENDPOINTS = (
    (CANDLES_PATH, re.compile(rf"/candles/{_PAIR}/(?P<interval>[^/]+)"), RowsEndpoint("candles")),
    (FUNDING_PATH, re.compile(rf"/funding/{_PAIR}"), RowsEndpoint("funding_rates")),
    (OPEN_INTEREST_PATH, re.compile(rf"/open-interest/{_PAIR}"), RowsEndpoint("open_interest")),
)


def row_routes() -> list[Route]:
    """The paths of rows as ordinary routes."""
    return [Route(path, endpoint, methods=["GET"]) for path, _, endpoint in _ENDPOINTS]


def fast_row_routes() -> list[FastRoute]:
    """The same for the short way."""
    return [FastRoute(pattern, endpoint, path) for path, pattern, endpoint in _ENDPOINTS]


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _upper(text: str | None) -> str | None:
    return None if text is None else text.upper()

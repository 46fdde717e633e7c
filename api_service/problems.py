"""Errors as `application/problem+json` (RFC 9457) with a stable `code`.

Belongs here: the table of codes, the answer they become, and which of the platform's errors is which. Does not: deciding
that something is wrong (the resources do).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api_service.logs import REQUEST_ID
from market_platform.domain.errors import MarketPlatformError, SchemaMismatchError, WarehouseUnavailableError

ExceptionHandler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its HTTP status, short title, and what a client can do."""

    status: int
    title: str
    advice: str


KINDS: Mapping[str, Kind] = {
    "missing_parameters": Kind(400, "A required parameter is missing", "Give every parameter that `detail` names."),
    "invalid_parameter": Kind(400, "A parameter has a wrong value", "Correct the parameter that `detail` names."),
    "invalid_timeframe": Kind(400, "Unknown timeframe", "Use one of the timeframes that /api/metadata lists."),
    "invalid_range": Kind(400, "The range is empty", "Let `from` be at or before `to`."),
    "range_too_large": Kind(400, "The range is too large", "Ask for at most two years, and for more in several calls."),
    "starlisting_inactive": Kind(400, "Not collected any more", "Activate it in the configuration and sync."),
    "trading_pair_inactive": Kind(400, "Not collected any more", "Activate it in the configuration and sync."),
    "symbol_not_found": Kind(404, "Unknown symbol", "Look into /api/metadata for the symbols there are."),
    "starlisting_not_found": Kind(404, "No such starlisting", "Look into /starlistings, or /api/metadata?symbol=."),
    "trading_pair_not_found": Kind(404, "No such trading pair", "Look into /starlistings."),
    "exchange_not_found": Kind(404, "No such exchange", "Look into /starlistings."),
    "not_found": Kind(404, "Nothing is here", "Look into /docs for the paths there are."),
    "method_not_allowed": Kind(405, "The method is not allowed here", "The header Allow names those that are."),
    "validation_error": Kind(422, "The request is not valid", "Correct what `errors` lists."),
    "bad_request": Kind(400, "The request is wrong", "Correct what `detail` says."),
    "internal_error": Kind(500, "Something failed on our side", "Report it with the `request_id`."),
    "database_unavailable": Kind(503, "The database does not answer", "Try again after the seconds in Retry-After."),
    "schema_mismatch": Kind(503, "The database lacks migrations", "Run `market-platform migrate`, then try again."),
}


class ProblemBody(BaseModel):
    """An error (RFC 9457); `code` never changes its meaning."""

    type: str = Field(description="Where the kind of problem is explained.", examples=["/problems/range_too_large"])
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(examples=["range_too_large"])
    request_id: str | None


class ProblemError(MarketPlatformError):
    """A problem to answer with; `extra` are further members of the answer."""

    def __init__(self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra


def problem_response(
    code: str, detail: str, path: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> Response:
    """The answer of a problem: its kind's status, and type, title, status, detail, instance, code as JSON."""
    kind = KINDS[code]
    body = {
        "type": f"/problems/{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": path,
        "code": code,
        "request_id": REQUEST_ID.get(),
        **extra,
    }
    sent = {"cache-control": "no-store", **(headers or {})}
    if kind.status == 503:
        sent.setdefault("retry-after", str(RETRY_AFTER_S))
    return Response(orjson.dumps(body), kind.status, headers=sent, media_type=MEDIA_TYPE)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a path's documentation says that it answers with problems of these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    found: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        codes = [f"`{code}`" for code, kind in KINDS.items() if kind.status == status]
        found[status] = {"description": "A problem: " + ", ".join(codes), "content": content}
    return found


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem_response(error.code, error.detail, request.url.path, headers=error.headers, **error.extra)


async def _unavailable(request: Request, error: Exception) -> Response:
    structlog.get_logger("api").warning("database unavailable", error=str(error))
    code = "schema_mismatch" if isinstance(error, SchemaMismatchError) else "database_unavailable"
    return problem_response(code, str(error), request.url.path)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    detail = f"{request.method} {request.url.path}: {error.detail}"
    return problem_response(code, detail, request.url.path, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    listed = [{"where": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in error.errors()]
    detail = "; ".join(f"{each['where']}: {each['message']}" for each in listed)
    return problem_response("validation_error", detail, request.url.path, errors=listed)


EXCEPTION_HANDLERS: Mapping[type[Exception], ExceptionHandler] = {
    ProblemError: _problem,
    WarehouseUnavailableError: _unavailable,
    SchemaMismatchError: _unavailable,
    HTTPException: _http,
    RequestValidationError: _invalid,
}
"""What `create_app` registers. An error of no kind here becomes `internal_error` in the middleware."""


def handler_of(error: Exception) -> ExceptionHandler:
    """The handler of an error that has one."""
    return next(handler for kind, handler in EXCEPTION_HANDLERS.items() if isinstance(error, kind))

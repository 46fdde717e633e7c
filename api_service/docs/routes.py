"""The paths that describe the service. The page is one of ours, so that it works without network."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import FileResponse

from api_service.problems import KINDS, ProblemError, problem_responses
from api_service.routing import get

router = APIRouter(tags=["service"])
_FILES = Path(__file__).parent / "files"


class Service(BaseModel):
    """What this is, and where to read on."""

    name: str
    version: str
    docs: str = Field(examples=["/docs"])
    openapi: str
    health: str
    problems: str


class KindOfProblem(BaseModel):
    """One kind of problem an answer may be."""

    code: str
    status: int
    title: str
    advice: str


def service_version() -> str:
    """The installed package's version."""
    try:
        return version("market-platform")
    except PackageNotFoundError:
        return "0"


@get(router, "/", summary="What this is", operation_id="get_service")
async def get_service() -> Service:
    """Name, version, and where to read on."""
    return Service(
        name="Market data platform",
        version=service_version(),
        docs="/docs",
        openapi="/openapi.json",
        health="/health",
        problems="/problems",
    )


@get(router, "/problems", summary="Every kind of problem", operation_id="get_problems")
async def get_problems() -> list[KindOfProblem]:
    """Every `code` an error can carry, with its status and what to do about it."""
    return [_kind(code) for code in KINDS]


@get(
    router,
    "/problems/{code}",
    summary="One kind of problem",
    operation_id="get_problem",
    responses=problem_responses(404),
)
async def get_problem(code: str) -> KindOfProblem:
    """What a problem's `type` points to."""
    if code not in KINDS:
        raise ProblemError("not_found", f"there is no kind of problem {code!r}; /problems lists them")
    return _kind(code)


def _kind(code: str) -> KindOfProblem:
    kind = KINDS[code]
    return KindOfProblem(code=code, status=kind.status, title=kind.title, advice=kind.advice)


def _file(name: str, media_type: str) -> Any:
    async def send() -> FileResponse:
        return FileResponse(_FILES / name, media_type=media_type, headers={"cache-control": "no-cache"})

    return send


for _path, _name, _media_type in (
    ("/docs", "docs.html", "text/html"),
    ("/docs/docs.css", "docs.css", "text/css"),
    ("/docs/docs.js", "docs.js", "text/javascript"),
    ("/docs/icon.svg", "icon.svg", "image/svg+xml"),
):
    get(router, _path, include_in_schema=False)(_file(_name, _media_type))

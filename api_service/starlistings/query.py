"""What a request for rows asks, checked: pure functions from a query string to a `RowsQuery`.

Belongs here: parameters, how times may be written, limits, and the problem each mistake becomes. Does not: whether the
starlisting exists.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from api_service.problems import ProblemError
from market_platform.domain.clock import from_ms

MOST_ROWS = 5000
_LAST_SECOND = 32_503_680_000  # the year 3000
_OFFSET_AFTER_SPACE = re.compile(r" (?=\d\d:?\d\d$)")
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(text: str) -> datetime:
    """A moment from ISO 8601 (without an offset: UTC) or whole Unix seconds.

    Raises:
        ValueError: it is neither, or outside 1970 to 3000.
    """
    if text.isascii() and text.isdigit():
        if int(text) > _LAST_SECOND:
            raise ValueError("must be Unix seconds or ISO 8601; this looks like milliseconds")
        return from_ms(int(text) * 1000)
    try:
        # a plus sign in a query string arrives as a space
        moment = datetime.fromisoformat(_OFFSET_AFTER_SPACE.sub("+", text))
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be ISO 8601, such as 2025-10-26T19:41:00Z, or Unix seconds") from None
    if not _FIRST <= utc <= from_ms(_LAST_SECOND * 1000):
        raise ValueError("must be from 1970 to 3000")
    return utc


def _checked(text: str) -> str:
    parse_moment(text)
    return text


Moment = Annotated[str, AfterValidator(_checked)]


class RowParameters(BaseModel):
    """The parameters as the documentation shows them."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    start_time: Moment | None = Field(
        None,
        description="First time, included: ISO 8601 (UTC unless it says otherwise) or Unix seconds.",
        examples=["2025-10-26T19:41:00Z"],
    )
    end_time: Moment | None = Field(
        None, description="Last time, included, written likewise.", examples=["2025-10-26T20:41:00Z"]
    )
    limit: int = Field(
        1000, description="At most so many rows: the newest of the range.", ge=1, le=MOST_ROWS, examples=[100]
    )


class RowsQuery(NamedTuple):
    """A checked request; `start` and `end` are included, None for without end."""

    start: datetime | None
    end: datetime | None
    limit: int


@lru_cache(maxsize=2048)
def parse_rows_query(query_string: bytes) -> RowsQuery:
    """The query of a URL. Unknown parameters are ignored, empty ones are as if they were left out.

    Raises:
        ProblemError: `validation_error`, listing every mistake.
    """
    try:
        pairs = parse_qsl(query_string.decode("ascii"), encoding="utf-8", errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise _problem([("query", "the query string is not UTF-8")]) from None
    given: dict[str, Any] = dict(pairs)
    try:
        asked = RowParameters.model_validate(given)
    except ValidationError as error:
        raise _problem(
            [
                (f"query.{each['loc'][0]}", str(each["msg"]).removeprefix("Value error, "))
                for each in error.errors(include_url=False)
            ]
        ) from None
    start = parse_moment(asked.start_time) if asked.start_time else None
    end = parse_moment(asked.end_time) if asked.end_time else None
    if start is not None and end is not None and start > end:
        raise _problem([("query.start_time", "is after end_time")])
    return RowsQuery(start, end, asked.limit)


def _problem(mistakes: list[tuple[str, str]]) -> ProblemError:
    detail = "; ".join(f"{where}: {message}" for where, message in mistakes)
    errors = [{"where": where, "message": message} for where, message in mistakes]
    return ProblemError("validation_error", detail, errors=errors)

"""What a request for rows may ask, how times may be written, and that nothing else gets through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_service.problems import ProblemError
from api_service.starlistings.query import MOST_ROWS, RowsQuery, parse_moment, parse_rows_query

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2999, 12, 30), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds of st
    lambda moment: moment.replace(microsecond=0)
)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(MOMENTS, OFFSETS)
def test_every_spelling_of_a_moment_is_that_moment(moment: datetime, offset: timezone) -> None:
    elsewhere = moment.astimezone(offset).isoformat()
    for text in (
        moment.isoformat(),
        moment.isoformat().replace("+00:00", "Z"),
        moment.replace(tzinfo=None).isoformat(),
        moment.replace(tzinfo=None).isoformat(" "),
        str(round(moment.timestamp())),
        elsewhere,
        elsewhere.replace("+", " "),  # what a query string makes of a plus sign
    ):
        assert parse_moment(text) == moment, text


@given(MOMENTS, MOMENTS, st.integers(1, MOST_ROWS))
def test_a_query_means_what_it_says(first: datetime, second: datetime, limit: int) -> None:
    start, end = sorted((first, second))
    query = urlencode({"start_time": start.isoformat(), "end_time": end.isoformat(), "limit": limit, "other": "x"})
    assert parse_rows_query(query.encode()) == RowsQuery(start, end, limit)


def mistake(query: str) -> ProblemError | None:
    try:
        parse_rows_query(query.encode())
    except ProblemError as error:
        return error
    return None


@given(st.text(max_size=40))
def test_whatever_else_comes_is_refused_or_a_moment(text: str) -> None:
    query = f"start_time={quote(text)}"
    if (found := mistake(query)) is not None:
        assert found.code == "validation_error"
        assert found.extra["errors"][0]["where"] == "query.start_time"
    else:
        start = parse_rows_query(query.encode()).start
        assert start is None or start.tzinfo is UTC


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "query.limit: Input should be greater than or equal to 1"),
        ("limit=5001", "query.limit: Input should be less than or equal to 5000"),
        ("start_time=1710918000000", "this looks like milliseconds"),
        ("start_time=1969-12-31", "must be from 1970 to 3000"),
        ("start_time=2&end_time=1", "query.start_time: is after end_time"),
        ("limit=x&end_time=y", "query.end_time: must be ISO 8601"),
    ],
)
def test_each_mistake_says_what_is_wrong(query: str, said: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_rows_query(query.encode())
    assert said in caught.value.detail

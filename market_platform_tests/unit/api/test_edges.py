"""Which days of a range are whole, and the digest of the rows that lie in none."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from api_service.candles.edges import edge_digest, range_days
from api_service.candles.query import CandleQuery, parse_query


def asked(start: str, end: str, timeframe: str = "1h") -> CandleQuery:
    first, last = (int(datetime.fromisoformat(each).replace(tzinfo=UTC).timestamp()) for each in (start, end))
    return parse_query(f"symbol=EURUSD&timeframe={timeframe}&from={first}&to={last}".encode())


@pytest.mark.parametrize(
    ("start", "end", "timeframe", "whole"),
    [
        ("2024-03-18", "2024-03-19T23:59", "1h", (18, 19)),
        ("2024-03-18", "2024-03-19T23:00", "1h", (18, 19)),
        ("2024-03-18", "2024-03-19T22:59", "1h", (18, 18)),
        ("2024-03-17T23:30", "2024-03-19T23:59", "1h", (18, 19)),
        ("2024-03-18T01:00", "2024-03-19T22:00", "1h", (19, 18)),
        ("2024-03-18T01:00", "2024-03-18T05:00", "1h", (19, 17)),
        ("2024-03-18", "2024-03-20", "1d", (18, 20)),
        ("2024-03-18", "2024-03-20", "1m", (18, 19)),
        ("2024-03-11", "2024-03-20", "1w", (11, 18)),
    ],
)
def test_which_days_are_whole(start: str, end: str, timeframe: str, whole: tuple[int, int]) -> None:
    days = range_days(asked(start, end, timeframe))
    assert (days.whole_first, days.whole_last) == (date(2024, 3, whole[0]), date(2024, 3, whole[1]))


def rows(*opens: str, row_format: str = "json") -> bytes:
    times = [int(datetime.fromisoformat(each).replace(tzinfo=UTC).timestamp()) for each in opens]
    if row_format == "csv":
        return b"\n".join(b"%d,1,2,0.5,1.5,7" % each for each in times)
    return b",".join(b'{"time":%d,"open":1,"high":2,"low":0.5,"close":1.5,"volume":7}' % each for each in times)


def test_rows_of_whole_days_are_no_part_of_the_digest() -> None:
    query = asked("2024-03-17T22:00", "2024-03-19T03:00")
    digest = edge_digest(query, rows("2024-03-17T22:00", "2024-03-19"), "json")
    assert digest is not None
    more = rows("2024-03-17T22:00", "2024-03-18", "2024-03-18T23:00", "2024-03-19")
    assert edge_digest(query, more, "json") == digest
    assert edge_digest(query, rows("2024-03-18", "2024-03-18T23:00"), "json") is None
    assert edge_digest(query, b"", "json") is None


@pytest.mark.parametrize("end", ["2024-03-17T23:00", "2024-03-18T03:00", "2024-03-19T03:00"])
def test_both_formats_have_the_same_digest(end: str) -> None:
    query = asked("2024-03-17T22:00", end)
    opens = ("2024-03-17T22:00", "2024-03-17T23:00")
    as_json, as_csv = (edge_digest(query, rows(*opens, row_format=each), each) for each in ("json", "csv"))
    assert as_json == as_csv is not None


def test_a_week_is_never_cut() -> None:
    assert edge_digest(asked("2024-03-11", "2024-03-20", "1w"), rows("2024-03-11", "2024-03-18"), "json") is None

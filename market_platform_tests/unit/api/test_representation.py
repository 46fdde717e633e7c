"""Tags, formats and cache headers of candles."""

from __future__ import annotations

import pytest

from api_service.candles.query import CandleQuery, parse_query
from api_service.candles.representation import (
    cache_control,
    chosen_format,
    data_version,
    describe,
    entity_tag,
    is_known,
)
from api_service.catalogue import Series
from market_platform.domain.intervals import parse_interval
from market_platform.warehouse.chart_queries import RangeState
from market_platform.warehouse.pair_queries import ListedPair

PAIR = ListedPair(1, "dukascopy", "EURUSD", "spot", active=True, first_day=None, starlistings={})
HOUR = parse_interval("1h")
SERIES = Series(1, PAIR, HOUR)
STATE = RangeState("abc", "5 xyz", "0a 1a", 9)


def asked(start: int, end: int) -> CandleQuery:
    return parse_query(f"symbol=EURUSD&from={start}&to={end}".encode())


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (None, False),
        (b'"abc"', True),
        (b'W/"abc"', True),
        (b"*", True),
        (b' "x", W/"y" ,"abc"', True),
        (b'"x"', False),
        (b"abc", False),
        (b'"ab"', False),
        (b'"abc-csv"', False),
        (b'""', False),
        (b'"a, \\"abc\\""', False),
    ],
)
def test_if_none_match(header: bytes | None, known: bool) -> None:
    assert is_known(header, b'"abc"') is known


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("text/html, text/csv;q=0.5", "csv"),
        ("text/csv, application/json", "csv"),
        ("application/json, text/csv", "json"),
        ("text/csv;q=0.4, */*;q=0.5", "json"),
        ("text/csv, */*;q=0.1", "csv"),
        ("text/csv;q=0", "json"),
        ("text/csv;q=much, */*", "json"),
        ("application/xml", "json"),
    ],
)
def test_the_format_follows_accept(accept: str | None, chosen: str) -> None:
    assert chosen_format(asked(0, 3600), accept.encode() if accept else None) == chosen


def test_the_parameter_format_wins_over_accept() -> None:
    assert chosen_format(parse_query(b"symbol=A1&from=0&to=1&format=csv"), b"application/json") == "csv"


@pytest.mark.parametrize(
    ("timeframe", "seconds"),
    [("1m", 60), ("5m", 300), ("15m", 600), ("30m", 1800), ("1h", 1800), ("4h", 3600), ("1d", 3600), ("1M", 3600)],
)
def test_how_long_an_answer_may_be_cached(timeframe: str, seconds: int) -> None:
    assert cache_control(parse_interval(timeframe)) == f"public, max-age={seconds}".encode()


def test_versions_differ_by_content_and_series_and_are_stable() -> None:
    version = data_version(SERIES, "abc", "def")
    assert version == "cb1de601aee1e40db4dfda1802930d37"
    assert data_version(SERIES, "abd", "def") != version
    assert data_version(SERIES, "abc", "deg") != version
    assert data_version(SERIES, "abc", None) != data_version(SERIES, None, "abc")
    assert data_version(Series(1, PAIR, parse_interval("5m")), "abc", "def") != version


def test_a_condition_is_no_part_of_a_version() -> None:
    states = (STATE, STATE._replace(conditions="0d 1a"))
    tags = {describe(SERIES, state, "def", "available").tag("json") for state in states}
    assert tags == {entity_tag(data_version(SERIES, "abc", "def"), "json")}


def test_formats_have_different_strong_tags() -> None:
    assert entity_tag("abc", "json") == b'"abc"'
    assert entity_tag("abc", "csv") == b'"abc-csv"'

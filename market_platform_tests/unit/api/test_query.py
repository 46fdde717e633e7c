"""What a request for candles may ask, and the problem each mistake becomes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_service.candles.query import LONGEST_RANGE_S, parse_query
from api_service.problems import ProblemError
from market_platform.domain.intervals import INTERVALS, bucket_start


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("", "missing_parameters", "symbol and from and to"),
        ("symbol=EURUSD", "missing_parameters", "from and to"),
        ("symbol=&from=1&to=2", "missing_parameters", "symbol must"),
        ("symbol=EURUSD&from=1", "missing_parameters", "to must"),
        ("symbol=EURUSD&from=yesterday&to=2", "invalid_parameter", "from='yesterday'"),
        ("symbol=EURUSD&from=1.5&to=2", "invalid_parameter", "whole number"),
        ("symbol=EURUSD&from=-1&to=2", "invalid_parameter", "from='-1'"),
        ("symbol=EURUSD&from=1710918000000&to=1711004399000", "invalid_parameter", "milliseconds"),
        ("symbol=EURUSD&from=1&to=99999999999999999999999", "invalid_parameter", "to="),
        ("symbol=EURUSD&from=1&to=2&format=xml", "invalid_parameter", "format='xml'"),
        ("symbol=EURUSD&from=%ff&to=2", "invalid_parameter", "UTF-8"),
        (f"symbol={'A' * 41}&from=1&to=2", "invalid_parameter", "symbol="),
        ("symbol=EURUSD&from=1&to=2&timeframe=7m", "invalid_timeframe", "1m, 5m"),
        ("symbol=EURUSD&from=1&to=2&timeframe=1H", "invalid_timeframe", "1H"),
        ("symbol=EURUSD&from=2&to=1", "invalid_range", "from=2"),
        (f"symbol=EURUSD&from=0&to={LONGEST_RANGE_S + 1}", "range_too_large", "two years"),
        ("symbol=E$R&from=1&to=2", "symbol_not_found", "E$R"),
    ],
)
def test_each_mistake_has_its_code_and_says_what_is_wrong(query: str, code: str, said: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_query(query.encode())
    assert caught.value.code == code
    assert said in caught.value.detail


@pytest.mark.parametrize("spelling", ["EURUSD", "eurusd", "EUR/USD", "EUR%2FUSD", "EUR_USD", "eur-usd", "Eur+Usd"])
def test_spellings_are_one_symbol(spelling: str) -> None:
    assert parse_query(f"symbol={spelling}&from=0&to=3600".encode()).symbol == "EURUSD"


def test_an_hour_is_the_default_and_unknown_parameters_are_ignored() -> None:
    query = parse_query(b"symbol=EURUSD&from=0&to=7200&_=17")
    assert (query.interval.name, query.exchange, query.row_format) == ("1h", None, None)


def test_the_path_wins_over_the_query_string() -> None:
    query = parse_query(b"symbol=GBPUSD&timeframe=1d&from=0&to=7200", "EUR/USD", "5m")
    assert (query.symbol, query.interval.name) == ("EURUSD", "5m")


def test_two_years_with_a_leap_day_are_allowed() -> None:
    assert parse_query(b"symbol=EURUSD&from=1672531200&to=1735689600").interval.name == "1h"


@pytest.mark.parametrize(
    ("timeframe", "asked", "first", "last"),
    [
        ("1h", (0, 7200), 0, 7200),
        ("1h", (1, 7199), 3600, 3600),
        ("1h", (1, 3599), 3600, 0),
        ("1w", (1_710_720_000, 1_711_324_800), 1_710_720_000, 1_711_324_800),  # Monday to Monday
        ("1w", (1_710_720_001, 1_711_324_799), 1_711_324_800, 1_710_720_000),
        ("1M", (1_706_745_600, 1_709_251_200), 1_706_745_600, 1_709_251_200),  # 1 February to 1 March 2024
        ("1M", (1_706_745_601, 1_709_251_199), 1_709_251_200, 1_706_745_600),
    ],
)
def test_both_ends_are_included_and_cut_to_open_times(
    timeframe: str, asked: tuple[int, int], first: int, last: int
) -> None:
    query = parse_query(f"symbol=EURUSD&timeframe={timeframe}&from={asked[0]}&to={asked[1]}".encode())
    assert (query.start_ms, query.end_ms) == (first * 1000, last * 1000)


@given(interval=st.sampled_from(INTERVALS), start=st.integers(0, 4_000_000_000), length=st.integers(0, LONGEST_RANGE_S))
def test_the_open_times_lie_in_the_range_on_the_grid(interval: object, start: int, length: int) -> None:
    query = parse_query(f"symbol=EURUSD&timeframe={interval}&from={start}&to={start + length}".encode())
    assert query.start_ms >= start * 1000
    assert query.end_ms <= (start + length) * 1000
    for each in (query.start_ms, query.end_ms):
        assert bucket_start(each, query.interval) == each

"""Exports without a database: choosing, naming, the guard, the columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from market_platform.domain.clock import to_ms
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import INTERVALS, MINUTE_MS, bucket_end, parse_interval
from market_platform.pipeline.exports.columns import columns_of
from market_platform.pipeline.exports.errors import LeakageError
from market_platform.pipeline.exports.inputs import DayHashes, candle_days_of
from market_platform.pipeline.exports.leakage import check_known_by_close, close_times
from market_platform.pipeline.exports.licence import check_licence
from market_platform.pipeline.exports.reading import months
from market_platform.pipeline.exports.request import Dataset, ExportRequest, request_from_json
from market_platform.pipeline.exports.selection import (
    PairChoice,
    choose_intervals,
    choose_pairs,
    choose_span,
    file_name,
    plan_exports,
)
from market_platform.warehouse.export_queries import CANDLE_VALUES, FUNDING_VALUES, INTEREST_VALUES
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.export_world import request

TODAY = date(2024, 7, 10)
MARCH = datetime(2024, 3, 1, tzinfo=UTC)


def pair(symbol: str, coin: str, quote: str, market_type: str, **changed: Any) -> PairRow:
    known = PairRow(
        id=1,
        exchange="binance",
        symbol=symbol,
        coin=coin,
        quote=quote,
        market_type=market_type,
        price_scale=None,
        first_day=None,
        active=True,
        licence="public",
        starlistings={"1m": 1, "1h": 2, "1M": 3},
    )
    return replace(known, **changed)


PAIRS = (
    pair("BTCUSDT", "BTC", "USDT", "spot"),
    pair("BTCUSDT.P", "BTC", "USDT", "perps"),
    pair("ETHUSDT", "ETH", "USDT", "spot"),
    pair("OLD", "OLD", "USDT", "spot", active=False),
    pair("EURUSD", "EUR", "USD", "spot", exchange="oanda", licence="private"),
)


@pytest.mark.parametrize(
    ("choice", "symbols"),
    [
        (PairChoice("btc"), ["BTCUSDT", "BTCUSDT.P"]),
        (PairChoice("BTC", "Binance", "usdt", "perps"), ["BTCUSDT.P"]),
        (PairChoice("all", market_type="spot"), ["BTCUSDT", "ETHUSDT", "EURUSD"]),
    ],
)
def test_pairs_are_chosen_by_any_of_their_names(choice: PairChoice, symbols: list[str]) -> None:
    assert [each.symbol for each in choose_pairs(PAIRS, choice)] == symbols


def test_a_choice_that_fits_nothing_says_which_option_and_what_there_is() -> None:
    with pytest.raises(BadRequestError, match=r"--coin OLD: .* there is BTC, ETH, EUR"):
        choose_pairs(PAIRS, PairChoice("OLD"))
    with pytest.raises(BadRequestError, match=r"--quote USD: .* there is USDT"):
        choose_pairs(PAIRS, PairChoice("BTC", quote="USD"))
    with pytest.raises(BadRequestError, match="config sync"):
        choose_pairs([], PairChoice("all"))


def test_intervals_are_those_of_the_pair() -> None:
    assert choose_intervals(PAIRS[0], "1h, 1m") == ["1m", "1h"]
    assert choose_intervals(PAIRS[0], "all") == ["1m", "1h", "1M"]
    for text in ("", "2m", "15m"):
        with pytest.raises(BadRequestError):
            choose_intervals(PAIRS[0], text)


def test_a_span_is_whole_days_or_from_start_to_end() -> None:
    midnight = datetime(2024, 7, 10, tzinfo=UTC)
    assert choose_span(2, None, None, TODAY) == (datetime(2024, 7, 8, tzinfo=UTC), midnight)
    assert choose_span(None, "2024-03-01", None, TODAY) == (MARCH, midnight)
    assert choose_span(None, "2024-03-01T02:00+02:00", "2024-03-01T00:30", TODAY) == (MARCH, MARCH.replace(minute=30))


@pytest.mark.parametrize(
    ("days", "start", "end"),
    [
        (None, None, None),
        (1, "2024-03-01", None),
        (1, None, "2024-03-01"),
        (0, None, None),
        (None, "March", None),
        (None, "2024-03-01", "2024-03-01"),
        (None, "2025-01-01", None),
    ],
)
def test_a_span_that_makes_no_sense_is_refused(days: int | None, start: str | None, end: str | None) -> None:
    with pytest.raises(BadRequestError) as refused:
        choose_span(days, start, end, TODAY)
    assert refused.value.code == "invalid_range"


def test_each_pair_and_interval_is_a_file_with_a_name_of_its_own(tmp_path: Path) -> None:
    span = (MARCH, datetime(2024, 3, 2, 12, 30, tzinfo=UTC))
    plans = plan_exports(PAIRS[:2], dataset=Dataset.MERGED, intervals="all", span=span, output=tmp_path)
    names = [plan.path.name for plan in plans]
    assert names[:3] == [
        "binance_BTCUSDT_merged_1m_2024-03-01_2024-03-02T1230.parquet",
        "binance_BTCUSDT_merged_1h_2024-03-01_2024-03-02T1230.parquet",
        "binance_BTCUSDT_merged_1month_2024-03-01_2024-03-02T1230.parquet",
    ]
    assert len({name.lower() for name in names}) == 6
    asked = replace(plans[0].request, numbers="float64", database="training", format="csv")
    assert file_name(asked, "BTCUSDT") == "binance_BTCUSDT_merged_1m_2024-03-01_2024-03-02T1230_float64_training.csv"


def test_what_cannot_be_exported_so_is_refused(tmp_path: Path) -> None:
    span = (MARCH, datetime(2024, 3, 2, tzinfo=UTC))

    def plan(pairs: Any = PAIRS[:2], **changed: Any) -> None:
        wanted: dict[str, Any] = {"dataset": Dataset.CANDLES, "intervals": "1m", "span": span, "output": tmp_path}
        plan_exports(pairs, **(wanted | changed))

    plan()
    with pytest.raises(BadRequestError, match="needs --intervals"):
        plan(intervals=None)
    with pytest.raises(BadRequestError, match="has no intervals"):
        plan(dataset=Dataset.FUNDING)
    with pytest.raises(BadRequestError, match="oanda/EURUSD is licensed as private"):
        plan(PAIRS)
    plan(PAIRS, include_private=True)
    with pytest.raises(BadRequestError, match="one file, and there are 2"):
        plan(output=tmp_path / "x.parquet")
    with pytest.raises(BadRequestError, match=r"does not end in \.csv"):
        plan(PAIRS[:1], output=tmp_path / "x.parquet", file_format="csv")


def test_private_is_the_only_licence_that_is_kept_back() -> None:
    check_licence("binance", "public", include_private=False)
    check_licence("oanda", "private", include_private=True)
    with pytest.raises(BadRequestError):
        check_licence("oanda", "private", include_private=False)


def test_a_request_is_made_again_from_its_json() -> None:
    for each in (request(), request(Dataset.FUNDING, format="csv"), request(Dataset.FEATURES, feature_version=3)):
        assert request_from_json(each.as_json()) == each


def test_a_request_must_fit_its_data_set() -> None:
    with pytest.raises(BadRequestError, match="needs an interval"):
        request(Dataset.CANDLES, interval=None)
    with pytest.raises(BadRequestError, match="has no intervals"):
        request(Dataset.OPEN_INTEREST, interval=parse_interval("1m"))
    with pytest.raises(BadRequestError, match="would end"):
        request(start=MARCH, end=MARCH)
    with pytest.raises(BadRequestError, match="need a time zone"):
        request(start=datetime(2024, 1, 1))  # noqa: DTZ001


def test_the_columns_are_those_that_are_read() -> None:
    def names(dataset: Dataset) -> tuple[str, ...]:
        return tuple(column.name for column in columns_of(dataset, "decimal"))

    assert names(Dataset.CANDLES) == ("time", *CANDLE_VALUES)
    assert names(Dataset.FUNDING) == ("time", *FUNDING_VALUES)
    assert names(Dataset.OPEN_INTEREST) == ("time", *INTEREST_VALUES)
    assert names(Dataset.MERGED) == ("time", *CANDLE_VALUES, *FUNDING_VALUES, *INTEREST_VALUES)
    doubles = [column.name for column in columns_of(Dataset.CANDLES, "float64") if column.kind == "double"]
    assert doubles == ["open", "high", "low", "close", "volume"]


def test_what_is_no_traded_volume_is_not_called_one() -> None:
    def volume(exchange: str) -> tuple[str, str]:
        [column] = [each for each in columns_of(Dataset.CANDLES, "decimal", exchange=exchange) if each.name == "volume"]
        return column.unit, column.meaning

    assert volume("binance")[0] == "base"
    assert volume("oanda") == ("1", "number of prices in the candle; no volume is traded there")


@pytest.mark.parametrize("interval", INTERVALS, ids=str)
def test_what_was_known_at_the_close_passes_and_what_came_a_minute_later_does_not(interval: Any) -> None:
    opened = to_ms(datetime(2024, 1, 1, tzinfo=UTC))
    close = bucket_end(opened, interval)
    assert close_times(pl.Series([opened]), interval).to_list() == [close]

    def check(minute: int | None) -> None:
        rows = {"time": [opened, opened], "funding_rates_time": [None, minute]}
        check_known_by_close(
            pl.DataFrame(rows, schema={"time": pl.Int64, "funding_rates_time": pl.Int64}),
            interval,
            ["funding_rates_time"],
            "binance BTC/USDT",
        )

    check(None)
    check(opened)
    check(close - MINUTE_MS)
    with pytest.raises(LeakageError, match=r"binance BTC/USDT: the row of 2024-01-01 00:00 .*\(funding_rates\)"):
        check(close - MINUTE_MS + 1)
    with pytest.raises(LeakageError):
        check(close)


def test_a_span_is_read_month_by_month() -> None:
    def day(month: int, day: int, year: int = 2024) -> datetime:
        return datetime(year, month, day, tzinfo=UTC)

    assert months(day(1, 31), day(3, 1)) == [(day(1, 31), day(2, 1)), (day(2, 1), day(3, 1))]
    assert months(day(12, 5), day(1, 2, 2025)) == [(day(12, 5), day(1, 1, 2025)), (day(1, 1, 2025), day(1, 2, 2025))]
    assert months(day(4, 5), day(4, 6)) == [(day(4, 5), day(4, 6))]


@pytest.mark.parametrize(
    ("interval", "days"),
    [
        ("1m", [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]),
        ("1d", [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]),
        ("1w", []),
        ("1M", [date(2024, 3, 1)]),
    ],
)
def test_input_days_are_those_that_candle_days_keeps(interval: str, days: list[date]) -> None:
    span = (datetime(2024, 2, 28, 12, tzinfo=UTC), datetime(2024, 3, 1, 1, tzinfo=UTC))
    assert candle_days_of(parse_interval(interval), *span) == days


def test_a_days_version_is_of_its_values_and_its_nulls_and_of_no_other_day() -> None:
    def versions(*values: float | None, cut: int = 0) -> dict[str, str]:
        opened = to_ms(datetime(2024, 2, 28, 23, 59, tzinfo=UTC))
        frame = pl.DataFrame(
            {"time": [opened + each * MINUTE_MS for each in range(len(values))], "value": values},
            schema={"time": pl.Int64, "value": pl.Decimal(38, 18)},
        )
        hashes = DayHashes(["value"], "time")
        hashes.add(frame[:cut])
        hashes.add(frame[cut:])
        return hashes.versions()

    known = versions(1, 2, None)
    assert list(known) == ["2024-02-28", "2024-02-29"]
    assert versions(1, 2, None, cut=1) == known
    for other in (versions(1, 3, None), versions(1, 2, 0), versions(1, 2), versions(1, None, 2)):
        assert other["2024-02-28"] == known["2024-02-28"]
        assert other["2024-02-29"] != known["2024-02-29"]


def test_a_request_names_itself() -> None:
    asked: ExportRequest = request()
    assert asked.name == "binance BTC/USDT perps merged 1m"

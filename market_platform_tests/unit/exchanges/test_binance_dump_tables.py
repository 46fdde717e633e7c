"""CSVs of the archive to exact rows: milliseconds and microseconds, with and without header, blanks, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.clock import day_start_ms
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.intervals import parse_interval
from market_platform.domain.trades import Trades
from market_platform.exchanges.binance.dumps.files import daily_file, monthly_file
from market_platform.exchanges.binance.dumps.funding import read_funding
from market_platform.exchanges.binance.dumps.klines import Candles, read_klines
from market_platform.exchanges.binance.dumps.metrics import read_metrics
from market_platform.exchanges.binance.dumps.trades import FileTrades, read_agg_trades
from market_platform_tests.fixtures.dump_files import (
    DAY,
    FUNDING_HEADER,
    KLINE_HEADER,
    METRICS_HEADER,
    PERPS,
    SPOT,
    TRADE_HEADER,
    csv,
    hours,
    kline,
    reading,
)

HOUR = parse_interval("1h")
HOUR_MS = 3_600_000
START = day_start_ms(DAY)
KLINES = daily_file(SPOT, "klines", DAY, HOUR)
TRADES = daily_file(PERPS, "aggTrades", DAY)
FUNDING = monthly_file(PERPS, "fundingRate", DAY)


def candles(rows: list[str], header: str | None = None) -> Candles:
    return read_klines(csv(rows, header), KLINES, HOUR)


@pytest.mark.parametrize("us", [False, True])
@pytest.mark.parametrize("header", [None, KLINE_HEADER])
def test_candles_are_exact_whatever_the_unit_of_time_and_with_or_without_header(us: bool, header: str | None) -> None:
    found = candles(hours(us=us), header)
    assert found.flags == ()
    assert not len(found.halted)
    assert found.frame.schema == CANDLE_SCHEMA
    assert found.frame.height == 24
    assert found.frame.row(0) == (
        datetime(2026, 3, 10, tzinfo=UTC),
        Decimal("64000.01"),
        Decimal(64100),
        Decimal("63900.5"),
        Decimal("64050.00000001"),
        Decimal("12.34567"),
        321,
    )


def test_every_digit_is_kept() -> None:
    odd: dict[str, Any] = {"volume": "12345678901234567890.123456789012345678", "low": "0.000000000000000001"}
    row = candles([kline(START, **odd)]).frame.row(0, named=True)
    assert str(row["volume"]) == odd["volume"]
    assert row["low"] == Decimal("1e-18")


def test_a_new_column_and_other_order_are_no_problem_where_there_is_a_header() -> None:
    rows = [",".join(["new", *row.split(",")[::-1]]) for row in hours()]
    header = ",".join(["something_else", *KLINE_HEADER.split(",")[::-1]])
    assert candles(rows, header).frame.equals(candles(hours()).frame)


def test_rows_out_of_order_are_sorted_and_flagged() -> None:
    rows = hours()
    found = candles([*rows[12:], *rows[:12]])
    assert found.frame.equals(candles(rows).frame)
    assert found.flags == ("BTCUSDT-1h-2026-03-10: its rows were not in order of time and were sorted",)


def test_identical_rows_are_taken_once_and_flagged() -> None:
    rows = hours()
    found = candles([*rows[:3], rows[2], *rows[3:], rows[23]])
    assert found.frame.equals(candles(rows).frame)
    assert any("2 rows came twice" in flag for flag in found.flags)


def test_a_candle_of_a_halt_is_kept_and_told() -> None:
    rows = hours()
    rows[5] = kline(START + 5 * HOUR_MS, close_time=str(START + 5 * HOUR_MS + 1000))
    found = candles(rows)
    assert found.frame.height == 24
    assert found.halted.tolist() == [START + 5 * HOUR_MS]


def test_a_candle_without_trades_is_a_candle() -> None:
    flat: dict[str, Any] = {
        "open": "5.0",
        "high": "5.0",
        "low": "5.0",
        "close": "5.0",
        "volume": "0.00000000",
        "count": "0",
    }
    assert candles([kline(START, **flat)]).frame["num_trades"].to_list() == [0]


@pytest.mark.parametrize("content", [b"", csv([], KLINE_HEADER), KLINE_HEADER.encode()])
def test_an_empty_file_has_no_candle(content: bytes) -> None:
    assert read_klines(content, KLINES, HOUR).frame.is_empty()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (kline(START, open="64O00.1"), "row 3: open '64O00.1' is not a plain decimal number"),
        (kline(START, open=""), "open 'None' is not"),
        (kline(START, open='"6,4"'), "open '6,4' is not"),
        (kline(START, high="NaN"), "high 'NaN' is not"),
        (kline(START, low="-1"), "low '-1' is not"),
        (kline(START, volume="1e5"), "volume '1e5' is not"),
        (kline(START, volume="1.1234567890123456789"), "volume '1.1234567890123456789' is not"),
        (kline(START, count="1.5"), "count '1.5' is not a whole number"),
        (kline(START, low="64001"), "prices that contradict each other"),
        (kline(START, high="64049"), "prices that contradict each other"),
        (kline(START, low="0"), "has a price of 0"),
        (kline(START, count="0"), "has volume but no trade"),
        (kline(START, count="-1"), "negative number of trades"),
        (kline(START + HOUR_MS, close="64051"), "comes twice, with different content"),
        (kline(START - HOUR_MS), "outside the file's span"),
        (kline(START + 24 * HOUR_MS), "outside the file's span"),
        (kline(START + 1000), "not on the grid of 1h"),
        (kline(START, open_time=str(START * 1000 + 1), close_time=str((START + HOUR_MS) * 1000)), "not on the grid"),
        (kline(START // 1000), "neither milliseconds nor microseconds"),
        (kline(START, open_time="9" * 18), "neither milliseconds nor microseconds"),
        ("1,2,3", "is neither"),
        (",".join(kline(START).split(",")[:4]), "close_time 'None' is not"),
        (kline(START) + ",more", "no CSV"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(row: str, reason: str) -> None:
    rows = [kline(START + HOUR_MS), kline(START + 2 * HOUR_MS), row]
    with pytest.raises(BadPayloadError, match=reason) as refused:
        candles(rows)
    assert KLINES.path in str(refused.value)


def test_a_header_without_a_column_we_need_is_refused() -> None:
    with pytest.raises(BadPayloadError, match="has no volume"):
        candles(hours(), KLINE_HEADER.replace(",volume,", ",base_volume,"))


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadPayloadError):
        read_klines(b"\x00\xff\xfe" * 100, KLINES, HOUR)


def trade(number: int, time_ms: int, price: str = "64000.1", quantity: str = "0.005", maker: str = "true") -> str:
    return f"{number},{price},{quantity},{number * 2},{number * 2 + 1},{time_ms},{maker}"


def trades(*blocks: bytes) -> FileTrades:
    return read_agg_trades(iter(blocks), TRADES)


def rows_of(found: Trades) -> list[tuple[int, ...]]:
    return [tuple(row) for row in zip(*(column.tolist() for column in found.columns), strict=True)]


def test_trades_are_exact_in_blocks_with_a_header_or_without_one() -> None:
    rows = [
        trade(7, START, "64000.10", "0.005"),
        trade(8, START + 1, "64000.123", "2", "false"),
        trade(9, START + 86_399_999, "1", "0.00000001", "True"),
    ]
    expected = [
        (7, START, 64_000_100, 500_000, 0, 14, 15),
        (8, START + 1, 64_000_123, 200_000_000, 1, 16, 17),
        (9, START + 86_399_999, 1_000, 1, 0, 18, 19),
    ]
    for blocks in (
        [csv(rows, TRADE_HEADER)],
        [csv(rows)],
        [csv(rows[:1], TRADE_HEADER), csv(rows[1:])],
        [csv([f"{row},True" for row in rows])],  # spot has one column more
        [csv(rows[:2]), csv(rows[2:])],
    ):
        found = trades(*blocks)
        assert rows_of(found.trades) == expected
        assert (found.trades.price_scale, found.trades.quantity_scale) == (3, 8)
        assert (found.flags, found.holes) == ((), [])


def test_trades_in_microseconds_have_the_same_milliseconds() -> None:
    found = trades(csv([trade(7, START * 1000 + 999), trade(8, (START + 5) * 1000)]))
    assert found.trades.time.tolist() == [START, START + 5]


def test_trades_out_of_order_and_repeated_are_put_right_and_flagged_and_holes_are_told() -> None:
    rows = [trade(number, START + number) for number in (12, 7, 8, 8, 9)]
    found = trades(csv(rows))
    assert found.trades.trade_id.tolist() == [7, 8, 9, 12]
    assert found.holes == [(10, 11)]
    assert len(found.flags) == 2


def test_a_file_without_trades_is_empty() -> None:
    assert len(trades(csv([], TRADE_HEADER)).trades) == 0
    assert len(trades().trades) == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (trade(8, START, price="0.0"), "a price is 0"),
        (trade(8, START, quantity="0"), "a quantity is 0"),
        (trade(8, START, price="99999999999999999999"), "too large"),
        (trade(8, START, price="x"), "price 'x' is not"),
        (trade(8, START, maker="maybe"), "is_buyer_maker"),
        (trade(8, START, maker=""), "is_buyer_maker"),
        (trade(8, START - 1), "outside the file's span"),
        (trade(8, START + 86_400_000), "outside the file's span"),
        (trade(7, START, price="64000.2"), "trade 7 came twice with different content"),
        (trade(-1, START).replace("-2,-1", "-1,-1"), "agg_trade_id is below 0"),
    ],
)
def test_a_trade_that_makes_no_sense_is_refused(row: str, reason: str) -> None:
    with pytest.raises(BadPayloadError, match=reason) as refused:
        trades(csv([trade(7, START), row]))
    assert TRADES.path in str(refused.value)


decimal_texts = st.builds(
    lambda whole, digits: f"{whole}.{digits}" if digits else str(whole),
    st.integers(0, 10**9),
    st.text("0123456789", max_size=8),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(decimal_texts, min_size=1, max_size=20))
def test_any_plain_decimals_are_kept_exactly(texts: list[str]) -> None:
    positive = [text if Decimal(text) else "0.00000001" for text in texts]
    found = trades(csv([trade(7 + at, START, text, text) for at, text in enumerate(positive)])).trades
    for units, scale in ((found.price, found.price_scale), (found.quantity, found.quantity_scale)):
        assert [Decimal(int(each)).scaleb(-scale) for each in units] == [Decimal(text) for text in positive]
    rows = [kline(START + at * HOUR_MS, volume=text) for at, text in enumerate(texts)]
    assert candles(rows).frame["volume"].to_list() == [Decimal(text) for text in texts]


def rates(hours_apart: int = 8, skip: tuple[int, ...] = ()) -> list[str]:
    start, step = FUNDING.start_ms, hours_apart * HOUR_MS
    times = range(start, FUNDING.end_ms, step)
    return [f"{time + 5},{hours_apart},-0.00010000" for at, time in enumerate(times) if at not in skip]


@pytest.mark.parametrize("header", [None, FUNDING_HEADER])
def test_funding_is_exact_and_truncated_to_the_minute(header: str | None) -> None:
    month = read_funding(csv(rates(), header), FUNDING)
    assert len(month.rates) == 93
    assert month.missing == ()
    assert month.rates[1] == Funding("BTCUSDT", Decimal("-0.0001"), time_ms=FUNDING.start_ms + 8 * HOUR_MS)


def test_funding_that_was_due_and_is_not_there_is_missing() -> None:
    month = read_funding(csv(rates(skip=(0, 5, 92))), FUNDING)
    assert [(time - FUNDING.start_ms) // (8 * HOUR_MS) for time in month.missing] == [0, 5, 92]


def test_a_change_of_the_funding_interval_is_no_hole() -> None:
    start = FUNDING.start_ms
    half = (FUNDING.end_ms - start) // 2 // (8 * HOUR_MS) * 8 * HOUR_MS
    slow = [f"{start + time},8,0.0001" for time in range(0, half, 8 * HOUR_MS)]
    quick = [f"{start + time},4,0.0001" for time in range(half, FUNDING.end_ms - start, 4 * HOUR_MS)]
    assert read_funding(csv([*slow, *quick]), FUNDING).missing == ()
    assert read_funding(csv([*slow, *quick[1:]]), FUNDING).missing == (start + half,)
    assert read_funding(csv([*slow[:-1], *quick]), FUNDING).missing == (start + half - 8 * HOUR_MS,)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"{FUNDING.start_ms},8,0.5", "differ"),
        (f"{FUNDING.end_ms},8,0.0001", "outside the month"),
        (f"{FUNDING.start_ms},0,0.0001", "which is none"),
        (f"{FUNDING.start_ms},8,1.5", "which is none"),
        (f"{FUNDING.start_ms},8,", "last_funding_rate 'None' is not"),
    ],
)
def test_a_funding_rate_that_makes_no_sense_is_refused(row: str, reason: str) -> None:
    with pytest.raises(BadPayloadError, match=reason):
        read_funding(csv([f"{FUNDING.start_ms},8,0.0001", row]), FUNDING)


MIDNIGHT = datetime(2026, 3, 10)  # noqa: DTZ001 - the file has no time zone
FIVE = timedelta(minutes=5)


def test_readings_have_the_time_at_which_they_were_taken_under_either_label() -> None:
    old = daily_file(PERPS, "metrics", DAY)
    by_end = [reading(MIDNIGHT + FIVE * number, str(number)) for number in range(1, 289)]
    found = read_metrics(csv(by_end, METRICS_HEADER), old)
    assert [each.time_ms for each in found.readings] == [START + 300_000 * number for number in range(1, 289)]

    new = daily_file(PERPS, "metrics", date(2026, 6, 25))
    begin = datetime(2026, 6, 25)  # noqa: DTZ001
    by_start = [reading(begin + FIVE * number, str(number + 1)) for number in range(288)]
    taken = read_metrics(csv(by_start, METRICS_HEADER), new)
    assert [each.time_ms for each in taken.readings] == [new.start_ms + 300_000 * number for number in range(1, 289)]
    assert [each.open_interest for each in taken.readings] == [each.open_interest for each in found.readings]
    # without both ends the date decides
    assert read_metrics(csv(by_start[1:9]), new).readings[0].time_ms == new.start_ms + 600_000
    assert read_metrics(csv(by_end[1:9]), old).readings[0].time_ms == START + 600_000


def test_blanks_are_no_readings_and_never_zero() -> None:
    file = daily_file(PERPS, "metrics", DAY)
    rows = [
        reading(MIDNIGHT + FIVE, ""),
        reading(MIDNIGHT + 2 * FIVE, '""'),
        reading(MIDNIGHT + 3 * FIVE, "5.5").replace("2236289208.19726700", ""),
        reading(MIDNIGHT + 4 * FIVE, "0.0"),
    ]
    found = read_metrics(csv(rows, METRICS_HEADER), file)
    assert found.blanks == (START + 300_000, START + 600_000)
    assert found.readings == (
        OpenInterest("BTCUSDT", Decimal("5.5"), None, time_ms=START + 900_000),
        OpenInterest("BTCUSDT", Decimal(0), Decimal("2236289208.197267"), time_ms=START + 1_200_000),
    )
    assert found.flags == ("BTCUSDT-metrics-2026-03-10: 1 readings are 0",)


def test_readings_out_of_order_and_repeated_are_put_right() -> None:
    file = daily_file(PERPS, "metrics", DAY)
    rows = [reading(MIDNIGHT + 2 * FIVE), reading(MIDNIGHT + FIVE), reading(MIDNIGHT + FIVE)]
    found = read_metrics(csv(rows, METRICS_HEADER), file)
    assert [each.time_ms for each in found.readings] == [START + 300_000, START + 600_000]
    assert found.flags == ("BTCUSDT-metrics-2026-03-10: 1 rows came twice, the same each time",)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (reading(MIDNIGHT + FIVE, symbol="ETHUSDT"), "rows of 'ETHUSDT'"),
        (reading(MIDNIGHT + FIVE, symbol=""), "rows of"),
        (reading(MIDNIGHT - FIVE), "another day"),
        (reading(MIDNIGHT + timedelta(days=1, minutes=5)), "another day"),
        (reading(MIDNIGHT + 2 * FIVE, "1.5"), "differ"),
        (reading(MIDNIGHT + FIVE, "-1.5"), "'-1.5' is not"),
        (reading(MIDNIGHT + FIVE).replace("2026-03-10 00:05:00", "2026-03-10"), "is not a time"),
    ],
)
def test_a_reading_that_makes_no_sense_is_refused(row: str, reason: str) -> None:
    with pytest.raises(BadPayloadError, match=reason):
        read_metrics(csv([reading(MIDNIGHT + 2 * FIVE), row], METRICS_HEADER), daily_file(PERPS, "metrics", DAY))

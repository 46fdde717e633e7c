"""The archive's client against a real local server: which files it asks for, and that no wrong file passes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    BadRequestError,
    ExchangeUnavailableError,
    NotPublishedError,
    RateLimitedError,
    is_retryable,
)
from market_platform.domain.intervals import parse_interval
from market_platform.exchanges.binance.dumps.client import BinanceDumps
from market_platform.exchanges.binance.dumps.config import DumpsConfig
from market_platform.exchanges.binance.dumps.files import daily_file, monthly_file
from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange
from market_platform_tests.fixtures.dump_files import (
    DAY,
    FUNDING_HEADER,
    METRICS_HEADER,
    PERPS,
    SPOT,
    TRADE_HEADER,
    answers,
    archive_of,
    checksum_of,
    csv,
    hours,
    packed_as,
    reading,
)

Result = TypeVar("Result")
HOUR = parse_interval("1h")
HOUR_MS = 3_600_000
MARCH = date(2026, 3, 1)
LATER = datetime(2026, 5, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)

pytestmark = pytest.mark.usefixtures("instant_retries")


def asked(
    exchange: BadExchange,
    ask: Callable[[BinanceDumps], Awaitable[Result]],
    now: datetime = LATER,
    **config: Any,
) -> Result:
    """What a call returns."""

    async def run() -> Result:
        made = DumpsConfig(base_url=exchange.url, **{"request_timeout_s": 20, "file_budget_s": 60, **config})
        async with BinanceDumps(made, clock=lambda: now) as dumps:
            return await ask(dumps)

    return asyncio.run(run())


def klines(first: date, days: int = 1) -> dict[str, bytes]:
    """Daily files of hourly candles."""
    each = (first + timedelta(days=offset) for offset in range(days))
    return {daily_file(SPOT, "klines", day, HOUR).path: csv(hours(day, us=True)) for day in each}


def month_of(first: date, rows: Sequence[str]) -> dict[str, bytes]:
    return {monthly_file(SPOT, "klines", first, HOUR).path: csv(rows)}


DAILY = daily_file(SPOT, "klines", DAY, HOUR).path
MONTHLY = monthly_file(SPOT, "klines", DAY, HOUR).path


def test_a_day_comes_with_its_file_as_input() -> None:
    with archive_of(klines(DAY)) as archive:
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, [DAY]))
        packed = archive.asked(f"/{DAILY}")
        assert [each.path for each in archive.requests] == [f"/{DAILY}.CHECKSUM", f"/{DAILY}"]
        assert packed[0].headers["user-agent"].startswith("market-platform")
    (day,) = found.days
    assert not found.failures
    assert (day.day, day.count, day.condition, day.missing, day.reason) == (DAY, 24, Condition.AVAILABLE, (), "")
    assert day.rows["time"][0] == datetime(2026, 3, 10, tzinfo=UTC)
    (source,) = day.inputs
    content = packed_as(DAILY, csv(hours(DAY, us=True)))
    assert (source.name, source.bytes, source.rows) == (DAILY, len(content), 24)
    assert source.sha256 == checksum_of(DAILY, content).decode().split()[0]


def test_a_whole_past_month_comes_in_one_file_and_the_rest_day_by_day() -> None:
    files = klines(MARCH - ONE_DAY) | month_of(MARCH, hours(MARCH, us=True, days=31)) | klines(date(2026, 4, 1), 2)
    days = days_between(MARCH - ONE_DAY, date(2026, 4, 2))
    with archive_of(files) as archive:
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, days))
        assert len(archive.requests) == 2 * 4
    assert [day.day for day in found.days] == days
    assert {day.count for day in found.days} == {24}
    assert len({day.inputs[0].sha256 for day in found.days[1:-2]}) == 1
    assert found.days[1].rows["time"][0] == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_month_that_is_not_there_is_made_of_days() -> None:
    with archive_of(klines(MARCH, 30)) as archive:
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, days_between(MARCH, date(2026, 3, 31))))
    assert len(found.days) == 30
    assert all(day.flags == () for day in found.days)
    (error,) = found.failures.values()
    assert isinstance(found.failures[date(2026, 3, 31)], NotPublishedError)
    assert not is_retryable(error)


def test_a_month_before_its_first_monday_is_not_asked_for() -> None:
    with archive_of(klines(MARCH, 31)) as archive:
        days = days_between(MARCH, date(2026, 3, 31))
        asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, days), now=datetime(2026, 4, 5, 23, tzinfo=UTC))
        assert not archive.asked(f"/{MONTHLY}.CHECKSUM")


def test_a_wrong_month_is_made_of_days_that_say_so() -> None:
    rows = hours(MARCH, days=31)
    with archive_of(klines(MARCH, 31) | month_of(MARCH, [*rows, rows[0].replace("64050", "64051")])) as archive:
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, days_between(MARCH, date(2026, 3, 31))))
    assert len(found.days) == 31
    assert all("the month's file was not used" in day.flags[-1] for day in found.days)


def test_holes_are_missing_and_days_without_any_row_too() -> None:
    rows = hours(MARCH, days=31)
    rows[49] = rows[49].replace(
        f",{day_start_ms(MARCH) + 50 * HOUR_MS - 1},", f",{day_start_ms(MARCH) + 49 * HOUR_MS + 5},"
    )
    kept = rows[:24] + rows[48:50] + rows[51:]
    with archive_of(month_of(MARCH, kept)) as archive:
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, days_between(MARCH, date(2026, 3, 31))))
    first, empty, holed, *_ = found.days
    assert first.condition is Condition.AVAILABLE
    assert (first.flags, holed.flags) == ((), ("1 candles do not end with their bucket, the first at 01:00",))
    assert (empty.condition, empty.count, len(empty.missing)) == (Condition.MISSING, 0, 24)
    assert (holed.condition, holed.count) == (Condition.DEGRADED, 23)
    assert holed.missing == (day_start_ms(holed.day) + 2 * HOUR_MS,)
    assert "no 1h candle for 1 of 24 times, the first 2026-03-03 02:00" in holed.reason


GOOD = packed_as(DAILY, csv(hours(DAY, us=True)))
OTHER = packed_as(DAILY, csv(hours(DAY, us=True), None).replace(b"64050", b"64051"))


def script(zips: Sequence[Answer], sums: Sequence[Answer]) -> Mapping[str, Sequence[Answer]]:
    return {f"/{DAILY}": zips, f"/{DAILY}.CHECKSUM": sums}


def failure_of(zips: Sequence[Answer], sums: Sequence[Answer], **config: Any) -> tuple[Exception, int]:
    """The day's error, and how often its zip was asked for."""
    with BadExchange(script(zips, sums)) as archive:
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, [DAY]), **config)
        assert not found.days
        return found.failures[DAY], len(archive.asked(f"/{DAILY}"))


SUM, OTHER_SUM = (Answer(checksum_of(DAILY, each)) for each in (GOOD, OTHER))


def test_a_wrong_checksum_is_asked_for_once_more_and_then_fails_naming_the_file() -> None:
    error, times = failure_of([Answer(GOOD)], [OTHER_SUM])
    assert isinstance(error, BadPayloadError)
    assert DAILY in str(error)
    assert ".CHECKSUM says" in str(error)
    assert times == 2


def test_a_file_that_is_published_anew_while_it_is_asked_for_is_taken_at_the_second_time() -> None:
    with BadExchange(script([Answer(OTHER)], [SUM, OTHER_SUM])) as archive:
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, [DAY]))
    assert found.days[0].rows["close"][0] == Decimal("64051.00000001")


def test_a_zip_that_was_cut_and_published_so_fails() -> None:
    cut = GOOD[: len(GOOD) // 2]
    error, _ = failure_of([Answer(cut)], [Answer(checksum_of(DAILY, cut))])
    assert isinstance(error, BadPayloadError)
    assert "no sound zip" in str(error)


def test_a_body_that_was_cut_on_the_way_is_asked_for_again() -> None:
    with BadExchange(script([Answer(GOOD, cut=50), Answer(GOOD)], [SUM])) as archive:
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, [DAY]))
    assert found.days[0].count == 24


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not the line"),
        (b"<html>busy</html>", "not the line"),
        (checksum_of("x/ETHUSDT-1h-2026-03-10.zip", GOOD), "not the line"),
        (b"a" * 10_000, "sends more than"),
    ],
)
def test_a_checksum_that_is_none_fails_after_finite_retries(body: bytes, reason: str) -> None:
    error, times = failure_of([Answer(GOOD)], [Answer(body)])
    assert isinstance(error, BadPayloadError)
    assert reason in str(error)
    assert times == 0


def test_limits_are_waited_for_and_refusals_end() -> None:
    with BadExchange(
        script([Answer(status=503), Answer(GOOD)], [Answer(status=429), Answer(reset=True), SUM])
    ) as archive:
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, [DAY]))
    assert found.days[0].count == 24
    error, times = failure_of([Answer(status=500)], [SUM], attempts=3)
    assert isinstance(error, ExchangeUnavailableError)
    assert times == 3
    error, _ = failure_of([Answer(GOOD)], [Answer(status=429, headers={"Retry-After": "3600"})], attempts=3)
    assert isinstance(error, RateLimitedError)


def test_what_is_too_large_is_refused() -> None:
    error, _ = failure_of([Answer(GOOD)], [SUM], zip_bytes=100)
    assert "more than 100 bytes" in str(error)
    error, _ = failure_of([Answer(GOOD)], [SUM], table_bytes=100)
    assert "more than 100" in str(error)


def test_a_file_that_is_published_anew_is_another_input_version() -> None:
    def version(packed: bytes) -> str:
        with BadExchange(answers({DAILY: packed})) as archive:
            return asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, [DAY])).days[0].input_version

    assert version(GOOD) == version(GOOD) != version(OTHER)


def test_checksums_are_asked_for_alone() -> None:
    gone = daily_file(SPOT, "klines", DAY + ONE_DAY, HOUR).path
    with BadExchange(answers({DAILY: GOOD})) as archive:
        told = asked(archive, lambda dumps: dumps.checksums([DAILY, gone]))
        assert {each.path for each in archive.requests} == {f"/{DAILY}.CHECKSUM", f"/{gone}.CHECKSUM"}
    assert told == {DAILY: checksum_of(DAILY, GOOD).decode().split()[0], gone: None}
    with BadExchange({}, Answer(status=500)) as broken:
        with pytest.raises(ExchangeUnavailableError):
            asked(broken, lambda dumps: dumps.checksums([DAILY]))
        with pytest.raises(BadRequestError, match="not a file of Binance's archive"):
            asked(broken, lambda dumps: dumps.checksums(["/api/v3/klines"]))


def test_no_more_files_than_allowed_are_on_their_way_at_once() -> None:
    under_way, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def counted(packed: bytes) -> Callable[[object], bytes]:
        def body(_: object) -> bytes:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            both.wait(60)
            with lock:
                under_way -= 1
            return packed

        return body

    files = {path: packed_as(path, content) for path, content in klines(DAY, 6).items()}
    scripted = answers(files) | {f"/{path}": Answer(counted(packed)) for path, packed in files.items()}
    with BadExchange(scripted) as archive:
        days = days_between(DAY, DAY + 5 * ONE_DAY)
        found = asked(archive, lambda dumps: dumps.candles(SPOT, HOUR, days), files_at_once=2)
    assert len(found.days) == 6
    assert most == 2


def trade(number: int, day: date) -> str:
    return f"{number},64000.1,0.5,{number},{number},{day_start_ms(day) + number},false"


def test_trades_of_days_that_follow_each_other_are_checked_for_a_hole_between_them() -> None:
    ids = {DAY: [1, 2, 5], DAY + ONE_DAY: [6, 7], DAY + 2 * ONE_DAY: [9], DAY + 4 * ONE_DAY: [20]}
    texts = {
        daily_file(PERPS, "aggTrades", day).path: csv([trade(number, day) for number in numbers], TRADE_HEADER)
        for day, numbers in ids.items()
    }
    with archive_of(texts) as archive:
        found = asked(archive, lambda dumps: dumps.trades(PERPS, days_between(DAY, DAY + 4 * ONE_DAY)))
    holed, whole, after, later = found.days
    assert (holed.condition, holed.missing) == (Condition.DEGRADED, (day_start_ms(DAY),))
    assert "leaves out 2 trades, the first of them 3" in holed.reason
    assert (whole.condition, whole.count) == (Condition.AVAILABLE, 2)
    assert after.condition is Condition.DEGRADED
    assert "trade 8 was due after 2026-03-11, and the day begins with 9" in after.reason
    assert later.condition is Condition.AVAILABLE
    assert list(found.failures) == [DAY + 3 * ONE_DAY]


def test_funding_comes_by_the_month_even_for_one_day() -> None:
    file = monthly_file(PERPS, "fundingRate", DAY)
    rows = [f"{time + 3},8,0.00010000" for time in range(file.start_ms, file.end_ms, 8 * HOUR_MS)]
    without = [row for row in rows if not row.startswith(str(day_start_ms(DAY) // 1000))]
    with archive_of({file.path: csv(without, FUNDING_HEADER)}) as archive:
        found = asked(archive, lambda dumps: dumps.funding(PERPS, [DAY - ONE_DAY, DAY, date(2026, 4, 1)]))
    whole, holed = found.days
    assert [(each.time_ms, each.funding_rate) for each in whole.rows] == [
        (day_start_ms(DAY - ONE_DAY) + offset * HOUR_MS, Decimal("0.0001")) for offset in (0, 8, 16)
    ]
    assert (holed.condition, holed.missing) == (Condition.DEGRADED, (day_start_ms(DAY),))
    assert isinstance(found.failures[date(2026, 4, 1)], NotPublishedError)
    with archive_of({}) as archive, pytest.raises(BadRequestError, match="only perpetuals"):
        asked(archive, lambda dumps: dumps.funding(SPOT, [DAY]))


def metrics(day: date, skip: tuple[int, ...] = (), blank: tuple[int, ...] = ()) -> dict[str, bytes]:
    begin = datetime.combine(day, datetime.min.time())
    rows = [
        reading(begin + timedelta(minutes=5 * number), "" if number in blank else f"{number}.5")
        for number in range(1, 289)
        if number not in skip
    ]
    return {daily_file(PERPS, "metrics", day).path: csv(rows, METRICS_HEADER)}


def test_open_interest_of_midnight_is_in_the_file_of_the_day_before() -> None:
    with archive_of(metrics(DAY - ONE_DAY) | metrics(DAY, skip=(3,), blank=(7, 8))) as archive:
        found = asked(archive, lambda dumps: dumps.open_interest(PERPS, [DAY]))
    (day,) = found.days
    start = day_start_ms(DAY)
    assert (day.rows[0].time_ms, day.rows[0].open_interest) == (start, Decimal("288.5"))
    assert (day.rows[1].time_ms, day.rows[1].open_interest) == (start + 300_000, Decimal("1.5"))
    assert day.rows[-1].time_ms == start + 287 * 300_000
    assert day.missing == tuple(start + number * 300_000 for number in (3, 7, 8))
    assert (day.condition, day.count) == (Condition.DEGRADED, 285)
    assert "2 rows are there without a value" in day.reason
    assert [(each.name[-14:-4], each.rows) for each in day.inputs] == [("2026-03-09", 1), ("2026-03-10", 284)]


def test_open_interest_without_the_day_before_misses_only_midnight() -> None:
    with archive_of(metrics(DAY)) as archive:
        found = asked(archive, lambda dumps: dumps.open_interest(PERPS, [DAY, DAY + ONE_DAY]))
    (day,) = found.days
    assert day.missing == (day_start_ms(DAY),)
    assert "in the file of the day before" in day.reason
    assert isinstance(found.failures[DAY + ONE_DAY], NotPublishedError)


def test_it_is_used_within_its_context() -> None:
    async def run() -> None:
        await BinanceDumps(DumpsConfig()).candles(SPOT, HOUR, [DAY])

    with pytest.raises(ExceptionGroup) as group:
        asyncio.run(run())
    assert group.group_contains(RuntimeError, match="async with")

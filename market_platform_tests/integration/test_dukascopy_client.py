"""The Dukascopy client against a real server on localhost: what it makes of each answer about a day."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from market_platform.domain.clock import day_start_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.days import HourState
from market_platform.domain.errors import (
    ExchangeUnavailableError,
    UnknownSymbolError,
)
from market_platform.exchanges.dukascopy.client import DukascopyClient
from market_platform_tests.fixtures.dukascopy_days import (
    EURUSD,
    MONDAY,
    SATURDAY,
    Script,
    bi5_path,
    failed,
    fetched,
    full_day,
    good,
    json_path,
    rows_of,
    with_client,
)
from market_platform_tests.fixtures.dukascopy_wire import (
    HOUR_MS,
    bi5_body,
    bi5_candles,
    json_body,
    json_candles,
)
from market_platform_tests.fixtures.scripted_exchange import Reply, ScriptedExchange

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.mark.parametrize("transport", ["json", "bi5"])
def test_full_day_comes_sorted_and_counted_with_one_request_an_hour(transport: str) -> None:
    day, server = fetched(full_day(), transport=transport)
    assert (day.condition, day.duplicates, day.incomplete_hours) == (Condition.AVAILABLE, 0, [])
    assert [hour.rows for hour in day.hours] == [20 + hour for hour in range(24)]
    assert {hour.source for hour in day.hours} == {transport}
    assert len(day.ticks) == sum(20 + hour for hour in range(24))
    assert (day.ticks.time[1:] >= day.ticks.time[:-1]).all()
    assert day.ticks.time[0] == day_start_ms(MONDAY)
    path = json_path if transport == "json" else bi5_path
    assert sorted(each.path for each in server.asked) == sorted(path(hour) for hour in range(24))


def test_json_and_bi5_give_the_same_day() -> None:
    assert fetched(full_day())[0].ticks.content_hash() == fetched(full_day(), transport="bi5")[0].ticks.content_hash()


def test_raw_answers_are_hashed_for_lineage() -> None:
    first, _ = fetched(full_day())
    again, _ = fetched(full_day())
    assert first.hours == again.hours
    assert len({hour.raw_sha256 for hour in first.hours}) == 24
    assert all(hour.raw_bytes > 0 for hour in first.hours)


def test_exchange_is_asked_politely() -> None:
    """Never more in flight than configured, and by a name that says who asks."""

    async def run() -> ScriptedExchange:
        gate = asyncio.Event()
        script = {
            path: Reply(reply.body, wait_for=gate) for path, reply in full_day().items() if isinstance(reply, Reply)
        }
        async with asyncio.timeout(30), ScriptedExchange(dict(script)) as server:
            work = asyncio.create_task(
                with_client(server, lambda client: client.fetch_day(EURUSD, MONDAY), max_in_flight=3)
            )
            await server.wait_for_in_flight(3)
            gate.set()
            await work
            return server

    server = asyncio.run(run())
    assert server.most_in_flight == 3
    assert server.asked[0].headers["user-agent"].startswith("market-platform/")


def test_two_days_of_one_client_share_the_limit() -> None:
    async def run() -> int:
        script = {**full_day(), **full_day(date(2019, 2, 5))}
        async with asyncio.timeout(30), ScriptedExchange(script) as server:

            async def both(client: DukascopyClient) -> None:
                await asyncio.gather(client.fetch_day(EURUSD, MONDAY), client.fetch_day(EURUSD, date(2019, 2, 5)))

            await with_client(server, both, max_in_flight=2)
            return server.most_in_flight

    assert asyncio.run(run()) <= 2


def test_hour_that_is_empty_once_and_full_the_next_time_is_full() -> None:
    empty = Reply(json_body([], day_start_ms(MONDAY) + 7 * HOUR_MS))
    day, server = fetched(full_day(h7=[empty, good(7)]))
    assert day.hours[7].state is HourState.FULL
    assert server.times_asked(json_path(7)) == 2
    assert fetched(full_day(b7=[Reply(b""), Reply(bi5_body(rows_of(7)))]), transport="bi5")[0].hours[7].rows == 27


@pytest.mark.parametrize("nothing", [Reply(status=404), Reply(json_body([], day_start_ms(MONDAY) + 7 * HOUR_MS))])
def test_hour_that_stays_empty_in_an_open_market_is_absent_and_the_day_degraded(nothing: Reply) -> None:
    day, server = fetched(full_day(h7=nothing))
    assert day.hours[7].state is HourState.ABSENT
    assert (day.condition, day.incomplete_hours) == (Condition.DEGRADED, [7])
    assert server.times_asked(json_path(7)) == 3


def test_closed_day_is_asked_once_an_hour() -> None:
    day, server = fetched({}, day=SATURDAY)
    assert {hour.state for hour in day.hours} == {HourState.CLOSED}
    assert (day.condition, len(day.ticks), len(server.asked)) == (Condition.CLOSED, 0, 24)


def test_open_day_without_anything_is_missing() -> None:
    assert fetched({})[0].condition is Condition.MISSING


def test_days_before_the_symbols_history_are_missing_where_the_market_was_open() -> None:
    day, server = fetched({}, day=date(1999, 6, 1))
    assert (day.condition, len(server.asked)) == (Condition.MISSING, 24)
    assert fetched({}, day=date(1999, 6, 5))[0].condition is Condition.CLOSED


def test_hours_that_are_not_over_are_not_asked_for() -> None:
    """Half an hour's ticks would pass for the whole hour."""
    day, server = fetched(full_day(), now=datetime(2019, 2, 4, 7, 30, tzinfo=UTC))
    assert [hour.state for hour in day.hours] == [HourState.FULL] * 7 + [HourState.UNPUBLISHED] * 17
    assert (day.condition, day.incomplete_hours) == (Condition.PENDING, list(range(7, 24)))
    assert {each.path for each in server.asked} == {json_path(hour) for hour in range(7)}
    assert day.hours[7].source == ""


def test_recent_empty_hour_is_unpublished_until_the_exchange_has_had_its_time() -> None:
    script = full_day(h23=Reply(status=404))
    soon, _ = fetched(script, now=datetime(2019, 2, 5, 1, 59, tzinfo=UTC))
    assert soon.hours[23].state is HourState.UNPUBLISHED
    assert soon.condition is Condition.PENDING
    later, _ = fetched(script, now=datetime(2019, 2, 5, 2, 0, tzinfo=UTC))
    assert later.hours[23].state is HourState.ABSENT


def test_exact_duplicates_are_dropped_and_counted() -> None:
    rows = rows_of(7)
    twice = Reply(json_body([*rows[:3], rows[2], *rows[3:]], day_start_ms(MONDAY) + 7 * HOUR_MS))
    day, _ = fetched(full_day(h7=twice))
    assert (day.duplicates, day.hours[7].rows) == (1, 28)
    assert day.ticks.content_hash() == fetched(full_day())[0].ticks.content_hash()


def test_json_that_is_unavailable_is_had_as_bi5_and_the_hour_says_so() -> None:
    day, server = fetched(full_day(h7=Reply(status=503)), fallback=True, attempts=2)
    assert day.ticks.content_hash() == fetched(full_day())[0].ticks.content_hash()
    assert [hour.source for hour in day.hours] == ["json"] * 7 + ["bi5"] + ["json"] * 16
    assert server.times_asked(json_path(7)) == 2


def test_both_formats_unavailable_tells_of_both() -> None:
    error, _ = failed(full_day(h7=Reply(status=503), b7=Reply(status=502)), fallback=True, attempts=2)
    assert isinstance(error, ExchangeUnavailableError)
    assert "HTTP 503" in str(error)
    assert "HTTP 502" in str(error)


def test_archive_folder_is_a_base_url(tmp_path: Path) -> None:
    for hour in range(24):
        file = tmp_path / bi5_path(hour).removeprefix("/datafeed/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bi5_body(rows_of(hour)))
    day, server = fetched({}, transport="bi5", bi5_url=tmp_path.as_uri())
    assert day.ticks.content_hash() == fetched(full_day())[0].ticks.content_hash()
    assert server.asked == []
    (tmp_path / "EURUSD/2019/01/04/03h_ticks.bi5").unlink()
    assert fetched({}, transport="bi5", bi5_url=tmp_path.as_uri())[0].incomplete_hours == [3]


def test_archive_without_the_symbol_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "GBPJPY").mkdir()
    error, _ = failed({}, transport="bi5", bi5_url=tmp_path.as_uri())
    assert isinstance(error, UnknownSymbolError)
    assert "has no folder EURUSD; it has GBPJPY" in str(error)


CANDLE_ROWS = [
    (0, 110_000, 115_000, 100_000, 120_000, 0.001062),
    (60, 110_005, 115_005, 100_005, 120_005, 0.000846),
    (120, 115_005, 115_005, 115_005, 115_005, 0.0),
    (180, 110_000, 115_000, 100_000, 120_000, 197.1),
]


def test_minute_candles_are_the_same_in_both_formats_and_either_side() -> None:
    async def run(transport: str, fallback: bool, reply: Reply) -> list[list[int]]:
        script: Script = {
            "/v1/candles/minute/EUR-USD/ASK/2019/2/4": reply,
            "/datafeed/EURUSD/2019/01/04/ASK_candles_min_1.bi5": Reply(bi5_candles(CANDLE_ROWS)),
        }
        async with asyncio.timeout(30), ScriptedExchange(script) as server:
            candles = await with_client(
                server,
                lambda client: client.fetch_minute_candles(EURUSD, MONDAY, "ask"),
                transport=transport,
                fallback=fallback,
            )
        columns = (candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume)
        return [column.tolist() for column in columns]

    fine = Reply(json_candles(day_start_ms(MONDAY)))
    as_json = asyncio.run(run("json", False, fine))
    assert as_json[0] == [day_start_ms(MONDAY) + minute * 60_000 for minute in (0, 1, 3)]
    assert as_json[5] == [1062, 846, 197_100_000]
    assert as_json == asyncio.run(run("bi5", False, fine))
    assert as_json == asyncio.run(run("json", True, Reply(status=503)))
    with pytest.raises(ExchangeUnavailableError, match="EURUSD 2019-02-04 ask candles"):
        asyncio.run(run("json", False, Reply(status=503)))
    assert asyncio.run(run("json", False, Reply(status=404)))[0] == []

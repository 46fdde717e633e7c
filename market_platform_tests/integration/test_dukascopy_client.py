"""The Dukascopy client against a real server on localhost: each outcome of asking, one by one."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import stamina

from market_platform.domain.clock import day_start_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.days import FetchedDay, HourState, Instrument
from market_platform.domain.errors import (
    BadPayloadError,
    BadRequestError,
    ConfigError,
    ExchangeError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
    is_retryable,
)
from market_platform.exchanges.dukascopy.client import DukascopyClient
from market_platform.exchanges.dukascopy.config import DukascopyConfig
from market_platform.exchanges.dukascopy.instrument import parse_instrument
from market_platform_tests.fixtures.dukascopy_wire import (
    HOUR_MS,
    TickRow,
    bi5_body,
    bi5_candles,
    instrument_json,
    json_body,
    json_candles,
    quiet_hour,
)
from market_platform_tests.fixtures.scripted_exchange import Reply, ScriptedExchange, json_reply

Result = TypeVar("Result")
Script = dict[str, Reply | Sequence[Reply]]

MONDAY, SATURDAY = date(2019, 2, 4), date(2019, 2, 2)
LONG_AFTER = datetime(2020, 1, 1, tzinfo=UTC)
EURUSD = parse_instrument(json.dumps(instrument_json()).encode(), "EURUSD", "EUR-USD", "test")

pytestmark = pytest.mark.usefixtures("instant_retries")


def json_path(hour: int, day: date = MONDAY) -> str:
    return f"/v1/ticks/EUR-USD/{day.year}/{day.month}/{day.day}/{hour}"


def bi5_path(hour: int, day: date = MONDAY) -> str:
    return f"/datafeed/EURUSD/{day.year}/{day.month - 1:02}/{day.day:02}/{hour:02}h_ticks.bi5"


def full_day(day: date = MONDAY, **hours: Reply | Sequence[Reply]) -> Script:
    """A script in which every hour has ticks in both formats; `h07` replaces an hour of JSON, `b07` one of bi5."""
    script: Script = {}
    for hour in range(24):
        rows = rows_of(hour)
        script[json_path(hour, day)] = Reply(json_body(rows, day_start_ms(day) + hour * HOUR_MS))
        script[bi5_path(hour, day)] = Reply(bi5_body(rows), content_type="application/octet-stream")
    for name, reply in hours.items():
        script[(json_path if name[0] == "h" else bi5_path)(int(name[1:]), day)] = reply
    return script


def rows_of(hour: int) -> list[TickRow]:
    return quiet_hour(20 + hour, price=114_000 + hour)


def good(hour: int) -> Reply:
    return Reply(json_body(rows_of(hour), day_start_ms(MONDAY) + hour * HOUR_MS))


async def with_client(
    server: ScriptedExchange,
    work: Callable[[DukascopyClient], Awaitable[Result]],
    now: datetime = LONG_AFTER,
    **config: Any,
) -> Result:
    settings: dict[str, Any] = {
        "json_url": f"{server.url}/v1",
        "bi5_url": f"{server.url}/datafeed",
        "fallback": False,
    } | config
    async with DukascopyClient(DukascopyConfig(**settings), clock=lambda: now) as client:
        return await work(client)


def fetch(
    script: Script, day: date = MONDAY, instrument: Instrument = EURUSD, **config: Any
) -> tuple[FetchedDay | ExchangeError, ScriptedExchange]:
    """A day fetched from a scripted exchange, or the error it gave, and the exchange for what it was asked."""

    async def run() -> tuple[FetchedDay | ExchangeError, ScriptedExchange]:
        async with asyncio.timeout(30), ScriptedExchange(script) as server:
            try:
                return await with_client(server, lambda client: client.fetch_day(instrument, day), **config), server
            except ExchangeError as error:
                return error, server

    return asyncio.run(run())


def fetched(script: Script, **more: Any) -> tuple[FetchedDay, ScriptedExchange]:
    result, server = fetch(script, **more)
    assert isinstance(result, FetchedDay), result
    return result, server


def failed(script: Script, **more: Any) -> tuple[ExchangeError, ScriptedExchange]:
    result, server = fetch(script, **more)
    assert isinstance(result, ExchangeError)
    return result, server


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


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=503),
        Reply(status=500, body=b"oops"),
        Reply(status=202),
        Reply(status=204),
        Reply(status=301, headers={"Location": "/elsewhere"}),
        Reply(status=403, body=b"denied"),
        Reply(status=429, headers={"Retry-After": "1"}),
        Reply(status=429, headers={"Retry-After": "Mon, 04 Feb 2019 00:00:00 GMT"}),
        Reply(status=429, headers={"Retry-After": "soon"}),
        Reply(body=b""),
        Reply(body=b"<html>busy</html>", content_type="text/html; charset=utf-8"),
        Reply(body=good(7).body, cut=100),
        Reply(body=good(7).body[:100], announce=False),
        Reply(body=good(7).body[:100]),
        Reply(body=b"garbage"),
        Reply(body=b"garbage", headers={"Content-Encoding": "gzip"}),
        Reply(reset=True),
        Reply(hang=True),
    ],
    ids=lambda reply: reply.label,
)
def test_passing_trouble_is_asked_again_and_leaves_no_trace(trouble: Reply) -> None:
    clean, _ = fetched(full_day())
    day, server = fetched(full_day(h7=[trouble, trouble, good(7)]), request_timeout_s=1.0 if trouble.hang else 20)
    assert day.ticks.content_hash() == clean.ticks.content_hash()
    assert server.times_asked(json_path(7)) == 3
    assert day.condition is Condition.AVAILABLE


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (Reply(status=503), "HTTP 503 from http"),
        (Reply(status=202), "HTTP 202 from http"),
        (Reply(body=b""), "an empty answer where data was expected"),
        (Reply(body=b"<html>", content_type="text/html"), "a web page instead of data"),
        (Reply(body=good(7).body, cut=100), "peer closed connection without sending complete message body"),
        (Reply(body=good(7).body[:100], announce=False), "perhaps the connection broke"),
        (Reply(reset=True), "http://127.0.0.1"),
        (Reply(hang=True), "no answer within 0.5 s"),
        (Reply(status=429), "HTTP 429, http"),
    ],
    ids=lambda value: value.label if isinstance(value, Reply) else "",
)
def test_lasting_trouble_is_a_retryable_error_after_finite_attempts_never_an_empty_hour(
    trouble: Reply, told: str
) -> None:
    error, server = failed(full_day(h7=trouble), attempts=4, request_timeout_s=0.5 if trouble.hang else 20)
    assert isinstance(error, ExchangeUnavailableError)
    assert is_retryable(error)
    assert str(error).startswith("dukascopy/EURUSD 2019-02-04 07h (json): ")
    assert told in str(error)
    assert "(tried 4 times)" in str(error)
    assert server.times_asked(json_path(7)) == 4


def test_truncated_bi5_is_unavailable_when_its_end_was_not_announced_and_bad_when_it_was() -> None:
    body = bi5_body(rows_of(7))[:-20]
    unannounced, _ = failed(full_day(b7=Reply(body, announce=False)), transport="bi5")
    assert isinstance(unannounced, ExchangeUnavailableError)
    announced, server = failed(full_day(b7=Reply(body)), transport="bi5")
    assert isinstance(announced, BadPayloadError)
    assert "dukascopy/EURUSD 2019-02-04 07h (bi5): the bi5 file is cut off" in str(announced)
    assert server.times_asked(bi5_path(7)) == 5
    short, _ = failed(full_day(b7=Reply(bi5_body(rows_of(7)), cut=30)), transport="bi5")
    assert isinstance(short, ExchangeUnavailableError)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (json_body(rows_of(8), day_start_ms(MONDAY) + 8 * HOUR_MS), "the answer is of another period"),
        (json_body(rows_of(7), day_start_ms(MONDAY) + 7 * HOUR_MS, bid=0.0), "base price bid is 0.0"),
        (json_body(rows_of(7), day_start_ms(MONDAY) + 7 * HOUR_MS, asks="x"), "Expected `array`, got `str`"),
        (b'{"error": "no"}', "are not the JSON expected"),
    ],
)
def test_answer_that_is_whole_and_wrong_is_an_error_no_retry_can_help(body: bytes, told: str) -> None:
    error, _ = failed(full_day(h7=Reply(body)), fallback=True)
    assert isinstance(error, BadPayloadError)
    assert not is_retryable(error)
    assert str(error).startswith("dukascopy/EURUSD 2019-02-04 07h (json): ")
    assert told in str(error)


def test_refused_connection_is_retryable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        error, _ = failed({}, json_url=url)
    assert isinstance(error, ExchangeUnavailableError)
    assert url in str(error)


def test_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert fetched(full_day())[0].condition is Condition.AVAILABLE


def test_pause_the_exchange_asks_for_is_kept_by_all_requests() -> None:
    with stamina.set_testing(False):
        began = time.monotonic()
        day, server = fetched(
            full_day(h0=[Reply(status=429, headers={"Retry-After": "0.4"}), good(0)]), max_in_flight=1
        )
        assert time.monotonic() - began >= 0.4
    assert day.condition is Condition.AVAILABLE
    assert len(server.asked) == 25


def test_pause_longer_than_the_budget_is_not_begun() -> None:
    error, server = failed(
        full_day(h7=Reply(status=429, headers={"Retry-After": "3600"})), day_budget_s=5, fallback=True
    )
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 3600
    assert server.times_asked(json_path(7)) == 1
    assert server.times_asked(bi5_path(7)) == 0


def test_day_that_takes_too_long_says_how_far_it_got() -> None:
    error, _ = failed(full_day(h5=Reply(hang=True), h22=Reply(hang=True)), day_budget_s=2)
    assert isinstance(error, ExchangeUnavailableError)
    assert str(error).startswith(
        "dukascopy/EURUSD 2019-02-04: stopped after 2 s with 22 of 24 hours fetched (not: 05h, 22h)"
    )


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


def test_days_before_the_symbols_history_are_closed_not_missing() -> None:
    assert fetched({}, day=date(1999, 6, 1))[0].condition is Condition.CLOSED


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


@pytest.mark.parametrize("url", ["file:///nowhere/at/all", "ftp://example.org", "example.org/v1", "http://"])
def test_base_url_that_can_not_be_is_a_config_error(url: str) -> None:
    async def run() -> None:
        async with DukascopyClient(DukascopyConfig(bi5_url=url)):
            pass

    with pytest.raises(ConfigError):
        asyncio.run(run())


def fetch_instrument(script: Script, symbol: str, **config: Any) -> tuple[Instrument, ScriptedExchange]:
    async def run() -> tuple[Instrument, ScriptedExchange]:
        async with asyncio.timeout(30), ScriptedExchange(script) as server:
            return await with_client(server, lambda client: client.fetch_instrument(symbol), **config), server

    return asyncio.run(run())


@pytest.mark.parametrize("spelling", ["EURUSD", "eur/usd", "EUR_USD"])
def test_instrument_is_found_by_any_spelling(spelling: str) -> None:
    script: Script = {"/v1/instruments/EUR-USD": json_reply(instrument_json())}
    instrument, server = fetch_instrument(script, spelling)
    assert (instrument.symbol, instrument.code, instrument.price_scale) == ("EURUSD", "EUR-USD", 5)
    assert [each.path for each in server.asked] == ["/v1/instruments/EUR-USD"]


LISTED: Script = {
    "/v1/instruments": json_reply([{"code": "EUR-USD"}, {"code": "USA500.IDX-USD"}, {"code": "AAPL.US-USD"}]),
    "/v1/instruments/AAPL.US-USD": json_reply(instrument_json("AAPL.US-USD", 3)),
    "/v1/instruments/USA500.IDX-USD": json_reply(instrument_json("USA500.IDX-USD", 3)),
}


def test_other_symbols_are_looked_up_in_the_exchanges_list_once() -> None:
    async def run() -> ScriptedExchange:
        async with asyncio.timeout(30), ScriptedExchange(dict(LISTED)) as server:

            async def both(client: DukascopyClient) -> None:
                assert (await client.fetch_instrument("AAPLUSUSD")).code == "AAPL.US-USD"
                assert (await client.fetch_instrument("USA500.IDXUSD")).price_scale == 3

            await with_client(server, both)
            return server

    assert asyncio.run(run()).times_asked("/v1/instruments") == 1


def test_unknown_symbol_is_told_with_what_to_do() -> None:
    with pytest.raises(UnknownSymbolError) as caught:
        fetch_instrument(dict(LISTED), "EURUSX")
    assert not is_retryable(caught.value)
    told = str(caught.value)
    assert "does not know the symbol EURUSX. Similar: EUR-USD." in told
    assert "curl http://127.0.0.1" in told
    with pytest.raises(UnknownSymbolError, match="does not know the symbol XXXYYY"):
        fetch_instrument({}, "XXXYYY")


def test_symbol_that_is_none_is_a_bad_request() -> None:
    with pytest.raises(BadRequestError):
        fetch_instrument({}, "EURUSD/../x")


def test_instrument_is_asked_again_after_trouble_and_refused_when_wrong() -> None:
    path = "/v1/instruments/EUR-USD"
    fine = json_reply(instrument_json())
    assert fetch_instrument({path: [Reply(status=503), Reply(b"{"), fine]}, "EURUSD")[1].times_asked(path) == 3
    with pytest.raises(ExchangeUnavailableError, match=r"dukascopy/EURUSD instrument: HTTP 503.*\(tried 5 times\)"):
        fetch_instrument({path: Reply(status=503)}, "EURUSD")
    with pytest.raises(BadPayloadError, match="priceScale"):
        fetch_instrument({path: json_reply(instrument_json(priceScale="five"))}, "EURUSD")
    with pytest.raises(ExchangeUnavailableError, match="no answer within"):
        fetch_instrument({path: Reply(hang=True)}, "EURUSD", day_budget_s=0.2)


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


class _Interruption(BaseException):
    """As an orchestrator raises it in the main thread, wherever that happens to be."""


def test_an_interruption_in_the_middle_of_an_hour_is_that_interruption() -> None:
    def interrupted() -> datetime:
        raise _Interruption

    async def run() -> None:
        async with ScriptedExchange(full_day()) as server:
            config = DukascopyConfig(json_url=f"{server.url}/v1", bi5_url=f"{server.url}/datafeed")
            async with DukascopyClient(config, clock=interrupted) as client:
                await client.fetch_day(EURUSD, MONDAY)

    with pytest.raises(_Interruption):
        asyncio.run(run())

"""The Dukascopy client when the exchange is slow, wrong or away: asked again, or an error that says what to do."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import datetime

import pytest
import stamina

from market_platform.domain.clock import day_start_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    ConfigError,
    ExchangeUnavailableError,
    RateLimitedError,
    is_retryable,
)
from market_platform.exchanges.dukascopy.client import DukascopyClient
from market_platform.exchanges.dukascopy.config import DukascopyConfig
from market_platform_tests.fixtures.dukascopy_days import (
    EURUSD,
    MONDAY,
    bi5_path,
    failed,
    fetched,
    full_day,
    good,
    json_path,
    rows_of,
)
from market_platform_tests.fixtures.dukascopy_wire import (
    HOUR_MS,
    bi5_body,
    json_body,
)
from market_platform_tests.fixtures.scripted_exchange import Reply, ScriptedExchange

pytestmark = pytest.mark.usefixtures("instant_retries")


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


@pytest.mark.parametrize("url", ["file:///nowhere/at/all", "ftp://example.org", "example.org/v1", "http://"])
def test_base_url_that_can_not_be_is_a_config_error(url: str) -> None:
    async def run() -> None:
        async with DukascopyClient(DukascopyConfig(bi5_url=url)):
            pass

    with pytest.raises(ConfigError):
        asyncio.run(run())


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

"""The past through CCXT: equal to native clients and the replay exchange's truth, and what it needs to know of an exchange."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from market_platform.domain.clock import days_between, to_ms
from market_platform.domain.errors import (
    BadRequestError,
    ConfigError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryPair, SeriesKind
from market_platform.domain.intervals import MINUTE_MS
from market_platform.domain.live import LivePair
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.rest import BinanceRest
from market_platform.exchanges.ccxt.config import CcxtConfig
from market_platform.exchanges.ccxt.history import CcxtHistory
from market_platform.exchanges.codes import history_kinds
from market_platform.exchanges.hyperliquid.config import HyperliquidConfig
from market_platform.exchanges.hyperliquid.history import HyperliquidHistory
from market_platform.exchanges.registry import open_history
from market_platform.replay.testing import RunningReplay
from market_platform.settings import PROJECT_ROOT, Settings
from market_platform.starlistings import parse_starlistings
from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange, Request, json_answer
from market_platform_tests.fixtures.ccxt_world import (
    DAY,
    DAYS,
    DOLLAR_PERPS,
    HOUR,
    MINUTE,
    MONDAY,
    NOW_MS,
    PERPS,
    SPOT,
    TODAY,
    TUESDAY,
    Binance,
    ask,
    candles_of,
    kraken_script,
)
from market_platform_tests.fixtures.history_rows import rows_of, span, states, truth_rows, without_trades
from market_platform_tests.fixtures.live_replay import WEDNESDAY, patient_replay

pytestmark = pytest.mark.usefixtures("ccxt_library", "instant_retries")


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with patient_replay() as running:
        yield running


# ------------------------------------------------------------------------------------------------- the replay exchange


@pytest.mark.parametrize(
    ("ccxt_id", "market", "url", "pair"),
    [
        ("binance", "binance-spot", "binance_spot_rest", SPOT),
        ("binanceusdm", "binance-usdm", "binance_usdm_rest", PERPS),
        ("hyperliquid", "hyperliquid", "hyperliquid_rest", DOLLAR_PERPS),
    ],
)
@pytest.mark.parametrize("interval", [MINUTE, DAY])
def test_candles_are_the_exchange_s_own(
    replay: RunningReplay, ccxt_id: str, market: str, url: Any, pair: HistoryPair, interval: Any
) -> None:
    got = ask(ccxt_id, replay.live_url(url), lambda history: history.candles(pair, interval, [MONDAY, TUESDAY]))
    wire = "BTC" if pair is DOLLAR_PERPS else "BTCUSDT"
    truth = truth_rows(replay.truth.candles(market, wire, interval.name, *span(MONDAY, TUESDAY)))
    assert rows_of(got) == without_trades(truth)
    assert states(got) == {MONDAY: "available", TUESDAY: "available"}
    assert [each.flags for each in got.days] == [(), ()]  # every number came as the exchange's own text


def test_they_equal_those_of_the_native_clients(replay: RunningReplay) -> None:
    async def native() -> list[Any]:
        config = BinanceConfig(
            spot_rest=replay.live_url("binance_spot_rest"), usdm_rest=replay.live_url("binance_usdm_rest")
        )
        async with BinanceRest(config) as rest:
            pair = LivePair(1, "binance", "BTCUSDT.P", "BTC", "USDT", "perps", "BTCUSDT")
            return await rest.candles(pair, HOUR, *span(MONDAY, TUESDAY))

    async def native_days() -> Any:
        config = HyperliquidConfig(rest_url=replay.live_url("hyperliquid_rest"))
        async with HyperliquidHistory(config) as history:
            return (
                await history.candles(DOLLAR_PERPS, HOUR, [MONDAY, TUESDAY]),
                await history.funding(DOLLAR_PERPS, [MONDAY, TUESDAY]),
            )

    through = ask(
        "binanceusdm",
        replay.live_url("binance_usdm_rest"),
        lambda history: history.candles(PERPS, HOUR, [MONDAY, TUESDAY]),
    )
    assert [(row[0], *row[1:6]) for row in rows_of(through)] == [
        (each.open_ms, each.open, each.high, each.low, each.close, each.volume) for each in asyncio.run(native())
    ]
    candles, fundings = asyncio.run(native_days())
    url = replay.live_url("hyperliquid_rest")
    got = ask("hyperliquid", url, lambda history: history.candles(DOLLAR_PERPS, HOUR, [MONDAY, TUESDAY]))
    assert rows_of(got) == without_trades(rows_of(candles))
    paid = ask("hyperliquid", url, lambda history: history.funding(DOLLAR_PERPS, [MONDAY, TUESDAY]))
    assert states(paid) == {MONDAY: "available", TUESDAY: "available"}
    assert [(row.time_ms, row.funding_rate) for day in paid.days for row in day.rows] == [
        (row.time_ms, row.funding_rate) for day in fundings.days for row in day.rows
    ]


def test_a_day_that_is_not_over_by_the_exchange_s_clock_is_pending(replay: RunningReplay) -> None:
    got = ask(
        "binance",
        replay.live_url("binance_spot_rest"),
        lambda history: history.candles(SPOT, HOUR, [TUESDAY, TODAY]),
        now=WEDNESDAY + timedelta(3),
    )
    assert states(got) == {TUESDAY: "available", TODAY: "pending"}


@pytest.mark.parametrize("fault", ["429", "503", "reset", "truncate", "garbage"])
def test_a_fault_on_the_way_is_asked_again(replay: RunningReplay, fault: str) -> None:
    replay.fail("api/v3/klines", fault, seconds=0)
    got = ask(
        "binance", replay.live_url("binance_spot_rest"), lambda history: history.candles(SPOT, HOUR, [MONDAY, TUESDAY])
    )
    assert replay.faults.rules[-1].hits == 1
    truth = truth_rows(replay.truth.candles("binance-spot", "BTCUSDT", "1h", *span(MONDAY, TUESDAY)))
    assert rows_of(got) == without_trades(truth)


def test_unknown_names_are_refused_naming_near_ones(replay: RunningReplay) -> None:
    url = replay.live_url("binance_spot_rest")
    with pytest.raises(
        ConfigError, match=r"ccxt_id 'binanse': ccxt 4\.\d+\.\d+ has no such exchange; it has .*binance"
    ):
        ask("binanse", url, lambda history: history.candles(SPOT, HOUR, [MONDAY]))
    wrong = HistoryPair("other", "BTCUSD", "BTC", "USD", "spot")
    with pytest.raises(UnknownSymbolError, match=r"binance has no spot market BTC/USD; it has .*BTC/USDT"):
        ask("binance", url, lambda history: history.candles(wrong, HOUR, [MONDAY]))
    absent = HistoryPair("hyperliquid", "NOPEUSD", "NOPE", "USD", "perps")
    with pytest.raises(UnknownSymbolError, match="no perps market NOPE/USDC:USDC or"):
        ask("hyperliquid", replay.live_url("hyperliquid_rest"), lambda history: history.funding(absent, [MONDAY]))


def test_series_that_an_exchange_has_not_are_refused(replay: RunningReplay) -> None:
    url = replay.live_url("hyperliquid_rest")
    with pytest.raises(BadRequestError, match="hyperliquid has no history of open interest in CCXT"):
        ask("hyperliquid", url, lambda history: history.open_interest(DOLLAR_PERPS, [MONDAY]))
    with pytest.raises(BadRequestError, match="has no history of trades"):
        ask("hyperliquid", url, lambda history: history.trades(DOLLAR_PERPS, [MONDAY]))


# ---------------------------------------------------------------------------------------------------- other exchanges


def test_numbers_without_quotes_keep_every_digit() -> None:
    """Coinbase's candles are JSON numbers, newest first, as [s, low, high, open, close, volume]."""
    product = {
        "id": "BTC-USD",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "quote_increment": "0.01",
        "base_increment": "0.00000001",
        "status": "online",
        "trading_disabled": False,
    }

    def candles(request: Request) -> Answer:
        start, end = (to_ms(datetime.fromisoformat(request.query[edge])) for edge in ("start", "end"))
        assert (end - start) // MINUTE_MS <= 300
        times = range(-(-start // MINUTE_MS) * MINUTE_MS, end + 1, MINUTE_MS)
        rows = [f"[{at // 1000},9.10,12.123456789012345678,10,11.3,1234567.123456789012]" for at in times]
        return Answer(f"[{','.join(reversed(rows))}]".encode())

    script: dict[str, Any] = {
        "/products": json_answer([product]),
        "/currencies": json_answer([]),
        "/time": json_answer({"iso": "2026-11-18T12:00:00Z", "epoch": NOW_MS / 1000}),
        "/products/BTC-USD/candles": candles,
    }
    pair = HistoryPair("coinbase", "BTCUSD", "BTC", "USD", "spot")
    with BadExchange(script) as exchange:
        got = ask("coinbaseexchange", exchange.url, lambda history: history.candles(pair, MINUTE, DAYS[:1]))
        asked = exchange.asked("/products/BTC-USD/candles")
    assert states(got) == {DAYS[0]: "available"}
    assert rows_of(got)[0][1:6] == tuple(
        map(Decimal, ("10", "12.123456789012345678", "9.10", "11.3", "1234567.123456789012"))
    )
    assert len(asked) == 5
    assert len(json.dumps(got.days[0].inputs[0].sha256)) == 66


def example() -> str:
    """The repository's configuration with its example of an exchange through CCXT switched on."""
    text = (PROJECT_ROOT / "config" / "starlistings.yaml").read_text()
    return re.sub(r"^  # (kraken:|  \S.*)$", r"  \1", text, flags=re.MULTILINE)


def test_the_configuration_s_example_works_as_it_stands() -> None:
    pair = next(each for each in parse_starlistings(example()).pairs() if each.exchange == "kraken")
    assert history_kinds(pair) == (SeriesKind.CANDLES,)
    days = days_between(TODAY - timedelta(40), TUESDAY)

    async def run(url: str) -> Any:
        settings = Settings(_env_file=None, market="live", ccxt_url=url)
        async with open_history(pair, settings, lambda: WEDNESDAY) as history:
            wanted = HistoryPair(pair.exchange, pair.symbol, pair.coin, pair.quote, pair.market_type)
            return await history.candles(wanted, HOUR, days)

    with BadExchange(kraken_script()) as exchange:
        got = asyncio.run(run(exchange.url))
        asked = exchange.asked("/0/public/OHLC")
    assert list(states(got).values()) == ["missing"] * 10 + ["degraded"] + ["available"] * 29
    assert got.days[0].reason.startswith("kraken answers with rows from 2026-10-19 13:00 UTC on")
    assert got.days[-1].rows["volume"].to_list() == [Decimal("12.34567891")] * 24
    assert len(asked) == 2
    assert got.days[-1].inputs[0].name.startswith("kraken /0/public/OHLC?pair=XXBTZUSD&interval=60&since=")


def test_an_exchange_that_ccxt_does_not_know_is_named_when_its_past_is_asked_for() -> None:
    text = example().replace("ccxt_id: kraken", "ccxt_id: krakken")
    pair = next(each for each in parse_starlistings(text).pairs() if each.exchange == "kraken")

    async def run() -> None:
        settings = Settings(_env_file=None, market="live", ccxt_url="http://127.0.0.1:1")
        async with open_history(pair, settings) as history:
            await history.candles(HistoryPair("kraken", "BTCUSD", "BTC", "USD", "spot"), HOUR, [MONDAY])

    with pytest.raises(ConfigError, match=r"ccxt_id 'krakken': ccxt .* has no such exchange; it has kraken"):
        asyncio.run(run())


def test_its_limit_is_counted_with_whoever_asks_the_same_exchange() -> None:
    server = Binance()
    server.faults = [Answer(status=429, headers={"Retry-After": "600"}, body=b'{"code":-1003,"msg":"slow"}')]

    async def run(url: str) -> None:
        config = CcxtConfig("binance", url, attempts=1)
        async with CcxtHistory(config) as one, CcxtHistory(config) as other:
            first = await one.candles(SPOT, HOUR, DAYS)
            assert states(first) == dict.fromkeys(DAYS, "RateLimitedError")
            with pytest.raises(RateLimitedError, match="wants a pause of"):
                await other.candles(SPOT, HOUR, DAYS)

    with BadExchange(server.script) as exchange:
        asyncio.run(run(exchange.url))
    assert len(server.asked) == 1


def test_no_answer_in_time_is_a_failure() -> None:
    server = Binance()
    server.faults = [Answer(delay_s=60)]
    got = candles_of(server, request_timeout_s=5.0, attempts=1)
    assert states(got) == dict.fromkeys(DAYS, "ExchangeUnavailableError")
    assert "RequestTimeout" in str(got.failures[DAYS[0]])

"""The past through CCXT: equal to native clients and the replay exchange's truth, right or refused when an answer is bad."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
import stamina

from market_platform.domain.clock import day_start_ms, days_between, to_ms
from market_platform.domain.errors import (
    BadRequestError,
    ConfigError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryPair, SeriesKind
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, parse_interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.rest import BinanceRest
from market_platform.exchanges.ccxt.client import imported
from market_platform.exchanges.ccxt.config import CcxtConfig
from market_platform.exchanges.ccxt.history import INTEREST_MS, CcxtHistory
from market_platform.exchanges.codes import history_kinds
from market_platform.exchanges.hyperliquid.config import HyperliquidConfig
from market_platform.exchanges.hyperliquid.history import HyperliquidHistory
from market_platform.exchanges.registry import open_history
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.limits import LiveLimits
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, clock_from, running_replay
from market_platform.settings import PROJECT_ROOT, Settings
from market_platform.starlistings import parse_starlistings
from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange, Request, json_answer
from market_platform_tests.fixtures.history_rows import rows_of, span, states, truth_rows, without_trades
from market_platform_tests.fixtures.live_replay import WEDNESDAY

Result = TypeVar("Result")
Rows = list[Any]

SPOT = HistoryPair("other", "BTCUSDT", "BTC", "USDT", "spot")
PERPS = HistoryPair("other", "BTCUSDT.P", "BTC", "USDT", "perps")
DOLLAR_PERPS = HistoryPair("hyperliquid", "BTCUSD", "BTC", "USD", "perps")
TODAY = WEDNESDAY.date()
MONDAY, TUESDAY = TODAY - timedelta(2), TODAY - timedelta(1)
MINUTE, HOUR, DAY = (parse_interval(name) for name in ("1m", "1h", "1d"))
HOUR_MS = HOUR.ms


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    """CCXT takes seconds to import, which no test is about."""
    imported()


@pytest.fixture(autouse=True)
def instant_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    patient = LiveLimits(spot_weight=100_000, usdm_weight=100_000, hyperliquid_weight=100_000)
    with running_replay(world=World(7, ExchangeClock(1.0, clock_from(WEDNESDAY))), limits=patient) as running:
        yield running


def ask(
    ccxt_id: str, url: str, work: Callable[[CcxtHistory], Awaitable[Result]], now: datetime = WEDNESDAY, **more: Any
) -> Result:
    """What `work` gets of that exchange's history, asked of that server."""

    async def run() -> Result:
        async with CcxtHistory(CcxtConfig(ccxt_id, url, **more), clock=lambda: now) as history:
            return await work(history)

    return asyncio.run(run())


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


# --------------------------------------------------------------------------------------------------- the bad exchange

DAYS = days_between(date(2026, 11, 15), date(2026, 11, 17))
NOW_MS = to_ms(datetime(2026, 11, 18, 12, tzinfo=UTC))


class Binance:
    """BTCUSDT on spot and as a perpetual: a row tells its time. `faults` come first, `meddle` changes rows.

    `most` rows in an answer; `silent` are times without a row; nothing is older than `oldest_ms`, and with `newest_only` the
    newest rows come, whatever was asked for.
    """

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self.silent: Sequence[int] = ()
        self.oldest_ms = 0
        self.newest_only = False
        self.faults: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        self.meddle: Callable[[Rows], Rows] = lambda rows: rows

    @property
    def script(self) -> dict[str, Any]:
        clock = json_answer({"serverTime": NOW_MS})
        market = {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "9000", "stepSize": "0.001"},
            ],
        }
        contract = {**market, "marginAsset": "USDT", "contractType": "PERPETUAL"}
        return {
            "/api/v3/exchangeInfo": json_answer({"symbols": [market]}),
            "/api/v3/time": clock,
            "/api/v3/klines": lambda request: self.answer(request, kline, HOUR_MS),
            "/fapi/v1/exchangeInfo": json_answer({"symbols": [contract]}),
            "/fapi/v1/time": clock,
            "/fapi/v1/fundingRate": lambda request: self.answer(request, funding, 8 * HOUR_MS),
            "/futures/data/openInterestHist": lambda request: self.answer(request, interest, INTEREST_MS),
        }

    def answer(self, request: Request, make: Callable[[int], Any], step: int) -> Answer:
        self.asked.append(request.query)
        if self.faults:
            return self.faults.pop(0)
        start, end = int(request.query["startTime"]), int(request.query["endTime"])
        if self.newest_only:
            start, end = self.oldest_ms, NOW_MS
        first = -(-max(start, self.oldest_ms) // step) * step
        times = [each for each in range(first, min(end, NOW_MS) + 1, step) if each not in self.silent]
        rows = [make(each) for each in times[: min(self.most, int(request.query["limit"]))]]
        return json_answer(self.meddle(rows))


def kline(open_ms: int) -> list[Any]:
    prices = ["10.00", "12.50", "9.50", "11.00"]
    return [open_ms, *prices, "1.250", open_ms + HOUR_MS - 1, "13.0", 3, "1", "10", "0"]


def funding(time_ms: int) -> dict[str, Any]:
    return {"symbol": "BTCUSDT", "fundingTime": time_ms + 7, "fundingRate": "0.00010000", "markPrice": "10.0"}


def interest(time_ms: int) -> dict[str, Any]:
    value = {"sumOpenInterest": "75375.617", "sumOpenInterestValue": "3248828883.7125144"}
    return {"symbol": "BTCUSDT", **value, "timestamp": time_ms}


def candles_of(server: Binance, days: Sequence[date] = DAYS, **more: Any) -> Any:
    with BadExchange(server.script) as exchange:
        return ask("binance", exchange.url, lambda history: history.candles(SPOT, HOUR, days), **more)


def fundings_of(server: Binance, days: Sequence[date] = DAYS, **more: Any) -> Any:
    with BadExchange(server.script) as exchange:
        return ask("binanceusdm", exchange.url, lambda history: history.funding(PERPS, days), **more)


def interest_of(server: Binance, days: Sequence[date] = DAYS, **more: Any) -> Any:
    with BadExchange(server.script) as exchange:
        return ask("binanceusdm", exchange.url, lambda history: history.open_interest(PERPS, days), **more)


SERIES = [candles_of, fundings_of, interest_of]
STEPS = {candles_of: HOUR_MS, fundings_of: 8 * HOUR_MS, interest_of: INTEREST_MS}


@pytest.mark.parametrize("series", SERIES)
def test_every_row_of_a_day_comes_exact(series: Callable[..., Any]) -> None:
    server = Binance()
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, "available")
    assert [each.count for each in got.days] == [DAY_MS // STEPS[series]] * 3
    assert {each.flags for each in got.days} == {()}
    if series is candles_of:
        row = rows_of(got)[0]
        assert row == (day_start_ms(DAYS[0]), *map(Decimal, ("10", "12.5", "9.5", "11", "1.25")), None)
        assert got.days[0].inputs[0].name.startswith("binance /api/v3/klines?")
    if series is fundings_of:
        first = got.days[0].rows[0]
        assert (first.time_ms, str(first.funding_rate)) == (day_start_ms(DAYS[0]), "0.00010000")
    if series is interest_of:
        first = got.days[0].rows[0]
        assert (str(first.open_interest), str(first.notional_value)) == ("75375.617", "3248828883.7125144")


@pytest.mark.parametrize("series", SERIES)
def test_short_pages_are_followed_to_the_end(series: Callable[..., Any]) -> None:
    server = Binance(most={candles_of: 20, fundings_of: 4, interest_of: 100}[series])
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, "available")
    assert len(server.asked) >= 3


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429, headers={"Retry-After": "0"}, body=b'{"code":-1003,"msg":"Too many requests."}'),
        Answer(status=502),
        Answer(b"[[1]]", cut=2),
        Answer(reset=True),
        Answer(b"<html>busy</html>", content_type="text/html"),
        Answer(b"[[17000", content_type="application/json"),
    ],
)
def test_one_failure_is_asked_again(series: Callable[..., Any], fault: Answer) -> None:
    server = Binance()
    server.faults = [fault]
    assert states(series(server)) == dict.fromkeys(DAYS, "available")


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Answer(status=418, headers={"Retry-After": "600"}, body=b'{"code":-1003,"msg":"banned"}'), RateLimitedError),
        (Answer(status=503), ExchangeUnavailableError),
    ],
)
def test_failures_that_stay_fail_their_days_with_a_type(
    series: Callable[..., Any], fault: Answer, kind: type[Exception]
) -> None:
    server = Binance()
    server.faults = [fault] * 20
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, kind.__name__)
    assert got.days == ()


@pytest.mark.parametrize("series", SERIES)
def test_a_row_that_is_not_there_is_named(series: Callable[..., Any]) -> None:
    server = Binance()
    hole = day_start_ms(DAYS[1]) + STEPS[series]
    server.silent = [hole]
    got = series(server)
    assert list(states(got).values()) == ["available", "degraded", "available"]
    assert got.days[1].missing == (hole,)
    assert "or it lost it" in got.days[1].reason


@pytest.mark.parametrize("series", SERIES)
def test_a_day_without_a_row_is_missing_and_the_next_one_still_comes(series: Callable[..., Any]) -> None:
    server = Binance(most=24)
    start = day_start_ms(DAYS[1])
    server.silent = range(start, start + DAY_MS, STEPS[series])
    assert list(states(series(server)).values()) == ["available", "missing", "available"]


@pytest.mark.parametrize("series", SERIES)
def test_a_row_that_comes_twice_is_refused(series: Callable[..., Any]) -> None:
    server = Binance()
    server.meddle = lambda rows: [*rows[:2], rows[1], *rows[2:]]
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, "BadPayloadError")
    assert "comes twice" in str(got.failures[DAYS[0]])


def test_a_page_that_overlaps_the_one_before_gives_each_candle_once() -> None:
    server = Binance(most=30)
    earlier: Rows = []

    def overlapping(rows: Rows) -> Rows:
        page = [*earlier[-4:], *rows]
        earlier.extend(rows)
        return page

    server.meddle = overlapping
    got = candles_of(server)
    assert [row[0] for row in rows_of(got)] == list(range(*span(DAYS[0], DAYS[-1]), HOUR_MS))


def test_the_same_page_again_leaves_a_hole_that_is_told() -> None:
    """CCXT drops rows before what was asked for, so a page that comes again is an answer without rows."""
    server = Binance(most=30)
    first: Rows = []

    def stuck(rows: Rows) -> Rows:
        first.extend(rows if not first else ())
        return list(first)

    server.meddle = stuck
    got = candles_of(server)
    assert list(states(got).values()) == ["available", "degraded", "missing"]
    assert [len(each.missing) for each in got.days] == [0, 18, 24]


def test_an_exchange_that_serves_only_the_newest_says_from_when() -> None:
    server = Binance()
    server.newest_only = True
    server.oldest_ms = day_start_ms(DAYS[2])
    got = candles_of(server)
    assert list(states(got).values()) == ["missing", "missing", "available"]
    server.oldest_ms += DAY_MS
    got = candles_of(server)
    assert list(states(got).values()) == ["missing"] * 3
    assert (
        "binance answers with rows from 2026-11-18 00:00 UTC on: it serves none so old, or had none"
        in got.days[0].reason
    )
    assert len(got.days[0].missing) == 24


def test_a_block_that_fails_leaves_the_others() -> None:
    server = Binance()
    server.faults = [Answer(status=502)] * 2
    days = days_between(date(2026, 9, 1), date(2026, 11, 17))
    got = candles_of(server, days, attempts=2)
    failed = [day for day, state in states(got).items() if state != "available"]
    assert failed == days[:41]
    assert len(got.days) == len(days) - 41


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({4: "99.00"}, "close 99.00 is not between"),
        ({1: "-1"}, "a price is -1"),
        ({2: "NaN"}, "high is NaN"),
        ({3: "low"}, "low is 'low', which is no number"),
        ({5: None}, "volume is None"),
    ],
)
def test_a_wrong_candle_is_refused(change: dict[int, Any], says: str) -> None:
    server = Binance()
    server.meddle = lambda rows: [*rows[:-1], [change.get(place, value) for place, value in enumerate(rows[-1])]]
    got = candles_of(server, attempts=1)
    assert states(got) == dict.fromkeys(DAYS, "BadPayloadError")
    assert says in str(got.failures[DAYS[0]])


def test_a_candle_off_its_grid_is_refused() -> None:
    server = Binance()
    server.meddle = lambda rows: [[each[0] + 1, *each[1:]] for each in rows]
    got = candles_of(server, attempts=1)
    assert "is not where a candle of 1h opens" in str(got.failures[DAYS[0]])


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


def kraken_script() -> dict[str, Any]:
    """Kraken as it is: whatever is asked for, the newest 720 candles."""
    asset = {"aclass": "currency", "decimals": 10, "display_decimals": 5, "status": "enabled"}
    market = {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "base": "XXBT",
        "quote": "ZUSD",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "ordermin": "0.00005",
        "tick_size": "0.1",
        "status": "online",
    }

    def candles(request: Request) -> Answer:
        step = int(request.query["interval"]) * 60
        newest = NOW_MS // 1000 // step * step
        rows = [
            [newest - back * step, "100.1", "100.9", "99.8", "100.0", "100.2", "12.34567891", 7]
            for back in reversed(range(720))
        ]
        return json_answer({"error": [], "result": {"XXBTZUSD": rows, "last": newest}})

    return {
        "/0/public/Assets": json_answer(
            {"error": [], "result": {"XXBT": asset | {"altname": "XBT"}, "ZUSD": asset | {"altname": "USD"}}}
        ),
        "/0/public/AssetPairs": json_answer({"error": [], "result": {"XXBTZUSD": market}}),
        "/0/public/Time": json_answer({"error": [], "result": {"unixtime": NOW_MS // 1000}}),
        "/0/public/OHLC": candles,
    }


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

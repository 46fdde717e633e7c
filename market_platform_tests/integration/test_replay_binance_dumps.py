"""The replay exchange's archive: what REST answers, packed; the same bytes always; published when Binance does; faults on demand."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import orjson
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, NotPublishedError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.history import HistoryPair
from market_platform.domain.intervals import MINUTE_MS, parse_interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.dumps.client import BinanceDumps
from market_platform.exchanges.binance.dumps.config import DumpsConfig
from market_platform.exchanges.binance.history import BinanceHistory
from market_platform.exchanges.binance.rest import BinanceRest
from market_platform.replay.live.binance.contracts import Contract
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, clock_from, running_replay
from market_platform_tests.fixtures.dump_files import KLINE_HEADER, PERPS, SPOT

Result = TypeVar("Result")

NOW = datetime(2026, 11, 18, 13, 30, tzinfo=UTC)
DAY = date(2026, 10, 14)
QUIET = HistoryPair("binance", "COIN010USDT", "COIN010", "USDT", "spot")
"""A minute in which it trades is the exception."""

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=World(7, ExchangeClock(1.0, clock_from(NOW)))) as running:
        yield running


@pytest.fixture
def faulty(replay: RunningReplay) -> Iterator[RunningReplay]:
    """The same exchange, without faults afterwards."""
    yield replay
    replay.faults.clear()


def dumps(replay: RunningReplay, ask: Callable[[BinanceDumps], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        config = DumpsConfig(base_url=replay.live_url("binance_dumps"))
        async with BinanceDumps(config, replay.world.clock.now) as client:
            return await ask(client)

    return asyncio.run(run())


def fetch(replay: RunningReplay, path: str) -> bytes:
    answer = httpx.get(f"{replay.live_url('binance_dumps')}/data/{path}")
    assert answer.status_code == 200, answer.text
    return answer.content


def lines(replay: RunningReplay, path: str) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(fetch(replay, path))) as archive:
        (name,) = archive.namelist()
        assert name == path.rpartition("/")[2].replace(".zip", ".csv")
        return archive.read(name).decode().splitlines()


def rest_candles(replay: RunningReplay, pair: HistoryPair, interval: str, day: date) -> pl.DataFrame:
    """The day as the platform's REST client has it, as a frame of `CANDLE_SCHEMA`."""
    live = LivePair(1, pair.exchange, pair.symbol, pair.coin, pair.quote, pair.market_type, f"{pair.coin}USDT", {})
    config = BinanceConfig(
        spot_rest=replay.live_url("binance_spot_rest"), usdm_rest=replay.live_url("binance_usdm_rest")
    )

    async def run() -> pl.DataFrame:
        async with BinanceRest(config, replay.world.clock.now) as rest:
            start = day_start_ms(day)
            found = await rest.candles(live, parse_interval(interval), start, start + 1440 * MINUTE_MS)
        columns = ("open", "high", "low", "close", "volume", "num_trades")
        return pl.DataFrame(
            [[each.open_ms, *(getattr(each, name) for name in columns)] for each in found],
            schema={name: pl.Int64() if name == "time" else kind for name, kind in CANDLE_SCHEMA.items()},
            orient="row",
        ).with_columns(pl.col("time").cast(CANDLE_SCHEMA["time"]))

    return asyncio.run(run())


@pytest.mark.parametrize("pair", [SPOT, PERPS, QUIET], ids=lambda pair: pair.symbol)
@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1d"])
def test_candles_of_a_day_are_those_of_rest(replay: RunningReplay, pair: HistoryPair, interval: str) -> None:
    found = dumps(replay, lambda client: client.candles(pair, parse_interval(interval), [DAY]))
    (day,) = found.days
    assert (day.condition, day.missing, day.flags) == (Condition.AVAILABLE, (), ())
    assert_frame_equal(day.rows, rest_candles(replay, pair, interval, DAY))


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_rows_are_written_as_rest_writes_them(replay: RunningReplay, market: str) -> None:
    folder = "spot" if market == "spot" else "futures/um"
    api = "api/v3" if market == "spot" else "fapi/v1"
    base = replay.live_url("binance_spot_rest" if market == "spot" else "binance_usdm_rest")
    start = day_start_ms(DAY)

    def rest(what: str, **params: Any) -> list[Any]:
        answer = httpx.get(f"{base}/{api}/{what}", params={"symbol": "SOLUSDT", "startTime": start, **params})
        found: list[Any] = orjson.loads(answer.content)
        return found

    rows = lines(replay, f"{folder}/daily/klines/SOLUSDT/15m/SOLUSDT-15m-{DAY}.zip")
    assert (rows[0] == KLINE_HEADER) == (market == "usdm")
    texts = [row.split(",") for row in rows if row[0].isdigit()]
    theirs = [[str(value) for value in row] for row in rest("klines", interval="15m", limit=96)]
    if market == "spot":  # microseconds
        theirs = [[f"{row[0]}000", *row[1:6], f"{row[6]}999", *row[7:]] for row in theirs]
    assert texts == theirs

    rows = lines(replay, f"{folder}/daily/aggTrades/SOLUSDT/SOLUSDT-aggTrades-{DAY}.zip")
    trades = [row.split(",") for row in rows if row[0].isdigit()]
    for text, trade in zip(trades, rest("aggTrades", limit=500), strict=False):
        time = f"{trade['T']}000" if market == "spot" else str(trade["T"])
        maker = str(trade["m"]) if market == "spot" else str(trade["m"]).lower()
        expected = [str(trade["a"]), trade["p"], trade["q"], str(trade["f"]), str(trade["l"]), time, maker]
        assert text[:7] == expected


def test_trades_of_two_days_have_no_hole_and_are_those_that_happened(replay: RunningReplay) -> None:
    days = [DAY, DAY + timedelta(days=1)]
    found = dumps(replay, lambda client: client.trades(QUIET, days))
    assert [day.condition for day in found.days] == [Condition.AVAILABLE] * 2
    start = day_start_ms(DAY)
    truth = replay.truth.trades("binance-spot", "COIN010USDT", start, start + 1440 * MINUTE_MS)
    trades = found.days[0].rows
    assert trades.trade_id.tolist() == [row["id"] for row in truth]
    assert trades.time.tolist() == [row["time"] for row in truth]
    prices = [Decimal(int(units)).scaleb(-trades.price_scale) for units in trades.price]
    assert prices == [Decimal(row["price"]) for row in truth]


def test_months_are_made_of_the_same_days(replay: RunningReplay) -> None:
    monthly = lines(replay, "spot/monthly/klines/COIN010USDT/1h/COIN010USDT-1h-2025-01.zip")
    daily = [
        line
        for day in days_between(date(2025, 1, 1), date(2025, 1, 31))
        for line in lines(replay, f"spot/daily/klines/COIN010USDT/1h/COIN010USDT-1h-{day}.zip")
    ]
    assert monthly == daily


def test_spot_is_in_microseconds_from_2025_on(replay: RunningReplay) -> None:
    before = lines(replay, "spot/daily/klines/COIN010USDT/1d/COIN010USDT-1d-2024-12-31.zip")
    after = lines(replay, "spot/daily/klines/COIN010USDT/1d/COIN010USDT-1d-2025-01-01.zip")
    perps = lines(replay, "futures/um/daily/klines/COIN010USDT/1d/COIN010USDT-1d-2025-01-01.zip")
    assert [row.split(",")[6] for row in (*before, *after, perps[1])] == [
        "1735689599999",
        "1735775999999999",
        "1735775999999",
    ]


def test_open_interest_is_that_of_the_moment_under_both_labels(replay: RunningReplay) -> None:
    market = replay.world.market("binance-usdm", "BTCUSDT")
    assert market is not None
    contract = Contract(replay.world.book(market).tape)
    for day in (date(2026, 6, 23), date(2026, 6, 24), date(2026, 6, 25), date(2026, 6, 26)):
        (found,) = dumps(replay, lambda client, day=day: client.open_interest(PERPS, [day])).days  # type: ignore[misc]
        assert found.condition is Condition.AVAILABLE
        assert found.count == 288
        for each in found.rows[:3]:
            assert each.time_ms is not None
            assert each.open_interest == Decimal(contract.open_interest(each.time_ms // 1000))


def test_funding_and_open_interest_are_those_of_rest(replay: RunningReplay) -> None:
    day = date(2026, 11, 10)
    config = BinanceConfig(usdm_rest=replay.live_url("binance_usdm_rest"))

    async def rest() -> tuple[list[OpenInterest], list[Funding]]:
        async with BinanceHistory(config, replay.world.clock.now) as history:
            interest, funding = await history.open_interest(PERPS, [day]), await history.funding(PERPS, [DAY])
        return [*interest.days[0].rows], [*funding.days[0].rows]

    interest, funding = asyncio.run(rest())
    (readings,) = dumps(replay, lambda client: client.open_interest(PERPS, [day])).days
    assert [*readings.rows] == interest
    (rates,) = dumps(replay, lambda client: client.funding(PERPS, [DAY])).days
    assert [(each.time_ms, each.funding_rate) for each in rates.rows] == [
        (each.time_ms, each.funding_rate) for each in funding
    ]


def test_funding_is_what_was_charged(replay: RunningReplay) -> None:
    found = dumps(replay, lambda client: client.funding(PERPS, [DAY]))
    (day,) = found.days
    assert [each.time_ms for each in day.rows] == [day_start_ms(DAY) + hours * 3_600_000 for hours in (0, 8, 16)]
    assert all(abs(each.funding_rate) < Decimal("0.001") for each in day.rows)


def test_files_are_published_when_binance_does(replay: RunningReplay) -> None:
    today = NOW.date()
    hourly = parse_interval("1h")
    days = [today - timedelta(days=1), today]
    found = dumps(replay, lambda client: client.candles(QUIET, hourly, days))
    assert [day.day for day in found.days] == days[:1]
    assert isinstance(found.failures[today], NotPublishedError)
    root = replay.live_url("binance_dumps")
    for path, status in (
        ("spot/monthly/klines/COIN010USDT/1d/COIN010USDT-1d-2026-10.zip", 200),
        ("spot/monthly/klines/COIN010USDT/1d/COIN010USDT-1d-2026-11.zip", 404),
        ("spot/daily/klines/COIN010USDT/1d/COIN010USDT-1d-2019-01-01.zip", 404),
        ("spot/daily/klines/NOSUCH/1d/NOSUCH-1d-2026-10-01.zip", 404),
        ("spot/daily/klines/COIN010USDT/7m/COIN010USDT-7m-2026-10-01.zip", 404),
        ("spot/daily/klines/COIN010USDT/1d/COIN011USDT-1d-2026-10-01.zip", 404),
        ("spot/daily/metrics/COIN010USDT/COIN010USDT-metrics-2026-10-01.zip", 404),
        ("futures/um/monthly/metrics/COIN010USDT/COIN010USDT-metrics-2026-10.zip", 404),
        ("futures/um/daily/metrics/COIN010USDT/COIN010USDT-metrics-2026-10-1.zip", 404),
    ):
        assert httpx.get(f"{root}/data/{path}").status_code == status, path
        assert httpx.get(f"{root}/data/{path}.CHECKSUM").status_code == status, path


PATH = f"spot/daily/klines/COIN010USDT/1h/COIN010USDT-1h-{DAY}.zip"


def test_the_same_file_has_the_same_bytes_in_another_process_and_its_checksum_holds(replay: RunningReplay) -> None:
    packed = fetch(replay, PATH)
    with running_replay(world=World(7, ExchangeClock(1.0, clock_from(NOW + timedelta(days=3))))) as other:
        assert fetch(other, PATH) == packed
    with running_replay(world=World(8, ExchangeClock(1.0, clock_from(NOW)))) as unlike:
        assert fetch(unlike, PATH) != packed
    name = PATH.rpartition("/")[2]
    assert fetch(replay, f"{PATH}.CHECKSUM").decode() == f"{hashlib.sha256(packed).hexdigest()}  {name}\n"


def test_a_reissued_file_has_other_rows_and_a_checksum_that_holds(faulty: RunningReplay) -> None:
    def day() -> tuple[pl.DataFrame, str]:
        (found,) = dumps(faulty, lambda client: client.candles(QUIET, parse_interval("1h"), [DAY])).days
        return found.rows, found.input_version

    before, version = day()
    faulty.fail("COIN010USDT-1h-", "reissued", times=2)
    corrected, other = day()
    assert other != version
    assert (before["volume"] != corrected["volume"]).sum() == 1
    assert day()[1] == version


@pytest.mark.parametrize(
    ("match", "kind", "reason"),
    [
        (r"COIN010USDT-1h-.*\.CHECKSUM", "wrong_checksum", "CHECKSUM says"),
        ("COIN010USDT-1h-", "cut_zip", "no sound zip"),
        (r"COIN010USDT-1h-.*\.zip$", "garbage", "CHECKSUM says"),
    ],
)
def test_a_spoiled_file_fails_its_day(faulty: RunningReplay, match: str, kind: str, reason: str) -> None:
    faulty.fail(match, kind, times=100)
    found = dumps(faulty, lambda client: client.candles(QUIET, parse_interval("1h"), [DAY]))
    assert isinstance(found.failures[DAY], BadPayloadError)
    assert reason in str(found.failures[DAY])


@pytest.mark.parametrize("kind", ["truncate", "503", "429", "reset", "accepted_202_empty", "wrong_checksum"])
def test_what_goes_wrong_once_is_asked_for_again(faulty: RunningReplay, kind: str) -> None:
    match = r"\.CHECKSUM" if kind == "wrong_checksum" else r"COIN010USDT-1h-.*\.zip$"
    faulty.faults.clear()
    faulty.fail(match, kind, seconds=0)
    found = dumps(faulty, lambda client: client.candles(QUIET, parse_interval("1h"), [DAY]))
    assert found.days[0].count == 24

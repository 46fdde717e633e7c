"""The journal sink on real parts: SQLite on disk, Postgres behind a proxy, a lake in a folder."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from market_platform.domain.clock import from_ms, utc_now
from market_platform.domain.errors import LakeUnavailableError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from market_platform.lake.parts import list_parts
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform_tests.fixtures.live_sink import (
    DAY,
    NOON_MS,
    candle,
    dead_letters,
    lake_trades,
    quote,
    running_sink,
    stored_candles,
    synced_pairs,
    trade,
)
from market_platform_tests.fixtures.tcp_proxy import TcpProxy
from streamer.delivery import drain
from streamer.journal_sink import JournalSink
from streamer.sink import DeadLetter, IntakeStoppedError

EXCHANGE = CandleRank.EXCHANGE
DEADLINE_S = 60


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open((tmp_path / "lake").as_uri())


@pytest.fixture
def pairs(warehouse: Warehouse) -> dict[str, LivePair]:
    return synced_pairs(warehouse)


@pytest.fixture
def btc(pairs: dict[str, LivePair]) -> LivePair:
    return pairs["BTCUSDT"]


@pytest.fixture
def proxy(database_url: str) -> Iterator[TcpProxy]:
    address = urlsplit(database_url)
    assert address.hostname
    assert address.port
    made = TcpProxy(address.hostname, address.port)
    yield made
    made.close()


@pytest.fixture
def proxied(proxy: TcpProxy, database_url: str) -> Iterator[Warehouse]:
    """A warehouse that goes away with the proxy."""
    made = create_warehouse(proxy.url(database_url), timeout_s=2)
    yield made
    made.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(2 * DEADLINE_S):
            await scenario()

    asyncio.run(limited())


async def until(is_so: Callable[[], bool]) -> None:
    """Look again and again; the deadline is `run`'s."""
    while not is_so():  # noqa: ASYNC110  what is waited for happens on threads
        await asyncio.sleep(0.01)


def query(url: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(text).fetchall()


def test_what_is_handed_in_arrives(
    tmp_path: Path, warehouse: Warehouse, database_url: str, lake: Lake, pairs: dict[str, LivePair]
) -> None:
    btc, eur = pairs["BTCUSDT"], pairs["EURUSD"]

    async def scenario() -> None:
        async with running_sink(tmp_path, lake, warehouse) as sink:
            sink.trades(btc, [trade(each) for each in range(1, 2501)])
            sink.quotes(eur, [quote(NOON_MS), quote(NOON_MS + 1)])
            sink.candles(btc, [candle(0), candle(1)], EXCHANGE)
            sink.candles(btc, [candle(5, interval="15m")], EXCHANGE)  # not listed
            sink.funding(btc, NOON_MS, Funding("BTCUSDT", Decimal("0.0001")))
            sink.open_interest(btc, NOON_MS, OpenInterest("BTCUSDT", Decimal("81234.567")))
            sink.dead_letter(DeadLetter("binance", "trades", "no JSON", "{\0", utc_now()))
            await sink.committed()
            assert sink.last_trade_id(btc) == 2500
            assert await sink.delivered(DEADLINE_S)
            assert (sink.state().journal_rows, sink.state().alarm, sink.accepting) == (0, None, True)

    run(scenario)
    assert lake_trades(lake).trade_id.tolist() == list(range(1, 2501))
    (part,) = list_parts(TICK_DAYS, lake, "oanda", "EURUSD", DAY)
    assert TICK_DAYS.read(lake, part, None).ask.tolist() == [108_712, 108_712]
    assert stored_candles(database_url, btc.starlistings["1m"]) == [
        (from_ms(NOON_MS), Decimal("97200.10")),
        (from_ms(NOON_MS + 60_000), Decimal("97200.10")),
    ]
    assert query(database_url, "SELECT funding_rate FROM funding_rates") == [(Decimal("0.0001"),)]
    assert query(database_url, "SELECT open_interest FROM open_interest") == [(Decimal("81234.567"),)]
    assert dead_letters(database_url) == [("trades", "no JSON", "{\\x00")]
    assert query(database_url, "SELECT layer, day, rows FROM stream_days ORDER BY layer") == [
        ("candles_1m", DAY, 2), ("funding_rates", DAY, 1), ("open_interest", DAY, 1), ("ticks", DAY, 2), ("trades", DAY, 2500)
    ]  # fmt: skip


def test_a_part_is_made_of_enough_ticks_or_after_its_time(
    tmp_path: Path, warehouse: Warehouse, lake: Lake, btc: LivePair
) -> None:
    moment = datetime(2026, 3, 2, 12, 1, tzinfo=UTC)

    async def scenario() -> None:
        nonlocal moment
        async with running_sink(tmp_path, lake, warehouse, lambda: moment, part_ticks=10, part_s=300) as sink:
            sink.trades(btc, [trade(each) for each in range(1, 10)])
            await sink.committed()
            sink._to_lake.wake()
            assert sink.state().journal_rows == 9
            sink.trades(btc, [trade(10)])
            await until(lambda: sink.state().oldest_pending_at is None)
            sink.trades(btc, [trade(11)])
            await sink.committed()
            assert sink.state().oldest_pending_at == moment
            moment += timedelta(seconds=300)
            await until(lambda: sink.state().oldest_pending_at is None)

    run(scenario)
    keys = list_parts(TRADE_DAYS, lake, "binance", "BTCUSDT", DAY)
    assert [key.rsplit("/", 1)[1].rsplit("-", 1)[0] for key in keys] == ["binance-1-10", "binance-11-11"]


def test_midnight_splits_parts(tmp_path: Path, warehouse: Warehouse, lake: Lake, btc: LivePair) -> None:
    midnight = NOON_MS + 43_200_000

    async def scenario() -> None:
        async with running_sink(tmp_path, lake, warehouse) as sink:
            sink.trades(btc, [trade(each, midnight - 3 + each) for each in range(1, 6)])
            assert await sink.delivered(DEADLINE_S)

    run(scenario)
    assert lake_trades(lake).trade_id.tolist() == [1, 2]
    assert lake_trades(lake, day=date(2026, 3, 3)).trade_id.tolist() == [3, 4, 5]


def test_postgres_away_everything_waits_and_arrives_in_order(
    tmp_path: Path, proxied: Warehouse, proxy: TcpProxy, database_url: str, lake: Lake, btc: LivePair
) -> None:
    listed = btc.starlistings["1m"]

    async def scenario() -> None:
        async with running_sink(tmp_path, lake, proxied) as sink:
            sink.candles(btc, [candle(0)], EXCHANGE)
            assert await sink.delivered(DEADLINE_S)
            proxy.refuse()
            for minute in range(1, 301):
                sink.candles(btc, [candle(minute, close="1")], EXCHANGE)
                sink.candles(btc, [candle(minute)], EXCHANGE)  # corrected
                await sink.committed()
            await until(lambda: sink.state().alarm is not None)
            state = sink.state()
            assert state.accepting
            assert state.journal_rows == 600
            assert "Postgres takes nothing since" in (state.alarm or "")
            assert not await sink.delivered(0.05)
            proxy.restore()
            assert await sink.delivered(DEADLINE_S)
            await until(lambda: sink.state().alarm is None)

    run(scenario)
    stored = stored_candles(database_url, listed)
    assert [close for _, close in stored] == [Decimal("97200.10")] * 301
    assert [time for time, _ in stored] == [from_ms(NOON_MS + each * 60_000) for each in range(301)]


def test_what_waits_survives_a_restart(
    tmp_path: Path,
    proxied: Warehouse,
    proxy: TcpProxy,
    database_url: str,
    lake: Lake,
    btc: LivePair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> bool:
        raise LakeUnavailableError("away")

    async def away() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(lake, "put_new", refuse)
            async with running_sink(tmp_path, lake, proxied, stop_s=0.2) as sink:
                sink.candles(btc, [candle(0)], EXCHANGE)
                sink.trades(btc, [trade(1), trade(2)])
                sink.dead_letter(DeadLetter("binance", "trades", "why", "what", utc_now()))
                await sink.committed()

    async def back() -> None:
        async with running_sink(tmp_path, lake, proxied) as sink:
            assert sink.state().journal_rows == 4
            assert sink.last_trade_id(btc) == 2
            assert await sink.delivered(DEADLINE_S)

    proxy.refuse()
    run(away)
    proxy.restore()
    run(back)
    assert lake_trades(lake).trade_id.tolist() == [1, 2]
    assert len(stored_candles(database_url, btc.starlistings["1m"])) == 1
    assert len(dead_letters(database_url)) == 1


def test_a_postgres_that_hangs_does_not_hold_up_the_stop_and_nothing_is_lost(
    tmp_path: Path,
    proxied: Warehouse,
    proxy: TcpProxy,
    database_url: str,
    lake: Lake,
    btc: LivePair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drain, "HANGS_S", 0.1)

    async def hanging() -> None:
        async with running_sink(tmp_path, lake, proxied, stop_s=1) as sink:
            sink.candles(btc, [candle(0)], EXCHANGE)
            assert await sink.delivered(DEADLINE_S)
            proxy.swallow()
            sink.candles(btc, [candle(1)], EXCHANGE)
            await sink.committed()
            await until(lambda: "has not answered" in (sink.state().alarm or ""))

    async def back() -> None:
        async with running_sink(tmp_path, lake, proxied) as sink:
            assert sink.state().journal_rows == 1
            assert await sink.delivered(DEADLINE_S)

    run(hanging)
    proxy.restore()
    run(back)
    assert len(stored_candles(database_url, btc.starlistings["1m"])) == 2


def test_a_lake_that_refuses_for_long_leaves_ticks_in_the_journal_not_in_memory(
    tmp_path: Path, warehouse: Warehouse, lake: Lake, btc: LivePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise LakeUnavailableError("the lake is away")

    async def scenario() -> None:
        async with running_sink(tmp_path, lake, warehouse) as sink:
            with monkeypatch.context() as patch:
                patch.setattr(lake, "put_new", refuse)
                for start in range(0, 20_000, 1000):
                    sink.trades(btc, [trade(each) for each in range(start, start + 1000)])
                    await sink.committed()
                await until(lambda: sink.state().alarm is not None)
                assert "the lake takes nothing since" in (sink.state().alarm or "")
                assert sink.state().journal_rows == 20_000
                assert sink._journal._next.count == 0
            assert await sink.delivered(DEADLINE_S)
            await until(lambda: sink.state().alarm is None)

    run(scenario)
    assert lake_trades(lake).trade_id.tolist() == list(range(20_000))
    assert len(list_parts(TRADE_DAYS, lake, "binance", "BTCUSDT", DAY)) <= 3  # a backlog goes in large parts


def test_a_row_that_postgres_refuses_is_a_dead_letter_and_the_others_go_on(
    tmp_path: Path, warehouse: Warehouse, database_url: str, lake: Lake, btc: LivePair
) -> None:
    deleted = LivePair(btc.id + 50, "binance", "OLDUSDT", "OLD", "USDT", "spot", "OLDUSDT", btc.starlistings)

    async def scenario() -> None:
        async with running_sink(tmp_path, lake, warehouse) as sink:
            sink.candles(btc, [candle(0), candle(1, high=Decimal(1)), candle(2)], EXCHANGE)
            sink.candles(btc, [candle(3, volume=Decimal("1e-19")), candle(4)], EXCHANGE)
            sink.candles(btc, [candle(5, open=Decimal("NaN")), candle(6, open=Decimal("1e13")), candle(7)], EXCHANGE)
            sink.candles(deleted, [candle(8)], EXCHANGE)
            sink.candles(btc, [candle(9, num_trades=2**63), candle(10, open_ms=10**17), candle(11)], EXCHANGE)
            sink.funding(btc, NOON_MS + 1, Funding("BTCUSDT", Decimal("0.0001")))
            sink.funding(btc, NOON_MS, Funding("BTCUSDT", Decimal("0.0002")))
            assert await sink.delivered(DEADLINE_S)

    run(scenario)
    minutes = [
        (time - from_ms(NOON_MS)) // timedelta(minutes=1)
        for time, _ in stored_candles(database_url, btc.starlistings["1m"])
    ]
    assert minutes == [0, 2, 4, 7, 11]
    letters = dead_letters(database_url)
    channels = [channel for channel, _, _ in letters]
    assert channels == ["BTCUSDT candle"] * 6 + ["OLDUSDT candle", "BTCUSDT funding"]
    assert "candles_high_is_highest" in letters[0][1]
    assert "18 behind" in letters[1][1]
    assert "knows no pair binance/OLDUSDT" in letters[6][1]
    assert query(database_url, "SELECT funding_rate FROM funding_rates") == [(Decimal("0.0002"),)]


def test_rows_of_another_database_go_where_their_names_are(
    tmp_path: Path, warehouse: Warehouse, database_url: str, lake: Lake, btc: LivePair
) -> None:
    numbered_otherwise = LivePair(btc.id + 50, "binance", "BTCUSDT", "BTC", "USDT", "spot", "BTCUSDT", {"1m": 99_999})

    async def scenario() -> None:
        async with running_sink(tmp_path, lake, warehouse) as sink:
            sink.candles(numbered_otherwise, [candle(0)], EXCHANGE)
            sink.funding(numbered_otherwise, NOON_MS, Funding("BTCUSDT", Decimal("0.0002")))
            assert await sink.delivered(DEADLINE_S)

    run(scenario)
    assert len(stored_candles(database_url, btc.starlistings["1m"])) == 1
    assert query(database_url, "SELECT trading_pair_id FROM funding_rates") == [(btc.id,)]
    assert dead_letters(database_url) == []


def test_a_trade_that_can_not_be_counted_is_a_dead_letter_and_the_others_go_on(
    tmp_path: Path, warehouse: Warehouse, database_url: str, lake: Lake, btc: LivePair
) -> None:
    async def scenario() -> None:
        async with running_sink(tmp_path, lake, warehouse) as sink:
            bad = [trade(2, quantity="1e40"), trade(3, price="0"), trade(4, quantity="1e-30"), trade(2**65)]
            sink.trades(btc, [trade(1), *bad, trade(5), trade(5, price="7"), trade(6)])
            assert await sink.delivered(DEADLINE_S)

    run(scenario)
    assert lake_trades(lake).trade_id.tolist() == [1, 5, 6]
    reasons = " ".join(reason for _, reason, _ in dead_letters(database_url))
    assert all(f"trade {each} " in reasons for each in (2, 3, 4, 5))
    assert "more than 62 bits" in reasons or "can't hold it" in reasons


def test_a_damaged_entry_is_a_dead_letter_and_the_others_go_on(
    tmp_path: Path, proxied: Warehouse, proxy: TcpProxy, database_url: str, lake: Lake, btc: LivePair
) -> None:
    async def before() -> None:
        async with running_sink(tmp_path, lake, proxied, stop_s=0.1) as sink:
            for each in (1, 2):
                sink.candles(btc, [candle(each)], EXCHANGE)
                await sink.committed()

    async def after() -> None:
        async with running_sink(tmp_path, lake, proxied) as sink:
            assert await sink.delivered(DEADLINE_S)

    proxy.refuse()
    run(before)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection, connection:
        connection.execute("UPDATE rows SET content = x'ff00ff' WHERE seq = 1")
    proxy.restore()
    run(after)
    assert [time for time, _ in stored_candles(database_url, btc.starlistings["1m"])] == [from_ms(NOON_MS + 120_000)]
    ((channel, reason, payload),) = dead_letters(database_url)
    assert (channel, payload) == ("candles", "ff00ff")
    assert "entry 1 of the journal, 1 events, is damaged" in reason


def test_the_same_again_changes_nothing(
    tmp_path: Path, warehouse: Warehouse, database_url: str, lake: Lake, btc: LivePair
) -> None:
    async def scenario() -> None:
        async with running_sink(tmp_path, lake, warehouse) as sink:
            for _ in range(2):
                sink.trades(btc, [trade(1), trade(2)])
                sink.candles(btc, [candle(0)], EXCHANGE)
                assert await sink.delivered(DEADLINE_S)
            sink.candles(btc, [candle(0, close="97111")], CandleRank.LIVE_STREAM)  # outranked
            sink.candles(btc, [candle(1, close="97111")], CandleRank.LIVE_STREAM)
            sink.candles(btc, [candle(1)], EXCHANGE)
            assert await sink.delivered(DEADLINE_S)

    run(scenario)
    assert lake_trades(lake).trade_id.tolist() == [1, 2]
    assert [close for _, close in stored_candles(database_url, btc.starlistings["1m"])] == [Decimal("97200.10")] * 2
    assert query(database_url, "SELECT kind, count(*) FROM series_changes GROUP BY kind") == [("candle", 3)]


def test_a_stopped_sink_takes_nothing_and_a_full_disk_is_said_to_who_waits(
    tmp_path: Path, warehouse: Warehouse, lake: Lake, btc: LivePair
) -> None:
    free = 300 << 20
    stopped: list[JournalSink] = []

    async def scenario() -> None:
        nonlocal free
        async with running_sink(tmp_path, lake, warehouse, min_free_mb=200, free=lambda _: free) as sink:
            sink.trades(btc, [trade(1)])
            free = 0
            await until(lambda: not sink.accepting)
            assert "JOURNAL_MIN_FREE_MB" in (sink.state().alarm or "")
            with pytest.raises(IntakeStoppedError, match="0 MB left"):
                sink.candles(btc, [candle(0)], EXCHANGE)
            sink.dead_letter(DeadLetter("binance", "trades", "why", "what", utc_now()))  # never raises
            await sink.committed()
            free = 300 << 20
            await until(lambda: sink.accepting)
            sink.candles(btc, [candle(0)], EXCHANGE)
            stopped.append(sink)

    run(scenario)
    assert not stopped[0].accepting
    with pytest.raises(IntakeStoppedError, match="stopping"):
        stopped[0].trades(btc, [trade(2)])
    assert lake_trades(lake).trade_id.tolist() == [1]  # stop delivered it

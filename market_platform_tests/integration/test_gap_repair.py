"""Repair against Postgres and a lake: what the ledger says afterwards, and where the rows are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from market_platform.domain.clock import to_ms
from market_platform.domain.errors import BadPayloadError, ExchangeUnavailableError
from market_platform.domain.events import Candle, Funding, OpenInterest, Trade
from market_platform.domain.intervals import parse_interval
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from market_platform.domain.trades import Trades
from market_platform.lake.parts import list_parts
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.lake.trade_file import TRADE_FILE
from market_platform.pipeline.gap_delivery import DirectDelivery
from market_platform.pipeline.gap_repair import overlapping_gaps, repair_gaps
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.settings import load_settings
from market_platform.warehouse.candles import read_candles
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.gaps import Gap, GapFilter, GapRecord, list_gaps, record_gaps
from market_platform.warehouse.market_context import FundingRow, OpenInterestRow, write_funding, write_open_interest
from market_platform.warehouse.stream_days import load_unreported
from market_platform_tests.fixtures.live_reference import synced_live_pairs
from market_platform_tests.fixtures.scripted_rest import Collected, ScriptedRest, made_candle, made_trade
from streamer.gaps.repair import Repairer
from streamer.sink import IntakeStoppedError

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
END = NOON + timedelta(minutes=10)
BTC = "binance/BTCUSDT"


@pytest.fixture
def pairs(warehouse: Warehouse) -> dict[str, LivePair]:
    return synced_live_pairs(warehouse)


@pytest.fixture
def rest() -> ScriptedRest:
    return ScriptedRest(to_ms(NOON + timedelta(hours=3)))


class ScriptedSink(Collected):
    """The part of a sink that repairs use."""

    takes = True
    looks = 0

    @property
    def accepting(self) -> bool:
        """Whether it takes anything."""
        self.looks += 1
        return self.takes

    def trades(self, pair: LivePair, trades: Sequence[Trade]) -> None:
        """Keep them, unless intake is stopped."""
        if not self.takes:
            raise IntakeStoppedError("the disk is full")
        super().trades(pair, trades)


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds; whoever waits limits the time."""
    holds = condition()
    while not holds:
        await asyncio.sleep(0.01)
        holds = condition()


def recorded(warehouse: Warehouse, *gaps: GapRecord) -> list[Gap]:
    with warehouse.begin() as conn:
        record_gaps(conn, gaps)
    return stored(warehouse)


def stored(warehouse: Warehouse) -> list[Gap]:
    with warehouse.connect() as conn:
        return sorted(list_gaps(conn, GapFilter()), key=lambda gap: gap.id)


def repair(warehouse: Warehouse, pair: LivePair, rest: ScriptedRest, delivery: Collected | DirectDelivery) -> None:
    for gaps in overlapping_gaps([gap for gap in stored(warehouse) if gap.state == "open"]):
        asyncio.run(repair_gaps(warehouse, gaps, pair, rest, delivery, run_id="run-1"))


def test_a_repaired_gap_says_how_many_rows_which_run_and_after_how_many_attempts(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    recorded(warehouse, GapRecord(pairs[BTC].id, "candles", NOON, "disconnect", end=END))
    rest.faults = [ExchangeUnavailableError("503 from the exchange")]
    repair(warehouse, pairs[BTC], rest, Collected())
    (gap,) = stored(warehouse)
    assert (gap.state, gap.attempts, gap.last_error) == ("open", 1, "503 from the exchange")
    repair(warehouse, pairs[BTC], rest, Collected())
    (gap,) = stored(warehouse)
    assert (gap.state, gap.attempts, gap.last_error, gap.run_id) == ("repaired", 2, None, "run-1")
    assert gap.repaired_rows == 11 + 3 + 1


def test_overlapping_gaps_are_repaired_as_one(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    later = END + timedelta(minutes=5)
    recorded(
        warehouse,
        GapRecord(pairs[BTC].id, "candles", NOON, "disconnect", end=END),
        GapRecord(pairs[BTC].id, "candles", NOON + timedelta(minutes=5), "stale", end=later),
    )
    delivery = Collected()
    repair(warehouse, pairs[BTC], rest, delivery)
    first, second = stored(warehouse)
    assert (first.state, second.state, second.repaired_rows) == ("repaired", "repaired", 0)
    assert second.detail == f"repaired with gap {first.id}"
    assert first.repaired_rows == len(delivery.found_candles) == len(set(delivery.found_candles))


def test_a_gap_that_grew_while_it_was_repaired_stays_open_for_the_rest(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    gap = GapRecord(pairs[BTC].id, "candles", NOON, "start", end=END)
    grown = replace(gap, end=END + timedelta(minutes=5))

    class Restarted(Collected):
        """A streamer that was killed and is back tells a later end while the candles are on their way."""

        async def committed(self) -> None:
            await super().committed()
            if not delivery.grew:
                delivery.grew = True
                await asyncio.to_thread(recorded, warehouse, grown)

        grew = False

    recorded(warehouse, gap)
    delivery = Restarted()
    repair(warehouse, pairs[BTC], rest, delivery)
    (row,) = stored(warehouse)
    assert (row.state, row.end) == ("open", grown.end)
    repair(warehouse, pairs[BTC], rest, delivery)
    (row,) = stored(warehouse)
    assert row.state == "repaired"
    opens = {candle.open_ms for candle in delivery.found_candles if candle.interval == "1m"}
    assert max(opens) == to_ms(END + timedelta(minutes=4))


def context_gap(pair: LivePair, seconds: int) -> GapRecord:
    start = NOON + timedelta(seconds=10)
    return GapRecord(pair.id, "context", start, "disconnect", end=NOON + timedelta(seconds=seconds))


def write_context(warehouse: Warehouse, pair: LivePair, *minutes: int) -> None:
    times = [to_ms(NOON + timedelta(minutes=each)) for each in minutes]
    with warehouse.begin() as conn:
        write_funding(conn, [FundingRow(pair.id, each, Funding("BTC", Decimal("0.0001"))) for each in times])
        write_open_interest(conn, [OpenInterestRow(pair.id, each, OpenInterest("BTC", Decimal(7))) for each in times])


def test_context_of_less_than_a_minute_is_not_missed(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    recorded(warehouse, context_gap(pairs[BTC], 100))
    repair(warehouse, pairs[BTC], rest, Collected())
    assert [(gap.state, gap.detail) for gap in stored(warehouse)] == [("repaired", "no whole minute was missed")]


def test_context_whose_minutes_all_have_rows_is_whole(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    write_context(warehouse, pairs[BTC], 1, 2)
    recorded(warehouse, context_gap(pairs[BTC], 200))
    repair(warehouse, pairs[BTC], rest, Collected())
    (gap,) = stored(warehouse)
    assert (gap.state, gap.detail) == ("repaired", "every minute has its row: nothing is missing")


def test_context_is_lost_in_the_minutes_without_a_row_once_none_can_be_on_its_way(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    write_context(warehouse, pairs[BTC], 1, 4)
    recorded(warehouse, context_gap(pairs[BTC], 310))
    for _ in range(2):
        repair(warehouse, pairs[BTC], rest, Collected())
        assert [gap.state for gap in stored(warehouse)] == ["open"]
    repair(warehouse, pairs[BTC], rest, Collected())
    gap, lost = stored(warehouse)
    assert (gap.state, lost.state) == ("repaired", "unrepairable")
    assert (lost.start, lost.end) == (NOON + timedelta(minutes=2), NOON + timedelta(minutes=4))


def test_what_an_exchange_no_longer_serves_is_stated_with_its_span(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    recorded(warehouse, GapRecord(pairs[BTC].id, "candles", NOON, "start", end=END))
    rest.served_from = {"1m": to_ms(NOON + timedelta(minutes=4))}
    repair(warehouse, pairs[BTC], rest, Collected())
    gap, lost = stored(warehouse)
    assert (gap.state, lost.state, lost.interval) == ("repaired", "unrepairable", "1m")
    assert (lost.start, lost.end) == (NOON - timedelta(minutes=1), NOON + timedelta(minutes=4))


def test_trades_of_hyperliquid_are_unrepairable_and_its_candles_are_not(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    pair = pairs["hyperliquid/BTCUSD"]
    recorded(
        warehouse,
        GapRecord(pair.id, "candles", NOON, "disconnect", end=END),
        GapRecord(pair.id, "trades", NOON, "disconnect", end=END),
        GapRecord(pair.id, "context", NOON, "disconnect", end=END),
    )
    for _ in range(3):  # rows of funding and open interest may be on their way at first
        repair(warehouse, pair, rest, Collected())
    assert [gap.state for gap in stored(warehouse)] == ["repaired", "unrepairable", "unrepairable"]


def test_an_attempt_that_fails_half_way_goes_on_from_there(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    recorded(
        warehouse,
        GapRecord(pairs[BTC].id, "trades", NOON, "id_hole", end=END, first_id=1, last_id=4_000),
        GapRecord(pairs[BTC].id, "trades", NOON, "disconnect", end=END, first_id=2_000, last_id=12_000),
    )
    rest.newest = 20_000
    rest.faults = [None, None, ExchangeUnavailableError("503")]
    delivery = Collected()
    repair(warehouse, pairs[BTC], rest, delivery)
    hole, disconnect = stored(warehouse)
    assert (hole.state, disconnect.state, disconnect.first_id) == ("repaired", "open", 5_001)
    repair(warehouse, pairs[BTC], rest, delivery)
    assert [gap.state for gap in stored(warehouse)] == ["repaired", "repaired"]
    assert [each.trade_id for each in delivery.found_trades] == list(range(1, 12_001))


def test_without_a_streamer_candles_go_to_postgres_and_trades_to_the_lake_exactly_once(
    database_url: str, warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest, tmp_path: Path
) -> None:
    pair = pairs[BTC]
    platform = Platform.from_settings(load_settings(_env_file=None, market_data_dir=tmp_path), database_url)
    delivery = DirectDelivery(platform, Provenance("run-1", "repair-1"))
    rest.newest = 100
    rest.trades_from_ms = to_ms(datetime(2024, 3, 4, 23, 59, tzinfo=UTC))  # id 60 is of the next day
    for reason in ("disconnect", "stale"):  # the same twice
        recorded(
            warehouse,
            GapRecord(pair.id, "candles", NOON, reason, end=END),
            GapRecord(pair.id, "trades", NOON, reason, end=END, first_id=10, last_id=90),
        )
        repair(warehouse, pair, rest, delivery)
    assert {gap.state for gap in stored(warehouse)} == {"repaired"}

    with warehouse.connect() as conn:
        frame = read_candles(conn, pair.starlistings["1m"], to_ms(NOON) - 3_600_000, to_ms(END) + 3_600_000)
        days = {(each.layer, each.day): each.rows for each in load_unreported(conn, date(2024, 3, 31))}
    expected = [made_candle("BTCUSDT", parse_interval("1m"), to_ms(NOON) + each * 60_000) for each in range(-1, 10)]
    assert frame["time"].to_list() == [NOON + timedelta(minutes=each) for each in range(-1, 10)]
    assert frame["high"].to_list() == [each.high for each in expected]
    assert frame["volume"].to_list() == [Decimal("1.25")] * 11
    assert days["candles_1m", NOON.date()] == 11, "unchanged rows are not counted again"

    found: list[Trades] = []
    for day in (date(2024, 3, 4), date(2024, 3, 5)):
        keys = list_parts(TRADE_DAYS, platform.lake, "binance", "BTCUSDT", day)
        assert len(keys) == 1, "the same rows are the same part"
        found += [TRADE_FILE.decode(platform.lake.get(key)) for key in keys]
    ids = [int(each) for trades in found for each in trades.trade_id]
    assert ids == list(range(10, 91))
    platform.close()


def test_candles_with_more_digits_than_the_database_holds_are_refused_not_rounded(
    database_url: str, warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest, tmp_path: Path
) -> None:
    platform = Platform.from_settings(load_settings(_env_file=None, market_data_dir=tmp_path), database_url)
    delivery = DirectDelivery(platform, Provenance("run-1", "repair-1"))
    odd = made_candle("BTCUSDT", parse_interval("1m"), to_ms(NOON))
    price = Decimal("1.1234567890123456789")
    candle = Candle("BTCUSDT", "1m", odd.open_ms, odd.end_ms, price, price, price, price, odd.volume, 1, closed=True)
    delivery.candles(pairs[BTC], [candle], CandleRank.EXCHANGE)
    with pytest.raises(BadPayloadError, match="not a number of at most 20 digits"):
        asyncio.run(delivery.committed())
    platform.close()


def test_the_repairer_repairs_what_is_due_newest_first_and_knows_when_all_is_whole(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    pair, other = pairs[BTC], pairs["binance/BTCUSDT.P"]
    day = timedelta(days=1)
    recorded(
        warehouse,
        GapRecord(pair.id, "candles", NOON - day, "disconnect", end=END - day, interval="1m"),
        GapRecord(pair.id, "candles", NOON, "disconnect", end=END, interval="1m"),
        GapRecord(other.id, "candles", NOON, "disconnect", end=END),
        GapRecord(pairs["oanda/EURUSD"].id, "candles", NOON, "disconnect", end=END),
        GapRecord(pair.id, "candles", END, "disconnect"),
    )
    sink = ScriptedSink()
    repairer = Repairer("binance", rest, sink, warehouse, lambda: [pair])  # type: ignore[arg-type]  # all that it uses of a sink
    assert asyncio.run(repairer.repair_due()) == 2
    assert sink.found_candles[0].open_ms == to_ms(NOON - timedelta(minutes=1))
    assert [gap.state for gap in stored(warehouse)] == ["repaired", "repaired", "open", "open", "open"]
    assert asyncio.run(repairer.repair_due()) == 0
    assert (repairer.open_gaps, repairer.repaired) == (2, 2)
    assert repairer.is_healthy(3_600)
    assert not repairer.is_healthy(-1)


def test_the_repairer_goes_on_after_errors_and_stops_when_told(
    warehouse: Warehouse, pairs: dict[str, LivePair], rest: ScriptedRest
) -> None:
    pair = pairs[BTC]
    recorded(warehouse, GapRecord(pair.id, "trades", NOON, "id_hole", end=END, first_id=1, last_id=5))
    rest.newest = 100
    sink = ScriptedSink()
    looks, known = Counter[bool](), asyncio.Event()

    def ready() -> bool:
        looks[known.is_set()] += 1
        return known.is_set()

    async def scenario() -> None:
        repairer = Repairer("binance", rest, sink, warehouse, lambda: [pair], ready=ready, look_s=0.05)  # type: ignore[arg-type]  # see above
        task = asyncio.create_task(repairer.run())
        async with asyncio.timeout(30):
            await until(lambda: looks[False] > 2)
            assert repairer.repaired == 0, "nothing is repaired before the exchange's time is known"
            known.set()
            await until(lambda: repairer.repaired == 1)
            sink.takes = False
            await asyncio.to_thread(
                recorded, warehouse, GapRecord(pair.id, "trades", NOON, "id_hole", end=END, first_id=50, last_id=55)
            )
            looked = sink.looks
            await until(lambda: sink.looks > looked + 2)
            assert len(sink.found_trades) == 5, "nothing is repaired while nothing is taken in"
            sink.takes = True
            await until(lambda: repairer.repaired == 2)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(scenario())
    assert [each.trade_id for each in sink.found_trades] == [1, 2, 3, 4, 5, 50, 51, 52, 53, 54, 55]
    assert sink.found_trades[0] == made_trade("BTCUSDT", 1)

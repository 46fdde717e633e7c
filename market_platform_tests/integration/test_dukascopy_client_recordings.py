"""The client on real recordings: what it makes of them equals what Dukascopy and other programs made of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pytest

from market_platform.domain.candles import PRICE_COLUMNS, CandleUnits, candle_units, candles_from_ticks, roll_up_units
from market_platform.domain.clock import day_start_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.days import FetchedDay, HourState, Instrument
from market_platform.domain.intervals import DAY_MS, parse_interval
from market_platform.exchanges.dukascopy import bi5, jetta
from market_platform.exchanges.dukascopy.client import DukascopyClient
from market_platform.exchanges.dukascopy.config import DukascopyConfig
from market_platform_tests.fixtures.dukascopy_wire import instrument_json
from market_platform_tests.fixtures.scripted_exchange import Reply, ScriptedExchange
from market_platform_tests.recordings import recording

Result = TypeVar("Result")
Side = Literal["bid", "ask"]
HOUR_MS = 3_600_000


def from_archive(
    tmp_path: Path,
    symbol: str,
    price_scale: int,
    work: Callable[[DukascopyClient, Instrument], Coroutine[Any, Any, Result]],
) -> Result:
    """Work with a client on the recorded bi5 folder; the instrument's description lies in a folder too."""
    code = f"{symbol[:3]}-{symbol[3:]}"
    (tmp_path / "instruments").mkdir(exist_ok=True)
    (tmp_path / "instruments" / f"{code}.json").write_text(json.dumps(instrument_json(code, price_scale)))

    async def run() -> Result:
        config = DukascopyConfig(
            transport="bi5",
            json_url=tmp_path.as_uri(),
            bi5_url=recording("dukascopy").absolute().as_uri(),
            empty_delay_s=0,
        )
        async with asyncio.timeout(60), DukascopyClient(config) as client:
            return await work(client, await client.fetch_instrument(symbol))

    return asyncio.run(run())


def fetch_day(tmp_path: Path, symbol: str, price_scale: int, day: date) -> FetchedDay:
    return from_archive(tmp_path, symbol, price_scale, lambda client, instrument: client.fetch_day(instrument, day))


def assert_same_prices(ours: CandleUnits, theirs: CandleUnits) -> None:
    assert ours.time.tolist() == theirs.time.tolist()
    assert ours.price_scale == theirs.price_scale
    for column in PRICE_COLUMNS:
        assert getattr(ours, column).tolist() == getattr(theirs, column).tolist(), column


def float32_steps(ours: CandleUnits, theirs: CandleUnits) -> list[float]:
    """How many float32 steps apart the volumes are, in the millions that Dukascopy keeps them in."""
    mine, other = (
        (each.volume / 10 ** (6 + each.volume_scale)).astype(np.float32).astype(np.float64) for each in (ours, theirs)
    )
    return list(np.abs(mine - other) / np.spacing(other.astype(np.float32)))


@pytest.fixture(scope="module")
def eurusd(tmp_path_factory: pytest.TempPathFactory) -> FetchedDay:
    return fetch_day(tmp_path_factory.mktemp("eurusd"), "EURUSD", 5, date(2019, 2, 4))


def test_eurusd_day_is_complete(eurusd: FetchedDay) -> None:
    assert len(eurusd.ticks) == 136_741
    assert (eurusd.condition, eurusd.duplicates) == (Condition.AVAILABLE, 0)
    assert sum(hour.rows for hour in eurusd.hours) == 136_741
    assert (eurusd.ticks.price_scale, eurusd.ticks.volume_scale) == (5, 0)
    hundredths = 10_000  # Dukascopy quotes EURUSD volumes to a hundredth of a million
    assert (eurusd.ticks.bid_volume % hundredths == 0).all()
    assert (eurusd.ticks.ask_volume % hundredths == 0).all()


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_eurusd_minutes_from_ticks_equal_dukascopys_own(eurusd: FetchedDay, side: Side, tmp_path: Path) -> None:
    day = date(2019, 2, 4)
    theirs = from_archive(
        tmp_path, "EURUSD", 5, lambda client, instrument: client.fetch_minute_candles(instrument, day, side)
    )
    ours = candle_units(eurusd.ticks, parse_interval("1m"), side)
    assert_same_prices(ours, theirs)
    steps = float32_steps(ours, theirs)
    assert max(steps) <= 1
    assert sum(step > 0 for step in steps) <= 3  # their sums were added up in float32


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_eurusd_hours_and_day_from_ticks_equal_dukascopys_own(eurusd: FetchedDay, side: Side) -> None:
    day_start, folder = day_start_ms(date(2019, 2, 4)), recording("dukascopy/EURUSD/2019")
    hours = bi5.decode_candles(
        (folder / f"01/{side.upper()}_candles_hour_1.bi5").read_bytes(),
        day_start_ms(date(2019, 2, 1)),
        5,
        "hours",
        step_ms=HOUR_MS,
        length_ms=28 * DAY_MS,
    )
    days = bi5.decode_candles(
        (folder / f"{side.upper()}_candles_day_1.bi5").read_bytes(),
        day_start_ms(date(2019, 1, 1)),
        5,
        "days",
        step_ms=DAY_MS,
        length_ms=365 * DAY_MS,
    )
    for name, theirs in (("1h", hours), ("1d", days)):
        interval = parse_interval(name)
        ours = candle_units(eurusd.ticks, interval, side)
        assert_same_prices(ours, between(theirs, day_start, day_start + DAY_MS))
        assert max(float32_steps(ours, between(theirs, day_start, day_start + DAY_MS))) <= 1
        minutes = candle_units(eurusd.ticks, parse_interval("1m"), side)
        assert_same_prices(roll_up_units(minutes, interval), ours)


def between(candles: CandleUnits, start_ms: int, end_ms: int) -> CandleUnits:
    inside = (candles.time >= start_ms) & (candles.time < end_ms)
    columns = (candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume, candles.num_trades)
    time, open_, high, low, close, volume, num_trades = (column[inside] for column in columns)
    return CandleUnits(time, open_, high, low, close, volume, num_trades, candles.price_scale, candles.volume_scale)


def test_gbpjpy_weekend_of_2012_is_closed_until_sunday_22h(tmp_path: Path) -> None:
    saturday, sunday, monday = (fetch_day(tmp_path, "GBPJPY", 3, date(2012, 12, day)) for day in (1, 2, 3))
    assert (saturday.condition, len(saturday.ticks)) == (Condition.CLOSED, 0)
    assert [hour.state for hour in sunday.hours] == [HourState.CLOSED] * 22 + [HourState.FULL] * 2
    assert sunday.condition is Condition.AVAILABLE
    assert monday.condition is Condition.AVAILABLE
    assert (len(sunday.ticks), len(monday.ticks)) == (3649, 58_953)
    opening = candles_from_ticks(sunday.ticks, parse_interval("1d"), "bid").row(0, named=True)
    assert Decimal(130) < opening["low"] < opening["high"] < Decimal(135)
    assert opening["open"] == opening["open"].quantize(Decimal("0.001"))


BTCUSD_HOUR = day_start_ms(date(2023, 2, 20)) + 12 * HOUR_MS


def test_btcusd_hour_is_the_same_as_json_as_bi5_and_in_another_programs_words() -> None:
    json_file = recording("dukascopy/json_api/ticks-BTC-USD-2023-2-20-12.json")
    as_json = jetta.decode_ticks(json_file.read_bytes(), BTCUSD_HOUR, 1, "btc")
    as_bi5 = bi5.decode_ticks(
        recording("dukascopy/BTCUSD/2023/01/20/12h_ticks.bi5").read_bytes(), BTCUSD_HOUR, 1, "btc"
    )
    expected = json.loads(
        recording("dukascopy/expected/btcusd-tick-2023-02-20-2023-02-20.json").read_text(), parse_float=Decimal
    )
    assert len(as_json) == len(as_bi5) == len(expected) == 8523
    for ticks in (as_json, as_bi5):
        assert ticks.time.tolist() == [row["timestamp"] for row in expected]
        assert [Decimal(int(ask)) / 10 for ask in ticks.ask] == [row["askPrice"] for row in expected]
        assert [Decimal(int(bid)) / 10 for bid in ticks.bid] == [row["bidPrice"] for row in expected]
    assert (as_json.volume_scale, as_bi5.volume_scale) == (2, 0)  # bi5 has whole units, the JSON API hundredths
    sent = json.loads(json_file.read_text(), parse_float=Decimal)
    assert [Decimal(int(volume)) / 100 for volume in as_json.ask_volume] == sent["askVolumes"]
    assert [Decimal(int(volume)) / 100 for volume in as_json.bid_volume] == sent["bidVolumes"]
    assert np.rint(as_json.ask_volume / 100).tolist() == as_bi5.ask_volume.tolist()
    assert np.rint(as_json.bid_volume / 100).tolist() == as_bi5.bid_volume.tolist()


def test_btcusd_seconds_from_ticks_equal_another_programs() -> None:
    ticks = jetta.decode_ticks(
        recording("dukascopy/json_api/ticks-BTC-USD-2023-2-20-12.json").read_bytes(), BTCUSD_HOUR, 1, "btc"
    )
    expected = json.loads(
        recording("dukascopy/expected/btcusd-s1-bid-2023-02-20-2023-02-20.json").read_text(), parse_float=Decimal
    )
    second = type(parse_interval("1m"))(1, "1s")
    assert_prices_of(candle_units(ticks, second, "bid"), expected)


def assert_prices_of(ours: CandleUnits, expected: list[dict[str, Any]]) -> None:
    assert ours.time.tolist() == [row["timestamp"] for row in expected]
    for column in PRICE_COLUMNS:
        assert [Decimal(int(units)) / 10 for units in getattr(ours, column)] == [row[column] for row in expected], (
            column
        )


BTCUSD_DAY = day_start_ms(date(2023, 2, 19))


def test_btcusd_minutes_are_the_same_as_json_and_as_bi5() -> None:
    as_json = jetta.decode_candles(
        recording("dukascopy/json_api/candles-minute-BTC-USD-BID-2023-2-19.json").read_bytes(), BTCUSD_DAY, 1, "btc"
    )
    as_bi5 = bi5.decode_candles(
        recording("dukascopy/BTCUSD/2023/01/19/BID_candles_min_1.bi5").read_bytes(), BTCUSD_DAY, 1, "btc"
    )
    assert_same_prices(as_json, as_bi5)
    assert as_json.volume.tolist() == as_bi5.volume.tolist()
    assert as_json.volume_scale == as_bi5.volume_scale == 0


@pytest.mark.parametrize("name", ["1m", "5m", "15m", "30m"])
def test_btcusd_minutes_rolled_up_equal_another_programs(name: str) -> None:
    minutes = jetta.decode_candles(
        recording("dukascopy/json_api/candles-minute-BTC-USD-BID-2023-2-19.json").read_bytes(), BTCUSD_DAY, 1, "btc"
    )
    expected = json.loads(
        recording(f"dukascopy/expected/btcusd-m{name[:-1]}-bid-2023-02-19-2023-02-20.json").read_text(),
        parse_float=Decimal,
    )
    ours = roll_up_units(minutes, parse_interval(name))
    traded = [row for row in expected if row["timestamp"] in set(ours.time.tolist())]
    assert_prices_of(ours, traded)
    fillers = [row for row in expected if row not in traded]  # that program repeats the last close where nothing traded
    assert len(fillers) == (3 if name == "1m" else 0)
    assert all(len({row[column] for column in PRICE_COLUMNS}) == 1 for row in fillers)


def test_recorded_instrument_fetches_the_recorded_hour_over_http_in_both_formats() -> None:
    """The recorded description, list, tick answer and bi5 file, as a server sends them."""
    description = recording("dukascopy/json_api/instrument-BTC-USD.json").read_bytes()
    tick_json = recording("dukascopy/json_api/ticks-BTC-USD-2023-2-20-12.json").read_bytes()
    tick_bi5 = recording("dukascopy/BTCUSD/2023/01/20/12h_ticks.bi5").read_bytes()
    script = {
        "/v1/instruments/BTC-USD": Reply(description),
        "/v1/ticks/BTC-USD/2023/2/20/12": Reply(tick_json),
        "/datafeed/BTCUSD/2023/01/20/12h_ticks.bi5": Reply(tick_bi5),
    }

    async def run(transport: Literal["json", "bi5"]) -> FetchedDay:
        async with asyncio.timeout(60), ScriptedExchange(dict(script)) as server:
            config = DukascopyConfig(
                transport=transport, json_url=f"{server.url}/v1", bi5_url=f"{server.url}/datafeed", empty_delay_s=0
            )
            async with DukascopyClient(config) as client:
                return await client.fetch_day(await client.fetch_instrument("BTCUSD"), date(2023, 2, 20))

    as_json, as_bi5 = asyncio.run(run("json")), asyncio.run(run("bi5"))
    for day in (as_json, as_bi5):
        assert (len(day.ticks), day.condition) == (8523, Condition.DEGRADED)
        assert day.hours[12].state is HourState.FULL
        assert len(day.incomplete_hours) == 23
    assert as_json.ticks.time.tolist() == as_bi5.ticks.time.tolist()
    assert as_json.hours[12].raw_bytes == len(tick_json)


def test_recorded_empty_saturday_is_empty() -> None:
    body = recording("dukascopy/json_api/candles-minute-EUR-USD-BID-2026-7-11-empty.json").read_bytes()
    assert len(jetta.decode_candles(body, day_start_ms(date(2026, 7, 11)), 5, "eur")) == 0
    assert len(bi5.decode_ticks(recording("dukascopy/empty.bi5").read_bytes(), 0, 5, "empty")) == 0


def test_recorded_days_of_a_year_decode() -> None:
    body = recording("dukascopy/json_api/candles-day-BTC-USD-BID-2022.json").read_bytes()
    days = jetta.decode_candles(body, day_start_ms(date(2022, 1, 1)), 1, "btc", step_ms=DAY_MS, length_ms=365 * DAY_MS)
    assert len(days) == 365
    assert (days.high >= days.low).all()

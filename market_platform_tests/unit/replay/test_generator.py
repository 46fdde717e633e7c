"""Generated markets are plausible, complete, and made of nothing but their seed."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from market_platform.replay.addresses import bi5_address, json_address
from market_platform.replay.generator import GeneratorSource
from market_platform.replay.instruments import LISTED
from market_platform_tests.unit.replay.conftest import clock
from market_platform_tests.unit.replay.wire import Tick, at, bi5_ticks, float32, json_ticks, ms

Body = Callable[..., bytes]

WEEKDAY = date(2024, 7, 3)


def day_of_ticks(json_body: Body, code: str, day: date) -> list[list[Tick]]:
    """A day's 24 hours."""
    return [json_ticks(json_body(f"ticks/{code}/{day.year}/{day.month}/{day.day}/{hour}")) for hour in range(24)]


def filled(hours: list[list[Tick]]) -> list[int]:
    """Hours with ticks."""
    return [hour for hour, ticks in enumerate(hours) if ticks]


@pytest.mark.parametrize("symbol", list(LISTED))
def test_quotes_are_sorted_never_crossed_and_inside_their_hour(symbol: str, json_body: Body) -> None:
    for hour, ticks in enumerate(day_of_ticks(json_body, LISTED[symbol].code, WEEKDAY)):
        times = [tick.time for tick in ticks]
        start = at(WEEKDAY, hour)
        assert times == sorted(set(times))
        assert all(start <= moment < start + 3_600_000 for moment in times)
        assert all(0 < tick.bid < tick.ask for tick in ticks)
        assert all(0 < volume < 16_000_000 for tick in ticks for volume in (tick.ask_volume, tick.bid_volume))


@pytest.mark.parametrize("symbol", list(LISTED))
def test_both_transports_carry_the_same_ticks(symbol: str, json_body: Body, bi5_body: Body) -> None:
    for hour in (3, 13, 21):
        start = at(WEEKDAY, hour)
        by_json = json_ticks(json_body(f"ticks/{LISTED[symbol].code}/2024/7/3/{hour}"))
        by_bi5 = bi5_ticks(bi5_body(f"{symbol}/2024/06/03/{hour:02d}h_ticks.bi5"), start)
        assert [(t.time, t.ask, t.bid) for t in by_json] == [(t.time, t.ask, t.bid) for t in by_bi5]
        for mine, theirs in zip(by_json, by_bi5, strict=True):
            assert round(mine.ask_volume) == theirs.ask_volume
            assert round(mine.bid_volume) == theirs.bid_volume
            if symbol != "BTCUSD":
                assert mine.ask_volume == theirs.ask_volume
                assert float32(mine.ask_volume / 1_000_000) == float32(theirs.ask_volume / 1_000_000)


def test_bitcoin_is_quoted_in_hundredths_over_json(json_body: Body) -> None:
    volumes = {tick.ask_volume for tick in json_ticks(json_body("ticks/BTC-USD/2024/7/3/12"))}
    assert any(volume != round(volume) for volume in volumes)
    assert all(volume * 100 == round(volume * 100) for volume in volumes)


def test_a_weekday_of_eurusd_has_a_usual_number_of_ticks(json_body: Body) -> None:
    for day in (date(2016, 5, 10), date(2020, 3, 4), date(2023, 10, 13), date(2026, 11, 19)):
        count = sum(map(len, day_of_ticks(json_body, "EUR-USD", day)))
        assert 40_000 <= count <= 140_000, day


def test_london_and_new_york_are_busier_than_the_night_and_rollover_is_wider(json_body: Body) -> None:
    hours = day_of_ticks(json_body, "EUR-USD", date(2024, 1, 17))
    spread = [sum(tick.ask - tick.bid for tick in ticks) / len(ticks) for ticks in hours]
    assert len(hours[14]) > 2 * len(hours[3])
    assert spread[22] > 2.5 * spread[10]
    assert max(range(24), key=spread.__getitem__) == 22  # 17:00 in New York, in winter


def test_prices_are_continuous_from_hour_to_hour(json_body: Body) -> None:
    hours = day_of_ticks(json_body, "USD-JPY", WEEKDAY) + day_of_ticks(json_body, "USD-JPY", WEEKDAY + timedelta(1))
    spread = 4
    for before, after in pairwise(hours):
        assert abs(after[0].bid - before[-1].bid) < 12 * spread


def test_a_cross_is_the_product_of_its_legs(json_body: Body) -> None:
    for hour in (2, 9, 15):
        legs = [json_ticks(json_body(f"ticks/{code}/2024/7/3/{hour}"))[-1] for code in ("GBP-USD", "USD-JPY")]
        cross = json_ticks(json_body(f"ticks/GBP-JPY/2024/7/3/{hour}"))[-1]
        product = (legs[0].bid + legs[0].ask) / 2e5 * (legs[1].bid + legs[1].ask) / 2e3
        assert (cross.bid + cross.ask) / 2e3 == pytest.approx(product, rel=2e-4)


def test_the_forex_week_follows_new_yorks_clock(json_body: Body) -> None:
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 1, 19))) == list(range(22))  # Friday, winter
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 1, 20))) == []
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 1, 21))) == [22, 23]
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 7, 19))) == list(range(21))  # Friday, summer
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 7, 21))) == [21, 22, 23]
    # New York's clocks change on 10 March 2024, two weeks before London's
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 3, 8))) == list(range(22))
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 3, 10))) == [21, 22, 23]
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 11, 1))) == list(range(21))
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 11, 3))) == [22, 23]


def test_metals_pause_for_an_hour_and_bitcoin_never_does(json_body: Body) -> None:
    assert filled(day_of_ticks(json_body, "XAU-USD", date(2024, 1, 17))) == [hour for hour in range(24) if hour != 22]
    assert filled(day_of_ticks(json_body, "XAU-USD", date(2024, 7, 17))) == [hour for hour in range(24) if hour != 21]
    assert filled(day_of_ticks(json_body, "BTC-USD", date(2024, 7, 20))) == list(range(24))


def test_christmas_and_new_year_are_closed(json_body: Body) -> None:
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 12, 25))) == [*range(8), 22, 23]
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2024, 12, 31))) == list(range(22))
    assert filled(day_of_ticks(json_body, "EUR-USD", date(2025, 1, 1))) == [22, 23]
    assert filled(day_of_ticks(json_body, "BTC-USD", date(2025, 1, 1))) == list(range(14, 24))


def test_history_begins_in_2015_and_ends_with_yesterday(json_body: Body, bi5_body: Body) -> None:
    assert filled(day_of_ticks(json_body, "BTC-USD", date(2014, 12, 31))) == []
    assert filled(day_of_ticks(json_body, "BTC-USD", date(2026, 11, 19))) == list(range(24))
    assert filled(day_of_ticks(json_body, "BTC-USD", date(2026, 11, 20))) == []
    assert filled(day_of_ticks(json_body, "BTC-USD", date(2030, 1, 8))) == []
    assert bi5_body("BTCUSD/2026/10/20/10h_ticks.bi5") == b""
    assert json_ticks(json_body("ticks/BTC-USD", ms(2026, 11, 20, 20))) == []
    assert json_ticks(json_body("ticks/BTC-USD", ms(2026, 11, 19, 20))) == json_ticks(
        json_body("ticks/BTC-USD/2026/11/19/20")
    )


def test_what_was_today_is_published_tomorrow() -> None:
    now = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
    source = GeneratorSource(7, lambda: now)
    address = bi5_address("EURUSD/2026/10/20/10h_ticks.bi5")
    minutes = json_address("candles/minute/EUR-USD/BID/2026/11/20")
    assert address is not None
    assert minutes is not None
    assert source.bi5_body(address) == b""
    before = source.json_body(minutes)
    now += timedelta(minutes=2)
    assert source.bi5_body(address)
    assert source.json_body(minutes) != before


def test_the_order_of_asking_changes_nothing() -> None:
    paths = [
        f"ticks/{code}/2024/{month}/5/{hour}" for code in ("EUR-USD", "EUR-JPY") for month in (2, 9) for hour in (1, 14)
    ]
    paths += ["candles/minute/EUR-USD/BID/2024/2/5", "candles/hour/EUR-JPY/ASK/2024/9"]

    def bodies(order: list[str]) -> dict[str, bytes | None]:
        source = GeneratorSource(11, clock)
        return {path: source.json_body(address) for path in order if (address := json_address(path)) is not None}

    forward = bodies(paths)
    shuffled = paths.copy()
    random.Random(5).shuffle(shuffled)
    assert len(forward) == len(paths)
    assert bodies(shuffled) == forward
    assert bodies(paths[::-1]) == forward


_OTHER_PROCESS = """
import hashlib, datetime
from market_platform.replay.generator import GeneratorSource
from market_platform.replay.addresses import json_address, bi5_address
source = GeneratorSource(7, lambda: datetime.datetime(2027, 3, 1, tzinfo=datetime.UTC))
parts = [source.bi5_body(bi5_address("GBPJPY/2024/06/03/13h_ticks.bi5")), source.json_body(json_address("ticks/GBP-JPY/2024/7/3/13"))]
print(hashlib.sha256(b"".join(parts)).hexdigest())
"""


def test_another_process_on_another_day_makes_the_same_bytes(json_body: Body, bi5_body: Body) -> None:
    mine = bi5_body("GBPJPY/2024/06/03/13h_ticks.bi5") + json_body("ticks/GBP-JPY/2024/7/3/13")
    done = subprocess.run(
        [sys.executable, "-c", _OTHER_PROCESS],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONHASHSEED": "99"},
    )
    assert done.stdout.strip() == hashlib.sha256(mine).hexdigest()


def test_another_seed_is_another_market() -> None:
    address = json_address("ticks/EUR-USD/2024/7/3/13")
    assert address is not None
    assert GeneratorSource(7, clock).json_body(address) != GeneratorSource(8, clock).json_body(address)


def test_a_day_is_made_quickly() -> None:
    fastest = min(_seconds_for_a_day(GeneratorSource(seed, clock)) for seed in range(3))
    assert fastest < 2


def _seconds_for_a_day(source: GeneratorSource) -> float:
    began = time.process_time()
    for hour in range(24):
        address = json_address(f"ticks/EUR-USD/2024/7/3/{hour}")
        assert address is not None
        assert source.json_body(address)
    return time.process_time() - began

"""Everything that can break, broken at random while four exchanges stream; at the end nothing is missing and nothing twice.

`CHAOS_SECONDS=600 CHAOS_SEED=…` makes it longer, and the same again. The exchanges' time runs ten times as fast as ours, so
that a minute of ours closes ten of their candles.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from market_platform_tests.e2e.live_truth import (
    recorded_trades,
    stored_candles,
    stored_trades,
    true_candles,
    true_trades,
)
from market_platform_tests.e2e.live_world import LiveWorld, live_world
from market_platform_tests.e2e.stack import wait_until
from market_platform_tests.e2e.ws_follower import Follower
from market_platform_tests.recordings import recordings_dir

SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
SPEED = 10.0

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(SECONDS + 1200)]

RECORDED = {"binance/BTCUSDT": "spot/btcusdt_20240808.gz", "binance/ETHUSDT.P": "usdm/ethusdt_20240808.gz"}
"""Pairs that are played where the recordings are there: their trades only, as there are no candles in them."""

EXCHANGES = ("binance/spot", "binance/usdm", "hyperliquid/ws", "oanda/v3/accounts")
STREAMS = ("btcusdt@aggTrade", "btcusdt@kline_1m", "ethusdt@aggTrade", "candle", "trades", "EUR_USD")
CONNECTION_FAULTS = ("drop", "close_1006", "half_open", "server_shutdown", "cut", "delay", "refuse")
MESSAGE_FAULTS = ("duplicate", "reorder", "corrupt", "hole")
REST_FAULTS = ("429", "503", "reset", "truncate")
REST = ("api/v3/klines", "api/v3/aggTrades", "fapi/v1/", "hyperliquid/info", "oanda/v3/instruments")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LiveWorld]:
    there = (recordings_dir() / "binance" / "hftbacktest").is_dir()
    recordings = recordings_dir() if there else None  # without them those pairs are generated like the others
    with live_world(tmp_path, speed=SPEED, recordings=recordings) as made:
        yield made


def test_nothing_is_lost_and_nothing_twice(world: LiveWorld) -> None:
    seed = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(1_000_000))))
    print(f"CHAOS_SEED={seed} CHAOS_SECONDS={SECONDS:g}")
    dice = random.Random(seed)
    listings = {row[0]: f"{row[1]}/{row[2]}/{row[3]}" for row in world.rows(LISTINGS)}
    one_minute = [each for each, name in listings.items() if name.endswith("/1m")]
    recorded = {} if world.recordings is None else RECORDED
    generated = {each: name for each, name in listings.items() if name.rpartition("/")[0] not in recorded}
    open_always = [
        each for each in one_minute if each in generated and "oanda" not in generated[each]
    ]  # but for weekends
    wait_until(
        "every pair has closed candles",
        lambda: all(
            world.rows("SELECT count(*) FROM candles WHERE starlisting_id = %s", each)[0][0] for each in open_always
        ),
        240,
    )
    lake = world.lake()
    wait_until(
        "trades of every recorded pair are in the lake",
        lambda: all(any(lake.list(f"trades/{name.partition('/')[2]}/")) for name in recorded),
        240,
    )
    followers = [Follower(world.api_url, one_minute) for _ in range(3)]
    done = misbehave(world, dice, followers)
    print(f"did {dict(done)}")

    world.clear_faults()
    wait_until("the API answers again", lambda: world.answers(f"{world.api_url}/readyz"), 120)
    wait_until("the streamer answers again", lambda: world.answers(f"{world.metrics_url}/health"), 120)
    try:
        wait_until("every gap is closed", lambda: not open_gaps(world), 240)
    except AssertionError as error:
        shown = "\n".join(map(str, open_gaps(world)))
        raise AssertionError(f"{error}:\n{shown}\n{world.tail('streamer')}") from None
    lasts = {each: max(follower.last.get(each, 0) for follower in followers) for each in one_minute}
    wait_until(
        "every follower is as far as any",
        lambda: all(each.last.get(listing, 0) >= seq for each in followers for listing, seq in lasts.items()),
        240,
    )
    wait_until("candles without a flag are confirmed, but for the newest", lambda: not world.rows(UNCONFIRMED), 240)
    for each in followers:
        each.stop()
        assert each.mistakes == []
        assert each.resyncs == 0
        assert all(numbers == sorted(set(numbers)) for numbers in each.seen.values())
    code, _ = world.stop_streamer()
    assert code == 0, world.tail("streamer")

    for listing, name in generated.items():
        stored = stored_candles(world, listing)
        assert stored or name.startswith("oanda"), name
        if stored:
            assert stored == true_candles(world, name, stored[0].time_ms, stored[-1].time_ms), name
    for pair in sorted({name.rpartition("/")[0] for name in listings.values() if not name.startswith("oanda")}):
        trades = stored_trades(world, pair)
        assert len(trades) > 100, pair
        if pair in recorded and world.recordings is not None:
            truth = recorded_trades(world.recordings / "binance" / "hftbacktest" / recorded[pair])
            assert trades[0] in truth
        else:
            truth = true_trades(world, pair, trades[0].time_ms, trades[-1].time_ms)
        if pair.startswith(
            "binance"
        ):  # whose REST side gives every trade back; of the first and last moment only some may be here
            truth = [each for each in truth if trades[0].trade_id <= each.trade_id <= trades[-1].trade_id]
            assert trades == truth, pair
        else:
            assert len({each.trade_id for each in trades}) == len(trades)
            assert set(trades) <= set(truth), pair
    assert world.rows(LOST_ON_BINANCE) == []


UNCONFIRMED = """
SELECT starlisting_id, "time" FROM candles WHERE source < 30 AND
    (SELECT count(*) FROM candles AS later WHERE later.starlisting_id = candles.starlisting_id AND later."time" > candles."time") >= 2
"""
LOST_ON_BINANCE = """
SELECT gaps.id, unrepairable FROM gaps JOIN trading_pairs ON trading_pairs.id = trading_pair_id
JOIN exchanges ON exchanges.id = exchange_id WHERE unrepairable IS NOT NULL AND exchanges.code = 'binance'
AND kind IN ('candles', 'trades')
"""

LISTINGS = """
SELECT starlistings.id, exchanges.code, symbol, intervals.name FROM starlistings
JOIN trading_pairs ON trading_pairs.id = trading_pair_id JOIN exchanges ON exchanges.id = exchange_id
JOIN intervals ON intervals.id = interval_id WHERE starlistings.active ORDER BY 1
"""


OPEN_GAPS = """
SELECT gaps.*, exchanges.code || '/' || symbol FROM gaps JOIN trading_pairs ON trading_pairs.id = trading_pair_id
JOIN exchanges ON exchanges.id = exchange_id WHERE repaired_at IS NULL AND unrepairable IS NULL
"""


def open_gaps(world: LiveWorld) -> list[tuple[object, ...]]:
    """All but those of what no recording has: candles, of which there is another every minute, and funding."""
    recorded = () if world.recordings is None else tuple(RECORDED)
    return [row for row in world.rows(OPEN_GAPS) if not (row[-1] in recorded and row[2] in ("candles", "context"))]


def misbehave(world: LiveWorld, dice: random.Random, followers: list[Follower]) -> Counter[str]:
    """Something goes wrong every second or two; returns what did."""
    done: Counter[str] = Counter()

    def connection() -> None:
        world.fault(dice.choice(EXCHANGES), dice.choice(CONNECTION_FAULTS), seconds=dice.uniform(1, 5))

    def messages() -> None:
        world.fault(dice.choice(STREAMS), dice.choice(MESSAGE_FAULTS), times=dice.randint(1, 5))

    def answers() -> None:
        world.fault(dice.choice(REST), dice.choice(REST_FAULTS), times=dice.randint(1, 3), seconds=1)

    def postgres() -> None:
        world.restart_postgres(dice.uniform(0, 4))

    def lake() -> None:
        world.lake_proxy.refuse()
        time.sleep(dice.uniform(1, 5))
        world.lake_proxy.restore()

    def clients() -> None:
        dice.choice(followers).drop()

    acts: list[tuple[Callable[[], None], int]] = [
        (connection, 6),
        (messages, 6),
        (answers, 4),
        (clients, 3),
        (lake, 2),
        (postgres, 1),
        (world.kill_streamer, 1),
    ]
    end = time.monotonic() + SECONDS
    must = [world.kill_streamer, postgres, lake]  # whatever the dice say
    while time.monotonic() < end:
        act = (
            must.pop()
            if must and dice.random() < 0.3
            else dice.choices([act for act, _ in acts], [n for _, n in acts])[0]
        )
        act()
        done[act.__name__] += 1
        time.sleep(dice.uniform(0.5, 2))
    return done

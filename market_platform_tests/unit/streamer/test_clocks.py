"""What time it is at an exchange: before it says so, when our own clock is wrong or jumps, over a weekend."""

from __future__ import annotations

from decimal import Decimal

import pytest

from market_platform.domain.events import Funding, Quote
from market_platform.domain.live import Channel, LivePair
from market_platform_tests.fixtures.memory_sink import NOON_MS, made_candle, made_pair, made_trade
from market_platform_tests.fixtures.router_world import HYPERLIQUID, MINUTE, OANDA, World
from streamer.routing.waiting import DOUBT_S

HOUR = 60 * MINUTE
HOURS_AHEAD = 11 * HOUR


def test_before_its_first_event_nobody_says_what_time_it_is_at_an_exchange() -> None:
    world = World(HYPERLIQUID, ahead_ms=None)
    mine = world.start(Channel.CANDLES, Channel.TRADES)
    world.later(30_000)
    assert [gap.end_ms for gap in world.gaps.of("candles", "start")] == [None]
    there_ms = world.now_ms - HOURS_AHEAD
    world.receive(made_trade(1, there_ms))
    (gap,) = world.gaps.of("candles", "start")
    assert [gap.end_ms] == [None], "it may have begun with what is long over"
    world.later(1_000)
    assert gap.end_ms == max(there_ms + 1_000, gap.start_ms)
    world.later(MINUTE)
    world.router.lost("spot-1", mine, "disconnect")
    (lost,) = world.gaps.of("candles", "disconnect")
    assert lost.start_ms < there_ms + MINUTE


def test_what_has_no_time_of_its_own_waits_for_the_exchange_s() -> None:
    world = World(HYPERLIQUID, ahead_ms=None)
    world.start(Channel.CANDLES, Channel.CONTEXT, Channel.TRADES)
    there_ms = NOON_MS - HOURS_AHEAD
    world.receive(
        made_candle(0, None, open_ms=there_ms, end_ms=there_ms + MINUTE, event_ms=None),
        Funding("BTCUSDT", Decimal("0.0001")),
    )
    world.later(40_000)
    assert (world.shown, world.asked) == ([], [])
    world.receive(made_trade(1, there_ms + 40_000))
    world.later(1_000)
    assert {candle.open_ms for _, candle in world.shown} == {there_ms}
    world.later(2 * MINUTE)
    assert {minute_ms for minute_ms, _ in world.sink.kept_funding} == {there_ms}
    assert world.asked[0] == ("1m", there_ms, there_ms + MINUTE), "it is over by the exchange's time"
    assert all(end_ms <= there_ms + 3 * MINUTE for _, _, end_ms in world.asked)


def test_what_a_connection_begins_with_is_not_its_time_when_another_event_says_so() -> None:
    world = World(ahead_ms=None)
    world.start(Channel.CANDLES, Channel.TRADES)
    world.receive(made_trade(1, NOON_MS - 500 * 24 * HOUR))
    assert world.sink.kept_trades == []
    world.receive(made_trade(2, NOON_MS))
    assert world.sink.trade_ids() == [1, 2]
    (gap,) = world.gaps.of("candles", "start")
    assert gap.end_ms == NOON_MS
    world.later(MINUTE)
    assert world.gaps.of("candles", "missing_candle") == []


def test_an_exchange_that_tells_no_time_for_a_minute_has_ours() -> None:
    world = World(ahead_ms=None)
    world.start(Channel.CANDLES)
    world.later(59_000)
    (gap,) = world.gaps.gaps
    assert gap.end_ms is None
    world.later(1_000)
    assert gap.end_ms == world.now_ms


def test_what_is_lost_again_before_the_exchange_told_its_time_stays_missed() -> None:
    world = World(ahead_ms=None)
    mine = world.start(Channel.CANDLES)
    world.router.lost("spot-1", mine, "disconnect")
    world.receive(made_trade(1))
    (gap,) = world.gaps.of("candles", "start")
    assert gap.end_ms is None
    world.router.live("spot-1", mine)
    assert gap.end_ms is not None


def price(time_ms: int, bid: str = "1.10") -> Quote:
    return Quote("BTCUSDT", Decimal(bid), Decimal("1.11"), Decimal(1), Decimal(1), time_ms)


# ------------------------------------------------------------------------------------------------ our own clock was all


@pytest.mark.parametrize("ours_ms", [10 * MINUTE, -10 * MINUTE, 3 * HOUR])
def test_what_went_by_our_wrong_clock_is_dated_anew_when_the_exchange_speaks(ours_ms: int) -> None:
    world = World(HYPERLIQUID, ahead_ms=None, ours_ms=ours_ms)
    world.start(Channel.CANDLES, Channel.CONTEXT)
    world.later(MINUTE)  # nobody has said a time: ours has to do
    (first,) = world.gaps.of("candles", "start")
    assert first.end_ms == world.now_ms + ours_ms
    world.receive(Funding("BTCUSDT", Decimal("0.0001")))
    speaks_ms = world.now_ms
    for _ in range(4):
        world.router.told(world.now_ms)
        world.later(5_000)
    again = world.gaps.of("candles", "start")[-1]
    assert again.start_ms == NOON_MS - 11 * MINUTE, "and what closed just before"
    assert again.end_ms is not None
    assert speaks_ms <= again.end_ms <= world.now_ms
    assert "our clock was" in again.detail
    world.later(MINUTE - 20_000)
    open_ms = world.now_ms
    world.receive(
        Funding("BTCUSDT", Decimal("0.0002")),
        made_candle(0, None, open_ms=open_ms, end_ms=open_ms + MINUTE, event_ms=None),
    )
    world.later(2 * MINUTE)
    assert open_ms in world.sink.opens(), "nothing of now counts as old"
    assert any(row.funding_rate == Decimal("0.0002") for _, row in world.sink.kept_funding)


def test_a_clock_of_ours_that_was_right_dates_nothing_anew() -> None:
    world = World(ahead_ms=None)
    world.start(Channel.CANDLES)
    world.later(MINUTE)
    world.receive(made_trade(1, world.now_ms - 300))
    assert len(world.gaps.gaps) == 1


def test_a_pair_of_which_nothing_is_stored_begins_six_hours_before_the_exchange_s_now() -> None:
    world = World(HYPERLIQUID, ahead_ms=None)
    world.known = None
    world.start(Channel.CANDLES)
    there_ms = NOON_MS - HOURS_AHEAD
    world.receive(made_trade(1, there_ms - 1_000))
    world.later(1_000)
    spans = [(gap.start_ms, gap.end_ms) for gap in world.gaps.of("candles", "start")]
    assert (there_ms - 6 * HOUR, there_ms) in spans
    world.router.lost("spot-1", world.subscriptions(Channel.CANDLES), "disconnect")
    world.router.live("spot-1", world.subscriptions(Channel.CANDLES))
    assert len(world.gaps.of("candles", "start")) == len(spans), "once"


# ------------------------------------------------------------------------------------------ our own clock says the future


def test_an_exchange_whose_every_event_is_of_our_future_is_right() -> None:
    world = World(ahead_ms=None, ours_ms=-HOUR)
    world.start(Channel.TRADES, Channel.CANDLES)
    for number in range(1, 14):
        world.receive(made_trade(number, world.now_ms))
        world.later(1_000)
    assert world.sink.letters == []
    assert world.sink.trade_ids() == list(range(1, 14))
    assert world.router.clock.now() == pytest.approx(world.now_ms, abs=1_100)
    (gap,) = world.gaps.of("candles")
    assert gap.end_ms == pytest.approx(NOON_MS + int(DOUBT_S * 1000), abs=1_100)


def test_candles_that_tell_no_time_wait_with_the_others_of_our_future() -> None:
    world = World(HYPERLIQUID, ahead_ms=None, ours_ms=-HOUR)
    world.start(Channel.TRADES, Channel.CANDLES)
    first = made_candle(0, None, event_ms=None)
    world.receive(first)
    for number in range(1, 14):
        world.receive(made_trade(number, world.now_ms))
        world.later(1_000)
    world.later(MINUTE)
    assert world.sink.letters == []
    assert world.sink.opens() == [first.open_ms]


def test_a_candle_of_the_future_that_tells_no_time_is_a_dead_letter_too() -> None:
    world = World(HYPERLIQUID)
    world.receive(made_candle(90, None, event_ms=None))
    world.later(int(DOUBT_S * 1000))
    assert [each.reason for each in world.sink.letters] == ["a time in the future"]


def test_the_times_of_heartbeats_alone_put_a_wrong_clock_right() -> None:
    world = World(OANDA, ahead_ms=None, ours_ms=-HOUR)
    for _ in range(4):
        world.router.told(world.now_ms)
        world.later(5_000)
    assert world.router.clock.now() == world.now_ms


def test_events_of_the_future_that_contradict_each_other_are_refused() -> None:
    world = World(ahead_ms=None)
    for hours in range(1, 5):
        world.receive(made_trade(hours, world.now_ms + hours * HOUR))
        world.later(4_000)
    world.receive(made_trade(9, world.now_ms))
    assert len(world.sink.letters) == 4
    assert world.sink.trade_ids() == [9]


def test_one_event_of_the_future_is_refused_by_the_next_of_now() -> None:
    world = World()
    world.receive(made_trade(1, NOON_MS + HOUR))
    assert (world.sink.letters, world.sink.trade_ids()) == ([], [])
    world.receive(made_trade(2, NOON_MS))
    assert [each.reason for each in world.sink.letters] == ["a time in the future"]
    assert world.sink.trade_ids() == [2]


def test_one_event_of_the_future_after_which_nothing_comes_is_refused_all_the_same() -> None:
    world = World()
    world.receive(made_trade(1, NOON_MS + HOUR))
    world.later(int(DOUBT_S * 1000))
    assert len(world.sink.letters) == 1
    assert world.router.clock.now() == world.now_ms


def test_our_clock_may_jump_while_the_exchange_s_goes_on() -> None:
    for ours_ms in (-HOUR, HOUR, 10 * MINUTE):
        world = World()
        mine = world.start(Channel.TRADES, Channel.CANDLES)
        world.receive(made_trade(1, world.now_ms))
        world.ours_ms = ours_ms
        world.later(1_000)
        world.receive(made_trade(2, world.now_ms))
        assert world.sink.trade_ids() == [1, 2]
        assert world.sink.letters == []
        assert world.router.clock.now() == world.now_ms
        world.router.lost("spot-1", mine, "disconnect")
        (gap,) = world.gaps.of("candles", "disconnect")
        assert gap.start_ms == NOON_MS - MINUTE


def test_a_time_that_an_event_tells_beside_its_own_moves_no_clock_into_the_future() -> None:
    world = World()
    world.receive(made_candle(0, closed=True, event_ms=NOON_MS + 100 * HOUR), made_trade(1, NOON_MS))
    assert world.sink.opens() == [NOON_MS]
    assert world.router.clock.now() == NOON_MS


# ---------------------------------------------------------------------------------------------------- what is of before


def test_what_a_connection_begins_with_never_sets_the_clock_back() -> None:
    world = World(HYPERLIQUID)
    world.start(Channel.TRADES, Channel.CONTEXT)
    world.later(5 * MINUTE)  # a quiet market
    world.receive(made_trade(1, NOON_MS - MINUTE), timely=False)
    assert world.router.clock.now() == world.now_ms
    world.receive(made_trade(2, world.now_ms + 400), timely=False)
    assert world.router.clock.now() == world.now_ms + 400, "it may be later than we thought"


def test_at_a_weekend_friday_s_price_is_old_and_a_heartbeat_says_so() -> None:
    pair = made_pair(1, "1m", "1h")
    world = World(OANDA, pair, ahead_ms=None)
    friday_ms = NOON_MS - 14 * HOUR
    world.known = friday_ms - HOUR
    world.start(Channel.QUOTES)
    world.receive(price(friday_ms), timely=False)
    world.later(1_000)
    assert [gap.end_ms for gap in world.gaps.of("candles", "start")] == [friday_ms + 1_000]
    assert world.sink.kept_quotes == [price(friday_ms)]
    world.router.told(world.now_ms)
    assert world.router.clock.now() == world.now_ms
    world.later(HOUR)
    world.router.told(world.now_ms)
    world.receive(price(friday_ms), timely=False)  # another connection begins with it
    assert world.router.clock.now() == world.now_ms
    assert world.sink.kept_quotes == [price(friday_ms)]


def test_candles_that_are_asked_for_have_no_hole_between_the_gap_and_the_first_that_ends() -> None:
    pair: LivePair = made_pair(1, "1m", "1h")
    world = World(OANDA, pair)
    world.later(59_900)
    world.start(Channel.QUOTES)
    (gap,) = world.gaps.of("candles", "start")
    assert gap.end_ms == NOON_MS + 59_900
    assert world.asked == [("1m", NOON_MS, NOON_MS + MINUTE), ("1h", NOON_MS, NOON_MS + HOUR)]

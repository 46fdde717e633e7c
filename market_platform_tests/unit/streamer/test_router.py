"""From events to rows, gaps and frames, for one exchange."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from market_platform.domain.events import Event, Funding, OpenInterest, Quote
from market_platform.domain.live import Channel, Subscription
from market_platform.domain.ranks import CandleRank
from market_platform_tests.fixtures.memory_sink import (
    NOON_MS,
    made_candle,
    made_pair,
    made_trade,
)
from market_platform_tests.fixtures.router_world import HYPERLIQUID, MINUTE, OANDA, World
from streamer.sink import IntakeStoppedError


def test_duplicates_late_and_reordered_trades_count_once() -> None:
    world = World()
    trades = [made_trade(each, NOON_MS + each) for each in range(100)]
    sent = [each for trade in trades for each in (trade, trade)]
    random.Random(3).shuffle(sent)
    world.receive(*sent)
    world.later(10_000)
    assert sorted(world.sink.trade_ids()) == list(range(100))
    assert world.gaps.of("trades") == []


def test_a_hole_in_trade_ids_is_a_gap_once_its_grace_is_over() -> None:
    world = World(durable=6)
    world.receive(made_trade(7), made_trade(8), made_trade(12, NOON_MS + 50))
    world.later(500)
    assert [gap.end_ms for gap in world.gaps.of("trades")] == [None], (
        "they may still come, but a kill does not forget them"
    )
    world.later(2_500)
    world.later(2_500)
    (gap,) = world.gaps.of("trades", "id_hole")
    assert (gap.first_id, gap.last_id) == (9, 11)
    assert gap.start_ms <= NOON_MS
    assert gap.end_ms is not None
    world.receive(made_trade(10))  # and still it counts when it comes
    assert world.sink.trade_ids() == [7, 8, 12, 10]


def test_a_trade_that_comes_late_enough_leaves_no_gap() -> None:
    world = World()
    world.receive(made_trade(1), made_trade(3))
    world.later(1_000)
    world.receive(made_trade(2))
    world.later(5_000)
    assert world.gaps.missed("trades") == []
    assert all(gap.end_ms is not None for gap in world.gaps.gaps)


def test_a_hole_is_noted_before_the_trades_after_it_are_kept() -> None:
    world = World(durable=6)
    world.receive(made_trade(7))
    world.sink.stopped = True
    with pytest.raises(IntakeStoppedError):
        world.receive(made_trade(12))
    (gap,) = world.gaps.of("trades", "id_hole")
    assert (gap.first_id, gap.last_id, gap.end_ms) == (8, 11, None)
    world.sink.stopped = False
    world.router.lost("spot-1", world.subscriptions(Channel.TRADES), "intake_stopped")
    world.later(0)
    assert gap.end_ms is not None
    assert world.gaps.missed("trades")[0] == gap


def test_a_hole_of_which_a_part_comes_is_missed() -> None:
    world = World(durable=6)
    world.receive(made_trade(7), made_trade(12))
    world.receive(made_trade(9))
    world.later(1_000)
    world.later(2_000)
    world.later(2_000)
    (gap,) = world.gaps.of("trades")
    assert (gap.first_id, gap.last_id) == (8, 11)
    assert gap.end_ms is not None


def test_trades_of_a_pair_without_candles_are_missed_from_the_last_that_was_kept() -> None:
    world = World(durable=41)
    world.known = None
    world.start(Channel.TRADES)
    assert [(gap.first_id, gap.end_ms) for gap in world.gaps.of("trades", "start")] == [(42, None)]
    world.receive(made_trade(50, NOON_MS + 5))
    assert [(gap.first_id, gap.last_id) for gap in world.gaps.of("trades")] == [(42, 49)]


def test_after_a_start_the_first_trade_says_what_was_missed() -> None:
    world = World(durable=41)
    world.start(Channel.TRADES)
    world.receive(made_trade(50, NOON_MS + 5))
    (gap,) = world.gaps.of("trades")
    assert (gap.reason, gap.first_id, gap.last_id, gap.end_ms) == ("start", 42, 49, NOON_MS + 5)
    world.later(9_000)
    assert len(world.gaps.of("trades")) == 1  # the hole is that gap, not another one


def test_an_outage_in_which_nobody_traded_says_so() -> None:
    world = World(durable=41)
    mine = world.start(Channel.TRADES)
    world.receive(made_trade(42))
    world.router.lost("spot-1", mine, "disconnect")
    world.router.live("spot-1", mine)
    world.receive(made_trade(43))
    gap = world.gaps.of("trades", "disconnect")[0]
    assert (gap.first_id, gap.last_id) == (43, 42)


def test_a_quiet_market_ends_its_gap_without_a_trade() -> None:
    world = World(durable=41)
    world.start(Channel.TRADES)
    world.later(3_000)
    assert world.gaps.of("trades")[0].end_ms is None
    world.later(3_000)
    assert world.gaps.of("trades")[0].end_ms is not None


def test_a_first_start_misses_no_trades_but_wants_recent_candles() -> None:
    world = World()
    world.known = None
    world.start(Channel.TRADES, Channel.CANDLES, Channel.CONTEXT)
    (gap,) = world.gaps.gaps
    assert (gap.kind, gap.reason, gap.interval, gap.end_ms) == ("candles", "start", None, NOON_MS)
    assert gap.start_ms < NOON_MS


def test_a_disconnect_is_a_gap_of_each_kind_from_a_little_before() -> None:
    world = World()
    mine = world.start(Channel.TRADES, Channel.CANDLES, Channel.CONTEXT, Channel.QUOTES)
    world.receive(made_trade(1), made_candle(0, closed=False))
    world.now_ms += 5 * MINUTE
    world.router.lost("spot-1", mine, "disconnect", "1006")
    world.router.lost("spot-1", mine, "disconnect", "again")  # is the same one
    world.now_ms += MINUTE
    world.router.live("spot-1", mine)
    found = [gap for gap in world.gaps.gaps if gap.reason == "disconnect"]
    assert sorted(gap.kind for gap in found) == ["candles", "context", "trades"]
    assert {gap.detail for gap in found} == {"1006"}
    candles = world.gaps.of("candles", "disconnect")[0]
    assert candles.start_ms == NOON_MS - MINUTE
    assert candles.end_ms is not None
    assert candles.end_ms >= NOON_MS + 6 * MINUTE


def test_a_stream_that_never_brought_anything_is_missed_since_it_was_there() -> None:
    world = World(HYPERLIQUID)
    mine = world.start(Channel.TRADES)
    world.now_ms += 10 * MINUTE
    world.router.lost("main", mine, "stale")
    (gap,) = world.gaps.of("trades", "stale")
    assert gap.start_ms == NOON_MS - MINUTE


def test_trades_of_before_a_connection_say_nothing_of_lag() -> None:
    world = World(HYPERLIQUID)
    delivery = (Subscription(world.pair, Channel.TRADES, "s"), made_trade(1, NOON_MS - 20_000), b"raw", NOON_MS / 1000)
    world.router.receive([delivery], timely=False)
    assert world.router.tallies.lag_ms is None
    assert world.sink.trade_ids() == [1]
    world.router.receive([(delivery[0], made_trade(2, NOON_MS - 50), b"raw", NOON_MS / 1000)])
    assert world.router.tallies.lag_ms == pytest.approx(50)


def test_closed_candles_are_stored_forming_ones_are_shown() -> None:
    world = World()
    world.start(Channel.CANDLES)
    forming, closed = made_candle(0, closed=False), made_candle(0, closed=True)
    world.receive(forming, closed, closed, forming)
    assert world.sink.kept_candles == [(CandleRank.EXCHANGE, closed)]
    assert world.shown == [(100, forming)]


def test_candles_of_intervals_that_nobody_listed_are_nothing() -> None:
    world = World(pair=made_pair(1, "5m"))
    world.receive(made_candle(0, closed=True))
    assert world.sink.kept_candles == []


def test_a_missing_candle_is_a_gap_of_its_interval() -> None:
    world = World()
    world.start(Channel.CANDLES)
    world.now_ms += 3 * MINUTE
    world.receive(made_candle(0, closed=True), made_candle(2, closed=True))
    world.later(4_000)
    gap = world.gaps.of("candles", "missing_candle")[0]
    assert (gap.interval, gap.start_ms, gap.end_ms) == ("1m", NOON_MS + MINUTE, NOON_MS + 2 * MINUTE)


def test_a_candle_that_names_trades_which_never_came_betrays_a_dead_stream_of_trades() -> None:
    world = World()
    world.start(Channel.TRADES, Channel.CANDLES)
    world.receive(made_trade(10), made_candle(0, closed=True, last_trade_id=21))
    world.later(5_000)
    assert world.gaps.of("trades") == []
    world.receive(made_candle(1, closed=True, last_trade_id=40))
    world.later(5_000)
    (gap,) = world.gaps.of("trades", "stale")
    assert (gap.first_id, gap.last_id) == (11, None)


def test_hyperliquid_s_candles_are_provisional_until_confirmed() -> None:
    world = World(HYPERLIQUID)
    world.start(Channel.CANDLES)
    last = made_candle(0, closed=None, late_ms=None)
    world.receive(last, made_candle(1, closed=None, late_ms=65_000))
    assert world.sink.kept_candles == [(CandleRank.LIVE_STREAM, last)]
    assert world.asked == [("1m", NOON_MS, NOON_MS + MINUTE)]
    confirmed = made_candle(0, closed=True, close="100.5")
    world.router.asked_for(world.pair, [confirmed])
    assert world.sink.kept_candles[-1] == (CandleRank.EXCHANGE, confirmed)


def test_hyperliquid_s_trades_are_known_by_id_without_order() -> None:
    world = World(HYPERLIQUID)
    trades = [made_trade(each, first_id=None, last_id=None) for each in (9_000, 17, 500_000, 17, 9_000)]
    world.receive(*trades)
    world.later(9_000)
    assert world.sink.trade_ids() == [9_000, 17, 500_000]
    assert world.gaps.of("trades") == []


def test_funding_is_the_last_of_its_minute_with_what_came_before() -> None:
    world = World()
    rate = Decimal("0.0001")
    world.now_ms += MINUTE
    world.receive(
        Funding("BTCUSDT", rate, premium=Decimal("0.5"), time_ms=NOON_MS + 1_000),
        Funding("BTCUSDT", rate * 2, mark_price=Decimal(7), time_ms=NOON_MS + 59_000),
        Funding("BTCUSDT", rate * 9, time_ms=NOON_MS + 30_000),  # late: not the last
        Funding("BTCUSDT", rate * 3, time_ms=NOON_MS + 61_000),
        Funding("BTCUSDT", rate * 4, time_ms=NOON_MS + 59_500),  # of a minute that is over
    )
    (first_minute, first), (minute, row) = world.sink.kept_funding
    assert (first_minute, first.funding_rate) == (NOON_MS, rate)  # nobody waits a minute for the very first
    assert minute == NOON_MS
    assert (row.funding_rate, row.premium, row.mark_price) == (rate * 2, Decimal("0.5"), Decimal(7))
    world.later(63_000)
    assert [minute for minute, _ in world.sink.kept_funding] == [NOON_MS, NOON_MS, NOON_MS + MINUTE]


def test_open_interest_comes_at_once_and_then_waits_for_the_minute_and_for_the_end() -> None:
    world = World()
    world.receive(OpenInterest("BTCUSDT", Decimal(5)))
    assert [row.open_interest for _, row in world.sink.kept_open_interest] == [Decimal(5)]
    world.receive(OpenInterest("BTCUSDT", Decimal(6)))
    assert len(world.sink.kept_open_interest) == 1
    world.router.flush()
    kept = [(minute, row.open_interest) for minute, row in world.sink.kept_open_interest]
    assert kept == [(NOON_MS, Decimal(5)), (NOON_MS, Decimal(6))]


def test_quotes_are_kept_only_where_they_are_the_ticks() -> None:
    quotes = [Quote("BTCUSDT", Decimal(1), Decimal(2), Decimal(3), Decimal(4), NOON_MS + each) for each in (1, 2, 2, 1)]
    binance, oanda = World(), World(OANDA)
    for world in (binance, oanda):
        world.receive(*quotes)
    assert binance.sink.kept_quotes == []
    assert oanda.sink.kept_quotes == quotes[:2]


def test_ticks_show_the_newest_trade_and_quote_once() -> None:
    world = World()
    quote = Quote("BTCUSDT", Decimal("99.50"), Decimal("100.50"), Decimal(1), Decimal(1), update_id=7)
    world.receive(made_trade(1, NOON_MS, "100.10"), quote, made_trade(2, NOON_MS + 9, "1E+2"))
    (tick,) = world.router.ticks()
    assert (tick.price, tick.volume, tick.side, tick.bid, tick.ask) == ("100", "2", "buy", "99.50", "100.50")
    assert tick.time == NOON_MS + 9
    assert world.router.ticks() == []


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (made_trade(1, NOON_MS + 61_000), "future"),
        (made_trade(1, 1_000_000_000_000), "2009"),
        (made_trade(1, price="0"), "positive"),
        (made_candle(0, closed=True, open_ms=NOON_MS + 1), "grid"),
        (made_candle(0, closed=True, end_ms=NOON_MS + 1), "grid"),
        (made_candle(0, closed=True, high=Decimal(1)), "contradict"),
        (made_candle(0, closed=True, volume=Decimal(-1)), "volume"),
        (Quote("BTCUSDT", Decimal(2), Decimal(1), Decimal(1), Decimal(1)), "crossed"),
    ],
)
def test_nonsense_is_a_dead_letter_and_changes_nothing(event: Event, reason: str) -> None:
    world = World()
    world.receive(event, made_trade(5))
    (letter,) = world.sink.letters
    assert reason in letter.reason
    assert letter.payload == "raw"
    assert world.sink.trade_ids() == [5]
    assert world.sink.kept_candles == []


def test_built_bars_are_whole_or_not_stored() -> None:
    pair = made_pair(candles_from="trades")
    world = World(pair=pair)
    world.now_ms += 30_000  # in the middle of a minute
    world.start(Channel.TRADES)
    for number, second in enumerate(range(31, 60 * 8, 7)):
        world.now_ms = NOON_MS + second * 1000
        world.receive(made_trade(number, world.now_ms, price=str(100 + number % 5)))
    assert world.sink.opens(CandleRank.LIVE_STREAM) == [NOON_MS + each * MINUTE for each in range(1, 7)]
    counts = {candle.num_trades for _, candle in world.sink.kept_candles}
    assert counts <= {16, 18}  # eight or nine aggregates of two trades each
    gaps = world.gaps.of("candles", "missing_candle")
    assert [(gap.interval, gap.start_ms) for gap in gaps] == [("1m", NOON_MS), ("5m", NOON_MS)]


def test_a_full_journal_stops_everything_and_what_it_refused_is_missed_later() -> None:
    world = World(durable=0)
    mine = world.start(Channel.TRADES, Channel.CANDLES)
    world.receive(made_trade(1), made_candle(0, closed=True))
    world.sink.stopped = True
    with pytest.raises(IntakeStoppedError):
        world.receive(made_trade(2), made_trade(3), made_candle(1, closed=True))
    world.later(1_000)  # does nothing
    world.router.lost("spot-1", mine, "intake_stopped")
    world.sink.stopped = False
    world.router.live("spot-1", mine)
    world.receive(made_trade(7), made_candle(1, closed=True))
    gap = world.gaps.of("trades", "intake_stopped")[0]
    assert (gap.first_id, gap.last_id) == (2, 6)
    assert world.sink.opens() == [NOON_MS, NOON_MS + MINUTE]  # not taken for a duplicate


def test_pairs_come_and_go() -> None:
    world = World()
    world.start(Channel.TRADES)
    world.receive(Funding("BTCUSDT", Decimal(1), time_ms=NOON_MS))
    world.router.set_pairs([])
    assert len(world.sink.kept_funding) == 2  # the unfinished minute is kept, as the first reading was
    world.receive(made_trade(1))
    assert world.sink.kept_trades == []
    assert all(gap.end_ms is not None for gap in world.gaps.gaps)

"""Connections of the streamer against a real WebSocket server on this machine that misbehaves."""

from __future__ import annotations

import asyncio

import pytest

from market_platform.domain.errors import ExchangeUnavailableError
from market_platform_tests.fixtures.fake_stream import (
    FakeDialect,
    eventually,
    fake_server,
    limits,
)
from market_platform_tests.fixtures.memory_sink import NOON_MS, made_pair
from market_platform_tests.fixtures.streamer_world import World, run, world


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.connections.lanes.SETTLE_S", 0.2)
    monkeypatch.setattr("streamer.connections.breaker._FIRST_S", 0.2)


def test_trades_arrive_once_and_a_lost_connection_is_made_again() -> None:
    async def scenario() -> None:
        async with world() as w:
            await w.server.until(lambda: len(w.server.subscribed) == 3)
            await w.trades(1, 5)
            w.server.drop()
            await eventually(lambda: w.server.connects == 2 and len(w.server.subscribed) == 6)
            await w.trades(9, 12)
            await w.delivering()
            assert w.sink.trade_ids() == [1, 2, 3, 4, 5, 9, 10, 11, 12]
            (gap,) = w.gaps.of("trades", "disconnect")
            assert (gap.first_id, gap.last_id) == (6, 8)
            await eventually(lambda: all(each.end_ms is not None for each in w.gaps.gaps))
            assert w.slot.refresh().reconnects == 1
            assert w.slot.report.last_error

    run(scenario)


def test_a_server_that_accepts_and_closes_is_not_stormed() -> None:
    async def scenario() -> None:
        async with world(limits=limits(connects=3, connects_per_s=3_600.0)) as w:
            w.server.refuse = lambda: True
            await eventually(lambda: w.server.connects == 3)
            await eventually(lambda: w.slot.report.state != "open")
            assert w.supervisor.gate._delay(w.dialect.limits.open_timeout_s + asyncio.get_running_loop().time()) > 3_000
            assert w.server.connects == 3

    run(scenario)


def test_failures_in_a_row_open_the_breaker_and_a_delivery_closes_it() -> None:
    async def scenario() -> None:
        async with world() as w:
            refusing = True
            w.server.refuse = lambda: refusing
            await eventually(lambda: bool(w.supervisor.slots))
            w.slot._backoff._dice = lambda: 0.0
            states = ["closed"]
            await eventually(lambda: _noted(states, w.supervisor.gate.breaker) != "closed")
            connects = w.server.connects
            assert connects >= 5
            await eventually(lambda: w.server.connects > connects)  # one that tries
            assert _noted(states, w.supervisor.gate.breaker) != "closed"
            refusing = False
            await w.subscribed()
            await w.trades(1, 3)
            await eventually(lambda: _noted(states, w.supervisor.gate.breaker) == "closed")

    run(scenario)


def _noted(states: list[str], state: str) -> str:
    states.append(state)
    return state


@pytest.mark.parametrize("resubscribes", [True, False])
def test_an_announced_shutdown_is_overlapped_without_loss_or_duplicate(resubscribes: bool) -> None:
    async def scenario() -> None:
        async with world(resubscribes=resubscribes) as w:
            await w.subscribed()
            await w.trades(1, 3)
            await w.delivering()
            await w.server.send("bye", 1)
            number, both = 4, False
            while w.server.connects < 2 or len(w.server.open) > 1 or 2 not in w.server.open:
                await w.server.trade(number)
                both = both or len(w.server.open) == 2
                number += 1
                await asyncio.sleep(0.002)
            await w.trades(number, number + 5)
            assert both, "the old one was closed before the new one delivered"
            assert w.sink.trade_ids() == list(range(1, number + 6))
            assert {each.reason for each in w.gaps.gaps} == {"start"}
            assert w.server.connects == 2

    run(scenario)


def test_a_connection_is_replaced_before_it_is_too_old() -> None:
    async def scenario() -> None:
        async with world(limits=limits(age_s=0.2)) as w:
            await w.subscribed()
            number = 1
            while w.server.connects < 4:
                await w.server.trade(number)
                number += 1
                await asyncio.sleep(0.002)
            await w.trades(number, number + 3)
            assert w.sink.trade_ids() == list(range(1, number + 4))
            assert {each.reason for each in w.gaps.gaps} == {"start"}

    run(scenario)


def test_where_no_second_connection_may_be_open_the_first_ends_first_and_that_is_a_gap() -> None:
    async def scenario() -> None:
        async with world(limits=limits(connections=1)) as w:
            await w.subscribed()
            await w.trades(1, 3)
            await w.delivering()
            await w.server.send("bye", 1)
            await eventually(lambda: 2 in w.server.open)
            await w.server.until(lambda: len(w.server.subscribed) == 6)
            assert 1 not in w.server.open
            await w.trades(7, 8)
            assert [(each.first_id, each.last_id) for each in w.gaps.of("trades", "disconnect")] == [(4, 6)]

    run(scenario)


def test_a_silent_connection_is_dead() -> None:
    async def scenario() -> None:
        async with world(limits=limits(silence_s=0.4)) as w:
            await eventually(lambda: w.server.connects >= 2)
            assert "silent" in str(w.slot.report.last_error)

    run(scenario)


def test_pings_keep_a_quiet_connection_alive() -> None:
    async def scenario() -> None:
        async with world(limits=limits(silence_s=1.0, ping_s=0.1)) as w:
            await w.delivering()
            await eventually(lambda: w.slot.refresh().messages > 30)
            assert w.server.connects == 1

    run(scenario)


def test_a_stale_subscription_is_asked_for_again_and_then_the_connection_is_replaced() -> None:
    async def scenario() -> None:
        async with world(silence_s=0.6) as w:
            await w.server.until(lambda: len(w.server.subscribed) == 3)
            await w.trades(1, 2)
            w.server.deaf.add("BTCUSDT@trades")
            minute = 0
            while not w.gaps.of("trades", "stale"):
                await w.server.send("candle", ["BTCUSDT", minute], "BTCUSDT@1m")  # the others go on
                minute += 1
                await asyncio.sleep(0.01)
            assert "BTCUSDT@trades" in w.server.ended  # it was asked for again first
            await eventually(lambda: w.server.connects >= 2)
            w.server.deaf.clear()
            await w.subscribed()
            number = 5
            while w.gaps.of("trades", "stale")[0].end_ms is None:
                await w.server.trade(number)
                number += 1
                await asyncio.sleep(0.01)
            assert w.gaps.of("trades", "stale")[0].first_id == 3
            assert w.gaps.of("candles", "stale", "disconnect") == []

    run(scenario)


def test_what_is_silent_beside_a_stale_subscription_is_missed_as_well() -> None:
    async def scenario() -> None:
        async with world(silence_s=0.3) as w:
            await w.server.until(lambda: len(w.server.subscribed) == 3)
            await w.trades(1, 2)
            w.server.deaf |= {"BTCUSDT@trades", "BTCUSDT@1m", "BTCUSDT@5m"}  # half open: nothing comes any more
            await eventually(lambda: bool(w.gaps.of("trades", "stale")))
            (candles,) = w.gaps.of("candles", "stale")
            assert candles.start_ms < NOON_MS + 30_000
            w.server.deaf.clear()
            await eventually(lambda: w.server.connects >= 2)
            await eventually(lambda: candles.end_ms is not None)

    run(scenario)


def test_a_connection_that_was_mute_before_it_was_replaced_may_have_been_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.connections.slot._MUTE_S", 0.2)

    async def scenario() -> None:
        async with world(limits=limits(age_s=1.0)) as w:
            await w.server.until(lambda: len(w.server.subscribed) == 3)
            await w.trades(1, 2)
            await eventually(lambda: w.server.connects >= 2)
            await eventually(lambda: bool(w.gaps.of("candles", "stale")))
            (trades,) = w.gaps.of("trades", "stale")
            assert "said nothing" in trades.detail
            await eventually(lambda: w.gaps.of("candles", "stale")[0].end_ms is not None)

    run(scenario)


def test_a_market_that_sleeps_is_tried_less_and_less_often() -> None:
    async def scenario() -> None:
        async with world(silence_s=0.2) as w:
            await w.server.until(lambda: len(w.server.subscribed) == 3)
            w.server.deaf.add("BTCUSDT@trades")
            for minute in range(600):
                await w.server.send("candle", ["BTCUSDT", minute % 2], "BTCUSDT@1m")
                if w.slot._sleepers._found.get("BTCUSDT@trades", 0) >= 5:
                    break
                await asyncio.sleep(0.02)
            assert w.slot._sleepers._found["BTCUSDT@trades"] >= 5
            await eventually(lambda: w.server.connects == 4)  # the first, and after 1, 2 and 4 times of silence

    run(scenario)


def test_a_name_that_the_exchange_does_not_know_is_never_asked_for() -> None:
    async def scenario() -> None:
        async with fake_server() as server:
            server.unknown.add("C2USDT")
            w = World(server, FakeDialect(server.url))
            w.rest.names = frozenset({"BTCUSDT"})
            running = asyncio.create_task(w.supervisor.run())
            w.supervisor.set_pairs([made_pair(1), made_pair(2)])
            await server.until(lambda: len(server.subscribed) == 3)
            await w.trades(1, 3)
            assert server.connects == 1
            assert list(w.supervisor.unknown) == ["binance/C2USDT"]
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run(scenario)


def test_when_names_cannot_be_checked_streaming_goes_on_and_they_are_checked_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamer.supervisor._UNCHECKED_S", 0.2)
    monkeypatch.setattr("streamer.supervisor._ASK_AGAIN_S", 0.0)

    async def scenario() -> None:
        async with fake_server() as server:
            w = World(server, FakeDialect(server.url))
            w.rest.faults = [ExchangeUnavailableError("away"), ExchangeUnavailableError("away")]
            w.rest.names = frozenset({"BTCUSDT"})
            monkeypatch.setattr("streamer.supervisor._NAMES_S", 0.0)
            running = asyncio.create_task(w.supervisor.run())
            w.supervisor.set_pairs([made_pair(1), made_pair(2)])
            await server.until(lambda: len(server.subscribed) == 6)
            await eventually(lambda: list(w.supervisor.unknown) == ["binance/C2USDT"])
            await server.until(lambda: "C2USDT@trades" in server.ended)
            assert server.connects == 1
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run(scenario)


@pytest.mark.parametrize("resubscribes", [True, False])
def test_a_pair_added_while_running_streams_and_one_removed_ends(resubscribes: bool) -> None:
    async def scenario() -> None:
        async with world(resubscribes=resubscribes) as w:
            await w.subscribed()
            await w.trades(1, 2)
            await w.delivering()
            w.supervisor.set_pairs([made_pair(1), made_pair(2)])
            await w.subscribed("C2USDT@trades")
            number = 1
            while not any(pair_id == 2 for pair_id, _ in w.sink.kept_trades):
                await w.server.trade(number, "C2USDT")
                await w.server.trade(number + 2)
                number += 1
                await asyncio.sleep(0.005)
            assert w.server.connects == (1 if resubscribes else 2)
            await w.trades(number + 2, number + 4)
            ids = [trade.trade_id for pair_id, trade in w.sink.kept_trades if pair_id == 1]
            assert ids == list(range(1, number + 5))  # the first pair noticed nothing
            w.supervisor.set_pairs([made_pair(2)])
            while any("BTCUSDT@trades" in w.server.of.get(each, ()) for each in w.server.open):
                await w.server.trade(number, "C2USDT")
                number += 1
                await asyncio.sleep(0.005)

    run(scenario)


def test_another_interval_of_a_pair_is_taken_without_another_connection() -> None:
    async def scenario() -> None:
        async with world(made_pair(1, "5m")) as w:
            await w.delivering()
            w.supervisor.set_pairs([made_pair(1, "5m", "1m")])
            await w.subscribed("BTCUSDT@1m")
            await w.server.send("candle", ["BTCUSDT", 0], "BTCUSDT@1m")
            await eventually(lambda: w.sink.opens() == [NOON_MS])
            assert w.server.connects == 1

    run(scenario)


def test_a_message_that_is_none_changes_nothing_but_a_count() -> None:
    async def scenario() -> None:
        async with world() as w:
            await w.server.until(lambda: len(w.server.subscribed) == 3)
            for socket in w.server.open.values():
                await socket.send("\x00 not json")
                await socket.send('{"unheard": 1}')
            await w.trades(1, 3)
            assert [each.reason for each in w.sink.letters] == ["not a message", "unknown kind unheard"]
            assert w.slot.refresh().dead_letters == 2
            assert w.server.connects == 1

    run(scenario)


def test_a_full_journal_closes_connections_and_room_opens_them_again() -> None:
    async def scenario() -> None:
        async with world() as w:
            await w.server.until(lambda: len(w.server.subscribed) == 3)
            await w.trades(1, 3)
            w.sink.stopped = True
            await w.server.trade(4)
            await eventually(lambda: not w.server.open)
            assert w.gaps.of("trades", "intake_stopped")[0].first_id == 4
            assert w.server.connects == 1  # it waits
            w.sink.stopped = False
            await eventually(lambda: w.server.connects == 2 and len(w.server.subscribed) == 6)
            await w.trades(6, 7)
            await eventually(lambda: w.gaps.of("trades", "intake_stopped")[0].end_ms is not None)
            assert w.gaps.of("trades", "intake_stopped")[0].last_id == 5
            assert w.sink.trade_ids() == [1, 2, 3, 6, 7]

    run(scenario)


def test_stopping_closes_connections_at_once() -> None:
    async def scenario() -> None:
        async with world() as w:
            await w.delivering()
        await eventually(lambda: not w.server.open)
        assert w.slot.report.state == "stopped"

    run(scenario)

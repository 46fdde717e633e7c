"""What is asked for a gap, and what its answers mean."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from market_platform.domain.clock import from_ms, to_ms
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.gaps import GapKind, GapReason
from market_platform.domain.live import LivePair
from market_platform.pipeline.gap_outcomes import Outcome
from market_platform.pipeline.gap_repair import attempt_repair, overlapping_gaps
from market_platform.warehouse.gaps import Gap
from market_platform_tests.fixtures.scripted_rest import Collected, ScriptedRest

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PAIR = LivePair(1, "binance", "BTCUSDT", "BTC", "USDT", "spot", "BTCUSDT", {"1m": 10, "1h": 11})


def gap(
    start: datetime = NOON,
    end: datetime = NOON + 5 * MINUTE,
    kind: GapKind = "candles",
    reason: GapReason = "disconnect",
    **changes: Any,
) -> Gap:
    made = Gap(
        7,
        1,
        "binance",
        "BTCUSDT",
        kind,
        None,
        start,
        end,
        None,
        None,
        reason,
        "",
        end,
        0,
        None,
        None,
        None,
        None,
        None,
        None,
    )
    return replace(made, **changes)


def attempt(rest: ScriptedRest, *gaps: Gap, pair: LivePair = PAIR) -> tuple[Outcome, Collected]:
    delivery = Collected()
    outcome = asyncio.run(attempt_repair(gaps, pair, rest, delivery))
    assert delivery.durable == len(delivery.found_candles) + len(delivery.found_trades), "closed before it was durable"
    return outcome, delivery


def opens(delivery: Collected, interval: str) -> list[str]:
    return [f"{from_ms(each.open_ms):%H:%M}" for each in delivery.found_candles if each.interval == interval]


@pytest.fixture
def rest() -> ScriptedRest:
    return ScriptedRest(to_ms(NOON + timedelta(hours=3)))


# -------------------------------------------------------------------------------------------------------------------- candles


def test_every_candle_that_closed_within_the_gap_or_as_it_began_is_asked_for(rest: ScriptedRest) -> None:
    outcome, delivery = attempt(rest, gap())
    assert outcome == Outcome(rows=7)
    assert opens(delivery, "1m") == ["11:59", "12:00", "12:01", "12:02", "12:03", "12:04"]
    assert opens(delivery, "1h") == ["11:00"]


def test_a_bucket_that_was_open_when_the_gap_began_counts_and_one_still_open_does_not(rest: ScriptedRest) -> None:
    _, delivery = attempt(rest, gap(NOON + 50 * MINUTE + timedelta(seconds=20), NOON + 62 * MINUTE))
    assert opens(delivery, "1m")[0] == "12:50"
    assert opens(delivery, "1h") == ["12:00"]


def test_a_gap_of_one_interval_asks_for_that_one(rest: ScriptedRest) -> None:
    _, delivery = attempt(rest, gap(interval="1m", reason="missing_candle"))
    assert {each.interval for each in delivery.found_candles} == {"1m"}


def test_a_gap_shorter_than_a_bucket_asks_for_nothing_of_it(rest: ScriptedRest) -> None:
    outcome, _ = attempt(rest, gap(NOON + timedelta(seconds=5), NOON + timedelta(seconds=30)))
    assert (outcome, rest.asked) == (Outcome(), [])


def test_an_absent_candle_before_later_ones_never_existed_and_the_ledger_says_so(rest: ScriptedRest) -> None:
    rest.absent = {to_ms(NOON + each * MINUTE) for each in (1, 2)}
    outcome, delivery = attempt(rest, gap(interval="1m"))
    assert opens(delivery, "1m") == ["11:59", "12:00", "12:03", "12:04"]
    assert outcome.error is None
    assert outcome.note == "the exchange has no candle for 1m 2024-03-04 12:01 to 2024-03-04 12:02 (2)"


def test_an_absent_newest_candle_is_asked_for_again_and_given_up_in_the_end(rest: ScriptedRest) -> None:
    rest.now_ms = to_ms(NOON + 4 * MINUTE)
    outcome, delivery = attempt(rest, gap(interval="1m"))
    assert outcome.error is not None
    assert "1m 2024-03-04 12:04" in outcome.error
    assert len(delivery.found_candles) == 5, "what is there is kept"
    outcome, _ = attempt(rest, gap(interval="1m", attempts=3))
    assert outcome.error is not None
    outcome, _ = attempt(rest, gap(interval="1m", attempts=4))
    assert (outcome.error, outcome.note) == (None, "the exchange has no candle for 1m 2024-03-04 12:04")


def test_a_closed_market_has_no_candles_and_nothing_stays_open(rest: ScriptedRest) -> None:
    rest.absent = {to_ms(NOON + each * MINUTE) for each in range(-1, 5)}
    outcome, _ = attempt(rest, gap(interval="1m", attempts=4))
    assert outcome == Outcome(note="the exchange has no candle for 1m 2024-03-04 11:59 to 2024-03-04 12:04 (6)")


def test_a_market_with_hours_of_trading_that_is_closed_is_taken_at_its_word_at_once(rest: ScriptedRest) -> None:
    oanda = replace(PAIR, exchange="oanda")
    rest.absent = {to_ms(NOON + each * MINUTE) for each in range(-60, 61)}
    closed = gap(NOON, NOON + 65 * MINUTE, attempts=1)
    rest.now_ms = to_ms(NOON + 65 * MINUTE)
    rest.absent |= {to_ms(NOON + each * MINUTE) for each in range(60, 65)}
    outcome, _ = attempt(rest, closed, pair=oanda)
    assert outcome.error is None
    assert outcome.note == "the exchange has no candle for 1m, 1h 2024-03-04 11:00 to 2024-03-04 13:04 (68)"
    rest.absent = {to_ms(NOON + 64 * MINUTE)}  # the newest alone is only late
    assert attempt(rest, closed, pair=oanda)[0].error is not None


def test_what_is_not_served_any_more_is_lost_and_the_rest_is_repaired(rest: ScriptedRest) -> None:
    rest.served_from["1m"] = to_ms(NOON + 2 * MINUTE) + 500
    outcome, delivery = attempt(rest, gap())
    assert opens(delivery, "1m") == ["12:03", "12:04"]
    assert opens(delivery, "1h") == ["11:00"]
    (part,) = outcome.lost
    assert (part.interval, part.start, part.end) == ("1m", NOON - MINUTE, NOON + 3 * MINUTE)
    assert "are gone" in part.why
    assert (outcome.unrepairable, outcome.error) == (None, None)


def test_a_gap_of_which_nothing_is_served_is_unrepairable(rest: ScriptedRest) -> None:
    rest.served_from = {"1m": None, "1h": to_ms(NOON + timedelta(days=1))}
    outcome, delivery = attempt(rest, gap())
    assert outcome.unrepairable is not None
    assert outcome.unrepairable.startswith("1m: 1m candles before None are gone; 1h:")
    assert delivery.found_candles == []


# --------------------------------------------------------------------------------------------------------------------- trades


def trades_gap(first: int | None, last: int | None, **changes: Any) -> Gap:
    return gap(kind="trades", first_id=first, last_id=last, **changes)


def test_a_hole_is_asked_for_by_its_ids_in_pieces(rest: ScriptedRest) -> None:
    rest.newest = 1_000_000
    outcome, delivery = attempt(rest, trades_gap(10, 12_009, reason="id_hole"))
    assert outcome == Outcome(rows=12_000)
    assert [each.trade_id for each in delivery.found_trades] == list(range(10, 12_010))
    assert rest.asked == [("last",), ("trades", 10, 5_009), ("trades", 5_010, 10_009), ("trades", 10_010, 12_009)]


def test_without_a_last_id_trades_are_asked_for_until_one_is_younger_than_the_gap(rest: ScriptedRest) -> None:
    rest.newest = 1_000_000
    rest.trades_from_ms = to_ms(NOON)
    outcome, delivery = attempt(rest, trades_gap(0, None, end=NOON + timedelta(seconds=4_000)))
    assert delivery.found_trades[-1].trade_id == 4_999
    assert outcome.rows == 5_000


def test_without_a_last_id_the_newest_trade_is_the_last(rest: ScriptedRest) -> None:
    rest.newest = 41
    rest.trades_from_ms = to_ms(NOON)
    outcome, delivery = attempt(rest, trades_gap(40, None))
    assert [each.trade_id for each in delivery.found_trades] == [40, 41]
    assert attempt(rest, trades_gap(42, None))[0] == Outcome()
    assert outcome == Outcome(rows=2)


def test_progress_of_an_attempt_that_failed_is_told(rest: ScriptedRest) -> None:
    rest.newest = 1_000_000
    rest.faults = [None, None, ExchangeUnavailableError("503")]
    outcome, delivery = attempt(rest, trades_gap(1, 10_000))
    assert (outcome.error, outcome.next_id, outcome.rows) == ("503", 5_001, 5_000)
    assert delivery.found_trades[-1].trade_id == 5_000


def test_an_exchange_without_a_history_of_trades_can_not_give_them_back(rest: ScriptedRest) -> None:
    assert attempt(rest, trades_gap(None, None))[0].unrepairable == "the exchange has no history of trades"


def test_before_the_first_known_trade_there_is_nothing_to_repair(rest: ScriptedRest) -> None:
    rest.newest = 5
    outcome, _ = attempt(rest, trades_gap(None, None, reason="start"))
    assert outcome.unrepairable is None
    assert outcome.error is None
    assert "record of trades begins after it" in outcome.note


# --------------------------------------------------------------------------------------------------------------- other kinds


def test_quotes_are_never_served_again(rest: ScriptedRest) -> None:
    assert attempt(rest, gap(kind="quotes"))[0].unrepairable == "no exchange serves the quotes of the past"


# --------------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("error", [RateLimitedError("429"), BadPayloadError("not JSON"), UnknownSymbolError("no such")])
def test_errors_of_the_exchange_leave_the_gap_open(rest: ScriptedRest, error: BadPayloadError) -> None:
    rest.faults = [error]
    assert attempt(rest, gap())[0] == Outcome(error=str(error))


def test_an_error_that_no_retry_helps_is_final_after_ten_attempts(rest: ScriptedRest) -> None:
    rest.faults = [UnknownSymbolError("no such coin")]
    assert attempt(rest, gap(attempts=9))[0].unrepairable == "given up after 10 attempts: no such coin"
    rest.faults = [ExchangeUnavailableError("503")]
    assert attempt(rest, gap(attempts=99))[0] == Outcome(error="503")


# ---------------------------------------------------------------------------------------------------------------- overlapping


def test_gaps_of_one_stream_that_overlap_are_one_repair_newest_first() -> None:
    later = NOON + timedelta(hours=5)
    a, b = gap(id=1), gap(id=2, start=NOON + 5 * MINUTE, end=NOON + 9 * MINUTE, reason="stale")
    c = gap(id=3, start=later, end=later + MINUTE)
    d = gap(id=4, interval="1m")
    groups = overlapping_gaps([a, b, c, d])
    assert [{each.id for each in group} for group in groups] == [{3}, {1, 2}, {4}]


def test_overlapping_trades_go_by_id_and_a_hole_joins_the_disconnect_it_is_of(rest: ScriptedRest) -> None:
    disconnect = trades_gap(100, None, id=1)
    hole = trades_gap(100, 150, id=2, start=NOON + timedelta(days=3), end=NOON + timedelta(days=3), reason="id_hole")
    before, unknown = trades_gap(10, 20, id=3), trades_gap(None, None, id=4)
    groups = overlapping_gaps([before, hole, unknown, disconnect])
    assert sorted(sorted(each.id for each in group) for group in groups) == [[1, 2], [3], [4]]
    rest.newest = 10_000
    rest.trades_from_ms = to_ms(NOON)
    _, delivery = attempt(rest, disconnect, hole)
    assert [each.trade_id for each in delivery.found_trades][:60] == list(range(100, 160))


def test_overlapping_candle_gaps_are_asked_for_once(rest: ScriptedRest) -> None:
    _, delivery = attempt(rest, gap(), gap(id=8, start=NOON + 3 * MINUTE, end=NOON + 8 * MINUTE))
    assert opens(delivery, "1m") == ["11:59", *(f"12:0{each}" for each in range(8))]

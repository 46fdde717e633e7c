"""Gaps from the streamer's memory to Postgres, through outages and kills."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from market_platform.domain.clock import to_ms
from market_platform.domain.gaps import Missed
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candles import CandleWrite, write_candle_days
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.gaps import Gap, GapFilter, list_gaps
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.fixtures.reference import synced_pair
from market_platform_tests.fixtures.stored_candles import frame, hours, store
from streamer.gaps.log import GapLog
from streamer.known_candles import last_candle_ends

START = to_ms(datetime(2024, 3, 4, 12, tzinfo=UTC))
MINUTE = 60_000


@pytest.fixture
def pair(warehouse: Warehouse) -> LivePair:
    row = synced_pair(warehouse, "oanda")
    return LivePair(row.id, "oanda", "EURUSD", "EUR", "USD", "spot", "EUR_USD", row.starlistings)


@pytest.fixture
def other(warehouse: Warehouse, pair: LivePair) -> LivePair:
    row = synced_pair(warehouse, "dukascopy", "BTCUSD")
    return LivePair(row.id, "oanda", "BTCUSD", "BTC", "USD", "spot", "BTC_USD", row.starlistings)


@pytest.fixture
def make(warehouse: Warehouse, tmp_path: Path) -> Callable[[], GapLog]:
    """A streamer's log on the same disk and database, as after a restart."""
    return lambda: GapLog(warehouse, tmp_path / "journal", ["oanda"])


@pytest.fixture
def away(tmp_path: Path) -> Callable[[], GapLog]:
    """The same while Postgres does not answer."""
    nowhere = create_warehouse(f"postgresql://nobody:nothing@127.0.0.1:{free_port()}/market", timeout_s=0.2)
    return lambda: GapLog(nowhere, tmp_path / "journal", ["oanda"])


def stored(warehouse: Warehouse) -> list[Gap]:
    with warehouse.connect() as conn:
        return sorted(list_gaps(conn, GapFilter()), key=lambda gap: gap.id)


def flush(gaps: GapLog) -> bool:
    done = asyncio.run(gaps.flush())
    gaps.close()
    return done


def ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def test_a_gap_is_written_while_open_and_again_when_it_ends(
    warehouse: Warehouse, pair: LivePair, make: Callable[[], GapLog]
) -> None:
    gaps = make()
    key = gaps.open(pair, Missed("trades", START, "disconnect", first_id=101, detail="1006"))
    assert flush(gaps)
    (gap,) = stored(warehouse)
    assert (gap.end, gap.first_id, gap.detail, gap.reason) == (None, 101, "1006", "disconnect")
    gaps.end(key, START + MINUTE, last_id=150)
    assert gaps.pending == 1
    assert flush(gaps)
    (gap,) = stored(warehouse)
    assert (ms(gap.end), gap.last_id, gaps.pending) == (START + MINUTE, 150, 0)


def test_the_same_gap_twice_is_one(warehouse: Warehouse, pair: LivePair, make: Callable[[], GapLog]) -> None:
    gaps = make()
    assert gaps.open(pair, Missed("candles", START, "stale", interval="1m")) == gaps.open(
        pair, Missed("candles", START, "stale", interval="1m")
    )
    flush(gaps)
    assert len(stored(warehouse)) == 1


def test_a_second_disconnect_since_the_same_start_is_another_gap(
    warehouse: Warehouse, pair: LivePair, make: Callable[[], GapLog]
) -> None:
    gaps = make()
    first = gaps.open(pair, Missed("candles", START, "disconnect"))
    gaps.end(first, START + 10_000)
    second = gaps.open(pair, Missed("candles", START, "disconnect"))
    assert second != first
    flush(gaps)
    assert [ms(gap.end) for gap in stored(warehouse)] == [START + 10_000, None]
    gaps.end(second, START + 180_000)
    third = gaps.open(pair, Missed("candles", START, "disconnect"))
    gaps.end(third, START + 190_000)
    flush(gaps)
    ends = [ms(gap.end) for gap in stored(warehouse)]
    assert ends == [START + 190_000, START + 180_000], "the first row is still open, and grows"


def test_a_gap_in_which_no_trade_was_missed_is_closed_at_once(
    warehouse: Warehouse, pair: LivePair, make: Callable[[], GapLog]
) -> None:
    gaps = make()
    gaps.end(gaps.open(pair, Missed("trades", START, "disconnect", first_id=101)), START + 10, last_id=100)
    flush(gaps)
    (gap,) = stored(warehouse)
    assert (gap.state, gap.repaired_rows, gap.detail) == ("repaired", 0, "nothing was missed")


def test_gaps_of_an_outage_of_postgres_survive_a_kill_and_are_written_by_the_next_streamer(
    warehouse: Warehouse, pair: LivePair, make: Callable[[], GapLog], away: Callable[[], GapLog]
) -> None:
    killed = away()
    ended = killed.open(pair, Missed("candles", START, "disconnect"))
    killed.end(ended, START + MINUTE)
    killed.open(pair, Missed("candles", START + 5 * MINUTE, "disconnect"))
    assert asyncio.run(killed.flush()) is False
    assert killed.pending == 2  # and now its process is gone: nothing is closed, nothing else is written

    after = make()
    assert after.pending == 2
    assert flush(after)
    killed.close()
    first, second = stored(warehouse)
    assert (ms(first.end), ms(second.end)) == (START + MINUTE, None)


def test_what_a_dead_streamer_left_open_ends_when_the_pair_streams_again(
    warehouse: Warehouse, pair: LivePair, other: LivePair, make: Callable[[], GapLog]
) -> None:
    dead = make()
    dead.open(pair, Missed("candles", START, "disconnect"))
    dead.open(pair, Missed("trades", START, "disconnect", first_id=7))
    flush(dead)

    after = make()
    key = after.open(pair, Missed("candles", START + MINUTE, "start"))
    flush(after)
    assert [gap.end for gap in stored(warehouse)] == [None] * 3
    after.end(key, START + 9 * MINUTE)
    flush(after)
    assert [ms(gap.end) for gap in stored(warehouse)] == [START + 9 * MINUTE, None, START + 9 * MINUTE]
    after.resumed(pair, "trades", START + 10 * MINUTE)
    flush(after)
    assert [ms(gap.end) for gap in stored(warehouse)][1] == START + 10 * MINUTE


def test_left_gaps_end_even_when_postgres_comes_back_after_the_stream(
    warehouse: Warehouse, pair: LivePair, make: Callable[[], GapLog]
) -> None:
    dead = make()
    dead.open(pair, Missed("quotes", START, "disconnect"))
    flush(dead)
    after = make()
    after.resumed(pair, "quotes", START + MINUTE)
    flush(after)
    assert [ms(gap.end) for gap in stored(warehouse)] == [START + MINUTE]


def test_left_gaps_of_pairs_that_are_not_streamed_any_more_end_too(
    warehouse: Warehouse, pair: LivePair, other: LivePair, make: Callable[[], GapLog]
) -> None:
    dead = make()
    dead.open(pair, Missed("candles", START, "disconnect"))
    dead.open(pair, Missed("trades", START, "disconnect", first_id=1))
    flush(dead)
    after = make()
    asyncio.run(after.flush())
    after.end_left_of_others([other], START + MINUTE)
    flush(after)
    assert [ms(gap.end) for gap in stored(warehouse)] == [START + MINUTE] * 2


def test_a_line_cut_short_by_a_power_loss_costs_only_itself(
    warehouse: Warehouse, pair: LivePair, make: Callable[[], GapLog], away: Callable[[], GapLog], tmp_path: Path
) -> None:
    killed = away()
    killed.open(pair, Missed("candles", START, "disconnect"))
    killed.open(pair, Missed("candles", START + MINUTE, "stale"))
    killed.close()
    path = tmp_path / "journal" / "gaps.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = away()
    again.open(pair, Missed("trades", START, "disconnect", first_id=3))
    again.close()
    flush(make())
    assert [(gap.kind, gap.reason) for gap in stored(warehouse)] == [
        ("candles", "disconnect"),
        ("trades", "disconnect"),
    ]


def test_the_file_is_empty_once_postgres_has_everything(
    pair: LivePair, make: Callable[[], GapLog], tmp_path: Path
) -> None:
    gaps = make()
    for minute in range(3_000):
        gaps.end(gaps.open(pair, Missed("candles", START + minute * MINUTE, "stale")), START + minute * MINUTE + 1)
    flush(gaps)
    assert (tmp_path / "journal" / "gaps.jsonl").read_bytes() == b""


def test_a_flapping_stream_during_an_outage_stays_within_bounds_and_loses_no_stretch(
    warehouse: Warehouse, pair: LivePair, make: Callable[[], GapLog], away: Callable[[], GapLog], tmp_path: Path
) -> None:
    gaps = away()
    gaps._most = 100
    for each in range(2_000):
        first = 1_000 * each
        start = START + each * MINUTE
        gaps.end(gaps.open(pair, Missed("trades", start, "disconnect", first_id=first)), start + 500, last_id=first + 9)
    assert gaps.pending <= 101
    assert len((tmp_path / "journal" / "gaps.jsonl").read_bytes().splitlines()) < 5_000
    gaps.close()
    flush(make())
    found = stored(warehouse)
    assert len(found) <= 101
    for each in range(2_000):
        assert any(
            gap.first_id <= 1_000 * each and 1_000 * each + 9 <= gap.last_id
            for gap in found
            if gap.first_id is not None and gap.last_id is not None
        )


def test_a_disk_that_refuses_is_an_alarm_and_gaps_still_reach_postgres(
    warehouse: Warehouse, pair: LivePair, tmp_path: Path
) -> None:
    gaps = GapLog(warehouse, tmp_path / "journal", ["oanda"])
    (tmp_path / "journal").write_text("a file where the folder should be")
    gaps.open(pair, Missed("candles", START, "disconnect"))
    assert gaps.alarm is not None
    assert "can't be kept" in gaps.alarm
    assert flush(gaps)
    assert len(stored(warehouse)) == 1


def test_the_writer_tries_again_until_postgres_answers(warehouse: Warehouse, pair: LivePair, tmp_path: Path) -> None:
    nowhere = create_warehouse(f"postgresql://nobody:nothing@127.0.0.1:{free_port()}/market", timeout_s=0.2)
    waited: list[float] = []

    async def scenario() -> None:
        done = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:
                gaps._warehouse = warehouse
                done.set()

        gaps = GapLog(nowhere, tmp_path / "journal", ["oanda"], sleep=sleep)
        gaps.open(pair, Missed("candles", START, "disconnect"))
        async with asyncio.timeout(30):
            task = asyncio.create_task(gaps.run())
            await done.wait()
            await gaps.flush()
            task.cancel()
            await asyncio.wait([task])
        gaps.close()

    asyncio.run(scenario())
    assert waited == [0.5, 1.0, 2.0]
    assert len(stored(warehouse)) == 1


def test_the_start_of_a_start_up_gap_is_the_end_of_the_newest_candle(
    warehouse: Warehouse, pair: LivePair, other: LivePair, make: Callable[[], GapLog]
) -> None:
    row = synced_pair(warehouse, "oanda")
    store(warehouse, row, "1m", date(2024, 3, 4), hours(datetime(2024, 3, 4, 11, 59, tzinfo=UTC), 1))
    ends = last_candle_ends(warehouse, [pair, other])
    assert ends == {pair.id: START}


def test_a_candle_that_its_exchange_was_yet_to_confirm_is_asked_for_again(
    warehouse: Warehouse, pair: LivePair, make: Callable[[], GapLog]
) -> None:
    row = synced_pair(warehouse, "oanda")
    store(warehouse, row, "1m", date(2024, 3, 4), hours(datetime(2024, 3, 4, 11, 59, tzinfo=UTC), 1))
    unconfirmed = datetime(2024, 3, 4, 11, tzinfo=UTC)
    write = CandleWrite(
        row.starlistings["1h"],
        date(2024, 3, 4),
        frame(hours(unconfirmed, 1)),
        None,
        CandleRank.LIVE_STREAM,
        replace=False,
    )
    with warehouse.begin() as conn:
        write_candle_days(conn, [write], run_id="test", code_version="1")
    assert last_candle_ends(warehouse, [pair]) == {pair.id: to_ms(unconfirmed)}

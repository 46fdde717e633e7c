"""The gap ledger in Postgres."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.gap_repairs import (
    LostPart,
    advance_gap,
    begin_attempt,
    close_gap,
    load_due_gaps,
    load_overdue_gaps,
    mark_unrepairable,
    record_failure,
)
from market_platform.warehouse.gaps import (
    Gap,
    GapFilter,
    GapRecord,
    LastCandle,
    count_gaps_of_days,
    list_gaps,
    load_last_candles,
    load_open_gap_counts,
    load_unended_gaps,
    prune_gaps,
    read_open_gap_counts,
    record_gaps,
)
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.reference import synced_pair
from market_platform_tests.fixtures.stored_candles import hours, store

START = datetime(2024, 3, 4, 23, 30, tzinfo=UTC)
END = START + timedelta(hours=1)


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return synced_pair(warehouse, "oanda")


def record(pair: PairRow, **changes: object) -> GapRecord:
    return replace(GapRecord(pair.id, "candles", START, "disconnect", end=END), **changes)  # type: ignore[arg-type]  # a test's shorthand


def written(warehouse: Warehouse, *gaps: GapRecord) -> list[Gap]:
    """Record them; all gaps there are, oldest row first."""
    with warehouse.begin() as conn:
        record_gaps(conn, gaps)
        return sorted(list_gaps(conn, GapFilter()), key=lambda gap: gap.id)


def rest(warehouse: Warehouse, by: timedelta) -> None:
    """Move every attempt into the past."""
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("UPDATE gaps SET last_attempt_at = last_attempt_at - %s", (by,))


def test_recording_a_gap_again_merges_and_its_end_only_moves_later(warehouse: Warehouse, pair: PairRow) -> None:
    (gap,) = written(warehouse, record(pair, end=None))
    assert (gap.pair, gap.state, gap.end, gap.attempts) == ("oanda/EURUSD", "open", None, 0)
    written(warehouse, record(pair), record(pair, end=END - timedelta(minutes=5)))
    (gap,) = written(warehouse, record(pair, end=None, detail="1006"))
    assert (gap.end, gap.start) == (END, START)


def test_another_interval_reason_start_or_first_id_is_another_gap(warehouse: Warehouse, pair: PairRow) -> None:
    others = [
        record(pair),
        record(pair, interval="1m"),
        record(pair, reason="stale"),
        record(pair, start=START + timedelta(seconds=1)),
        record(pair, kind="trades", first_id=5, last_id=9),
        record(pair, kind="trades", first_id=15, last_id=19),
    ]
    assert len(written(warehouse, *others)) == 6
    assert len(written(warehouse, *others)) == 6


def test_an_end_before_the_start_is_the_start(warehouse: Warehouse, pair: PairRow) -> None:
    (gap,) = written(warehouse, record(pair, end=START - timedelta(seconds=5)))
    assert gap.end == START


def test_a_repaired_gap_is_not_opened_again_by_recording_it(warehouse: Warehouse, pair: PairRow) -> None:
    (gap,) = written(warehouse, record(pair))
    with warehouse.begin() as conn:
        close_gap(conn, gap.id, 60, note="of REST", run_id="run-1")
    (gap,) = written(warehouse, record(pair), record(pair, end=END - timedelta(minutes=1)))
    assert (gap.state, gap.end, gap.repaired_rows, gap.detail, gap.run_id) == ("repaired", END, 60, "of REST", "run-1")


def test_a_longer_absence_since_the_same_start_is_another_gap_once_the_first_is_repaired(
    warehouse: Warehouse, pair: PairRow
) -> None:
    (gap,) = written(warehouse, record(pair))
    with warehouse.begin() as conn:
        close_gap(conn, gap.id, 60)
    _, away = written(warehouse, record(pair, end=None))
    assert (away.state, away.end) == ("open", None)
    later = END + timedelta(hours=1)
    _, away = written(warehouse, record(pair, end=later))
    assert (away.state, away.end) == ("open", later)
    assert len(written(warehouse, record(pair))) == 2, "the first one again is known"


def test_only_ended_gaps_of_the_exchange_are_due_newest_first(warehouse: Warehouse, pair: PairRow) -> None:
    newer = START + timedelta(days=1)
    written(
        warehouse,
        record(pair),
        record(pair, start=newer, end=newer + timedelta(hours=1)),
        record(pair, reason="stale", end=None),
    )
    with warehouse.connect() as conn:
        assert [gap.start for gap in load_due_gaps(conn, "oanda")] == [newer, START]
        assert load_due_gaps(conn, "dukascopy") == []
        assert load_due_gaps(conn, "oanda", [pair.id + 1]) == []
        assert len(load_due_gaps(conn, "oanda", [pair.id])) == 2
        assert [gap.reason for gap in load_unended_gaps(conn, ["oanda"])] == ["stale"]


def test_a_gap_that_failed_rests_ever_longer(warehouse: Warehouse, pair: PairRow) -> None:
    (gap,) = written(warehouse, record(pair))
    for waits in (5, 10, 20, 40):
        with warehouse.begin() as conn:
            assert begin_attempt(conn, [gap.id]) == {gap.id}
            record_failure(conn, [gap.id], "503")
        rest(warehouse, timedelta(seconds=waits - 2))
        with warehouse.connect() as conn:
            assert load_due_gaps(conn, "oanda") == []
        rest(warehouse, timedelta(seconds=2))
        with warehouse.connect() as conn:
            (due,) = load_due_gaps(conn, "oanda")
        assert due.last_error == "503"
    assert written(warehouse)[0].attempts == 4


def test_ten_minutes_is_the_longest_rest(warehouse: Warehouse, pair: PairRow) -> None:
    (gap,) = written(warehouse, record(pair))
    with warehouse.begin() as conn:
        for _ in range(40):
            begin_attempt(conn, [gap.id])
    rest(warehouse, timedelta(seconds=601))
    with warehouse.connect() as conn:
        assert [each.id for each in load_due_gaps(conn, "oanda")] == [gap.id]


def test_overdue_are_the_old_and_the_often_tried_unless_just_being_tried(warehouse: Warehouse, pair: PairRow) -> None:
    old, often, fresh = written(warehouse, record(pair), record(pair, interval="1m"), record(pair, interval="1h"))
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("UPDATE gaps SET detected_at = now() - interval '1 hour' WHERE id = %s", (old.id,))
        conn.execute("UPDATE gaps SET attempts = 5, last_attempt_at = now() WHERE id = %s", (often.id,))

    def overdue(quiet: timedelta) -> set[int]:
        with warehouse.connect() as conn:
            return {gap.id for gap in load_overdue_gaps(conn, timedelta(minutes=15), 5, quiet)}

    assert overdue(timedelta(0)) == {old.id, often.id}
    assert overdue(timedelta(minutes=5)) == {old.id}
    assert fresh.id not in overdue(timedelta(0))


def test_a_part_that_is_lost_becomes_a_row_of_its_own(warehouse: Warehouse, pair: PairRow) -> None:
    (gap,) = written(warehouse, record(pair))
    lost = LostPart(START, START + timedelta(minutes=10), "not served before 23:40", interval="1m")
    with warehouse.begin() as conn:
        begin_attempt(conn, [gap.id], "run-7")
        close_gap(conn, gap.id, 50, lost=[lost])
    repaired, part = written(warehouse)
    assert (repaired.state, repaired.interval, repaired.run_id) == ("repaired", None, "run-7")
    assert (part.state, part.unrepairable, part.interval) == ("unrepairable", "not served before 23:40", "1m")
    assert (part.start, part.end, part.detail, part.run_id) == (lost.start, lost.end, f"part of gap {gap.id}", "run-7")


def test_a_gap_that_is_over_takes_no_attempt_and_keeps_its_end(warehouse: Warehouse, pair: PairRow) -> None:
    (gap,) = written(warehouse, record(pair, kind="quotes"))
    with warehouse.begin() as conn:
        mark_unrepairable(conn, gap.id, "OANDA has no history of quotes")
        assert begin_attempt(conn, [gap.id]) == set()
        close_gap(conn, gap.id, 5, lost=[LostPart(START, END, "no")])
        record_failure(conn, [gap.id], "late")
    (gap,) = written(warehouse)
    assert (gap.state, gap.repaired_rows, gap.last_error) == ("unrepairable", None, None)


def test_progress_within_ids_is_kept(warehouse: Warehouse, pair: PairRow) -> None:
    (gap,) = written(warehouse, record(pair, kind="trades", first_id=100, last_id=200))
    with warehouse.begin() as conn:
        advance_gap(conn, gap.id, 150)
        advance_gap(conn, gap.id, 999)
    (gap,) = written(warehouse)
    assert (gap.first_id, gap.last_id) == (150, 200)


def test_gaps_are_listed_by_what_is_asked(warehouse: Warehouse, pair: PairRow) -> None:
    first, second, third = written(warehouse, record(pair), record(pair, interval="1m"), record(pair, interval="1h"))
    with warehouse.begin() as conn:
        close_gap(conn, second.id, 1)
        mark_unrepairable(conn, third.id, "gone")

    def ids(wanted: GapFilter) -> list[int]:
        with warehouse.connect() as conn:
            return [gap.id for gap in list_gaps(conn, wanted)]

    assert ids(GapFilter()) == [third.id, second.id, first.id]
    assert ids(GapFilter(state="open")) == [first.id]
    assert ids(GapFilter(state="repaired")) == [second.id]
    assert ids(GapFilter(state="unrepairable")) == [third.id]
    assert ids(GapFilter(exchange="oanda", symbol="EURUSD")) == [third.id, second.id, first.id]
    assert ids(GapFilter(exchange="binance")) == []
    assert ids(GapFilter(ids=[second.id])) == [second.id]
    assert ids(GapFilter(since=third.detected_at + timedelta(seconds=1))) == []


def test_open_gaps_are_counted_by_pair_and_by_the_days_they_touch(warehouse: Warehouse, pair: PairRow) -> None:
    gaps = written(warehouse, record(pair), record(pair, interval="1m"), record(pair, kind="quotes", reason="stale"))
    with warehouse.begin() as conn:
        close_gap(conn, gaps[1].id, 1)
        mark_unrepairable(conn, gaps[2].id, "gone")
        (count,) = read_open_gap_counts(conn)
        assert (count.exchange, count.symbol, count.open) == ("oanda", "EURUSD", 1)
        assert count_gaps_of_days(conn, date(2024, 3, 1), date(2024, 3, 31)) == {
            (pair.id, "candles", date(2024, 3, 4)): 1,
            (pair.id, "candles", date(2024, 3, 5)): 1,
            (pair.id, "quotes", date(2024, 3, 4)): 1,
            (pair.id, "quotes", date(2024, 3, 5)): 1,
        }

    async def ask() -> list[int]:
        async with await psycopg.AsyncConnection.connect(warehouse.url, autocommit=True) as connection:
            return [each.open for each in await load_open_gap_counts(connection, "oanda")]

    assert asyncio.run(ask()) == [1]


def test_gaps_repaired_long_ago_are_pruned_and_nothing_else(warehouse: Warehouse, pair: PairRow) -> None:
    old, recent, lost, _ = written(warehouse, *(record(pair, interval=each) for each in ("1m", "5m", "1h", "4h")))
    with warehouse.begin() as conn:
        close_gap(conn, old.id, 1)
        close_gap(conn, recent.id, 1)
        mark_unrepairable(conn, lost.id, "gone")
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("UPDATE gaps SET repaired_at = now() - interval '91 days' WHERE id = %s", (old.id,))
        conn.execute("UPDATE gaps SET detected_at = now() - interval '91 days'")
    with warehouse.begin() as conn:
        assert prune_gaps(conn, timedelta(days=90)) == 1
    assert [gap.state for gap in written(warehouse)] == ["repaired", "unrepairable", "open"]


def test_the_newest_candle_of_each_starlisting(warehouse: Warehouse, pair: PairRow) -> None:
    store(warehouse, pair, "1h", date(2024, 3, 4), hours(datetime(2024, 3, 4, tzinfo=UTC), 5))
    with warehouse.connect() as conn:
        assert load_last_candles(conn, list(pair.starlistings.values())) == {
            pair.starlistings["1h"]: LastCandle(datetime(2024, 3, 4, 4, tzinfo=UTC), None)
        }

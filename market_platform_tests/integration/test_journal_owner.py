"""A journal goes into the database it was written for, and into no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from market_platform.domain.clock import to_ms, utc_now
from market_platform.domain.errors import ConfigError
from market_platform.domain.gaps import Missed
from market_platform.domain.live import LivePair
from market_platform.warehouse.database_role import change_role
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform_tests.fixtures.live_reference import synced_live_pairs
from market_platform_tests.fixtures.memory_sink import made_trade
from streamer.gaps.log import GapLog
from streamer.journal.journal import Journal
from streamer.journal.records import JournalPair, Kind
from streamer.journal_owner import OWNER_FILE, require_own_journal

PAIR = JournalPair(1, "binance", "BTCUSDT")
Make = Callable[[int], Warehouse]


@pytest.fixture
def make(make_database: Callable[[], str]) -> Iterator[Make]:
    """A database that was claimed that many hours ago."""
    opened: list[Warehouse] = []

    def made(hours_ago: int) -> Warehouse:
        warehouse = create_warehouse(make_database())
        opened.append(warehouse)
        with warehouse.begin() as conn:
            change_role(conn, "realtime")
            conn.exec_driver_sql(
                "UPDATE database_role SET claimed_at = now() - make_interval(hours => %(hours)s)", {"hours": hours_ago}
            )
        return warehouse

    yield made
    for each in opened:
        each.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def commit(folder: Path, *trade_ids: int) -> None:
    """A streamer streams those trades and ends."""
    journal = Journal(folder, min_free_mb=0, clock=utc_now, on_change=lambda: None)
    journal.open()
    journal.add(PAIR, Kind.TRADES, [made_trade(each) for each in trade_ids])
    journal.close()


def last_id(folder: Path) -> int | None:
    journal = Journal(folder, min_free_mb=0, clock=utc_now, on_change=lambda: None)
    journal.open()
    try:
        return journal.last_trade_id(PAIR)
    finally:
        journal.close()


def test_the_same_database_takes_up_what_was_left(folder: Path, make: Make) -> None:
    warehouse = make(5)
    require_own_journal(folder, warehouse)
    commit(folder, 41, 42)
    require_own_journal(folder, warehouse)
    assert last_id(folder) == 42


def test_what_waits_for_another_database_is_refused_and_stays(folder: Path, make: Make) -> None:
    mine, other = make(5), make(3)
    require_own_journal(folder, mine)
    commit(folder, 41, 42)
    with pytest.raises(ConfigError, match=r"0 rows, 2 ticks and 0 gaps for another database .*move the folder away"):
        require_own_journal(folder, other)
    require_own_journal(folder, mine)
    assert last_id(folder) == 42


def test_gaps_that_another_database_has_still_to_get_are_refused_as_well(folder: Path, make: Make) -> None:
    mine, other = make(5), make(3)
    require_own_journal(folder, mine)
    pair: LivePair = synced_live_pairs(mine)["binance/BTCUSDT"]
    log = GapLog(mine, folder, ["binance"])
    log.open(pair, Missed("candles", to_ms(utc_now()), "disconnect"))
    log.close()
    with pytest.raises(ConfigError, match="1 gaps for another database"):
        require_own_journal(folder, other)


def test_one_that_holds_nothing_of_another_begins_anew(folder: Path, make: Make) -> None:
    mine, other = make(5), make(3)
    require_own_journal(folder, mine)
    commit(folder)
    (folder / "pairs.json").write_text("[]")
    require_own_journal(folder, other)
    assert sorted(each.name for each in folder.iterdir() if each.name != "journal.lock") == [OWNER_FILE]
    commit(folder, 43)
    with pytest.raises(ConfigError, match="another database"):
        require_own_journal(folder, mine)


def test_trade_ids_of_another_database_are_forgotten(folder: Path, make: Make) -> None:
    mine, other = make(5), make(3)
    require_own_journal(folder, mine)
    journal = Journal(folder, min_free_mb=0, clock=utc_now, on_change=lambda: None)
    journal.open()
    journal.add(PAIR, Kind.TRADES, [made_trade(41)])
    number = journal.hurry()
    deadline = time.monotonic() + 60
    while not journal.is_committed(number):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    [(key, backlog)] = journal.backlog().items()
    journal.ticks_delivered(key, backlog.last_seq, 1, 0, [])
    journal.close()
    assert last_id(folder) == 41
    require_own_journal(folder, other)
    assert last_id(folder) is None


def test_a_database_of_nobody_owns_nothing(folder: Path, make_database: Callable[[], str]) -> None:
    warehouse = create_warehouse(make_database())
    with warehouse.begin() as conn:
        conn.exec_driver_sql("DELETE FROM database_role")
    require_own_journal(folder, warehouse)
    assert not folder.exists()
    warehouse.close()

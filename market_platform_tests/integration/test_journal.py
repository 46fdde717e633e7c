"""The journal's file and thread: durable, locked, of one version, stopped by a full disk instead of dropping."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from market_platform.domain.clock import utc_now
from market_platform.domain.errors import ConfigError
from market_platform.domain.events import Trade
from market_platform_tests.fixtures.live_sink import trade
from streamer.journal import journal as journal_module
from streamer.journal import space as journal_space
from streamer.journal.group import Group, Written
from streamer.journal.journal import Journal
from streamer.journal.records import DeadLetterRecord, JournalPair, Kind, StreamDayRecord, decode_rows, decode_trades
from streamer.sink import DeadLetter, IntakeStoppedError

PAIR = JournalPair(7, "binance", "BTCUSDT")
KEY = (7, Kind.TRADES)
DEADLINE_S = 30


class Opened:
    """A journal whose changes can be waited for."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self._changed = threading.Condition()
        options = {"min_free_mb": 0, "clock": utc_now, "on_change": self._on_change} | changes
        self.journal = Journal(folder, **options)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        self.journal.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    def wait(self, is_so: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, DEADLINE_S)

    def commit(self, *trades: Trade) -> None:
        self.journal.add(PAIR, Kind.TRADES, trades)
        number = self.journal.hurry()
        self.wait(lambda: self.journal.is_committed(number))

    def stored(self) -> list[int]:
        with self.journal.file.reader() as reader:
            entries = reader.ticks(*KEY, 0, 1_000_000)
        return [each.trade_id for entry in entries for each in decode_trades(entry.content, "BTCUSDT")]

    def _on_change(self) -> None:
        with self._changed:
            self._changed.notify_all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_what_was_committed_is_there_after_a_restart(folder: Path) -> None:
    with Opened(folder) as first:
        first.commit(*(trade(each) for each in range(1, 2501)))
        first.commit(trade(40))
    with Opened(folder) as again:
        assert again.journal.last_trade_id(PAIR) == 2500
        assert again.journal.backlog()[KEY].count == 2501
        assert again.stored() == [*range(1, 2501), 40]


def test_what_the_lake_has_is_deleted_and_its_last_id_remembered(folder: Path) -> None:
    with Opened(folder) as first:
        first.commit(trade(1), trade(2))
        first.commit(trade(3))
        day = StreamDayRecord("trades", utc_now().date(), 2, 0, 1, 0.0)
        first.journal.ticks_delivered(KEY, 1, 2, 0, [day])
        assert first.journal.backlog()[KEY].count == 1
    with Opened(folder) as again:
        assert again.stored() == [3]
        assert again.journal.last_trade_id(PAIR) == 3
        assert again.journal.rows_backlog.count == 1
        again.journal.ticks_delivered(KEY, 2, 1, 0, [])
        assert again.journal.backlog() == {}
    with Opened(folder) as last:
        assert last.journal.last_trade_id(PAIR) == 3
        last.commit(trade(4))
        assert last.stored() == [4]


def test_nothing_committed_is_kept_in_memory(folder: Path) -> None:
    with Opened(folder) as opened:
        opened.commit(*(trade(each) for each in range(5000)))
        assert opened.journal._next.items == {}
        assert opened.journal._next.count == 0


def test_room_that_an_outage_took_goes_back_to_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_space, "VACUUM_PAGES", 100)
    monkeypatch.setattr(journal_space, "VACUUM_S", 0)
    with Opened(folder) as opened:
        opened.commit(*(trade(each) for each in range(50_000)))
    large = (folder / "journal.db").stat().st_size
    with Opened(folder) as opened:
        last = opened.journal.backlog()[KEY].last_seq
        opened.journal.ticks_delivered(KEY, last, 50_000, 0, [])
        for each in range(10):
            opened.commit(trade(each))
    assert (folder / "journal.db").stat().st_size < large / 2


def test_a_second_process_is_told_clearly(folder: Path) -> None:
    with Opened(folder), pytest.raises(ConfigError, match="in use by another streamer"):
        Opened(folder).journal.open()
    with Opened(folder):
        pass


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("PRAGMA user_version = 9", "is of version 9, this program reads version 1"),
        ("PRAGMA application_id = 5", "of another program"),
    ],
)
def test_a_file_of_another_version_is_left_alone(folder: Path, statement: str, said: str) -> None:
    with Opened(folder) as opened:
        opened.commit(trade(1))
    with sqlite3.connect(folder / "journal.db") as connection:
        connection.execute(statement)
    connection.close()
    before = (folder / "journal.db").read_bytes()

    with pytest.raises(ConfigError, match=said):
        Opened(folder).journal.open()

    assert (folder / "journal.db").read_bytes() == before


def test_a_damaged_file_says_what_to_do(folder: Path) -> None:
    folder.mkdir()
    (folder / "journal.db").write_bytes(b"this is not a database" * 100)

    with pytest.raises(ConfigError, match="move it away"):
        Opened(folder).journal.open()


def test_a_torn_log_loses_only_what_was_never_acknowledged(folder: Path) -> None:
    with Opened(folder) as opened:
        opened.commit(trade(1))
        opened.commit(trade(2))
        copied = folder.with_name("copy")
        shutil.copytree(folder, copied)
    log = copied / "journal.db-wal"
    log.write_bytes(log.read_bytes()[:-1000])

    with Opened(copied) as torn:
        assert torn.stored() == [1]
        assert torn.journal.last_trade_id(PAIR) == 1


def test_intake_stops_before_the_disk_is_full_and_takes_up_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "IDLE_S", 0.01)
    monkeypatch.setattr(journal_space, "CHECK_S", 0.01)
    free = 300 << 20
    with Opened(folder, min_free_mb=200, free=lambda _: free) as opened:
        opened.commit(trade(1))
        free = 150 << 20
        opened.wait(lambda: not opened.journal.accepting)
        assert opened.journal.alarm is not None
        assert "only 150 MB left, less than JOURNAL_MIN_FREE_MB = 200" in opened.journal.alarm
        with pytest.raises(IntakeStoppedError, match="150 MB"):
            opened.journal.add(PAIR, Kind.TRADES, [trade(2)])
        free = 230 << 20
        opened.wait(lambda: opened.journal.accepting)
        opened.commit(trade(2))
        assert opened.stored() == [1, 2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; skips where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], check=False).returncode:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_a_disk_that_is_full_loses_nothing_that_was_taken(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    monkeypatch.setattr(journal_module, "IDLE_S", 0.01)
    monkeypatch.setattr(journal_space, "CHECK_S", 0.01)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    taken = 0
    with Opened(small_disk / "journal") as opened:
        journal = opened.journal
        while True:
            try:
                journal.add(PAIR, Kind.TRADES, [trade(each) for each in range(taken + 1, taken + 501)])
            except IntakeStoppedError:
                break
            taken += 500
            number = journal.hurry()
            opened.wait(lambda number=number: journal.is_committed(number) or journal.write_problem is not None)  # type: ignore[misc]
        assert journal.alarm is not None
        assert "full" in journal.alarm
        assert not journal.accepting
        ballast.unlink()
        opened.wait(lambda: journal.accepting)
        opened.commit(trade(taken + 1))
        assert opened.stored() == list(range(1, taken + 2))


def test_a_disk_that_can_not_keep_up_stops_intake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MAX_PENDING", 10)
    in_hand, released = threading.Event(), threading.Event()
    write = Group.write

    def slow(self: Group, *arguments: Any) -> list[Written]:
        in_hand.set()
        released.wait(DEADLINE_S)
        return write(self, *arguments)

    monkeypatch.setattr(Group, "write", slow)
    with Opened(folder) as opened:
        opened.journal.add(PAIR, Kind.TRADES, [trade(1)])
        assert in_hand.wait(DEADLINE_S)
        opened.journal.add(PAIR, Kind.TRADES, [trade(each) for each in range(2, 13)])
        with pytest.raises(IntakeStoppedError, match="can't keep up"):
            opened.journal.add(PAIR, Kind.TRADES, [trade(99)])
        released.set()
        opened.wait(lambda: opened.journal.accepting)
        opened.commit(trade(13))
        assert opened.stored() == list(range(1, 14))


def test_an_id_that_does_not_fit_is_a_dead_letter_and_the_others_stay(folder: Path) -> None:
    with Opened(folder) as opened:
        opened.commit(trade(1), trade(2**70), trade(2**62), trade(3))
        assert opened.stored() == [1, 3]
        assert opened.journal.last_trade_id(PAIR) == 3
        opened.wait(lambda: opened.journal.rows_backlog.count == 2)
        with opened.journal.file.reader() as reader:
            letters = [each for entry in reader.rows(0, 10) for each in decode_rows(entry.kind, entry.content)]
    assert [str(2**70) in each.payload for each in letters if isinstance(each, DeadLetterRecord)] == [True, False]


def test_dead_letters_never_fill_memory_nor_fail(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MAX_LETTERS", 3)
    letter = DeadLetterRecord.of(DeadLetter("binance", "trades", "bad \ud83d", "\ud800" * 70_000, utc_now()))
    assert len(letter.payload.encode()) >= 65_536
    opened = Opened(folder)
    assert [opened.journal.add_letter(letter) for _ in range(5)] == [True, True, True, False, False]


def test_a_number_that_another_database_gave_to_another_pair_waits_and_forgets_its_ids(folder: Path) -> None:
    other = JournalPair(7, "binance", "ETHUSDT")
    with Opened(folder) as first:
        first.commit(trade(5))
    with Opened(folder) as again:
        assert again.journal.last_trade_id(other) is None
        with pytest.raises(IntakeStoppedError, match="BTCUSDT"):
            again.journal.add(other, Kind.TRADES, [trade(1)])
        through = again.journal.backlog()[KEY]
        again.journal.ticks_delivered(KEY, through.last_seq, through.count, 0, [])
        again.journal.add(other, Kind.TRADES, [trade(2)])
        number = again.journal.hurry()
        again.wait(lambda: again.journal.is_committed(number))
        assert (again.journal.last_trade_id(other), again.journal.last_trade_id(PAIR)) == (2, None)
    with Opened(folder) as last:
        assert last.journal.last_trade_id(other) == 2

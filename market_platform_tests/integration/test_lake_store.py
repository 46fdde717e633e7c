"""The lake's store, the same tests over a folder and a real S3 server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from market_platform.domain.clock import utc_now
from market_platform.domain.errors import ConfigError, CorruptObjectError
from market_platform.lake.store import Lake
from market_platform_tests.fixtures.lakes import KINDS, Lakes


@pytest.fixture(scope="module")
def lakes() -> Iterator[Lakes]:
    made = Lakes()
    yield made
    made.stop()


@pytest.fixture(params=KINDS)
def lake(request: pytest.FixtureRequest, lakes: Lakes, tmp_path: Path) -> Lake:
    return lakes.make(request.param, tmp_path)


def test_what_is_put_is_got(lake: Lake) -> None:
    data = bytes(range(256)) * 1000

    assert lake.put_new("ticks/EURUSD/x.parquet", data) is True

    assert lake.get("ticks/EURUSD/x.parquet") == data
    assert lake.get_range("ticks/EURUSD/x.parquet", 250, 10) == data[250:260]
    assert lake.get_range("ticks/EURUSD/x.parquet", len(data) - 3, 100) == data[-3:]
    assert lake.get_ranges("ticks/EURUSD/x.parquet", [(0, 2), (1000, 3)]) == [data[:2], data[1000:1003]]
    assert lake.get_tail("ticks/EURUSD/x.parquet", 16) == (data[-16:], len(data))
    assert lake.get_tail("ticks/EURUSD/x.parquet", 10_000_000) == (data, len(data))
    assert lake.info("ticks/EURUSD/x.parquet").size == len(data)


def test_putting_again_changes_nothing_and_says_so(lake: Lake) -> None:
    lake.put_new("a/b", b"first")

    assert lake.put_new("a/b", b"second") is False

    assert lake.get("a/b") == b"first"


def test_of_many_writers_of_one_key_exactly_one_wins(lake: Lake) -> None:
    together = threading.Barrier(8)

    def write(number: int) -> bool:
        together.wait(10)
        return lake.put_new("contested", f"writer {number}".encode() * 10_000)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))

    assert won.count(True) == 1
    assert lake.get("contested") == f"writer {won.index(True)}".encode() * 10_000


def test_replacing_is_whole_for_every_reader(lake: Lake) -> None:
    versions = [bytes([number]) * 300_000 for number in range(6)]
    lake.put_new("replaced", versions[0])
    done = threading.Event()

    def read() -> set[bytes]:
        seen = set()
        while not done.is_set():
            seen.add(lake.get("replaced"))
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for version in versions[1:]:
            lake.replace("replaced", version)
        done.set()
        seen = set().union(*(reader.result() for reader in readers))

    assert seen <= set(versions)
    assert lake.get("replaced") == versions[-1]


def test_listing_is_sorted_by_folder_and_says_size_and_time(lake: Lake) -> None:
    before = utc_now() - timedelta(minutes=1)
    for key in ("ticks/EURUSD/b", "ticks/EURUSD/a", "ticks/EURUSDX/a", "ticks/EUR/a", "other"):
        lake.put_new(key, key.encode())

    assert [info.key for info in lake.list("ticks/EURUSD")] == ["ticks/EURUSD/a", "ticks/EURUSD/b"]
    assert [info.key for info in lake.list("ticks/EURUSD/")] == ["ticks/EURUSD/a", "ticks/EURUSD/b"]
    assert [info.key for info in lake.list("nothing")] == []
    everything = lake.list()
    assert [info.key for info in everything] == sorted(info.key for info in everything)
    assert len(everything) == 5
    assert everything[0].size == len("other")
    assert before < everything[0].last_modified < utc_now() + timedelta(minutes=1)
    assert everything[0].last_modified.tzinfo is not None


def test_listing_goes_on_after_a_page(lake: Lake) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: lake.put_new(f"many/{number:05d}", b"x"), range(1_050)))

    assert [info.key for info in lake.list("many")] == [f"many/{number:05d}" for number in range(1_050)]


def test_deleting_is_quiet_about_what_is_not_there(lake: Lake) -> None:
    lake.delete("never/was")
    lake.put_new("a", b"x")
    assert lake.exists("a")

    lake.delete("a")
    lake.delete("a")

    assert not lake.exists("a")


def test_a_missing_object_is_named_with_advice(lake: Lake) -> None:
    for _ in range(2):  # before and after the first write: a folder that does not exist yet is an empty lake
        for read in (lake.get, lake.info, lambda key: lake.get_range(key, 0, 1), lambda key: lake.get_tail(key, 1)):
            with pytest.raises(
                CorruptObjectError, match=r"can't read ticks/X in the lake at .*materialise the day again"
            ):
                read("ticks/X")
        assert not lake.exists("ticks/X")
        lake.put_new("something/else", b"x")


def test_a_writable_lake_says_so_and_keeps_nothing(lake: Lake) -> None:
    lake.check_writable()

    assert lake.list() == []


def test_nothing_happens_before_it_is_used(tmp_path: Path) -> None:
    lake = Lake.open((tmp_path / "lake").as_uri())
    assert lake.list() == []
    assert not lake.exists("a")
    lake.delete("a")

    assert not (tmp_path / "lake").exists()
    Lake.open("s3://bucket/prefix", access_key_id="a", secret_access_key="b", endpoint="http://127.0.0.1:1")


@pytest.mark.parametrize(
    "url", ["lake", "/var/lake", "http://bucket", "s3://", "file://", "file:///", "file://host/lake"]
)
def test_a_url_that_is_no_lake_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="use s3://bucket"):
        Lake.open(url)


@pytest.mark.parametrize("keys", [{}, {"access_key_id": "only"}, {"secret_access_key": "only"}])
def test_a_store_of_ones_own_needs_both_keys(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY"):
        Lake.open("s3://bucket", endpoint="http://127.0.0.1:1", **keys)  # type: ignore[arg-type]


def test_leftovers_of_killed_writers_are_unseen_harmless_and_removed_when_old(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path.as_uri())
    lake.put_new("ticks/A/x.parquet", b"whole")
    leftover = tmp_path / "ticks" / "A" / "y.parquet#1"
    leftover.write_bytes(b"hal")

    assert [info.key for info in lake.list("ticks")] == ["ticks/A/x.parquet"]
    assert lake.put_new("ticks/A/y.parquet", b"whole") is True
    assert lake.get("ticks/A/y.parquet") == b"whole"
    assert lake.remove_leftovers("ticks/A", datetime(2000, 1, 1, tzinfo=UTC)) == []
    assert lake.remove_leftovers("ticks/A", utc_now() + timedelta(seconds=5)) == ["ticks/A/y.parquet#1"]
    assert not leftover.exists()
    assert lake.get("ticks/A/y.parquet") == b"whole"

"""Day files, the same tests over a folder and a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from market_platform.domain.clock import Clock, day_start_ms, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, CorruptObjectError
from market_platform.domain.ticks import Ticks
from market_platform.lake.store import Lake
from market_platform.lake.survey import survey
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.tick_file import TICK_FILE
from market_platform_tests.fixtures.lakes import KINDS, Lakes
from market_platform_tests.fixtures.made_ticks import made_ticks

DAY = date(2019, 2, 4)
PAIR = ("dukascopy", "EURUSD")
NOTES = {
    "condition": "available",
    "code_version": "1.2.3",
    "run_id": "run-1",
    "raw_inputs": json.dumps([{"hour": 0, "sha256": "ab", "rows": 1000, "source": "bi5"}]),
}


@pytest.fixture(scope="module")
def lakes() -> Iterator[Lakes]:
    made = Lakes()
    yield made
    made.stop()


@pytest.fixture(params=KINDS)
def lake(request: pytest.FixtureRequest, lakes: Lakes, tmp_path: Path) -> Lake:
    return lakes.make(request.param, tmp_path)


@pytest.fixture
def ticks() -> Ticks:
    return made_ticks(DAY, 1000)


def in_a_day() -> Clock:
    return lambda: utc_now() + timedelta(days=1)


def test_a_day_is_read_as_it_was_written(lake: Lake, ticks: Ticks) -> None:
    file = TICK_DAYS.write(lake, *PAIR, DAY, ticks, NOTES)

    assert file.object_key == f"ticks/EURUSD/2019/02/04/dukascopy-{ticks.content_hash()[:16]}.parquet"
    assert (file.rows, file.bytes) == (1000, lake.info(file.object_key).size)
    assert (file.first_ms, file.last_ms) == (ticks.time[0], ticks.time[-1])
    back = TICK_DAYS.read(lake, file.object_key, expect_hash=file.content_hash)
    assert all((ours == theirs).all() for ours, theirs in zip(ticks.columns, back.columns, strict=True))
    assert TICK_DAYS.read(lake, file.object_key, expect_hash=None).content_hash() == file.content_hash


def test_the_file_describes_itself(lake: Lake, ticks: Ticks) -> None:
    file = TICK_DAYS.write(lake, *PAIR, DAY, ticks, NOTES)

    description = TICK_FILE.describe(lake.get(file.object_key))

    assert description.items() >= {**NOTES, "exchange": "dukascopy", "symbol": "EURUSD", "day": "2019-02-04"}.items()


def test_writing_again_changes_nothing_whoever_does_it(lake: Lake, ticks: Ticks) -> None:
    first = TICK_DAYS.write(lake, *PAIR, DAY, ticks, NOTES)
    before = (lake.get(first.object_key), lake.info(first.object_key))

    again = TICK_DAYS.write(
        lake, *PAIR, DAY, ticks, {**NOTES, "run_id": "run-2", "code_version": "1.3.0", "more": "x" * 99}
    )

    assert again == first
    assert (lake.get(first.object_key), lake.info(first.object_key)) == before


def test_writers_at_the_same_time_agree(lake: Lake, ticks: Ticks) -> None:
    with ThreadPoolExecutor(6) as pool:
        runs = pool.map(
            lambda run: TICK_DAYS.write(lake, *PAIR, DAY, ticks, {**NOTES, "run_id": run}), map(str, range(6))
        )
        files = set(runs)

    assert len(files) == 1
    assert len(lake.list()) == 1


def test_the_same_ticks_with_another_condition_are_another_file(lake: Lake, ticks: Ticks) -> None:
    pending = TICK_DAYS.write(lake, *PAIR, DAY, ticks, {"condition": "pending"})
    complete = TICK_DAYS.write(lake, *PAIR, DAY, ticks, {"condition": "available"})

    assert pending.content_hash == complete.content_hash
    assert pending.object_key == complete.object_key.replace(".parquet", "-pending.parquet")
    assert TICK_DAYS.parse(pending.object_key) is not None
    assert survey(lake).current[0].condition is Condition.AVAILABLE


def test_an_empty_unsorted_or_foreign_day_is_refused(lake: Lake, ticks: Ticks) -> None:
    backwards = ticks.with_columns(column[::-1] for column in ticks.columns)

    with pytest.raises(BadPayloadError, match="dukascopy/EURUSD 2019-02-04: no ticks to write"):
        TICK_DAYS.write(lake, *PAIR, DAY, Ticks.empty(5), {})
    with pytest.raises(BadPayloadError, match="not sorted"):
        TICK_DAYS.write(lake, *PAIR, DAY, backwards.with_columns(column[300:700] for column in backwards.columns), {})
    with pytest.raises(BadPayloadError, match=r"dukascopy/EURUSD 2019-02-05: ticks from .* are not all of that day"):
        TICK_DAYS.write(lake, *PAIR, DAY + timedelta(days=1), ticks, {})
    assert lake.list() == []


def test_damage_is_found_wherever_it_is(lake: Lake, ticks: Ticks) -> None:
    file = TICK_DAYS.write(lake, *PAIR, DAY, ticks, NOTES)
    whole = lake.get(file.object_key)
    random = np.random.default_rng(1)

    found = 0
    for position in random.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        lake.replace(file.object_key, bytes(damaged))
        try:
            back = TICK_DAYS.read(lake, file.object_key, expect_hash=file.content_hash)
        except CorruptObjectError as error:
            found += 1
            assert file.object_key in str(error)  # noqa: PT017  not every damage need be found
        else:  # a byte that means nothing, as in a page's own statistics
            assert back.content_hash() == file.content_hash
    assert found > 50


def test_a_file_of_other_ticks_than_the_manifest_says_is_refused(lake: Lake, ticks: Ticks) -> None:
    file = TICK_DAYS.write(lake, *PAIR, DAY, ticks, NOTES)

    with pytest.raises(CorruptObjectError, match=r"its manifest says 000000.*materialise the day again"):
        TICK_DAYS.read(lake, file.object_key, expect_hash="0" * 64)


@pytest.mark.parametrize("torn", [b"", b"half"])
def test_a_torn_file_is_replaced_when_its_day_is_written_again(lake: Lake, ticks: Ticks, torn: bytes) -> None:
    key = TICK_DAYS.key(*PAIR, DAY, ticks.content_hash(), "available")
    lake.put_new(key, torn)

    file = TICK_DAYS.write(lake, *PAIR, DAY, ticks, NOTES)

    assert file.object_key == key
    assert file.bytes == lake.info(key).size
    assert TICK_DAYS.read(lake, key, expect_hash=file.content_hash).content_hash() == ticks.content_hash()


def test_superseded_files_go_when_old_and_never_those_a_manifest_names(lake: Lake) -> None:
    files = [TICK_DAYS.write(lake, *PAIR, DAY, made_ticks(DAY, 100, seed=seed), NOTES) for seed in range(3)]
    other = TICK_DAYS.write(lake, "otherexchange", "EURUSD", DAY, made_ticks(DAY, 100), NOTES)
    lake.put_new("ticks/EURUSD/2019/02/04/part-0.json", b"[]")
    kept = {files[1].object_key}
    hour = timedelta(hours=1)

    assert (
        TICK_DAYS.remove_superseded(lake, *PAIR, DAY, kept, hour) == []
    )  # too young: a writer may be about to commit it
    assert TICK_DAYS.remove_superseded(lake, *PAIR, DAY, set(), hour, in_a_day()) == []  # nothing took their place
    assert TICK_DAYS.remove_superseded(lake, *PAIR, DAY, {"ticks/gone"}, hour, in_a_day()) == []

    removed = TICK_DAYS.remove_superseded(lake, *PAIR, DAY, kept, hour, in_a_day())

    assert sorted(removed) == sorted([files[0].object_key, files[2].object_key])
    left = {info.key for info in lake.list()}
    assert left == {files[1].object_key, other.object_key, "ticks/EURUSD/2019/02/04/part-0.json"}


def test_a_survey_finds_days_by_their_own_description(lake: Lake) -> None:
    written = {}
    for offset in range(3):
        day = DAY + timedelta(days=offset)
        written[day] = TICK_DAYS.write(lake, *PAIR, day, made_ticks(day, 100 + offset), NOTES)
    TICK_DAYS.write(lake, "dukascopy", "GBPUSD", DAY, made_ticks(DAY, 5), {"condition": "degraded"})

    found = survey(lake)

    assert [(each.symbol, each.day, each.rows) for each in found.current] == [
        ("EURUSD", DAY, 100),
        ("EURUSD", DAY + timedelta(days=1), 101),
        ("EURUSD", DAY + timedelta(days=2), 102),
        ("GBPUSD", DAY, 5),
    ]
    first = found.current[0]
    assert (first.object_key, first.content_hash) == (written[DAY].object_key, written[DAY].content_hash)
    assert (first.run_id, first.code_version) == ("run-1", "1.2.3")
    assert first.raw_inputs == [{"hour": 0, "sha256": "ab", "rows": 1000, "source": "bi5"}]
    assert (first.first_ms, first.last_ms) == (written[DAY].first_ms, written[DAY].last_ms)
    assert found.current[3].condition is Condition.DEGRADED
    assert not found.superseded
    assert not found.foreign
    some = survey(
        lake, exchange="dukascopy", symbol="EURUSD", first=DAY + timedelta(days=1), last=DAY + timedelta(days=1)
    )
    assert [each.rows for each in some.current] == [101]


def test_the_newest_file_of_a_day_is_its_current_one_even_when_an_exchange_goes_back(lake: Lake) -> None:
    old, new = made_ticks(DAY, 200, seed=1), made_ticks(DAY, 100, seed=2)
    for ticks in (old, new):
        TICK_DAYS.write(lake, *PAIR, DAY, ticks, NOTES)
        _wait_for_the_stores_next_second(lake)
    file = TICK_DAYS.write(lake, *PAIR, DAY, old, NOTES)

    assert TICK_DAYS.files(lake, *PAIR, DAY)[-1].key == file.object_key
    found = survey(lake)
    assert [each.object_key for each in found.current] == [file.object_key]
    assert [each.rows for each in found.superseded] == [100]


def test_a_survey_names_what_it_can_not_use(lake: Lake, ticks: Ticks) -> None:
    file = TICK_DAYS.write(lake, *PAIR, DAY, ticks, NOTES)
    whole = lake.get(file.object_key)
    moved = file.object_key.replace("2019/02/04", "2019/02/05")
    renamed = file.object_key.replace(".parquet", "-pending.parquet")
    broken = "ticks/EURUSD/2019/02/06/dukascopy-0123456789abcdef.parquet"
    impossible = "ticks/EURUSD/2019/02/31/dukascopy-0123456789abcdef.parquet"
    lake.put_new(moved, whole)
    lake.put_new(renamed, whole)
    lake.put_new(broken, b"PAR1")
    lake.put_new(impossible, whole)
    lake.put_new("ticks/README.txt", b"hello")
    lake.put_new("ticks/EURUSD/2019/02/04/part-1.json", b"[]")

    found = survey(lake)

    assert [each.object_key for each in found.current] == [file.object_key]
    assert found.legacy == {"EURUSD": 1}
    reasons = {each.object_key: each.reason for each in found.foreign}
    assert set(reasons) == {moved, renamed, broken, impossible, "ticks/README.txt"}
    assert "it was moved or copied" in reasons[moved]
    assert "it was moved or copied" in reasons[renamed]
    assert "not a readable Parquet file" in reasons[broken]
    assert "not a day file's" in reasons["ticks/README.txt"]
    assert "not a day file's" in reasons[impossible]


def test_keys_are_parsed_as_they_are_made() -> None:
    for condition in Condition:
        key = TICK_DAYS.key("some-exchange", "USA500.IDX", DAY, "0123456789abcdef" * 4, condition)
        parsed = TICK_DAYS.parse(key)
        assert parsed is not None
        assert (parsed.exchange, parsed.symbol, parsed.day, parsed.condition) == (
            "some-exchange",
            "USA500.IDX",
            DAY,
            condition.value,
        )


def test_ticks_keep_the_whole_day(lake: Lake) -> None:
    start = day_start_ms(DAY)
    edges = np.array([start, start + 86_399_999], np.int64)
    ones = np.ones(2, np.int64)

    file = TICK_DAYS.write(lake, *PAIR, DAY, Ticks(edges, ones, ones, ones, ones, 0, 0), {})

    assert (file.first_ms, file.last_ms) == (start, start + 86_399_999)


def _wait_for_the_stores_next_second(lake: Lake) -> None:
    """S3 keeps times to the second: go on when its clock shows another one."""

    def second() -> datetime:
        lake.replace("clock", b"")
        return lake.info("clock").last_modified.replace(microsecond=0)

    before = second()
    deadline = utc_now() + timedelta(seconds=5)
    while second() == before:
        assert utc_now() < deadline

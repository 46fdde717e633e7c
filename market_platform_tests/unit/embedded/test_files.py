"""Files and locks of the embedded stack."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from market_platform.embedded import files
from market_platform.embedded.errors import DiskFullError, FolderNotUsableError
from market_platform.embedded.files import (
    check_free_space,
    folder_bytes,
    last_lines,
    locked,
    make_folder,
    read_json,
    rotate,
    try_lock,
    write_json,
)


def test_json_is_replaced_whole_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"port": 1})
    write_json(path, {"port": 2})
    assert read_json(path) == {"port": 2}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["", "{half", "[1]", "\x00"])
def test_what_is_no_json_object_counts_as_no_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    assert read_json(path) is None
    path.write_text(content)
    assert read_json(path) is None


def test_a_lock_is_held_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    assert first is not None
    assert try_lock(tmp_path / "lock") is None
    with locked(tmp_path / "lock", 0.05) as got:
        assert not got
    os.close(first)
    with locked(tmp_path / "lock", 0.05) as got:
        assert got
        assert try_lock(tmp_path / "lock") is None


def test_a_log_is_bounded_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        assert not rotate(log, 100)
        writer.write(b"y\n")
        assert rotate(log, 100)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "api.log.1").stat().st_size == 102


def test_the_end_of_a_log_is_found_however_long_it_is(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    assert last_lines(log) == []
    log.write_text("".join(f"line {number}\n\n" for number in range(100_000)))
    assert last_lines(log, 2) == ["line 99998", "line 99999"]
    start = log.stat().st_size
    with log.open("a") as file:
        file.write("after\n")
    assert last_lines(log, 5, since=start) == ["after"]


def test_a_folder_that_can_t_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderNotUsableError, match=r"file/data.*MARKET_DATA_DIR"):
        make_folder(tmp_path / "file" / "data")
    assert make_folder(tmp_path / "deep" / "data") == tmp_path / "deep" / "data"
    assert list((tmp_path / "deep" / "data").iterdir()) == []


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    check_free_space(tmp_path, 1)
    with pytest.raises(DiskFullError, match=r"\d+ MB free .* MARKET_DATA_DIR"):
        check_free_space(tmp_path, 10**9)


def test_a_folder_s_size_is_what_it_takes_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 3 * files.MEGABYTE)
    assert folder_bytes(tmp_path) >= 3 * files.MEGABYTE
    assert folder_bytes(tmp_path / "none") == 0

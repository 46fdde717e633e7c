"""Reading logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_platform.embedded.logs import added_lines, find_logs, show_logs


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "api.log").write_text("one\ntwo\nthree\n")
    (tmp_path / "daemon.log").write_text("four\n")
    (tmp_path / "api.log.1").write_text("zero\n")
    return tmp_path


def test_one_log_or_all_of_them(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_logs(find_logs(logs, "api"), 2)
    assert capsys.readouterr().out == "two\nthree\n"
    show_logs(find_logs(logs, None), 1)
    assert capsys.readouterr().out == f"==> {logs}/api.log <==\nthree\n==> {logs}/daemon.log <==\nfour\n"
    assert find_logs(logs, "replay") == []


def test_following_shows_what_is_added_also_after_a_rotation(logs: Path) -> None:
    found = added_lines(find_logs(logs, None))
    assert next(found) == []
    with (logs / "daemon.log").open("a") as daemon:
        daemon.write("five\nsix\n")
    assert next(found) == ["daemon | five", "daemon | six"]
    (logs / "api.log").write_text("new\n")
    assert next(found) == ["api    | new"]
    (logs / "api.log").unlink()
    assert next(found) == []

"""What a person sees."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime

import pytest
from rich.console import Console

from market_platform.embedded.record import ServiceState
from market_platform.embedded.screen import LostScreen, PlainScreen, TableScreen, open_screen

NOW = datetime(2026, 3, 4, 12, 30, 15, tzinfo=UTC)
POSTGRES = ServiceState(
    "postgres", 4711, "postgresql://market@127.0.0.1:54329/market", True, NOW, what="Embedded Postgres"
)
WAITING = ServiceState("webserver", None, "http://127.0.0.1:3000", False, NOW, what="Dagster UI")
READY = ServiceState("webserver", 4712, "http://127.0.0.1:3000", True, NOW, restarts=1, what="Dagster UI")


def test_plain_lines_say_once_what_became_ready() -> None:
    out = io.StringIO()
    screen = PlainScreen(out, lambda: NOW)
    for states in ([POSTGRES, WAITING], [POSTGRES, WAITING], [POSTGRES, READY], [POSTGRES, READY]):
        screen.show(states)
    screen.ready([POSTGRES, READY], [("lake", "file:///lake")], 9.87)
    assert out.getvalue().splitlines() == [
        "12:30:15 postgres is ready: postgresql://market@127.0.0.1:54329/market",
        "12:30:15 webserver is ready: http://127.0.0.1:3000",
        "12:30:15 everything is ready after 9.9 s",
        "    Embedded Postgres: postgresql://market@127.0.0.1:54329/market",
        "    Dagster UI: http://127.0.0.1:3000",
        "    lake: file:///lake",
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_table_shows_every_service_and_whole_links_at_any_width(width: int) -> None:
    out = io.StringIO()
    screen = TableScreen(Console(file=out, force_terminal=True, width=width, color_system=None), lambda: NOW)
    screen.show([POSTGRES, WAITING])
    screen.event("something happened")
    screen.ready([POSTGRES, READY], [("lake", "file:///lake")], 9.87)
    text = out.getvalue()
    screen.close()
    assert "waiting" in text
    assert "something happened" in text
    assert "ready (restarted)" in text
    assert "http://127.0.0.1:3000" in text
    assert "ready after 9.9 s" in text
    assert ("4711" in text) == (width >= 140)


def test_without_a_terminal_there_are_plain_lines() -> None:
    assert isinstance(open_screen(io.StringIO(), lambda: NOW, plain=False), PlainScreen)


def test_other_errors_of_a_screen_are_not_hidden() -> None:
    class Broken(PlainScreen):
        def event(self, text: str) -> None:
            raise ValueError(text)

    with pytest.raises(ValueError, match="shown"):
        LostScreen(Broken(io.StringIO(), lambda: NOW)).event("shown")


def test_a_reader_that_pauses_misses_something_and_stops_nobody() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read, os.fdopen(writer, "w", encoding="utf-8") as stream:
        screen = open_screen(stream, lambda: NOW, plain=True)
        for number in range(5000):  # more than a pipe holds
            screen.event(f"event {number} of a market that nobody looks at")
        os.set_blocking(read.fileno(), False)
        assert b"event 0 of" in read.read()
        screen.event("they look again")
        assert b"they look again" in read.read()


def test_what_a_terminal_can_not_show_is_a_question_mark() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read, os.fdopen(writer, "w", encoding="ascii") as stream:
        open_screen(stream, lambda: NOW, plain=True).event("migrations and pairs …")
        assert os.read(read.fileno(), 100) == b"12:30:15 migrations and pairs ?\n"


def test_a_reader_that_has_gone_is_noticed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        screen = open_screen(stream, lambda: NOW, plain=True)
        with pytest.raises(BrokenPipeError):
            screen.event("to nobody")
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)  # what is still buffered

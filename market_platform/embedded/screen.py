"""What a person sees of the stack: one table that keeps itself current, or plain lines where there is no terminal.

Belongs here: words and layout. Does not: knowing anything that it is not told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from market_platform.domain.clock import Clock
from market_platform.embedded.patient_output import patient_output
from market_platform.embedded.record import ServiceState


class Screen(Protocol):
    """Where the supervisor reports to."""

    def event(self, text: str) -> None:
        """Something happened."""

    def show(self, states: Sequence[ServiceState]) -> None:
        """What runs now."""

    def ready(self, states: Sequence[ServiceState], notes: Sequence[tuple[str, str]], seconds: float) -> None:
        """Everything is ready for the first time, `seconds` after the start; `notes` are names and places to show."""

    def close(self) -> None:
        """Nothing more will be shown."""


class LostScreen:
    """Another screen, for as long as somebody is there: a closed terminal or pipe must not keep the stack from stopping."""

    def __init__(self, screen: Screen) -> None:
        self._screen: Screen | None = screen

    def event(self, text: str) -> None:
        """As the other does."""
        self._tell(lambda screen: screen.event(text))

    def show(self, states: Sequence[ServiceState]) -> None:
        """As the other does."""
        self._tell(lambda screen: screen.show(states))

    def ready(self, states: Sequence[ServiceState], notes: Sequence[tuple[str, str]], seconds: float) -> None:
        """As the other does."""
        self._tell(lambda screen: screen.ready(states, notes, seconds))

    def close(self) -> None:
        """As the other does."""
        self._tell(lambda screen: screen.close())

    def _tell(self, what: Callable[[Screen], None]) -> None:
        if self._screen is None:
            return
        try:
            what(self._screen)
        except OSError:
            self._screen = None
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)  # what is still buffered must not fail the exit
            os.close(nothing)


class PlainScreen:
    """One line for each thing that happens, for logs and CI."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._shown: dict[str, bool] = {}

    def event(self, text: str) -> None:
        """Print it with the time."""
        self._stream.write(f"{self._clock():%H:%M:%S} {text}\n")
        self._stream.flush()

    def show(self, states: Sequence[ServiceState]) -> None:
        """Print what became ready since the last call."""
        for state in states:
            if state.ready and not self._shown.get(state.name):
                self.event(f"{state.name} is ready{f': {state.url}' if state.url else ''}")
            self._shown[state.name] = state.ready

    def ready(self, states: Sequence[ServiceState], notes: Sequence[tuple[str, str]], seconds: float) -> None:
        """Print the links."""
        self.event(f"everything is ready after {seconds:.1f} s")
        for name, place in [*((each.what or each.name, each.url) for each in states if each.url), *notes]:
            self._stream.write(f"    {name}: {place}\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to do."""


class TableScreen:
    """A table on the terminal, with what happened above it."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._notes: Sequence[tuple[str, str]] = ()
        self._took: float | None = None
        self._live: Live | None = None

    def event(self, text: str) -> None:
        """Print it above the table."""
        self._console.print(Text.assemble((f"{self._clock():%H:%M:%S} ", "dim"), text))

    def show(self, states: Sequence[ServiceState]) -> None:
        """Draw the table anew."""
        drawn = self._draw(states)
        if self._live is None:
            self._live = Live(drawn, console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(drawn, refresh=True)

    def ready(self, states: Sequence[ServiceState], notes: Sequence[tuple[str, str]], seconds: float) -> None:
        """Add the places below the table."""
        self._notes, self._took = notes, seconds
        self.show(states)

    def close(self) -> None:
        """Take the table off the terminal: nothing of it is true any more. What happened stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, states: Sequence[ServiceState]) -> RenderableType:
        table = Table(title="market-platform", title_justify="left", title_style="bold", expand=False)
        columns: dict[str, Callable[[ServiceState], RenderableType]] = {
            "service": lambda each: each.name,
            "state": _state,
            "pid": lambda each: str(each.pid or ""),
            "since (UTC)": lambda each: f"{each.since:%H:%M:%S}",
            "what": lambda each: each.what,
            "link": lambda each: _link(each.url),
        }
        width = self._console.width
        left_out = ("pid", "since (UTC)", "what") if width < 100 else ("pid", "since (UTC)") if width < 140 else ()
        shown = {heading: cell for heading, cell in columns.items() if heading not in left_out}
        for heading in shown:
            table.add_column(heading, no_wrap=heading not in ("what", "link"), overflow="fold")
        for each in states:
            table.add_row(*(cell(each) for cell in shown.values()))
        places = [Text.assemble((f"{name}: ", "dim"), place) for name, place in self._notes]
        if self._took is None:
            closing = Text("starting …  Ctrl-C stops everything", style="yellow")
        else:
            closing = Text(f"ready after {self._took:.1f} s.  Ctrl-C stops everything", style="green")
        return Group(table, *places, closing)


def _state(state: ServiceState) -> Text:
    again = f" ({state.restarts} restarts)" if state.restarts > 1 else " (restarted)" if state.restarts else ""
    if state.ready:
        return Text(f"ready{again}", style="green")
    if state.pid is not None:
        return Text(f"starting{again}", style="yellow")
    return Text(f"waiting{again}", style="dim")


def _link(url: str | None) -> Text:
    return Text(url, style=f"link {url}") if url and url.startswith("http") else Text(url or "")


def open_screen(stream: TextIO, clock: Clock, *, plain: bool) -> Screen:
    """A table on a terminal, plain lines elsewhere or when asked for; neither waits long for somebody to read it."""
    output = patient_output(stream)
    console = Console(file=output)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return PlainScreen(output, clock)
    return TableScreen(console, clock)

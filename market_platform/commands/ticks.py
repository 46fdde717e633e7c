"""`market-platform ticks`: ticks people had in Postgres before the lake.

Belongs here: which commands there are. Does not: what they do (ticks_move.py, ticks_load.py, ticks_status.py).
"""

from __future__ import annotations

import typer

from market_platform.commands.ticks_load import load
from market_platform.commands.ticks_move import to_lake
from market_platform.commands.ticks_status import status


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    ticks = typer.Typer(
        no_args_is_help=True, help="Ticks in the table market_ticks: into the lake, and into the table."
    )
    ticks.command("to-lake")(to_lake)
    ticks.command("load")(load)
    ticks.command("status")(status)
    app.add_typer(ticks, name="ticks")

"""`market-platform status`: what runs, and how every pair is doing, at a glance.

Belongs here: the command. Does not: gathering (status_pairs.py), the picture and the JSON (status_output.py), processes
(embedded/).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.commands.database import database_states, shown_state
from market_platform.commands.databases import DatabaseOption, choose_database
from market_platform.commands.status_output import show_failures, show_pairs, show_services, status_document
from market_platform.commands.status_pairs import failed_runs, pair_statuses
from market_platform.domain.clock import utc_now
from market_platform.domain.errors import MarketPlatformError
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from market_platform.embedded.record import ServiceState


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    app.command("status")(status)


def status(
    days: Annotated[
        int, typer.Option(min=1, max=365, help="How many days of each pair to show, up to its newest.")
    ] = 30,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of tables for people.")
    ] = False,
    database: DatabaseOption = "realtime",
) -> None:
    """Show what runs, and for each pair its days by condition, its newest data, gaps and failures.

    Needs the database; services and failed runs are shown when they can be asked. A gap is a day between the first and the
    last fetched one that was not fetched although the market was open.

        market-platform status

        market-platform status --days 90 --json

        market-platform status --database training

    Exit code 1 when the database does not answer.
    """
    settings, now = get_settings(), utc_now()
    services = _services(settings)
    try:
        url = choose_database(settings, database).url
        pairs = pair_statuses(url, settings.database_timeout_s, now, days)
    except MarketPlatformError:
        if not as_json:
            show_services(services)  # what runs is worth knowing all the more when the database does not answer
        raise
    databases = database_states(settings)
    failures = failed_runs(settings, now - timedelta(days=days))
    if as_json:
        typer.echo(json.dumps(status_document(services, databases, pairs, failures, now), indent=2))
        return
    show_services(services)
    typer.echo("\n".join(shown_state(each) for each in databases) + "\n")
    show_pairs(pairs, now, days)
    show_failures(failures)


def _services(settings: Settings) -> list[ServiceState]:
    from market_platform.embedded.record import stack_status

    return stack_status(settings)

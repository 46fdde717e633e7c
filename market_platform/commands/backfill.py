"""`market-platform backfill`: history for pairs over a range of days, through Dagster's daemon or in this process.

Belongs here: arguments and which way is taken. Does not: what they ask for (backfill_request.py), launching and watching
(backfill_watch.py), running assets here (backfill_here.py), what is printed (backfill_output.py).
"""

from __future__ import annotations

from typing import Annotated

import typer

from market_platform.commands.databases import DatabaseOption, choose_database
from market_platform.domain.clock import utc_now
from market_platform.domain.errors import BadRequestError
from market_platform.settings import get_settings


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    app.command("backfill")(backfill)


def backfill(
    pairs: Annotated[
        list[str] | None,
        typer.Argument(
            help="`dukascopy/EURUSD` or `EURUSD`; several; or `all` (that have ticks). Or use the options below.",
            metavar="PAIR",
        ),
    ] = None,
    exchange: Annotated[str | None, typer.Option(help="Pairs of this exchange: `binance`.")] = None,
    coin: Annotated[str | None, typer.Option(help="Pairs of these coins: `BTC,ETH`.")] = None,
    quote: Annotated[str | None, typer.Option(help="Pairs priced in these currencies: `USDT`.")] = None,
    market_type: Annotated[str | None, typer.Option("--market-type", help="`spot`, `perps` or `stock`.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day, YYYY-MM-DD, UTC.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="The last N complete days, instead of --from and --to.")
    ] = None,
    intervals: Annotated[str | None, typer.Option(help="Candles of `1m,1h`, or `all` (which is the default).")] = None,
    beside: Annotated[
        str | None, typer.Option("--with", help="Beside candles: `funding,oi,trades,actions`, or some of them.")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="`ticks`, `candles`, or intervals such as `5m`, separated by commas; by default ticks, where there are any, and "
            "candles."
        ),
    ] = None,
    database: DatabaseOption = "realtime",
    direct: Annotated[
        bool, typer.Option("--direct", help="Run the assets in this process; no daemon is needed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be asked for, and ask for nothing.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Launch and return at once.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 3 when a day came out missing or degraded.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")
    ] = False,
) -> None:
    """Fetch history, day by day: an exchange's ticks and the candles built from them, or its own candles and what is beside them.

    Launches a backfill through Dagster, which `market-platform up` runs, and shows progress until it ends. Ctrl-C ends
    the watching, not the backfill there. Days that are there already are fetched again and change nothing when they are the same.

        market-platform backfill dukascopy/EURUSD --from 2024-03-04 --to 2024-03-08

        market-platform backfill --exchange binance --coin BTC --quote USDT --market-type perps --days 730 --with funding,oi

    All pairs with ticks; only what is built from ticks that are in the lake; without a running platform; for training:

        market-platform backfill all --from 2024-03-04 --to 2024-03-04

        market-platform backfill EURUSD --from 2024-03-01 --to 2024-03-31 --layers candles

        market-platform backfill binance/BTCUSDT --days 7 --intervals 1m,1h --direct

        market-platform backfill --exchange binance --days 365 --with funding,oi --database training

    Days that are not whole are counted by condition and named with the reason, the worst first; with --strict a missing or
    degraded one is exit code 3, for scripts. Exit code 1 when a day failed; each is named with its error, and the other days
    are kept. Ctrl-C ends a --direct backfill within seconds, with exit code 130; days that were written are kept.
    """
    from market_platform.commands.backfill_output import finish, show_plan
    from market_platform.commands.backfill_request import Request, plan, read_days, read_layers
    from market_platform.defs.choices import Wanted
    from market_platform.defs.plan import split

    if direct and no_wait:
        raise BadRequestError(
            "--direct runs the assets in this process, so --no-wait has nothing to leave; give one of them"
        )
    if no_wait and (strict or as_json):
        raise BadRequestError("--no-wait returns before any day is known; leave it out with --strict and --json")
    settings = get_settings()
    wanted = Wanted(exchange, coin, quote, market_type)
    if bool(pairs) == bool(wanted.told):
        raise BadRequestError(
            "name pairs (binance/BTCUSDT), or say which by --exchange, --coin, --quote and --market-type; "
            + ("not both" if pairs else "neither was given"),
            code="symbol_not_found",
        )
    today = utc_now().date()
    start, end = read_days(first, last, days, today)
    chosen = read_layers(layers, intervals, beside)
    request = Request(start, end, today, database, tuple(pairs or ()), wanted, chosen, exact=layers is not None)
    if direct and not dry_run:
        from market_platform.commands.backfill_here import run_here
        from market_platform.commands.interrupts import one_interrupt

        with one_interrupt() as interrupt:  # before anything that starts threads
            targets = plan(settings, request)
            if database != "realtime":
                choose_database(settings, database)
            result = run_here(settings, targets, database, interrupt)
        finish(result, as_json=as_json, strict=strict)
        return
    targets = plan(settings, request)
    if dry_run:
        show_plan(targets, as_json=as_json)
        return
    if database != "realtime":
        choose_database(settings, database)
    from market_platform.commands.backfill_watch import launch

    launched = launch(settings, split(targets, start, end), start, end, wait=not no_wait)
    if launched is not None:
        finish(launched, as_json=as_json, strict=strict)

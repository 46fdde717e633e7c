"""`market-platform stream`: the streamer by hand. Belongs here: its arguments and help. Does not: the streamer."""

from __future__ import annotations

from typing import Annotated

import typer

from market_platform.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    app.command("stream")(stream)


def stream(
    exchanges: Annotated[
        str | None,
        typer.Option(help="Only these, separated by commas: binance, hyperliquid, oanda. [STREAM_EXCHANGES]"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Where /health and /metrics are. [STREAMER_METRICS_PORT]"),
    ] = None,
) -> None:
    """Stream live markets: closed candles, funding, open interest and ticks of every active pair.

    Pairs come from the database; one that is added or deactivated there takes effect within half a minute. What is
    received is in a journal on disk first, and goes from there to Postgres and the lake. `market-platform up` runs a
    streamer for you; only one at a time can use a journal.

        market-platform stream

        market-platform stream --exchanges binance,hyperliquid

        curl http://127.0.0.1:9108/health

    Ctrl-C stops it: connections close, what there is goes to Postgres and the lake, and what can't waits in the journal.
    """
    from market_platform.embedded.postgres import find_database_url
    from streamer.app import run
    from streamer.logs import configure_logs

    given = {"stream_exchanges": exchanges, "streamer_metrics_port": port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logs(settings.log_level, settings.log_format)
    run(settings, find_database_url(settings))

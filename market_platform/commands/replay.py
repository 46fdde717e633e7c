"""`market-platform replay`: the replay exchange by hand. Belongs here: its arguments and help. Does not: the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from market_platform.settings import get_settings


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    app.command("replay")(replay)


def replay(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free port. [REPLAY_PORT]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed, another market. [REPLAY_SEED]")] = None,
    recordings: Annotated[
        Path | None, typer.Option(help="Serve this folder of recordings instead of a generated market. [RECORDINGS]")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0.001, max=1000, help="How many times faster than the clock live markets run. [REPLAY_SPEED]"),
    ] = None,
) -> None:
    """Run the replay exchange: the exchanges' own protocols, without the exchanges.

    Of Dukascopy it serves a generated market (sessions, weekends, holidays, spreads, bursts; 2015 to yesterday; the same seed, the
    same prices) or a folder of recordings, over the JSON API and as bi5 files, so that everything can be tried without
    network. `market-platform up` runs one for you; run another by hand to point something at it:

        market-platform replay --port 8191 --seed 42

        curl http://127.0.0.1:8191/dukascopy/v1/instruments/EUR-USD

        curl http://127.0.0.1:8191/dukascopy/v1/ticks/EUR-USD/2024/3/5/10

    Of Binance, Hyperliquid and OANDA it serves live markets, as streams and over REST, from the same seed: at the clock's
    own speed, or faster through the last hours until it meets the clock:

        curl 'http://127.0.0.1:8191/binance/spot/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3'

    It misbehaves on demand, once or often: slow, 429, 418, 503, truncate, accepted_202_empty, empty_once, garbage,
    wrong_types, hang, reset; files of Binance's archive: reissued, wrong_checksum, cut_zip; streams: refuse, drop,
    close_1006, cut, server_shutdown, half_open, ping_timeout, delay, and of their messages duplicate, reorder, corrupt, hole:

        curl -X POST http://127.0.0.1:8191/_faults -d '{"match": "ticks/EUR-USD", "kind": "503", "times": 2}'

        curl http://127.0.0.1:8191/_requests

    Ctrl-C stops it.
    """
    from market_platform.replay.logs import configure_logs
    from market_platform.replay.server import run

    settings = get_settings()
    configure_logs(settings.log_level, settings.log_format)
    run(
        settings.replay_port if port is None else port,
        settings.replay_seed if seed is None else seed,
        settings.recordings if recordings is None else recordings,
        speed=settings.replay_speed if speed is None else speed,
        host=settings.replay_host,
    )

"""The live side as real processes, each of which a test may break and bring back.

Postgres, an S3 store, the replay exchange, the streamer and the API.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from market_platform.embedded.postgres import EmbeddedPostgres
from market_platform.lake.store import Lake
from market_platform.settings import Settings, load_settings
from market_platform.starlistings import load_starlistings
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.migrations import migrate
from market_platform.warehouse.reference import sync_reference
from market_platform_tests.e2e.s3 import S3Server
from market_platform_tests.e2e.stack import wait_until
from market_platform_tests.fixtures.ports import free_ports
from market_platform_tests.fixtures.tcp_proxy import TcpProxy
from market_platform_tests.recordings import PROJECT_ROOT

PAIRS = """
exchanges:
  binance: {name: Binance, licence: public, market_type: spot}
  hyperliquid: {name: Hyperliquid, licence: public, market_type: perps}
  oanda: {name: OANDA, licence: private, market_type: spot}
coins: {BTC: Bitcoin, ETH: Ether, EUR: Euro}
quote_currencies: {USD: US Dollar, USDT: Tether}
market_types: {spot: Spot, perps: Perpetuals}
intervals: [1m, 5m, 15m]
starlistings:
  binance:
    BTCUSDT: {coin: BTC, quote: USDT}
    ETHUSDT: {coin: ETH, quote: USDT}
    BTCUSDT.P: {coin: BTC, quote: USDT, market_type: perps}
    ETHUSDT.P: {coin: ETH, quote: USDT, market_type: perps}
  hyperliquid:
    BTCUSD: {coin: BTC, quote: USD}
  oanda:
    EURUSD: {coin: EUR, quote: USD}
"""


class LiveWorld:
    """Everything a streamer needs, on free ports, in `home`. `speed` is how much faster than ours the exchanges' time runs.

    With `recordings`, Binance's spot BTCUSDT and perpetual ETHUSDT are played from them; all else is generated.
    """

    def __init__(self, home: Path, *, speed: float, recordings: Path | None = None) -> None:
        self.home = home
        self.recordings = recordings
        replay, api, metrics, postgres = free_ports(4)
        self.s3 = S3Server()
        at = urlsplit(self.s3.endpoint)
        self.lake_proxy = TcpProxy(str(at.hostname), int(at.port or 80))
        self.postgres = EmbeddedPostgres(home / "postgres", postgres, durable=False)
        (home / "starlistings.yaml").write_text(PAIRS)
        keep = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DAGSTER_", "R2_", "AWS_", "LAKE_"))
        }
        self.env = {
            **keep,
            **self.s3.environment,
            "R2_ENDPOINT": f"http://127.0.0.1:{self.lake_proxy.port}",
            "MARKET_DATA_DIR": str(home / "data"),
            "STARLISTINGS_FILE": str(home / "starlistings.yaml"),
            "REPLAY_PORT": str(replay),
            "REPLAY_SPEED": str(speed),
            **({} if recordings is None else {"RECORDINGS": str(recordings)}),
            "API_PORT": str(api),
            "STREAMER_METRICS_PORT": str(metrics),
            "STREAM_PART_S": "3",
            "STREAM_PART_TICKS": "500",
            "LOG_FORMAT": "json",
        }
        self.replay_url, self.api_url = f"http://127.0.0.1:{replay}", f"http://127.0.0.1:{api}"
        self.metrics_url = f"http://127.0.0.1:{metrics}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def settings(self) -> Settings:
        """What the processes are told."""
        fields = {
            name.lower(): self.env[name] for name in ("MARKET_DATA_DIR", "REPLAY_PORT", "DATABASE_URL", "R2_REGION")
        }
        secrets = {name: self.env[name] for name in ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_ENDPOINT")}
        return load_settings(_env_file=None, r2_bucket_name=self.env["R2_BUCKET_NAME"], **fields, **secrets)

    def start(self) -> None:
        """Bring up Postgres with its schema and pairs, the replay exchange, the streamer and the API."""
        url = self.postgres.start()
        self.env["DATABASE_URL"] = url
        migrate(url)
        warehouse = create_warehouse(url)
        with warehouse.begin() as connection:
            sync_reference(connection, load_starlistings(self.home / "starlistings.yaml"))
        warehouse.close()
        for name, module in (("replay", "market_platform.replay"), ("streamer", "streamer"), ("api", "api_service")):
            self.launch(name, module)
        wait_until("the replay exchange answers", lambda: self.answers(f"{self.replay_url}/healthz"), 60)
        wait_until("the API answers", lambda: self.answers(f"{self.api_url}/readyz"), 60)

    def launch(self, name: str, module: str) -> None:
        """Start one of the processes."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=PROJECT_ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_streamer(self) -> None:
        """`kill -9`, and start it again at once."""
        self.processes["streamer"].kill()
        self.processes["streamer"].wait()
        self.launch("streamer", "streamer")

    def stop_streamer(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds until it had ended."""
        process, began = self.processes["streamer"], time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        return code, time.monotonic() - began

    def restart_postgres(self, away_s: float) -> None:
        """Stop the server, wait, start it again with its data."""
        self.postgres.stop()
        time.sleep(away_s)
        self.postgres.start()

    def fault(self, match: str, kind: str, *, times: int = 1, seconds: float | None = None) -> None:
        """Have the replay exchange misbehave."""
        rule: dict[str, Any] = {"match": match, "kind": kind, "times": times}
        if seconds is not None:
            rule["seconds"] = seconds
        httpx.post(f"{self.replay_url}/_faults", json=[rule], timeout=60).raise_for_status()

    def clear_faults(self) -> None:
        """Have it behave again."""
        httpx.delete(f"{self.replay_url}/_faults", timeout=60).raise_for_status()

    def get(self, url: str, **parameters: Any) -> Any:
        """JSON of a URL."""
        answer = httpx.get(url, params=parameters, timeout=120)
        answer.raise_for_status()
        return answer.json()

    def answers(self, url: str) -> bool:
        """Whether a URL answers 200."""
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{self.tail(name)}"
        try:
            return httpx.get(url, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with psycopg.connect(self.env["DATABASE_URL"], connect_timeout=30) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def lake(self) -> Lake:
        """The lake, past the proxy."""
        return Lake.open(
            f"s3://{self.env['R2_BUCKET_NAME']}",
            access_key_id="test",
            secret_access_key="test",
            endpoint=self.s3.endpoint,
            region="us-east-1",
        )

    def tail(self, name: str) -> str:
        """The end of a process's log."""
        return (self.home / f"{name}.log").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        self.lake_proxy.close()
        self.s3.stop()
        self.postgres.destroy()


@contextmanager
def live_world(home: Path, *, speed: float, recordings: Path | None = None) -> Iterator[LiveWorld]:
    """A world that ends with the context."""
    world = LiveWorld(home, speed=speed, recordings=recordings)
    try:
        world.start()
        yield world
    finally:
        world.close()

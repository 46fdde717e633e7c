"""`/api/candles`: cold, from memory, and 304, each against the least that could answer it; its growth; `/candles/…` cold.

Every server is a process of its own under uvicorn; one client asks them in turn over kept connections, so that whatever
else the machine does is shared fairly; medians are compared. The client, the servers and Postgres share the cores.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import psycopg

from market_platform.settings import PROJECT_ROOT
from market_platform.warehouse.migrations import migrate
from market_platform_tests.bench.rows import BenchRow

ROWS = 1000
_ENDS = datetime(2024, 6, 1, tzinfo=UTC)
_MINUTE = 60
_ROUNDS = {"cold": 300, "warm": 600, "304": 800, "history": 200, "rows": 300, "few rows": 600}

_REFERENCE = """
INSERT INTO exchanges (code, display_name, licence) VALUES ('bench', 'Bench', 'public');
INSERT INTO coins (code, name) VALUES ('EUR', 'Euro');
INSERT INTO quote_currencies (code, name) VALUES ('USD', 'US Dollar');
INSERT INTO market_types (code, display_name) VALUES ('spot', 'Spot');
INSERT INTO intervals (name, seconds) VALUES ('1m', 60);
INSERT INTO trading_pairs (exchange_id, coin_id, quote_currency_id, market_type_id, symbol)
SELECT e.id, c.id, q.id, m.id, 'EURUSD' FROM exchanges e, coins c, quote_currencies q, market_types m;
INSERT INTO starlistings (trading_pair_id, interval_id) SELECT p.id, i.id FROM trading_pairs p, intervals i;
"""

_CANDLES = """
INSERT INTO candles (starlisting_id, source, time, num_trades, open, high, low, close, volume)
SELECT s.id, 20, t, 100, 1.08 + (mod(i, 997)) * 0.00001, 1.0901 + (mod(i, 997)) * 0.00001, 1.07 + (mod(i, 991)) * 0.00001,
    1.08 + (mod(i, 983)) * 0.00001, 1000000 + mod(i, 100003) + 0.25
FROM starlistings s, LATERAL (
    SELECT t, row_number() OVER () AS i
    FROM generate_series(%(first)s::timestamptz, %(last)s::timestamptz - interval '1 min', interval '1 min') AS t
) AS made
"""

_DAYS = """
INSERT INTO candle_days (starlisting_id, day, revision, rows, first_time, last_time, condition, data_version, run_id,
    code_version)
SELECT s.id, d, 1, 1440, d, d + interval '1439 min', 'available', md5(d::text), 'bench', '1'
FROM starlistings s, generate_series(%(first)s::timestamptz, %(last)s::timestamptz - interval '1 day', interval '1 day') AS d
"""


def measure(database_url: str) -> list[BenchRow]:
    """Cold, warm and 304 with a month of 1m candles stored, and cold and 304 once more beside five years of them."""
    long_url = _second_database(database_url)
    _fill(database_url, datetime(2024, 5, 1, tzinfo=UTC))
    starlisting = _fill(long_url, datetime(2019, 6, 1, tzinfo=UTC))
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="bench-api-") as folder:

        def start(*command: str, **environment: str) -> socket.socket:
            return stack.enter_context(_server(Path(folder), command, environment))

        ours = start("-m", "api_service", DATABASE_URL=database_url)
        long = start("-m", "api_service", DATABASE_URL=long_url)
        cold = start(*_peer("cold"), DATABASE_URL=database_url, BENCH_STARLISTING=str(starlisting))
        body, tag = _first_answer(ours)
        bare = start(*_peer("same_bytes"), BENCH_BYTES=str(len(body)))
        _wait_until_listening(ours)
        _wait_until_listening(long)
        known = f"If-None-Match: {tag}\r\n".encode()
        _, long_tag = _first_answer(long)
        strict = b"Cache-Control: no-cache\r\n"  # Postgres is asked for the version
        long_known = f"If-None-Match: {long_tag}\r\n".encode() + strict
        plain = {
            "cold": _compare("cold", (ours, _fresh(1)), (cold, _fresh(2))),
            "warm": _compare("warm", (ours, _same(_url(0))), (bare, _same(b"/"))),
            "304": _compare("304", (ours, _same(_url(0), known)), (bare, _same(b"/304"))),
        }
        grown = {
            "cold": _compare("history", (long, _fresh(3)), (ours, _fresh(4))),
            "304": _compare("history", (long, _same(_url(0), long_known)), (ours, _same(_url(0), known + strict))),
        }
        newest = start(
            *_peer("newest_rows", "rows_peer"), DATABASE_URL=database_url, BENCH_STARLISTING=str(starlisting)
        )
        rows = {
            limit: _compare(rounds, (ours, _newest(limit, 5)), (newest, _newest(limit, 6)))
            for limit, rounds in ((1000, "rows"), (100, "few rows"))
        }
        assert _ask(ours, _newest(100, 0)(0)[0])[2] == _ask(newest, _newest(100, 0)(0)[0])[2]
    return [
        _row("candles, 1,000 rows, cold", plain["cold"], 1.3, "bare handler: same query by psycopg, orjson"),
        _row("candles, 1,000 rows, from memory", plain["warm"], 4.0, "bare ASGI app, same bytes"),
        _row("candles, 304", plain["304"], 4.0, "bare ASGI app, 304"),
        _row("starlisting candles, limit=1000, cold", rows[1000], 1.3, "bare handler: same query by psycopg, orjson"),
        _row("starlisting candles, limit=100, cold", rows[100], 1.3, "bare handler: same query by psycopg, orjson"),
        _row("candles, 1,000 rows, cold, 5 years stored", grown["cold"], 1.3, "the same with 1 month stored"),
        _row(
            "candles, 304, version asked of Postgres, 5 years stored", grown["304"], 1.3, "the same with 1 month stored"
        ),
    ]


Request = Callable[[int], tuple[bytes, bytes]]
"""The path and further header lines of the n-th request."""


def _row(name: str, measured: tuple[float, float], bound: float, peer: str) -> BenchRow:
    ours, theirs = measured
    text = f"{peer}: {theirs * 1e6:,.0f} µs, ours {ours * 1e6:,.0f} µs"
    return BenchRow(f"API: {name}", ours / theirs, "×", bound, "lower", text)


def _compare(rounds: str, *asked: tuple[socket.socket, Request]) -> tuple[float, float]:
    """Median seconds an answer of each, asked in turn."""
    took: list[list[float]] = [[] for _ in asked]
    count = _ROUNDS[rounds]
    for number in range(count + count // 10):
        for times, (connection, request) in zip(took, asked, strict=True):
            path, headers = request(number)
            began = time.perf_counter()
            status, _, _ = _ask(connection, path, headers)
            times.append(time.perf_counter() - began)
            assert status == (304 if path == b"/304" or headers else 200), (status, path)
    ours, theirs = (median(times[count // 10 :]) for times in took)
    return ours, theirs


def _url(minutes: int) -> bytes:
    """1,000 candles that begin `minutes` after the second of May."""
    first = int(datetime(2024, 5, 2, tzinfo=UTC).timestamp()) + minutes * _MINUTE
    return b"/api/candles?symbol=EURUSD&timeframe=1m&from=%d&to=%d" % (first, first + (ROWS - 1) * _MINUTE)


def _fresh(offset: int) -> Request:
    """A range nobody asked for before."""
    return lambda number: (_url(offset + 13 * number), b"")


def _newest(limit: int, offset: int) -> Request:
    """The newest candles up to a minute that nobody asked for before."""

    def request(number: int) -> tuple[bytes, bytes]:
        end = int(datetime(2024, 5, 10, tzinfo=UTC).timestamp()) + (offset + 13 * number) * _MINUTE
        return b"/candles/bench/EUR/USD/spot/1m?end_time=%d&limit=%d" % (end, limit), b""

    return request


def _same(path: bytes, headers: bytes = b"") -> Request:
    return lambda _: (path, headers)


def _ask(connection: socket.socket, path: bytes, headers: bytes = b"") -> tuple[int, bytes, bytes]:
    """Status, head and body of a GET on a kept connection."""
    connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: bench\r\n" + headers + b"\r\n")
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(262_144)
        assert part, "the server closed the connection"
        received += part
    head, _, rest = received.partition(b"\r\n\r\n")
    status = int(head[9:12])
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    missing = (int(length[1]) if length and status != 304 else 0) - len(rest)
    parts = [rest]
    while missing > 0:
        parts.append(connection.recv(262_144))
        missing -= len(parts[-1])
    return status, head, b"".join(parts)


def _first_answer(connection: socket.socket) -> tuple[bytes, str]:
    status, head, body = _ask(connection, _url(0))
    assert status == 200, body
    assert body.count(b'"time"') == ROWS
    found = re.search(rb'(?i)\r\netag: ("[^"]+")', head)
    assert found is not None
    return body, found[1].decode()


def _wait_until_listening(connection: socket.socket) -> None:
    deadline = time.monotonic() + 15
    while b'"healthy"' not in _ask(connection, b"/health")[2]:
        assert time.monotonic() < deadline, "the API does not hear of changes"
        time.sleep(0.05)


def _peer(factory: str, module: str = "api_peers") -> Sequence[str]:
    return (
        *("-m", "uvicorn", "--factory", f"market_platform_tests.bench.{module}:{factory}"),
        *("--no-access-log", "--log-level", "warning", "--port"),
    )


@contextmanager
def _server(folder: Path, command: Sequence[str], env: dict[str, str]) -> Iterator[socket.socket]:
    """A connection to a server started with that command, its log in a file as a supervisor would keep it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    arguments = [*command, str(port)] if command[-1] == "--port" else list(command)
    settings = {"API_HOST": "127.0.0.1", "API_PORT": str(port), "LOG_FORMAT": "json", "LOG_LEVEL": "INFO"}
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT_ROOT,
            env={**os.environ, **settings, **env},
            stdout=log,
            stderr=log,
        )
    try:
        connection = _connect(process, port, folder / f"{port}.log")
        with connection:
            yield connection
    finally:
        process.terminate()
        process.wait(10)


def _connect(process: subprocess.Popen[bytes], port: int, log: Path) -> socket.socket:
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection


def _second_database(database_url: str) -> str:
    parts = urlsplit(database_url)
    url = parts._replace(path=f"{parts.path}_long").geturl()
    migrate(url)
    return url


def _fill(url: str, first: datetime) -> int:
    """Minute candles without a gap from `first` to the end; returns the starlisting's id."""
    span = {"first": first, "last": _ENDS}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute(_REFERENCE)
        connection.execute(_CANDLES, span)
        connection.execute(_DAYS, span)
        connection.execute("VACUUM ANALYZE")
        row = connection.execute("SELECT id FROM starlistings").fetchone()
    assert row is not None
    return int(row[0])

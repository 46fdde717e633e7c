"""The example client follows a real server across a restart, as its reader will run it."""

from __future__ import annotations

import subprocess
import sys

from market_platform.settings import PROJECT_ROOT
from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.live_market import LiveMarket
from market_platform_tests.fixtures.ports import free_port


def test_the_python_example_misses_nothing_across_a_restart(market: LiveMarket) -> None:
    one, port = market.id(market.btc), free_port()
    market.candles(market.btc, 3)
    command = [sys.executable, "examples/websocket_client.py", "--url", f"ws://127.0.0.1:{port}/ws", str(one)]
    process = subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    assert process.stdout is not None

    def read_until(*wanted: str) -> list[str]:
        lines: list[str] = []
        assert process.stdout is not None
        while not lines or not all(each in lines[-1] for each in wanted):
            line = process.stdout.readline()
            assert line, lines
            lines.append(line)
        return lines

    try:
        with ApiServer(market.database_url, port=port):
            read_until("binance/BTC/USDT/1m historical: 3 rows up to number 3")
            market.candles(market.btc)
            read_until("candle #4")
        market.candles(market.btc, 2)  # while nobody serves
        with ApiServer(market.database_url, port=port):
            market.candles(market.btc)
            seen = "".join(read_until("candle #7"))
        assert [each for each in range(1, 9) if f"candle #{each}:" in seen] == [5, 6, 7]
        assert " after " not in seen
        assert "historical" not in seen
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()

"""Recorded Binance streams, played again: the very lines, in order, faster; trades come back by id."""

from __future__ import annotations

import gzip
from pathlib import Path

import httpx
import orjson
import pytest

from market_platform.domain.errors import ConfigError
from market_platform.domain.events import Trade
from market_platform.exchanges.binance.parse import parse
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.recorded import Recording, Recordings
from market_platform.replay.live.world import World
from market_platform.replay.testing import running_replay
from market_platform_tests.fixtures.live_replay import listen, read_until
from market_platform_tests.recordings import needs_recordings, recordings_dir


def a_line(number: int, stream: str, data: dict[str, object]) -> bytes:
    return b"%d %b\n" % (10**18 + number * 10**7, orjson.dumps({"stream": stream, "data": data}))


def a_folder(root: Path, count: int) -> Path:
    """`count` trades, ten milliseconds from each other, with quotes and a REST answer in between."""
    lines = [b'1000000000000000000 {"lastUpdateId":1,"bids":[],"asks":[]}\n']
    for number in range(count):
        made: dict[str, object] = {"e": "trade", "E": 1_700_000_000_001, "s": "SOLUSDT", "t": 500 + number, "p": "1.50"}
        lines.append(
            a_line(
                number, "solusdt@trade", {**made, "q": "2.000", "T": 1_700_000_000_000, "m": number % 2 == 0, "M": True}
            )
        )
        quote: dict[str, object] = {"u": number, "s": "SOLUSDT", "b": "1.49", "B": "3", "a": "1.51", "A": "4"}
        lines.append(a_line(number, "solusdt@bookTicker", quote))
    folder = root / "binance" / "hftbacktest" / "spot"
    folder.mkdir(parents=True)
    (folder / "solusdt_20260101.gz").write_bytes(gzip.compress(b"".join(lines)))
    return root


def test_a_recording_is_played_in_order_and_ends_in_silence(tmp_path: Path) -> None:
    world = World(7, ExchangeClock(), Recordings(a_folder(tmp_path, 60)))
    with running_replay(world=world) as replay:
        url = (
            f"{replay.live_url('binance_spot_stream')}/stream?streams=solusdt@trade/solusdt@aggTrade/solusdt@bookTicker"
        )
        with listen(url) as socket:
            got = read_until(socket, lambda messages: len(messages) >= 180)
            with pytest.raises(TimeoutError):
                socket.recv(0.3)
        trades = [message for message in map(orjson.loads, got) if message["stream"] == "solusdt@trade"]
        assert [trade["data"]["t"] for trade in trades] == list(range(500, 560))
        parsed = [event for message in got if b"aggTrade" in message for event in parse(message)]
        assert [event.trade_id for event in parsed if isinstance(event, Trade)] == list(range(500, 560))
        with httpx.Client(base_url=replay.live_url("binance_spot_rest")) as client:
            rows = client.get("/api/v3/aggTrades", params={"symbol": "SOLUSDT", "fromId": 510, "limit": 20}).json()
            assert [row["a"] for row in rows] == list(range(510, 530))
            rows = client.get("/api/v3/historicalTrades", params={"symbol": "SOLUSDT", "limit": 3}).json()
            assert [row["id"] for row in rows] == [557, 558, 559]
            assert client.get("/api/v3/klines", params={"symbol": "SOLUSDT", "interval": "1m"}).json() == []


def test_what_is_not_played_yet_is_not_known_to_rest(tmp_path: Path) -> None:
    recording = Recording(a_folder(tmp_path, 5) / "binance/hftbacktest/spot/solusdt_20260101.gz", "binance-spot", 1e-9)
    assert recording.trades(None, 10) == []
    recording.begin()
    assert [trade.id for trade in recording.trades(None, 10)] == [500]


def test_a_file_that_is_no_recording_says_so(tmp_path: Path) -> None:
    path = tmp_path / "solusdt_20260101.gz"
    path.write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match="is no recording"):
        Recording(path, "binance-spot", 1.0).begin()


@needs_recordings
def test_real_recordings_come_as_they_were() -> None:
    path = recordings_dir() / "binance" / "hftbacktest" / "usdm" / "ethusdt_20240808.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with gzip.open(path, "rb") as file:
        lines = [line.split(b" ", 1)[1].strip() for line in file if b"@trade" in line]
    world = World(7, ExchangeClock(), Recordings(recordings_dir(), 100.0))
    with running_replay(world=world) as replay:
        url = f"{replay.live_url('binance_usdm_stream')}/stream?streams=ethusdt@trade/btcusdt@aggTrade/ethusdt@aggTrade"
        with listen(url) as socket:
            got = [message for _ in range(2500) for message in read_until(socket, any)]
    ids = [orjson.loads(message)["data"]["a"] for message in got if b"ethusdt@aggTrade" in message]
    assert len(ids) > 1000
    recorded = [orjson.loads(line)["data"]["t"] for line in lines]
    assert ids == recorded[: len(ids)]
    assert any(b"btcusdt@aggTrade" in message for message in got), "what is not recorded is generated"

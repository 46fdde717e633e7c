"""Recorded lines of Binance's streams, as bytes; tests that ask for them skip where they are not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from market_platform_tests.recordings import recording

HFTBACKTEST = {
    "spot": "binance/hftbacktest/spot/btcusdt_20240808.gz",
    "usdm": "binance/hftbacktest/usdm/ethusdt_20240808.gz",
    "cm": "binance/hftbacktest/cm/btcusd_perp_20240808.gz",
}
CRYPTOFEED = {
    "spot": "binance/cryptofeed/BINANCE.jsonl.zst",
    "usdm": "binance/cryptofeed/BINANCE_FUTURES.jsonl.zst",
}


def stream_lines(market: str) -> list[bytes]:
    """Messages of a combined connection; a line is the receiver's clock in ns, a space, the message."""
    with gzip.open(recording(HFTBACKTEST[market])) as file:
        return [line.split(b" ", 1)[1].rstrip() for line in file]


def captured(market: str) -> Iterator[dict[str, Any]]:
    """What another program sent and received: `t` is `http` or `recv`, `data` the text."""
    with pa.CompressedInputStream(str(recording(CRYPTOFEED[market])), "zstd") as stream:
        for line in stream.read().splitlines():
            yield json.loads(line)


def captured_messages(market: str) -> list[bytes]:
    """The stream messages among them."""
    return [each["data"].encode() for each in captured(market) if each["t"] == "recv"]

"""Live ingestion: what reading an exchange's messages costs, beyond decoding them.

Belongs here: rows of the stream's path. The peers run on the same lines in the same run, in turns.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest

from market_platform.exchanges.binance.parse import parse
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.recordings import recordings_dir

REPEATS = 7
RECORDED = {"spot": "spot/btcusdt_20240808.gz", "usdm": "usdm/ethusdt_20240808.gz", "cm": "cm/btcusd_perp_20240808.gz"}
DECODING_BOUND = 2.5

Decode = Callable[[bytes], object]
Decoders = tuple[Decode, Decode]
"""For messages that name their type, and for the best bid and ask of spot, which do not."""


def measure() -> list[BenchRow]:
    """Every row of the stream.

    Raises:
        Skipped: the recordings are not here.
    """
    return parse_rows(recorded_lines())


def recorded_lines() -> dict[str, list[bytes]]:
    """Binance's messages as recorded, by market, without the one line in each that is REST's."""
    folder = recordings_dir() / "binance" / "hftbacktest"
    if not folder.is_dir():
        pytest.skip("the recordings are not here; set MARKET_TEST_DATA to their folder")
    found = {}
    for market, name in RECORDED.items():
        with gzip.open(folder / name) as file:
            lines = (line.split(b" ", 1)[1].rstrip() for line in file)
            found[market] = [line for line in lines if line.startswith(b'{"stream"')]
    return found


def parse_rows(lines: dict[str, list[bytes]]) -> list[BenchRow]:
    """Bytes to domain events, against msgspec's typed decoding of the same lines alone.

    The peers decode what we use of a message and nothing else, and each line by a decoder chosen beforehand; they check
    nothing and make no events. The bound is on the one whose numbers are exact, as ours are; the other, whose numbers stay
    text, is told beside it. Order books are decoded by the peers and skipped by us, hence the second row, without them.
    """
    exact, text = decoders(Decimal), decoders(str)
    rows = []
    for name, chosen in (
        ("parse to events, all recorded lines", {market: list(each) for market, each in lines.items()}),
        (
            "parse to events, trades and quotes",
            {market: [line for line in each if b"@depth" not in line[:60]] for market, each in lines.items()},
        ),
    ):
        every = [line for each in chosen.values() for line in each]
        peers = [
            [(line, _chosen(market, line, of_kind)) for market, each in chosen.items() for line in each]
            for of_kind in (exact, text)
        ]
        floor, floor_text, ours = _best([_decoding(peers[0]), _decoding(peers[1]), partial(_parsing, every)])
        told = (
            f"ours {_rate(every, ours)}/s; msgspec with exact decimals {_rate(every, floor)}/s, "
            f"with numbers as text {_rate(every, floor_text)}/s ({ours / floor_text:.2f} x); {len(every):,} messages"
        )
        rows.append(BenchRow(name, ours / floor, "x", DECODING_BOUND, "lower", told))
    return rows


def decoders(number: type) -> Decoders:
    """The peer: typed decoders whose prices and volumes are `number`."""
    trade = msgspec.defstruct(
        "Trade",
        [("E", int), ("s", str), ("t", int), ("p", number), ("q", number), ("T", int), ("m", bool)],
        tag_field="e",
        tag="trade",
        gc=False,
    )
    quote_fields: list[Any] = [("u", int), ("s", str), ("b", number), ("B", number), ("a", number), ("A", number)]
    quote = msgspec.defstruct("Quote", [*quote_fields, ("T", int)], tag_field="e", tag="bookTicker", gc=False)
    spot_quote = msgspec.defstruct("SpotQuote", quote_fields, gc=False)
    depth = msgspec.defstruct("Depth", [("s", str)], tag_field="e", tag="depthUpdate", gc=False)
    tagged = msgspec.defstruct("Combined", [("data", trade | quote | depth)], gc=False)
    untagged = msgspec.defstruct("CombinedSpotQuote", [("data", spot_quote)], gc=False)
    return msgspec.json.Decoder(tagged).decode, msgspec.json.Decoder(untagged).decode


def _chosen(market: str, line: bytes, of_kind: Decoders) -> Decode:
    return of_kind[1] if market == "spot" and b"@bookTicker" in line[:60] else of_kind[0]


def _decoding(pairs: Sequence[tuple[bytes, Decode]]) -> Callable[[], None]:
    def decode() -> None:
        for line, decoder in pairs:
            decoder(line)

    return decode


def _parsing(lines: Sequence[bytes]) -> None:
    for line in lines:
        parse(line)


def _best(functions: Sequence[Callable[[], object]]) -> list[float]:
    """Best wall time, in seconds, of each, called in turns so that noise meets all of them alike."""
    best = [float("inf")] * len(functions)
    for _ in range(REPEATS):
        for index, function in enumerate(functions):
            began = time.perf_counter()
            function()
            best[index] = min(best[index], time.perf_counter() - began)
    return best


def _rate(lines: Sequence[bytes], seconds: float) -> str:
    return f"{len(lines) / seconds:,.0f}"

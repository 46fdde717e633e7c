"""Recorded Binance streams, played again.

Belongs here: finding recordings, playing their lines as they were, and their trades by id. Does not: inventing anything.
A folder of recordings holds

    binance/hftbacktest/spot/{symbol}_{date}.gz     lines `<receive time, ns> {"stream": …, "data": …}`
    binance/hftbacktest/usdm/{symbol}_{date}.gz

A symbol that is recorded is not generated: its streams are those in the file, with the times they had then, from the first
subscription on and at the exchange's speed; after the last line they are silent. Where single trades were recorded,
`aggTrade` is told too, each trade as an aggregate of its own under its own id, and REST gives back those played so far.
There are no candles and no other numbers of it.
"""

from __future__ import annotations

import gzip
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import orjson

from market_platform.domain.errors import ConfigError
from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.feed import Slice
from market_platform.replay.live.markets import Venue

_FOLDERS: dict[str, Venue] = {"spot": "binance-spot", "usdm": "binance-usdm"}


@dataclass(frozen=True, slots=True)
class RecordedTrade:
    """A single trade, in the exchange's own text; `at_ms` is when it was received, since the recording began."""

    id: int
    price: str
    quantity: str
    time_ms: int
    buyer_is_maker: bool
    at_ms: float


@dataclass(slots=True)
class _Lines:
    at_ms: list[float] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)


class Recording:
    """One file. May be used by several threads."""

    def __init__(self, path: Path, venue: Venue, speed: float) -> None:
        self.path = path
        self.venue = venue
        self.symbol = path.name.partition("_")[0].upper()
        self._speed = speed
        self._lock = Lock()
        self._loaded = False
        self._began: float | None = None
        self._lines: dict[str, _Lines] = defaultdict(_Lines)
        self._trades: list[RecordedTrade] = []

    def begin(self) -> None:
        """Read the file, and play it from now on, unless it plays already.

        Raises:
            ConfigError: the file is no recording.
        """
        with self._lock:
            if not self._loaded:
                self._load()
                self._loaded = True
            if self._began is None:
                self._began = time.monotonic()

    @property
    def played_ms(self) -> float:
        """How much of it has been played; 0 before it began."""
        return 0.0 if self._began is None else (time.monotonic() - self._began) * 1000 * self._speed

    def between(self, stream: str, after_ms: float, until_ms: float) -> list[bytes]:
        """The data of a stream's messages received in (after, until]."""
        lines = self._lines.get(stream)
        if lines is None:
            return []
        return lines.data[bisect_right(lines.at_ms, after_ms) : bisect_right(lines.at_ms, until_ms)]

    def trades(self, first_id: int | None, limit: int) -> list[RecordedTrade]:
        """The first trades from an id on that have been played; the last ones without an id."""
        played = bisect_right(self._trades, self.played_ms, key=lambda trade: trade.at_ms)
        start = (
            max(played - limit, 0)
            if first_id is None
            else bisect_left(self._trades, first_id, key=lambda trade: trade.id)
        )
        return self._trades[start : min(start + limit, played)]

    def _load(self) -> None:
        first: int | None = None
        try:
            with gzip.open(self.path, "rb") as file:
                for line in file:
                    received, _, message = line.strip().partition(b" ")
                    first = int(received) if first is None else first
                    self._add(message, (int(received) - first) / 1e6)
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise ConfigError(f"{self.path} is no recording of a Binance stream: {error}") from None

    def _add(self, message: bytes, at_ms: float) -> None:
        head, found, data = message.partition(b'"data":')
        if not found:  # a REST answer that was recorded in between
            return
        name = orjson.loads(head.rstrip(b",") + b"}")["stream"]
        self._put(name, at_ms, data[:-1])
        if name.endswith("@trade"):
            trade = orjson.loads(data[:-1])
            row = RecordedTrade(trade["t"], trade["p"], trade["q"], trade["T"], trade["m"], at_ms)
            self._trades.append(row)
            told = f'{{"e":"aggTrade","E":{trade["E"]},"s":"{trade["s"]}",{self.aggregate(row)}}}'
            self._put(name.replace("@trade", "@aggTrade"), at_ms, told.encode())

    def _put(self, name: str, at_ms: float, data: bytes) -> None:
        lines = self._lines[name]
        lines.at_ms.append(at_ms)
        lines.data.append(data)

    def aggregate(self, trade: RecordedTrade) -> str:
        """The fields of a trade as an aggregate of its own, without braces."""
        best = ',"M":true' if self.venue == "binance-spot" else ""
        return (
            f'"a":{trade.id},"p":"{trade.price}","q":"{trade.quantity}","f":{trade.id},"l":{trade.id},'
            f'"T":{trade.time_ms},"m":{"true" if trade.buyer_is_maker else "false"}{best}'
        )

    def single(self, trade: RecordedTrade) -> dict[str, object]:
        """A trade as `/historicalTrades` says it (without the quote quantity, which was not recorded)."""
        return {
            "id": trade.id,
            "price": trade.price,
            "qty": trade.quantity,
            "time": trade.time_ms,
            "isBuyerMaker": trade.buyer_is_maker,
        }


class RecordedFeed:
    """One stream of a recording."""

    def __init__(self, name: str, recording: Recording) -> None:
        self.name = name
        self.book: CandleBook | None = None
        self._recording = recording
        # from the very first line on, unless it plays already
        self._told_ms = recording.played_ms or -1.0

    def start(self, at_ms: int) -> Callable[[], None] | None:  # noqa: ARG002 - a recording has its own time
        """Begin where the recording was when this was asked for; the first one begins it."""
        return self._recording.begin

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:  # noqa: ARG002
        """What was received since the last time."""
        until_ms = self._recording.played_ms
        made = self._recording.between(self.name, self._told_ms, until_ms)
        self._told_ms = until_ms
        return made


class Recordings:
    """All recordings of a folder."""

    def __init__(self, folder: Path, speed: float = 1.0) -> None:
        self._by_name: dict[tuple[Venue, str], Recording] = {}
        for name, venue in _FOLDERS.items():
            for path in sorted((folder / "binance" / "hftbacktest" / name).glob("*.gz")):
                recording = Recording(path, venue, speed)
                self._by_name.setdefault((venue, recording.symbol), recording)

    def of(self, venue: Venue, symbol: str) -> Recording | None:
        """The recording of a symbol; None when it is not recorded."""
        return self._by_name.get((venue, symbol))

"""The frames in which forming candles and ticks travel from the streamer to the API, over Postgres's NOTIFY.

A frame is compact JSON under NOTIFY's 8,000 bytes. What it carries is the newest state only: whoever misses one misses
nothing that a later one, or the tables, do not say. Final rows never travel here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

LIVE_CHANNEL = "live"
"""Payload: a frame."""
SERIES_CHANNEL = "series"
"""Payload: `id:seq` of each starlisting with new final rows, space-separated: a hint to read `series_changes`."""
MAX_PAYLOAD = 7_900


class FormingCandle(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A candle that is not closed yet. Prices and volume are the exact decimal text; times in ms."""

    starlisting_id: int
    time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    num_trades: int | None
    event_ms: int


class LiveTick(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The newest trade or quote of a pair; what it does not have is None. `bid` and `ask` may stand beside a trade."""

    trading_pair_id: int
    time: int
    price: str | None = None
    volume: str | None = None
    side: Literal["buy", "sell"] | None = None
    bid: str | None = None
    ask: str | None = None


class LiveFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """Candles (`c`) and ticks (`t`) that changed since the frame before."""

    c: Sequence[FormingCandle] = ()
    t: Sequence[LiveTick] = ()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(LiveFrame)


def encode_frames(candles: Iterable[FormingCandle], ticks: Iterable[LiveTick]) -> list[str]:
    """As few frames as hold them all, each within NOTIFY's limit; none for nothing."""
    frames: list[str] = []
    candle_parts: list[str] = []
    tick_parts: list[str] = []
    size = 0

    def flush() -> None:
        nonlocal size
        if candle_parts or tick_parts:
            lists = [
                f'"{name}":[{",".join(parts)}]' for name, parts in (("c", candle_parts), ("t", tick_parts)) if parts
            ]
            frames.append("{" + ",".join(lists) + "}")
        candle_parts.clear()
        tick_parts.clear()
        size = 0

    for parts, items in ((candle_parts, candles), (tick_parts, ticks)):
        for item in items:
            text = _encoder.encode(item).decode()
            if size + len(text) + 20 > MAX_PAYLOAD:
                flush()
            parts.append(text)
            size += len(text) + 1
    flush()
    return frames


def decode_frame(payload: str) -> LiveFrame:
    """What a payload says.

    Raises:
        ValueError: it is not a frame.
    """
    try:
        return _decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a live frame: {error}") from None

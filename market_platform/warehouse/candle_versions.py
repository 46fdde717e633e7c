"""Versions of a day's candles: derived from nothing but the candles, so that a rebuilt database has the same ones.

Belongs here: which bytes are hashed. Does not: which candles changed (candle_changes.py).
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from market_platform.domain.candles import PRICE_COLUMNS


def next_version(previous: str, content: str) -> str:
    """The data version of a day after a change: derived from the version before and the content of what changed."""
    return hashlib.sha256(f"{previous}\n{content}".encode()).hexdigest()[:32] if content else previous


def content_hashes(changed: pl.DataFrame, deletes: pl.DataFrame) -> dict[int, str]:
    """For each write, SHA-256 of its changed rows and deleted times; who wrote them is not part of it."""
    hashes: dict[int, Any] = {}
    for write, content in _by_write(changed, _exact_rows(changed)):
        hashes.setdefault(write, hashlib.sha256()).update(content)
    gone = deletes.sort("write", "time")
    for write, content in _by_write(gone, gone["time"].dt.epoch("ms").to_numpy()):
        hashes.setdefault(write, hashlib.sha256()).update(b"deleted" + content)
    return {write: each.hexdigest() for write, each in hashes.items()}


def _by_write(frame: pl.DataFrame, content: npt.NDArray[np.int64]) -> list[tuple[int, bytes]]:
    """The bytes of `content`'s rows for each write of a frame sorted by `write`."""
    writes = frame["write"].to_numpy()
    if not len(writes):
        return []
    starts = np.flatnonzero(np.concatenate(([True], writes[1:] != writes[:-1])))
    ends = np.append(starts[1:], len(writes))
    return [(int(writes[start]), content[start:end].tobytes()) for start, end in zip(starts, ends, strict=True)]


def _exact_rows(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    """One row of 12 little-endian integers a candle: time in ms, trades (-1 for NULL), five decimals as 128-bit units of 1e-18."""
    exact = np.empty((frame.height, 12), "<i8")
    exact[:, 0] = frame["time"].dt.epoch("ms").to_numpy()
    exact[:, 1] = frame["num_trades"].fill_null(-1).to_numpy()
    for position, name in enumerate((*PRICE_COLUMNS, "volume")):
        column = frame[name].rechunk().to_arrow()
        units = np.frombuffer(column.buffers()[1], "<i8").reshape(-1, 2)
        exact[:, 2 + 2 * position : 4 + 2 * position] = units[column.offset : column.offset + len(column)]
    return exact

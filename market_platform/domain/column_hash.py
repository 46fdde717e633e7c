"""SHA-256 of columns of integers, defined so that a reader need not hold a column: pieces of it give the same hash.

Belongs here: what is hashed. Does not: which columns rows have, and in which order (ticks.py, trades.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Ints: TypeAlias = npt.NDArray[np.int64]
Pieces: TypeAlias = Iterable[_Ints]
"""A column in pieces, in order. It is gone through twice, so it must begin anew each time."""


def hash_columns(form: str, scales: Sequence[int], rows: int, columns: Iterable[Pieces]) -> str:
    """SHA-256, hex, of the exact content of `rows` rows, however their columns are cut into pieces.

    Hashed are a line with the form's name, the scales and the number of rows, and for each column a line with its least value
    and a width, then its differences from that value as little-endian unsigned integers of that many bytes: 2, 4 or 8, the
    fewest that hold all of them (half the time of hashing 64-bit integers). Without rows, the first line is all.
    """
    digest = hashlib.sha256(f"{form} {' '.join(map(str, scales))} {rows}\n".encode())
    for pieces in columns if rows else ():
        least, width = _least_and_width(pieces)
        digest.update(f"{least} {width}\n".encode())
        for piece in pieces:
            differences = np.empty(len(piece), f"<u{width}")
            np.subtract(piece, least, out=differences, casting="unsafe")
            digest.update(differences.data)
    return digest.hexdigest()


def _least_and_width(pieces: Pieces) -> tuple[int, int]:
    """A column's least value, and the bytes that hold every difference from it."""
    spans = [(int(piece.min()), int(piece.max())) for piece in pieces if len(piece)]
    least = min(low for low, _ in spans)
    span = max(high for _, high in spans) - least
    return least, 2 if span < 1 << 16 else 4 if span < 1 << 32 else 8

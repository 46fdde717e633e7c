"""Random numbers that depend on names only. Belongs here: that. Does not: what is drawn."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(*names: object) -> np.random.Generator:
    """A generator of its own for these names: `stream(7, "ticks", "EURUSD", 431000)` is the same in every process."""
    digest = hashlib.blake2b("/".join(map(str, names)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))

"""A body too long for memory: written in full, then sent; beyond 8 MB it lies in a temporary file without a name.

Belongs here: writing, reading in pieces, closing. Does not: what is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile

_IN_MEMORY = 8 * 1024 * 1024
_PIECE = 256 * 1024


class Spool:
    """Bytes to write first and read once; the file's own waits happen in a thread."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self.length = 0

    async def clear(self) -> None:
        """Forget what was written."""
        self.length = 0
        await asyncio.to_thread(self._empty)

    async def write(self, text: bytes) -> None:
        """Add to the end."""
        self.length += len(text)
        await asyncio.to_thread(self._file.write, text)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Everything that was written, from the start."""
        await asyncio.to_thread(self._file.seek, 0)
        while piece := await asyncio.to_thread(self._file.read, _PIECE):
            yield piece

    def close(self) -> None:
        """Give back memory and disk."""
        self._file.close()

    def _empty(self) -> None:
        self._file.seek(0)
        self._file.truncate()

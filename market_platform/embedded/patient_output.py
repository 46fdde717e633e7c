"""Output that never waits long for its reader: a paused terminal or pipe must not stop who writes to it.

Belongs here: writing what can be written now. Does not: what is written (screen.py), a reader that is gone (LostScreen).
"""

from __future__ import annotations

import io
import os
import select
from typing import Any, TextIO

_PATIENCE_S = 1.0
_PIECE = select.PIPE_BUF
"""What a pipe takes in one piece when it says that it takes something."""


class _PatientFile(io.RawIOBase):
    """The descriptor of another file; what nobody reads is left out, the rest comes as it is."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._patience_s = _PATIENCE_S

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        """Write a piece, or leave all of it out when the reader takes nothing for a second."""
        content = memoryview(data).cast("B")
        _, ready, _ = select.select([], [self._descriptor], [], self._patience_s)
        self._patience_s = _PATIENCE_S if ready else 0.0  # it is not waited for again until it reads
        return os.write(self._descriptor, content[:_PIECE]) if ready else len(content)


def patient_output(stream: TextIO) -> TextIO:
    """The stream's descriptor, to write to in its encoding (what that lacks is a `?`); itself when it has no descriptor."""
    try:
        descriptor = stream.fileno()
    except OSError:
        return stream
    stream.flush()
    file = io.BufferedWriter(_PatientFile(descriptor))
    return io.TextIOWrapper(file, encoding=stream.encoding, errors="replace", write_through=True)

"""Gaps on disk, until Postgres has them: a file of lines, one a change, the last one of a gap counts.

Belongs here: appending, reading, rewriting that file. Does not: what a gap is (warehouse/gaps.py), when it is written there
(log.py). A line is handed to the operating system before `append` returns, so it outlives a kill of the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

from market_platform.warehouse.gaps import GapRecord


class _Line(msgspec.Struct):
    key: str
    gap: GapRecord


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


class GapFile:
    """The file `gaps.jsonl` of a folder, which is made when needed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gaps.jsonl"
        self.lines = 0
        self._file: BinaryIO | None = None

    def load(self) -> dict[str, GapRecord]:
        """Every gap of the file by its key. A line that was cut short, or is none of ours, is passed over."""
        found: dict[str, GapRecord] = {}
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return found
        for text in content.splitlines():
            self.lines += 1
            try:
                line = _decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            found[line.key] = line.gap
        return found

    def append(self, key: str, gap: GapRecord) -> None:
        """Add what is known of a gap.

        Raises:
            OSError: the disk takes nothing.
        """
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
        # begins with a line's end, too: what a power loss cut short stays a line of its own
        self._file.write(b"\n" + _encode(_Line(key, gap)) + b"\n")
        self.lines += 1

    def rewrite(self, gaps: Mapping[str, GapRecord]) -> None:
        """Make the file hold exactly these.

        Raises:
            OSError: the disk takes nothing; the file is as it was.
        """
        if not gaps:
            if self.lines:
                self.close()
                # not synced: what comes back after a power loss is recorded again, which is harmless
                os.truncate(self.path, 0)
                self.lines = 0
            return
        new = self.path.with_suffix(".new")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.writelines(_joined(gaps.items()))
            file.flush()
            os.fsync(file.fileno())
        self.close()
        new.replace(self.path)
        self.lines = len(gaps)

    def close(self) -> None:
        """Close the file; it opens again when it is needed."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _joined(gaps: Iterable[tuple[str, GapRecord]]) -> Iterable[bytes]:
    return (_encode(_Line(key, gap)) + b"\n" for key, gap in gaps)

"""The one CSV within a zip of the archive, bounded and without trust. Belongs here: zips. Does not: what a CSV says."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from market_platform.domain.errors import BadPayloadError
from market_platform.exchanges.binance.dumps.files import DumpFile

BLOCK_BYTES = 16 * 2**20
_LONGEST_LINE = 4096
_ENCRYPTED = 0x1


def read_whole(packed: IO[bytes], file: DumpFile, most: int) -> bytes:
    """The CSV of a file that is small enough to be read at once.

    Raises:
        BadPayloadError: the zip is not one of exactly this CSV, is damaged, or has more than `most` bytes.
    """
    with _opened(packed, file, most) as member:
        return member.read()


def read_blocks(packed: IO[bytes], file: DumpFile, most: int, block: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The CSV in blocks of whole lines; each ends with a line break, but perhaps the last one.

    Raises:
        BadPayloadError: as `read_whole`, or a line is longer than any of the archive's.
    """
    with _opened(packed, file, most) as member:
        rest = b""
        while chunk := member.read(block):
            whole, line_break, tail = chunk.rpartition(b"\n")
            if line_break:
                yield rest + whole + line_break
                rest = tail
            else:
                rest += tail
            if len(rest) > _LONGEST_LINE:
                raise BadPayloadError(f"{file.path}: a line has more than {_LONGEST_LINE} bytes")
        if rest:
            yield rest


@contextmanager
def _opened(packed: IO[bytes], file: DumpFile, most: int) -> Iterator[IO[bytes]]:
    """The member, ready to be read; its declared size is checked, and `zipfile` reads no more than is declared."""
    try:
        with zipfile.ZipFile(packed) as archive:
            found = archive.infolist()
            names = [each.filename for each in found]
            if names != [f"{file.stem}.csv"]:
                raise BadPayloadError(f"{file.path}: it holds {_listed(names)} and not {file.stem}.csv alone")
            only = found[0]
            if only.flag_bits & _ENCRYPTED or only.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadPayloadError(f"{file.path}: {only.filename} is encrypted, or packed in a way we don't unpack")
            if only.file_size > most:
                raise BadPayloadError(f"{file.path}: unpacked it would have {only.file_size} bytes, more than {most}")
            with archive.open(only) as member:
                yield member
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise BadPayloadError(f"{file.path}: it is no sound zip: {error}") from None


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown or "nothing"

"""Raw answers by hash: what a day of history was made of, so that an exchange that changes its past is noticed.

Belongs here: naming and hashing answers. Does not: what an answer means.

An answer that holds more than was asked for (the newest candles, say) is another one each time though nothing of the days
has changed; of such an answer the rows that count are hashed, not its bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence, Sized
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from market_platform.domain.history import RawInput
from market_platform.exchanges.json_rest import RestRequest

Rows = TypeVar("Rows", bound=Sized)


def hashed_input(name: str, body: bytes, rows: int) -> RawInput:
    """The input that an answer is."""
    return RawInput(name, hashlib.sha256(body).hexdigest(), len(body), rows)


def hashed_rows(name: str, rows: Sequence[msgspec.Struct]) -> RawInput:
    """The input that the rows of an answer are which count."""
    return hashed_input(name, msgspec.json.encode(rows), len(rows))


def request_name(request: RestRequest) -> str:
    """A request without its host: method, path, query and body, the same text for the same question."""
    query = f"?{urlencode(request.params)}" if request.params else ""
    body = "" if request.body is None else f" {json.dumps(request.body, separators=(',', ':'))}"
    return f"{request.method} {request.path}{query}{body}"


def recorded(request: RestRequest, parse: Callable[[bytes], Rows]) -> Callable[[bytes], tuple[Rows, RawInput]]:
    """What `parse` makes of the answer to a request, and the answer's hash."""

    def read(body: bytes) -> tuple[Rows, RawInput]:
        rows = parse(body)
        return rows, hashed_input(request_name(request), body, len(rows))

    return read

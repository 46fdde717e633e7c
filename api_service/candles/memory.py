"""What is kept between requests, bounded: descriptions of ranges, and bodies by data version.

Belongs here: how much is kept and when it may not be used any more. Does not: making either.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")

RangeKey = tuple[int, ...]
"""Starlisting id, and what was asked for of it: first and last open time (ms), and for newest rows how many."""
Token = tuple[int, int]


class _Kept(NamedTuple, Generic[Value]):
    value: Value
    token: Token
    until: float


class Versions(Generic[Value]):
    """What is known of ranges, for as long as nothing changed; least recently used goes first.

    Args:
        trusted: whether `forget` would have been called if something had changed; otherwise nothing kept is used.
        most: how many ranges are kept.
        longest_s: after which time a range is asked for again even so.
    """

    def __init__(self, trusted: Callable[[], bool], *, most: int = 4096, longest_s: float = 60.0) -> None:
        self._trusted = trusted
        self._most = most
        self._longest_s = longest_s
        self._kept: OrderedDict[RangeKey, _Kept[Value]] = OrderedDict()
        self._everything = 0
        self._changes: dict[int, int] = {}

    @property
    def trusted(self) -> bool:
        """Whether what is kept may be used now."""
        return self._trusted()

    def token(self, starlisting_id: int) -> Token:
        """What to hand to `put`; take it before reading, so that a change meanwhile is noticed."""
        return self._everything, self._changes.get(starlisting_id, 0)

    def get(self, key: RangeKey) -> Value | None:
        """What is known of the range, if it surely still holds."""
        kept = self._kept.get(key)
        if kept is None or kept.token != self.token(key[0]) or monotonic() > kept.until or not self._trusted():
            return None
        self._kept.move_to_end(key)
        return kept.value

    def last(self, key: RangeKey) -> Value | None:
        """What was known of the range when it was last asked for, whether or not it still holds."""
        kept = self._kept.get(key)
        return None if kept is None else kept.value

    def put(self, key: RangeKey, value: Value, token: Token) -> None:
        """Keep what was read after `token` was taken."""
        self._kept[key] = _Kept(value, token, monotonic() + self._longest_s)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forget(self, starlisting_ids: Sequence[int] | None) -> None:
        """Candles of these starlistings changed; None for all."""
        if starlisting_ids is None:
            self._everything += 1
            self._kept.clear()
            self._changes.clear()
            return
        for each in starlisting_ids:
            self._changes[each] = self._changes.get(each, 0) + 1


class Bodies:
    """Bodies by data version and format: they are right for ever, so only their size matters.

    Args:
        most_bytes: how much is kept; least recently used goes first.
        largest: a longer body is not kept.
    """

    def __init__(self, *, most_bytes: int = 32 * 1024 * 1024, largest: int = 2 * 1024 * 1024) -> None:
        self._most_bytes = most_bytes
        self._largest = largest
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self.bytes = 0

    def get(self, version: str, row_format: str) -> bytes | None:
        """The body, if it is kept."""
        body = self._kept.get((version, row_format))
        if body is not None:
            self._kept.move_to_end((version, row_format))
        return body

    def put(self, version: str, row_format: str, body: bytes) -> None:
        """Keep a body."""
        if len(body) > self._largest or (version, row_format) in self._kept:
            return
        self._kept[version, row_format] = body
        self.bytes += len(body)
        while self.bytes > self._most_bytes:
            self.bytes -= len(self._kept.popitem(last=False)[1])

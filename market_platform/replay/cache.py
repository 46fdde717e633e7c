"""A small cache with an upper bound on what it holds. Belongs here: that. Does not: what is kept in it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps what was used last, up to a total weight; safe to use from several threads.

    Two threads that miss at once both make the value: making is deterministic here, so that is only a little work.
    """

    def __init__(self, limit: int, weigh: Callable[[Value], int]) -> None:
        self._limit = limit
        self._weigh = weigh
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    @property
    def weight(self) -> int:
        """How much is kept now, in the unit of `weigh`."""
        return self._weight

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of `key`, made now if it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep a value that was made elsewhere; one that is kept already stays."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value
                self._weight += self._weigh(value)
                while self._weight > self._limit and len(self._kept) > 1:
                    _, dropped = self._kept.popitem(last=False)
                    self._weight -= self._weigh(dropped)

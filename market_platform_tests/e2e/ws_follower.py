"""A WebSocket client that never gives up.

It follows starlistings for as long as it is told to, resumes after every disconnect, and counts what it was sent.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

FINAL = ("funding", "open_interest", "resync")


class _AwayError(Exception):
    """The server says that it can't reach its database and that one should come back."""


class Follower:
    """Follows in a thread. `mistakes` says what it should never have been sent; `seen` has every number, in order."""

    def __init__(self, api_url: str, ids: list[int]) -> None:
        self._url = api_url.replace("http", "ws", 1) + "/ws"
        self._ids = ids
        self._stop = threading.Event()
        self._drop = threading.Event()
        self.last: dict[int, int] = {}
        self.seen: dict[int, list[int]] = {each: [] for each in ids}
        self.candles: dict[tuple[int, str], dict[str, Any]] = {}
        self.resyncs = 0
        self.connects = 0
        self.mistakes: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def drop(self) -> None:
        """Lose the connection, and come back."""
        self._drop.set()

    def stop(self) -> None:
        """Follow no more."""
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (OSError, WebSocketException, TimeoutError, _AwayError):
                time.sleep(0.2)

    def _follow(self) -> None:
        with connect(self._url, open_timeout=5, close_timeout=1, max_size=2**24) as socket:
            self.connects += 1
            ask: dict[str, Any] = {"action": "subscribe", "starlisting_ids": self._ids, "history": 0}
            if self.last:
                ask["since"] = {str(each): seq for each, seq in self.last.items()}
            socket.send(json.dumps(ask))
            while not self._stop.is_set():
                if self._drop.is_set():
                    self._drop.clear()
                    return
                try:
                    message = json.loads(socket.recv(timeout=0.5))
                except TimeoutError:
                    continue
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if (
            kind == "error"
            and message["code"] == "internal_error"
            and "the database does not answer" in message["message"]
        ):
            raise _AwayError
        if kind == "error":
            self.mistakes.append(json.dumps(message))
        if "starlisting_id" not in message:
            return
        listing, seq = message["starlisting_id"], message["seq"]
        if kind.startswith("historical") or kind == "resync":
            self.resyncs += kind == "resync"
            if seq < self.last.get(listing, 0):
                self.mistakes.append(f"{kind} of {listing} goes back from {self.last[listing]} to {seq}")
            self.last[listing] = seq
            return
        final = kind in FINAL or (kind == "candle" and message["closed"])
        if kind == "candle" and message["closed"]:
            self.candles[listing, message["data"]["time"]] = message["data"]
        before = self.last.setdefault(listing, seq - final)  # without a history, the first message tells where we are
        expected = before + final
        if seq != expected:
            self.mistakes.append(f"{kind} of {listing} has the number {seq}, expected {expected}")
        if final:
            self.seen[listing].append(seq)
            self.last[listing] = seq

"""Follow starlistings live and miss nothing: history once, then every change by its number, across reconnects.

    python examples/websocket_client.py 1 2
    python examples/websocket_client.py --url ws://127.0.0.1:8000/ws --history 100 1

Needs `pip install websockets`. The numbers are starlisting ids; the API lists them at /starlistings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake


class Follower:
    """Keeps the last number of each starlisting, so that a new connection goes on where the old one ended."""

    def __init__(self, url: str, starlisting_ids: list[int], history: int) -> None:
        self._url = url
        self._ids = starlisting_ids
        self._history = history
        self._seq: dict[int, int] = {}

    async def run(self) -> None:
        """Follow until it is cancelled; connect again after 0–10 s whenever the connection ends."""
        failures = 0
        while True:
            try:
                async with connect(self._url, compression=None, max_size=16 * 2**20) as connection:
                    await self._follow(connection)
            except ConnectionClosed as error:
                print(f"closed: {error}", file=sys.stderr)
                failures = 0
            except (OSError, InvalidHandshake, TimeoutError) as error:
                print(f"can't connect: {error}", file=sys.stderr)
                failures += 1
            await asyncio.sleep(random.uniform(0, min(10.0, 0.5 * 2**failures)))

    async def _follow(self, connection: ClientConnection) -> None:
        request: dict[str, Any] = {"action": "subscribe", "starlisting_ids": self._ids, "history": self._history}
        since = {str(each): seq for each, seq in self._seq.items()}
        if since:
            request["since"] = since
        await connection.send(json.dumps(request))
        async for text in connection:
            self._take(json.loads(text, parse_float=str))

    def _take(self, message: dict[str, Any]) -> None:
        kind, name = (
            message["type"],
            f"{message.get('exchange')}/{message.get('trading_pair')}/{message.get('interval')}",
        )
        if kind in ("historical", "historical_funding", "historical_oi"):
            self._seq[message["starlisting_id"]] = message["seq"]
            print(f"{name} {kind}: {message['count']} rows up to number {message['seq']}")
        elif kind in ("candle", "funding", "open_interest"):
            final = message.get("closed", True)
            if final:
                self._check(message["starlisting_id"], message["seq"])
            print(f"{name} {kind} #{message['seq']}{'' if final else ' (forming)'}: {json.dumps(message['data'])}")
        elif kind == "resync":
            # Too much changed to tell it one by one: forget what you hold; history follows, if you asked for any.
            self._seq[message["starlisting_id"]] = message["seq"]
            print(f"starlisting {message['starlisting_id']}: read anew from number {message['seq']}")
        elif kind == "error":
            print(f"error {message['code']}: {message['message']}", file=sys.stderr)
        elif kind in ("status", "success"):
            print(message["message"])

    def _check(self, starlisting_id: int, seq: int) -> None:
        before = self._seq.get(starlisting_id)
        if before is not None and seq != before + 1:
            print(f"starlisting {starlisting_id}: number {seq} after {before}", file=sys.stderr)
        self._seq[starlisting_id] = seq


def main() -> None:
    """Read the arguments and follow until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Follow starlistings live.")
    parser.add_argument("starlisting_ids", nargs="+", type=int, metavar="ID", help="a starlisting's id")
    parser.add_argument("--url", default="ws://127.0.0.1:8000/ws", help="the API's WebSocket (%(default)s)")
    parser.add_argument("--history", type=int, default=10, help="rows to begin with, 0-1000 (%(default)s)")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with suppress(KeyboardInterrupt):
        asyncio.run(Follower(options.url, options.starlisting_ids, options.history).run())


if __name__ == "__main__":
    main()

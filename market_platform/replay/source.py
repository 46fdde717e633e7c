"""What a source of a market must be able to answer. Belongs here: that interface. Does not: any source."""

from __future__ import annotations

from typing import Protocol

from market_platform.replay.addresses import Address


class ReplaySource(Protocol):
    """A market the replay exchange can serve. Methods block (they read files or compute), so they run in a thread.

    `None` means what a 404 means: the exchange does not know that instrument. `empty=True` asks for the answer of the
    same address as if nothing had happened in that period.
    """

    @property
    def name(self) -> str:
        """What is served, for logs and `/healthz`: `generator, seed 7`."""
        ...

    def instruments(self) -> bytes:
        """Body of `/v1/instruments`."""
        ...

    def instrument(self, code: str) -> bytes | None:
        """Body of `/v1/instruments/{CODE}`."""
        ...

    def json_body(self, address: Address, *, empty: bool = False) -> bytes | None:
        """Body of a `/v1/ticks/…` or `/v1/candles/…` address."""
        ...

    def bi5_body(self, address: Address, *, empty: bool = False) -> bytes | None:
        """Content of a bi5 file; no bytes at all for an hour or period without data."""
        ...

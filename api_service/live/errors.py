"""What can go wrong with a client.

ActionError      its message can't be carried out
ClientGoneError  its socket is closed, or being closed
"""

from __future__ import annotations

from typing import Literal

ErrorCode = Literal[
    "unknown_action",
    "invalid_json",
    "validation_error",
    "invalid_starlisting",
    "rate_limited",
    "slow_consumer",
    "internal_error",
]
"""What a message of type `error` carries; a code never changes its meaning."""


class ActionError(Exception):
    """A message of the client can't be carried out; it changed nothing."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


class ClientGoneError(Exception):
    """The client's socket is closed, or being closed."""

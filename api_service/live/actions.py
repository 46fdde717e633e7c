"""What a client may say: its messages, checked.

Belongs here: shapes and limits of requests, and how often one may come. Does not: what they do (session.py, charts.py).
"""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from api_service.live.errors import ActionError

MAX_HISTORY = 1000
MAX_AT_ONCE = 100
RATE = 20.0
"""Messages a second that a client may send for long."""
BURST = 60.0
"""Messages it may send at once after a silence."""

Id = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Seq = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Names = Annotated[list[Name], msgspec.Meta(min_length=1, max_length=MAX_AT_ONCE)]
Ids = Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MAX_AT_ONCE)]
DataType = Literal["tick", "candle"]
Types = Annotated[list[DataType], msgspec.Meta(min_length=1, max_length=2)]


class Ping(msgspec.Struct):
    """Asks for a pong."""


class Auth(msgspec.Struct):
    """Shows a key."""

    auth: Annotated[str, msgspec.Meta(max_length=4096)]


class Subscribe(msgspec.Struct):
    """Starlistings to follow: with their newest rows (`history`), or from a number on (`since`, by starlisting)."""

    starlisting_ids: Ids
    history: Annotated[int, msgspec.Meta(ge=0, le=MAX_HISTORY)] = 0
    since: dict[int, Seq] = {}


class Unsubscribe(msgspec.Struct):
    """Starlistings to follow no more."""

    starlisting_ids: Ids


class SubscribeSymbols(msgspec.Struct):
    """Symbols to follow, in the other dialect."""

    broker: Name
    symbols: Names
    types: Types = msgspec.field(default_factory=lambda: ["tick", "candle"])
    interval: Name = "1m"


class UnsubscribeSymbols(msgspec.Struct):
    """Symbols to follow no more; without `interval`, candles of every interval."""

    broker: Name
    symbols: Names
    types: Types = msgspec.field(default_factory=lambda: ["tick", "candle"])
    interval: Name | None = None


class SubscribeChart(msgspec.Struct):
    """A chart to draw (on `/ws/subscribe`)."""

    symbol: Name
    timeframe: Name = "1m"
    exchange: Name | None = None


class UnsubscribeChart(msgspec.Struct):
    """A chart to draw no more."""

    symbol: Name


Action = Ping | Auth | Subscribe | Unsubscribe | SubscribeSymbols | UnsubscribeSymbols
ChartAction = Ping | Auth | SubscribeChart | UnsubscribeChart
AnyAction = TypeVar("AnyAction", bound=msgspec.Struct)


class _Head(msgspec.Struct):
    action: str
    starlisting_ids: Any = None
    broker: Any = None
    symbols: Any = None


_head = msgspec.json.Decoder(_Head)


def parse_action(text: str | None) -> Action:
    """A message on `/ws`.

    Raises:
        ActionError: saying what is wrong with it.
    """
    head, text = _parse_head(text)
    by_id = head.starlisting_ids is not None
    if by_id and (head.broker is not None or head.symbols is not None):
        raise ActionError(
            "validation_error",
            "a message names either `starlisting_ids`, or `broker` and `symbols`, not both; nothing was changed",
        )
    match head.action:
        case "subscribe":
            return _parse_subscribe(text) if by_id else _parse(text, SubscribeSymbols)
        case "unsubscribe":
            return _parse(text, Unsubscribe) if by_id else _parse(text, UnsubscribeSymbols)
    return _parse_general(head, text)


def parse_chart_action(text: str | None) -> ChartAction:
    """A message on `/ws/subscribe` or `/ws/{symbol}`.

    Raises:
        ActionError: saying what is wrong with it.
    """
    head, text = _parse_head(text)
    match head.action:
        case "subscribe":
            return _parse(text, SubscribeChart)
        case "unsubscribe":
            return _parse(text, UnsubscribeChart)
    return _parse_general(head, text)


class MessageRate:
    """Counts a client's messages: `RATE` a second, `BURST` at once."""

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left = BURST
        self._at = monotonic()

    def take(self) -> bool:
        """Count one; whether it is within the rate."""
        now = monotonic()
        self._left = min(BURST, self._left + (now - self._at) * RATE)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _parse_head(text: str | None) -> tuple[_Head, str]:
    """What kind of message it is, and the text it has."""
    if text is None:
        raise ActionError("invalid_json", "messages are JSON in text frames")
    try:
        return _head.decode(text), text
    except msgspec.ValidationError as error:
        raise ActionError("validation_error", f"{error}; a message is an object with an `action`") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ActionError("invalid_json", f"not JSON: {error}") from None


def _parse_subscribe(text: str) -> Subscribe:
    action = _parse(text, Subscribe)
    strangers = action.since.keys() - set(action.starlisting_ids)
    if strangers:
        named = ", ".join(map(str, sorted(strangers)))
        raise ActionError("validation_error", f"`since` names {named}, which `starlisting_ids` does not")
    return action


def _parse(text: str, kind: type[AnyAction]) -> AnyAction:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ActionError("validation_error", str(error)) from None


def _parse_general(head: _Head, text: str) -> Ping | Auth:
    """What may be said on every path."""
    match head.action:
        case "ping":
            return Ping()
        case "auth":
            return _parse(text, Auth)
    raise ActionError(
        "unknown_action", f"there is no action {head.action[:64]!r}; there are subscribe, unsubscribe, ping, auth"
    )

"""Misbehaviour on demand: rules that say which requests go wrong, how, and how often.

Belongs here: rules, their validation, and which rule a request meets. Does not: sockets; middleware.py carries rules out.
A rule is JSON:

    {"match": "ticks/EUR-USD/2024/", "kind": "429", "times": 2, "seconds": 1}

`match` is a regular expression searched for in the path with its query, `times` how many requests it spoils (1), and
`seconds` means what the kind says:

    slow                answers after `seconds` (1)
    429                 too many requests, Retry-After `seconds` (1)
    503                 unavailable, with Retry-After when `seconds` is given
    truncate            announces the whole body, sends half of it and closes the connection
    accepted_202_empty  202 without a body, as the real API has been seen to do
    empty_once          the answer of a period in which nothing happened
    garbage             200 with bytes that are neither JSON nor bi5
    wrong_types         200, well-formed, with values of wrong types (bi5: rows of a wrong length)
    hang                no answer at all; the connection is closed after `seconds` (600)
    reset               the connection is reset
    418                 banned, Retry-After `seconds` (120)

Files of Binance's archive have three of their own; let a rule match a file and its .CHECKSUM, and often, for a lasting change:

    reissued            the file as it is after a correction, with a checksum that fits it
    wrong_checksum      a .CHECKSUM that does not hold
    cut_zip             half of the file, with a checksum that fits it

Streams have kinds of their own. Some spoil a connection: `match` is searched for in the path with its query and the names of
all that is subscribed, separated by spaces, and `times` is how many connections a rule spoils, each of them once:

    refuse              the handshake is answered with `status` (503)
    drop                the connection is reset, in the middle of whatever is sent
    close_1006          it ends without a close frame
    cut                 it is closed with 1000, as at the end of 24 hours
    server_shutdown     Binance's serverShutdown event, and the cut after `seconds` (5)
    half_open           nothing is sent or read any more; the connection is reset after `seconds` (600)
    ping_timeout        nothing is read any more, so no ping is answered, though the stream goes on; for `seconds` (600)
    delay               nothing is sent for `seconds` (1), then all of it at once

Others spoil messages: `match` is searched for in the message's stream (`btcusdt@aggTrade`, `trades/BTC`, `EUR_USD`) and
`times` is how many messages a rule spoils:

    duplicate           sent twice
    reorder             sent after the next one
    corrupt             a part of it, followed by bytes that are no JSON
    hole                not sent at all
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_RULES = 1000


class FaultKind(StrEnum):
    """How a request goes wrong."""

    SLOW = "slow"
    TOO_MANY = "429"
    UNAVAILABLE = "503"
    TRUNCATE = "truncate"
    ACCEPTED = "accepted_202_empty"
    EMPTY = "empty_once"
    GARBAGE = "garbage"
    WRONG_TYPES = "wrong_types"
    HANG = "hang"
    RESET = "reset"
    BANNED = "418"
    REISSUED = "reissued"
    WRONG_CHECKSUM = "wrong_checksum"
    CUT_ZIP = "cut_zip"
    REFUSE = "refuse"
    DROP = "drop"
    CLOSE_1006 = "close_1006"
    CUT = "cut"
    SERVER_SHUTDOWN = "server_shutdown"
    HALF_OPEN = "half_open"
    PING_TIMEOUT = "ping_timeout"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CORRUPT = "corrupt"
    HOLE = "hole"


CONNECTION_KINDS = frozenset(
    (
        FaultKind.DROP,
        FaultKind.CLOSE_1006,
        FaultKind.CUT,
        FaultKind.SERVER_SHUTDOWN,
        FaultKind.HALF_OPEN,
        FaultKind.PING_TIMEOUT,
        FaultKind.DELAY,
    )
)
MESSAGE_KINDS = frozenset((FaultKind.DUPLICATE, FaultKind.REORDER, FaultKind.CORRUPT, FaultKind.HOLE))
HANDSHAKE_KINDS = frozenset((FaultKind.REFUSE,))
REQUEST_KINDS = frozenset(FaultKind) - CONNECTION_KINDS - MESSAGE_KINDS - HANDSHAKE_KINDS


_DEFAULT_SECONDS = {
    FaultKind.SLOW: 1.0,
    FaultKind.TOO_MANY: 1.0,
    FaultKind.HANG: 600.0,
    FaultKind.BANNED: 120.0,
    FaultKind.SERVER_SHUTDOWN: 5.0,
    FaultKind.HALF_OPEN: 600.0,
    FaultKind.PING_TIMEOUT: 600.0,
    FaultKind.DELAY: 1.0,
}
_KEYS = ("match", "kind", "times", "seconds", "status")


class BadRuleError(ValueError):
    """A rule that can't be followed; the message says which and why."""


@dataclass(slots=True)
class FaultRule:
    """One rule; `hits` counts the requests, connections or messages it has spoiled, at most `times`."""

    match: str
    kind: FaultKind
    times: int = 1
    seconds: float | None = None
    hits: int = 0
    status: int = 503
    pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.pattern = re.compile(self.match)
        if self.seconds is None:
            self.seconds = _DEFAULT_SECONDS.get(self.kind)

    def as_json(self) -> dict[str, Any]:
        """The rule as `GET /_faults` shows it."""
        return {
            "match": self.match,
            "kind": self.kind.value,
            "times": self.times,
            "seconds": self.seconds,
            "hits": self.hits,
            "left": self.times - self.hits,
        }


class FaultBook:
    """The rules in force, oldest first. Not for several threads: it belongs to the server's event loop."""

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self.rules = list(rules)

    def take(self, path: str, kinds: frozenset[FaultKind] = REQUEST_KINDS) -> FaultRule | None:
        """The oldest rule of these kinds with hits left that matches; it counts this as one."""
        for rule in self.rules:
            if rule.kind in kinds and rule.hits < rule.times and rule.pattern.search(path):
                rule.hits += 1
                return rule
        return None

    def pending(self, kinds: frozenset[FaultKind]) -> list[FaultRule]:
        """The rules of these kinds with hits left, oldest first; who carries one out counts its hit."""
        return [rule for rule in self.rules if rule.kind in kinds and rule.hits < rule.times]

    def add(self, rules: list[FaultRule]) -> None:
        """More rules, after those there are.

        Raises:
            BadRuleError: when that would be more than `MAX_RULES`.
        """
        if len(self.rules) + len(rules) > MAX_RULES:
            raise BadRuleError(f"more than {MAX_RULES} rules; DELETE /_faults first")
        self.rules.extend(rules)

    def clear(self) -> None:
        """No rules any more."""
        self.rules.clear()


def parse_rules(body: Any) -> list[FaultRule]:
    """Rules from decoded JSON: one rule or a list of them.

    Raises:
        BadRuleError: naming the rule and what is wrong with it.
    """
    rules = body if isinstance(body, list) else [body]
    return [_parse_rule(rule, f"rule {number}") for number, rule in enumerate(rules, 1)]


def _parse_rule(rule: Any, what: str) -> FaultRule:
    if not isinstance(rule, dict):
        raise BadRuleError(f"{what}: must be an object with {', '.join(_KEYS)}, not {type(rule).__name__}")
    unknown = sorted(set(rule) - set(_KEYS))
    if unknown:
        raise BadRuleError(f"{what}: unknown key {unknown[0]!r}; use {', '.join(_KEYS)}")
    match, kind, times, seconds = rule.get("match", ""), rule.get("kind"), rule.get("times", 1), rule.get("seconds")
    if not isinstance(match, str):
        raise BadRuleError(f"{what}: match must be a regular expression, not {match!r}")
    try:
        re.compile(match)
    except re.error as error:
        raise BadRuleError(f"{what}: match {match!r} is no regular expression: {error}") from None
    if not isinstance(kind, (str, int)) or str(kind) not in list(FaultKind):
        raise BadRuleError(f"{what}: kind must be one of {', '.join(FaultKind)}, not {kind!r}")
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise BadRuleError(f"{what}: times must be a whole number of at least 1, not {times!r}")
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 3600
    ):
        raise BadRuleError(f"{what}: seconds must be a number from 0 to 3600, not {seconds!r}")
    status = rule.get("status", 503)
    if isinstance(status, bool) or not isinstance(status, int) or not 400 <= status <= 599:
        raise BadRuleError(f"{what}: status must be a whole number from 400 to 599, not {status!r}")
    return FaultRule(match, FaultKind(str(kind)), times, None if seconds is None else float(seconds), status=status)

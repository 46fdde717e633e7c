"""Rules are checked before they are followed, and each one is followed as often as it says."""

from __future__ import annotations

from typing import Any

import pytest

from market_platform.replay.cache import BoundedCache
from market_platform.replay.faults import MAX_RULES, BadRuleError, FaultBook, FaultKind, FaultRule, parse_rules


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("no", "rule 1: must be an object with match, kind, times, seconds, status, not str"),
        ([{"kind": "slow"}, 3], "rule 2: must be an object"),
        ({}, "rule 1: kind must be one of slow, 429, 503, .* not None"),
        ({"kind": "500"}, "kind must be one of"),
        ({"kind": ["slow"]}, "kind must be one of"),
        ({"kind": "slow", "match": "("}, "is no regular expression: missing"),
        ({"kind": "slow", "match": 5}, "match must be a regular expression, not 5"),
        ({"kind": "slow", "times": 0}, "times must be a whole number of at least 1, not 0"),
        ({"kind": "slow", "times": True}, "times must be a whole number"),
        ({"kind": "slow", "times": 1.5}, "times must be a whole number"),
        ({"kind": "slow", "seconds": -1}, "seconds must be a number from 0 to 3600, not -1"),
        ({"kind": "slow", "seconds": "1"}, "seconds must be a number"),
        ({"kind": "slow", "path": "x"}, "unknown key 'path'; use match, kind, times, seconds"),
    ],
)
def test_a_wrong_rule_is_refused_saying_what_is_wrong(body: Any, message: str) -> None:
    with pytest.raises(BadRuleError, match=message):
        parse_rules(body)


def test_a_rule_needs_only_its_kind() -> None:
    (rule,) = parse_rules({"kind": 429})
    assert rule.as_json() == {"match": "", "kind": "429", "times": 1, "seconds": 1.0, "hits": 0, "left": 1}


def test_rules_are_met_in_order_and_used_up() -> None:
    book = FaultBook(parse_rules([{"kind": "503", "match": "ticks/.*/7$", "times": 2}, {"kind": "reset"}]))
    taken = [book.take(path) for path in ("ticks/EUR-USD/7", "ticks/EUR-USD/7", "ticks/EUR-USD/7", "ticks/EUR-USD/7")]
    assert [rule and rule.kind for rule in taken] == [
        FaultKind.UNAVAILABLE,
        FaultKind.UNAVAILABLE,
        FaultKind.RESET,
        None,
    ]
    assert [rule.hits for rule in book.rules] == [2, 1]


def test_rules_are_bounded() -> None:
    book = FaultBook()
    with pytest.raises(BadRuleError, match="DELETE /_faults first"):
        book.add([FaultRule("", FaultKind.SLOW)] * (MAX_RULES + 1))


def test_the_cache_keeps_what_was_used_last_within_its_bound() -> None:
    made: list[str] = []
    cache: BoundedCache[str, str] = BoundedCache(5, len)

    def make(key: str) -> str:
        made.append(key)
        return key * 2

    def get(key: str) -> str:
        return cache.get(key, lambda: make(key))

    assert [get(key) for key in ("a", "b", "a", "c", "b")] == ["aa", "bb", "aa", "cc", "bb"]
    assert made == ["a", "b", "c", "b"]
    assert cache.weight <= 5

"""What is kept between requests is bounded, and never used after a change."""

from __future__ import annotations

from api_service.candles.memory import Bodies, Versions


class Trust:
    """Whether changes are heard of."""

    def __init__(self) -> None:
        self.here = True

    def __call__(self) -> bool:
        return self.here


def test_a_version_is_kept_until_its_starlisting_changes() -> None:
    versions: Versions[str] = Versions(Trust())
    versions.put((1, 0, 9), "one", versions.token(1))
    versions.put((2, 0, 9), "two", versions.token(2))
    versions.forget([1])
    assert versions.get((1, 0, 9)) is None
    assert versions.get((2, 0, 9)) == "two"
    versions.forget(None)
    assert versions.get((2, 0, 9)) is None


def test_what_was_read_before_a_change_is_not_believed_after_it() -> None:
    versions: Versions[str] = Versions(Trust())
    for change in ([1], None):
        token = versions.token(1)
        versions.forget(change)
        versions.put((1, 0, 9), "old", token)
        assert versions.get((1, 0, 9)) is None


def test_nothing_kept_is_used_while_changes_are_not_heard_of() -> None:
    trust = Trust()
    versions: Versions[str] = Versions(trust)
    versions.put((1, 0, 9), "one", versions.token(1))
    trust.here = False
    assert versions.get((1, 0, 9)) is None
    trust.here = True
    assert versions.get((1, 0, 9)) == "one"


def test_nothing_is_kept_for_ever() -> None:
    versions: Versions[str] = Versions(Trust(), longest_s=-1)
    versions.put((1, 0, 9), "one", versions.token(1))
    assert versions.get((1, 0, 9)) is None


def test_the_least_recently_used_version_goes_first() -> None:
    versions: Versions[int] = Versions(Trust(), most=2)
    for each in (1, 2):
        versions.put((each, 0, 9), each, versions.token(each))
    versions.get((1, 0, 9))
    versions.put((3, 0, 9), 3, versions.token(3))
    assert [versions.get((each, 0, 9)) for each in (1, 2, 3)] == [1, None, 3]


def test_bodies_are_bounded_by_their_bytes() -> None:
    bodies = Bodies(most_bytes=10, largest=6)
    bodies.put("a", "json", b"12345")
    bodies.put("a", "json", b"12345")
    bodies.put("b", "csv", b"1234")
    bodies.put("huge", "json", b"1234567")
    assert bodies.bytes == 9
    assert bodies.get("a", "json") == b"12345"
    bodies.put("c", "json", b"12")
    assert (bodies.get("a", "json"), bodies.get("b", "csv"), bodies.get("c", "json")) == (b"12345", None, b"12")
    assert bodies.bytes == 7
    assert bodies.get("huge", "json") is None

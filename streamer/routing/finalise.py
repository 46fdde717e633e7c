"""When is a candle final? One series of candles (a trading pair's interval) as a stream tells it.

Belongs here: which messages make a candle final, which buckets never came. Does not: where candles go (router.py), asking the
exchange (rest/polls.py). Pure; times are the exchange's, in ms.

An exchange with a flag says so itself. Where there is none (`closed` is None, Hyperliquid), the last state of a candle is final
once the next bucket begins or its end has passed; the exchange then has to confirm it over REST.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from market_platform.domain.events import Candle
from market_platform.domain.intervals import Interval, bucket_start

HOLE_GRACE_MS = 3_000
"""How long a bucket may come after its successor."""
CLOSE_GRACE_MS = 3_000
"""How long after its end a candle without a flag may still change."""
SILENCE_GRACE_MS = 30_000
"""How long after its end a bucket of which nothing more was said is waited for."""
_REMEMBERED = 512


@dataclass(slots=True)
class Told:
    """What to do: candles to store, the forming one to show, ranges [start, end) of buckets that are missing or unconfirmed."""

    closed: list[Candle] = field(default_factory=list)
    forming: Candle | None = None
    missing: list[tuple[int, int]] = field(default_factory=list)
    unconfirmed: list[tuple[int, int]] = field(default_factory=list)


class Series:
    """Candles of one interval of one pair, in the order they come."""

    def __init__(self, interval: Interval, *, flagged: bool) -> None:
        self._interval = interval
        self._flagged = flagged
        self._closed: dict[int, int] = {}
        self._expected: int | None = None
        self._forming: Candle | None = None
        self._hole_since: int | None = None

    def interrupted(self) -> None:
        """The stream is away: what is forming may go on unseen, and what closes meanwhile is a gap's business."""
        self._forming = None
        self._expected = None
        self._hole_since = None

    def resumed(self, now_ms: int) -> None:
        """The stream is here again: the bucket of this moment is the first that must come.

        Where later ones came before this was known, those from this moment to them are waited for: no gap tells of them.
        """
        first = bucket_start(now_ms, self._interval)
        while first in self._closed:
            first = self._closed[first]
        if self._expected is None:
            self._expected = first
        elif first < self._expected:
            self._expected = first
            self._hole_since = now_ms

    def take(self, candle: Candle, now_ms: int) -> Told:
        """A message. Duplicates, and states older than what is known, change nothing."""
        told = Told()
        if candle.open_ms in self._closed:
            return told
        forming = self._forming
        if candle.closed:
            told.closed.append(candle)
            self._close(candle.open_ms, candle.end_ms, now_ms)
            return told
        if forming is not None and _older(candle, forming):
            return told
        if self._expected is not None and candle.open_ms < self._expected:
            return told
        if not self._flagged and forming is not None and candle.open_ms > forming.open_ms:
            self._finalise(forming, told, now_ms)
        self._forming = told.forming = candle
        self._advance(candle.open_ms, now_ms)
        return told

    def due(self, now_ms: int) -> Told:
        """What follows from time alone."""
        told = Told()
        forming = self._forming
        if not self._flagged and forming is not None and now_ms >= forming.end_ms + CLOSE_GRACE_MS:
            self._forming = None
            self._finalise(forming, told, now_ms)
        expected = self._expected
        if expected is None:
            return told
        if self._hole_since is not None:
            if now_ms >= self._hole_since + HOLE_GRACE_MS:
                until = min((each for each in self._closed if each > expected), default=None)
                if self._forming is not None:
                    until = self._forming.open_ms if until is None else min(until, self._forming.open_ms)
                if until is not None and until > expected:
                    told.missing.append((expected, until))
                    self._expected = until
                self._hole_since = None
                self._skip_closed(now_ms)
            return told
        until = bucket_start(now_ms - SILENCE_GRACE_MS, self._interval)
        if until > expected and (self._forming is None or self._forming.open_ms < until):
            (told.missing if self._flagged else told.unconfirmed).append((expected, until))
            self._expected = until
        return told

    def _finalise(self, candle: Candle, told: Told, now_ms: int) -> None:
        told.closed.append(candle)
        told.unconfirmed.append((candle.open_ms, candle.end_ms))
        self._close(candle.open_ms, candle.end_ms, now_ms)

    def _close(self, open_ms: int, end_ms: int, now_ms: int) -> None:
        self._closed[open_ms] = end_ms
        if len(self._closed) > _REMEMBERED:
            del self._closed[min(self._closed)]
        if self._forming is not None and self._forming.open_ms <= open_ms:
            self._forming = None
        if self._expected is None:
            self._expected = end_ms
        elif open_ms == self._expected:
            self._expected = end_ms
            self._hole_since = None
            self._skip_closed(now_ms)
        else:
            self._advance(open_ms, now_ms)

    def _skip_closed(self, now_ms: int) -> None:
        """Past the buckets that came before their turn."""
        while self._expected in self._closed:
            self._expected = self._closed[self._expected]
        newest = max(self._closed, default=None)
        if newest is not None:
            self._advance(newest, now_ms)
        if self._forming is not None:
            self._advance(self._forming.open_ms, now_ms)

    def _advance(self, open_ms: int, now_ms: int) -> None:
        """A bucket is being told of: everything before it should have been."""
        if self._expected is None:
            self._expected = open_ms
        elif open_ms > self._expected and self._hole_since is None:
            self._hole_since = now_ms


def _older(candle: Candle, known: Candle) -> bool:
    """Whether a state of a forming candle is older than the one known."""
    if candle.open_ms != known.open_ms:
        return candle.open_ms < known.open_ms
    if candle.event_ms is not None and known.event_ms is not None and candle.event_ms != known.event_ms:
        return candle.event_ms < known.event_ms
    if candle.num_trades is not None and known.num_trades is not None:
        return candle.num_trades < known.num_trades
    return candle.volume < known.volume

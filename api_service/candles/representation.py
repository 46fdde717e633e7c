"""How candles look over HTTP: formats, tags, cache and data headers.

Belongs here: pure functions from what is known of a range to header lines. Does not: reading anything.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from api_service.candles.query import CandleQuery
from api_service.catalogue import Series
from market_platform.domain.intervals import Interval
from market_platform.warehouse.chart_queries import RangeState, RowFormat, Span

Headers = list[tuple[bytes, bytes]]

CONTENT_TYPES: dict[RowFormat, bytes] = {"json": b"application/json", "csv": b"text/csv; charset=utf-8; header=present"}
SEPARATORS: dict[RowFormat, bytes] = {"json": b",", "csv": b"\n"}
ENVELOPES: dict[RowFormat, tuple[bytes, bytes]] = {
    "json": (b"[", b"]"),
    "csv": (b"time,open,high,low,close,volume\n", b"\n"),
}
_MAX_AGE_S = {"1m": 60, "5m": 300, "15m": 600, "30m": 1800, "1h": 1800}
_TAG = re.compile(rb'(?:W/)?("[^"]*")')


@dataclass(slots=True)
class Description:
    """What is known of a range without its rows: its state, version, and the headers every answer about it has.

    `edges` is the digest of the rows that lie in no whole day. `span` is from which to which candle the starlisting has data; it is read only when the range has none.
    """

    state: RangeState
    version: str
    headers: dict[RowFormat, Headers]
    edges: str | None = None
    span: Span | None = field(default=None)

    def tag(self, row_format: RowFormat) -> bytes:
        """The entity tag in that format."""
        return self.headers[row_format][0][1]


def describe(series: Series, state: RangeState, edges: str | None, condition: str) -> Description:
    """The description of a range in that state; `edges` is the digest of its rows that lie in no whole day."""
    version = data_version(series, state.digest, edges)
    shared: Headers = [
        (b"cache-control", cache_control(series.interval)),
        (b"vary", b"Accept"),
        (b"x-data-version", version.encode()),
        (b"x-data-condition", condition.encode()),
        (b"x-exchange", series.pair.exchange.encode()),
        *licence_headers(series.pair.licence),
    ]
    return Description(
        state, version, {name: [(b"etag", entity_tag(version, name)), *shared] for name in CONTENT_TYPES}, edges
    )


def licence_headers(licence: str) -> Headers:
    """What marks data that may not be passed on; nothing for public data."""
    return [(b"x-licence", b"private")] if licence == "private" else []


def data_version(series: Series, whole_days: str | None, edges: str | None) -> str:
    """The version of the rows asked for, 32 hex digits: of the days that lie in the range whole and of the rows at its edges.

    It changes when, and only when, a row in the range does; a range that only reaches further into emptiness has the same one.
    """
    return hashlib.sha256(f"{series.name}\n{whole_days or ''}\n{edges or ''}".encode()).hexdigest()[:32]


def entity_tag(version: str, row_format: RowFormat) -> bytes:
    """The strong tag of one representation of the version; another format is other bytes, so another tag."""
    return f'"{version}"'.encode() if row_format == "json" else f'"{version}-{row_format}"'.encode()


def cache_control(interval: Interval) -> bytes:
    """How long any cache may use the answer without asking."""
    return b"public, max-age=%d" % _MAX_AGE_S.get(interval.name, 3600)


def is_known(if_none_match: bytes | None, tag: bytes) -> bool:
    """Whether the client has that representation: RFC 9110's weak comparison; `*` is any."""
    if if_none_match is None:
        return False
    if if_none_match == tag:
        return True
    return if_none_match.strip() == b"*" or tag in _TAG.findall(if_none_match)


def chosen_format(query: CandleQuery, accept: bytes | None) -> RowFormat:
    """`format=`, or CSV where Accept prefers it to JSON, or JSON."""
    if query.row_format is not None:
        return query.row_format
    if accept is None or b"csv" not in accept:
        return "json"
    weights = _weights(accept.decode("latin-1").lower())
    json_weight = weights.get("application/json", weights.get("application/*", weights.get("*/*", 0.0)))
    return "csv" if weights.get("text/csv", 0.0) > json_weight or _is_first(accept, weights, json_weight) else "json"


def _is_first(accept: bytes, weights: dict[str, float], json_weight: float) -> bool:
    """Equal weights: the one that is named outright and first."""
    text = accept.lower()
    named_json = text.find(b"application/json")
    return weights.get("text/csv", 0.0) == json_weight > 0 and (named_json < 0 or text.find(b"text/csv") < named_json)


def _weights(accept: str) -> dict[str, float]:
    weights = {}
    for part in accept.split(","):
        kind, *parameters = (each.strip() for each in part.split(";"))
        quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            weights[kind] = float(quality)
        except ValueError:
            weights[kind] = 0.0
    return weights


def body_of(text: bytes, row_format: RowFormat) -> bytes:
    """A whole body from the rows' text."""
    head, tail = ENVELOPES[row_format]
    return head + text + (tail if text or row_format == "json" else b"")


def has_rows(body: bytes, row_format: RowFormat) -> bool:
    """Whether a whole body has a candle in it."""
    return len(body) > len(body_of(b"", row_format))


def empty_headers(span: Span) -> Headers:
    """The headers of a range without candles: from where to where there are some, in Unix seconds."""
    headers = [(b"x-data-available", b"false")]
    if span.first_time is not None and span.last_time is not None:
        headers += [(b"x-available-from", b"%d" % span.first_time), (b"x-available-to", b"%d" % span.last_time)]
    return headers

"""What is asked of an export, and what came of it.

Belongs here: the nouns. Does not: finding pairs (selection.py), making anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from market_platform.domain.databases import Database
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import Interval, parse_interval

EXPORT_VERSION = "exports-1"
"""Raised when the same rows would give another file."""

Format = Literal["parquet", "csv"]
Numbers = Literal["decimal", "float64"]
Span = Literal["day", "month"]
"""What a file in the lake is of."""


class Dataset(StrEnum):
    """What can be exported."""

    CANDLES = "candles"
    FUNDING = "funding"
    OPEN_INTEREST = "oi"
    MERGED = "merged"
    """Candles with the funding and the open interest of exactly their time."""
    FEATURES = "features"

    @property
    def has_interval(self) -> bool:
        """Whether its rows are of candles; the others are of a pair."""
        return self not in (Dataset.FUNDING, Dataset.OPEN_INTEREST)


class ExportState(StrEnum):
    """What an export came to; both are a file and its JSON, and neither is an error."""

    FILLED = "filled"
    EMPTY = "empty"
    """The file has the columns and no rows; the JSON and the summary say so."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """One file: a data set of one pair (and, where its rows are of candles, one interval) that opens in [start, end), UTC.

    `numbers` is how decimals are written: exact, or rounded to the nearest double. `feature_version` None is the newest stored.
    `include_private` says that the file stays with who may have the data; see licence.py.

    Raises:
        BadRequestError: the span is empty or without a zone, or the interval does not fit the data set.
    """

    dataset: Dataset
    exchange: str
    coin: str
    quote: str
    market_type: str
    start: datetime
    end: datetime
    interval: Interval | None = None
    format: Format = "parquet"
    numbers: Numbers = "decimal"
    database: Database = "realtime"
    include_private: bool = False
    feature_version: int | None = None

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise BadRequestError(f"{self.name}: start and end of an export need a time zone", code="invalid_range")
        if self.start >= self.end:
            raise BadRequestError(
                f"{self.name}: the export would end ({self.end:%Y-%m-%d %H:%M}) before it starts ({self.start:%Y-%m-%d %H:%M}); "
                "the end is not included",
                code="invalid_range",
            )
        if self.dataset.has_interval != (self.interval is not None):
            what = "needs an interval" if self.dataset.has_interval else "has no intervals: its rows are of the pair"
            raise BadRequestError(f"{self.name}: {self.dataset} {what}", code="invalid_timeframe")

    @property
    def name(self) -> str:
        """How messages name it: `binance BTC/USDT perps merged 1m`."""
        parts = (self.exchange, f"{self.coin}/{self.quote}", self.market_type, str(self.dataset))
        return " ".join((*parts, self.interval.name) if self.interval else parts)

    def as_json(self) -> dict[str, Any]:
        """For the JSON beside the file; `request_from_json` is the way back."""
        values = asdict(self)
        values["dataset"] = str(self.dataset)
        values["interval"] = self.interval.name if self.interval else None
        values["start"], values["end"] = iso(self.start), iso(self.end)
        return values


def request_from_json(values: Mapping[str, Any]) -> ExportRequest:
    """The request that `ExportRequest.as_json` described.

    Raises:
        KeyError, TypeError, ValueError, BadRequestError: it is no such description.
    """
    known = dict(values)
    known["dataset"] = Dataset(known["dataset"])
    known["interval"] = parse_interval(known["interval"]) if known["interval"] else None
    known["start"], known["end"] = datetime.fromisoformat(known["start"]), datetime.fromisoformat(known["end"])
    return ExportRequest(**known)


def iso(moment: datetime) -> str:
    """A moment as exports write it: `2024-01-01T00:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How far an export is: rows written so far, and the time up to which the span is done."""

    rows: int
    until: datetime


OnProgress = Callable[[ExportProgress], None]


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A finished file. `document` is its JSON; `state_reason` says why it is empty; `first` and `last` are times of rows.

    `conditions` counts the input days by condition (`unknown`: nothing was ever written of the day).
    """

    path: Path
    sidecar: Path
    state: ExportState
    state_reason: str
    rows: int
    bytes: int
    sha256: str
    first: datetime | None
    last: datetime | None
    conditions: Mapping[str, int]
    document: Mapping[str, Any]

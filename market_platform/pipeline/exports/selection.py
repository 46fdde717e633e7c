"""From the names people give to requests: which pairs, which intervals, which span, which file.

Belongs here: choosing and naming. Does not: reading rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from market_platform.domain.databases import Database
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import parse_interval
from market_platform.pipeline.exports.licence import PRIVATE, check_licence
from market_platform.pipeline.exports.request import Dataset, ExportRequest, Format, Numbers
from market_platform.warehouse.reference import PairRow

ALL = "all"


@dataclass(frozen=True, slots=True)
class PairChoice:
    """Which pairs: None is any. Codes as in the configuration; upper and lower case are the same."""

    coin: str | None = None
    exchange: str | None = None
    quote: str | None = None
    market_type: str | None = None


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """A request and the file it goes to."""

    request: ExportRequest
    pair: PairRow
    path: Path


def choose_pairs(pairs: Sequence[PairRow], choice: PairChoice) -> list[PairRow]:
    """The active pairs of a choice.

    Raises:
        BadRequestError: there is none; says which option does not fit and what there is.
    """
    left = [pair for pair in pairs if pair.active]
    wanted = (
        ("--exchange", choice.exchange, "exchange"),
        ("--coin", None if choice.coin is None or choice.coin.lower() == ALL else choice.coin, "coin"),
        ("--quote", choice.quote, "quote"),
        ("--market-type", choice.market_type, "market_type"),
    )
    for option, value, name in wanted:
        if value is None:
            continue
        fitting = [pair for pair in left if getattr(pair, name).lower() == value.lower()]
        if not fitting:
            known = ", ".join(sorted({str(getattr(pair, name)) for pair in left}))
            raise BadRequestError(
                f"{option} {value}: the database has no such pair; with the options before it there is {known or 'none'}",
                code="symbol_not_found",
            )
        left = fitting
    if not left:
        raise BadRequestError(
            "the database has no active pair; run `market-platform config sync`", code="symbol_not_found"
        )
    return left


def leave_out_private(pairs: Sequence[PairRow], choice: PairChoice) -> tuple[list[PairRow], list[str]]:
    """The pairs whose data may be passed on, and the names of the others.

    All are kept, to be refused by name, when the choice names their exchange or none may be passed on.
    """
    public = [pair for pair in pairs if pair.licence != PRIVATE]
    if choice.exchange is not None or not public:
        return list(pairs), []
    return public, [pair.name for pair in pairs if pair.licence == PRIVATE]


def choose_intervals(pair: PairRow, text: str) -> list[str]:
    """The interval names of `1m,15m` or `all`, shortest first.

    Raises:
        BadRequestError: code `invalid_timeframe`; no interval, or one that the pair does not have.
    """
    if text.strip().lower() == ALL:
        return list(pair.starlistings)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise BadRequestError("--intervals names none; write 1m,15m or all", code="invalid_timeframe")
    for name in names:
        parse_interval(name)
        if name not in pair.starlistings:
            raise BadRequestError(
                f"--intervals {name}: {pair.name} has none of it; it has {', '.join(pair.starlistings) or 'none'}",
                code="invalid_timeframe",
            )
    return [name for name in pair.starlistings if name in names]


def choose_span(days: int | None, start: str | None, end: str | None, today: date) -> tuple[datetime, datetime]:
    """[start, end) of `--days` (the last whole days of UTC), or of `--start-time` and `--end-time` (today without).

    Raises:
        BadRequestError: code `invalid_range`.
    """
    midnight = datetime.combine(today, time(), UTC)
    if (days is None) == (start is None):
        raise BadRequestError(
            "give either --days, for the last whole days, or --start-time (and --end-time)", code="invalid_range"
        )
    if days is not None:
        if end is not None:
            raise BadRequestError(
                "--days counts back from today; give --start-time with --end-time", code="invalid_range"
            )
        if days < 1:
            raise BadRequestError(f"--days {days} is no number of days; give 1 or more", code="invalid_range")
        return midnight - timedelta(days=days), midnight
    assert start is not None
    first = _moment("--start-time", start)
    after = midnight if end is None else _moment("--end-time", end)
    if first >= after:
        raise BadRequestError(
            f"--start-time {first:%Y-%m-%d %H:%M} is not before the end, {after:%Y-%m-%d %H:%M} (not included)",
            code="invalid_range",
        )
    return first, after


def plan_exports(
    pairs: Sequence[PairRow],
    *,
    dataset: Dataset,
    intervals: str | None,
    span: tuple[datetime, datetime],
    output: Path,
    file_format: Format = "parquet",
    numbers: Numbers = "decimal",
    database: Database = "realtime",
    include_private: bool = False,
    feature_version: int | None = None,
) -> list[ExportPlan]:
    """A request and a file for each pair, and each interval where the data set has any.

    `output` is a folder, or a file where there is one request and it ends as its format does.

    Raises:
        BadRequestError: an interval is missing, unknown or not meant; data is private; `output` is one file for several.
    """
    if dataset.has_interval and intervals is None:
        raise BadRequestError(f"{dataset} needs --intervals, such as 1m,15m or all", code="invalid_timeframe")
    if not dataset.has_interval and intervals is not None:
        raise BadRequestError(
            f"{dataset} is a pair's and has no intervals; leave --intervals out", code="invalid_timeframe"
        )
    requests: list[tuple[ExportRequest, PairRow]] = []
    for pair in pairs:
        check_licence(pair.name, pair.licence, include_private=include_private)
        for name in [None] if intervals is None else choose_intervals(pair, intervals):
            request = ExportRequest(
                dataset=dataset,
                exchange=pair.exchange,
                coin=pair.coin,
                quote=pair.quote,
                market_type=pair.market_type,
                start=span[0],
                end=span[1],
                interval=None if name is None else parse_interval(name),
                format=file_format,
                numbers=numbers,
                database=database,
                include_private=include_private,
                feature_version=feature_version,
            )
            requests.append((request, pair))
    if output.suffix.lower() in (".parquet", ".csv") and not output.is_dir():
        if len(requests) > 1:
            raise BadRequestError(
                f"--output {output} is one file, and there are {len(requests)} to write; give a folder"
            )
        if output.suffix.lower() != f".{file_format}":
            raise BadRequestError(f"--output {output} does not end in .{file_format}, which --format asks for")
        return [ExportPlan(request, pair, output) for request, pair in requests]
    return [ExportPlan(request, pair, output / file_name(request, pair.symbol)) for request, pair in requests]


def file_name(request: ExportRequest, symbol: str) -> str:
    """`binance_BTCUSDT.P_merged_1m_2024-01-01_2025-01-01.parquet`; the end is not included.

    A month is `1month`, because some file systems take `1M` for `1m`.
    """
    parts = [request.exchange, symbol, str(request.dataset)]
    if request.interval is not None:
        parts.append("1month" if request.interval.name == "1M" else request.interval.name)
    if request.feature_version is not None:
        parts.append(f"v{request.feature_version}")
    parts += [_name_of(request.start), _name_of(request.end)]
    if request.numbers == "float64":
        parts.append("float64")
    if request.database != "realtime":
        parts.append(request.database)
    return "_".join(parts) + f".{request.format}"


def _name_of(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    if utc.time() == time():
        return f"{utc:%Y-%m-%d}"
    return f"{utc:%Y-%m-%dT%H%M%S}" if utc.second or utc.microsecond else f"{utc:%Y-%m-%dT%H%M}"


def _moment(option: str, text: str) -> datetime:
    """A day or a moment in ISO 8601; UTC when it does not say."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequestError(
            f"{option} {text!r} is no time; write a day such as 2024-03-01, or 2024-03-01T12:00", code="invalid_range"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)

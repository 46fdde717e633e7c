"""What a request for candles asks, checked: pure functions from a URL's parts to a `CandleQuery`.

Belongs here: parameters, their spellings and limits, and the problem each mistake becomes. Does not: whether the symbol
exists.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api_service.problems import ProblemError
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import INTERVALS, Interval, bucket_end, bucket_start, parse_interval
from market_platform.domain.pairs import normalise_symbol
from market_platform.warehouse.chart_queries import RowFormat

LONGEST_RANGE_S = 731 * 86_400
"""Two years, whichever two: one of them may be a leap year."""
_LAST_SECOND = 32_503_680_000  # the year 3000

UnixSeconds = Annotated[int, Field(ge=0, le=_LAST_SECOND)]


class CandleParameters(BaseModel):
    """The parameters as the documentation shows them."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    symbol: str = Field(
        description="`EURUSD`; `EUR/USD`, `EUR_USD` and `eurusd` are the same.",
        min_length=1,
        max_length=40,
        examples=["EURUSD"],
    )
    timeframe: str = Field(
        "1h",
        description="Length of a candle; `1m` is a minute, `1M` a month.",
        examples=["1h"],
        json_schema_extra={"enum": [each.name for each in INTERVALS]},
    )
    from_: UnixSeconds = Field(
        alias="from", description="First open time, Unix seconds, included.", examples=[1710918000]
    )
    to: UnixSeconds = Field(
        description="Last open time, Unix seconds, included; at most two years after `from`.", examples=[1711004399]
    )
    exchange: str | None = Field(
        None,
        description="Without it, the first configured exchange with candles of the symbol; `X-Exchange` says which.",
        max_length=40,
        examples=["dukascopy"],
    )
    format: Literal["json", "csv"] | None = Field(None, description="Wins over the header Accept; JSON by default.")


class CandleQuery:
    """A checked request: `start_ms` and `end_ms` are the first and last open time asked for, on the interval's grid."""

    __slots__ = ("end_ms", "exchange", "interval", "row_format", "start_ms", "symbol")

    def __init__(
        self,
        symbol: str,
        interval: Interval,
        start_ms: int,
        end_ms: int,
        exchange: str | None,
        row_format: RowFormat | None,
    ) -> None:
        self.symbol = symbol
        self.interval = interval
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.exchange = exchange
        self.row_format = row_format


@lru_cache(maxsize=2048)
def parse_query(query_string: bytes, symbol: str | None = None, timeframe: str | None = None) -> CandleQuery:
    """The query of a URL; `symbol` and `timeframe` are those of the path, if it has them. Unknown parameters are ignored.

    Raises:
        ProblemError: `missing_parameters`, `invalid_timeframe`, `invalid_parameter`, `invalid_range`, `range_too_large` or
            `symbol_not_found`.
    """
    try:
        given: dict[str, Any] = dict(parse_qsl(query_string.decode("ascii"), encoding="utf-8", errors="strict"))
    except (UnicodeDecodeError, ValueError):
        raise ProblemError("invalid_parameter", "the query string is not UTF-8") from None
    if symbol is not None:
        given |= {"symbol": symbol, "timeframe": timeframe}
    try:
        asked = CandleParameters.model_validate(given)
    except ValidationError as error:
        raise _problem(error, given) from None
    try:
        interval = parse_interval(asked.timeframe)
        name = normalise_symbol(asked.symbol)
    except BadRequestError as error:
        raise ProblemError(error.code, str(error)) from None
    start, end = asked.from_, asked.to
    if start > end:
        raise ProblemError("invalid_range", f"from={start} is after to={end}")
    if end - start > LONGEST_RANGE_S:
        days = (end - start) // 86_400
        raise ProblemError(
            "range_too_large", f"from={start} to={end} is {days} days; at most two years are answered at once"
        )
    first = bucket_start(start * 1000, interval)
    if first < start * 1000:
        first = bucket_end(first, interval)
    last = bucket_start(end * 1000, interval)
    exchange = asked.exchange.lower() if asked.exchange else None
    return CandleQuery(name, interval, first, last, exchange, asked.format)


def _problem(error: ValidationError, given: dict[str, Any]) -> ProblemError:
    mistakes = error.errors(include_url=False)
    missing = [
        str(each["loc"][0]) for each in mistakes if each["type"] == "missing" or not given.get(str(each["loc"][0]))
    ]
    if missing:
        names = " and ".join(missing)
        return ProblemError(
            "missing_parameters", f"{names} must be given; from and to are Unix seconds", parameters=missing
        )
    name, message = str(mistakes[0]["loc"][0]), str(mistakes[0]["msg"])
    value = str(given[name])[:40]
    if name in ("from", "to"):
        message = "must be a whole number of Unix seconds"
        if value.isdecimal() and int(value) > _LAST_SECOND:
            message += "; this looks like milliseconds"
    return ProblemError("invalid_parameter", f"{name}={value!r}: {message}", parameter=name)

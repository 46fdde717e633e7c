"""Every error the platform raises on purpose.

    MarketPlatformError
    ├── ConfigError                 a setting or a line of a config file is wrong; fix it and start again
    ├── BadRequestError             an argument of a command or call is wrong (dates, symbols, intervals)
    ├── ExchangeError
    │   ├── ExchangeUnavailableError   retry helps: time-out, refused connection, 5xx, truncated body, 202
    │   ├── RateLimitedError           retry helps, after `retry_after` seconds
    │   ├── UnknownSymbolError         retry can't help: the exchange does not know the symbol
    │   ├── HistoryGoneError           retry can't help: the exchange does not serve so old data (any more)
    │   ├── NotPublishedError          retry can't help: the archive has no such file (yet); ask elsewhere
    │   └── BadPayloadError            retry can't help: the answer is complete and wrong
    ├── LakeError
    │   ├── LakeUnavailableError       retry helps: the store does not answer
    │   ├── LakeNotWritableError       retry can't help: read-only, full, or no permission
    │   └── CorruptObjectError         retry can't help: the object is not what its manifest says
    ├── WarehouseError
    │   ├── WarehouseUnavailableError  retry helps: Postgres does not answer
    │   ├── SchemaMismatchError        retry can't help: migrations are missing
    │   └── WrongDatabaseError         retry can't help: it is the other of the two databases; nothing was written
    └── DayFailedError              one or more partitions failed; the others are kept

A message says what happened, to which pair and day, and what the user can do.
`retryable` is the only thing a retry policy may look at.
"""

from __future__ import annotations

from typing import ClassVar


class MarketPlatformError(Exception):
    """Root of the tree. `retryable` says whether the same call may succeed later, unchanged."""

    retryable: ClassVar[bool] = False


class ConfigError(MarketPlatformError):
    """A setting or a line of a config file is wrong."""


class BadRequestError(MarketPlatformError):
    """An argument the user gave is wrong. `code` is the API's stable error code."""

    def __init__(self, message: str, *, code: str = "bad_request") -> None:
        super().__init__(message)
        self.code = code


class ExchangeError(MarketPlatformError):
    """Something between us and an exchange."""


class ExchangeUnavailableError(ExchangeError):
    """No usable answer: time-out, refused, 5xx, 202 with nothing, a body shorter than announced."""

    retryable = True


class RateLimitedError(ExchangeUnavailableError):
    """The exchange asked us to slow down; `retry_after` is in seconds, None when it did not say."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownSymbolError(ExchangeError):
    """The exchange does not know the symbol."""


class HistoryGoneError(ExchangeError):
    """The exchange does not serve data so old; `earliest_ms` is what it still serves, None when nothing at all."""

    def __init__(self, message: str, *, earliest_ms: int | None = None) -> None:
        super().__init__(message)
        self.earliest_ms = earliest_ms


class NotPublishedError(ExchangeError):
    """The exchange's archive has no such file: not yet, not any more, or it was never made. Another source may have it."""


class BadPayloadError(ExchangeError):
    """The answer arrived whole and is wrong: types, order, prices, length."""


class LakeError(MarketPlatformError):
    """Something between us and the object store."""


class LakeUnavailableError(LakeError):
    """The store does not answer."""

    retryable = True


class LakeNotWritableError(LakeError):
    """The store answers and refuses: read-only, full, or no permission."""


class CorruptObjectError(LakeError):
    """An object's bytes are not what its manifest or its own description says."""


class WarehouseError(MarketPlatformError):
    """Something between us and Postgres."""


class WarehouseUnavailableError(WarehouseError):
    """Postgres does not answer."""

    retryable = True


class SchemaMismatchError(WarehouseError):
    """The database's schema is not the one this code needs."""


class WrongDatabaseError(WarehouseError):
    """The database is not the one of the two (realtime, training) that it was opened as."""


class DayFailedError(MarketPlatformError):
    """Some days of a range failed; `failures` maps each ISO day to its error. Good days are kept."""

    def __init__(self, message: str, *, failures: dict[str, Exception]) -> None:
        super().__init__(message)
        self.failures = failures


def is_retryable(error: BaseException) -> bool:
    """Whether trying the same thing again, unchanged, may succeed."""
    if isinstance(error, DayFailedError):
        return all(is_retryable(each) for each in error.failures.values())
    return isinstance(error, MarketPlatformError) and error.retryable

"""Errors as Dagster should see them: a retry only where a retry helps, and a message a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from market_platform.domain.errors import DayFailedError, MarketPlatformError, is_retryable

FAILED_DAYS = "failed_days"
"""Metadata of a failure: each failed day (ISO) with its error. The command line reads it."""


@contextmanager
def typed_failures(what: str) -> Iterator[None]:
    """Raise errors of the block as failures that name `what`; those that a retry can't help end the step at once."""
    try:
        yield
    except dg.Failure:
        raise
    except MarketPlatformError as error:
        raise as_failure(error) from error
    except Exception as error:
        raise dg.Failure(f"{what}: unexpected {type(error).__name__}: {error}", allow_retries=False) from error


def as_failure(error: MarketPlatformError, *, last_attempt: bool = False) -> dg.Failure:
    """The failure for a typed error, with the days that failed as metadata."""
    metadata: dict[str, dg.MetadataValue] = {"error": dg.MetadataValue.text(type(error).__name__)}
    if isinstance(error, DayFailedError):
        failed = {day: str(each) for day, each in error.failures.items()}
        metadata[FAILED_DAYS] = dg.MetadataValue.json(failed)
    return dg.Failure(str(error), metadata=metadata, allow_retries=is_retryable(error) and not last_attempt)


def is_last_attempt(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, policy: dg.RetryPolicy) -> bool:
    """Whether the policy allows no further attempt after this one."""
    return context.op_execution_context.retry_number >= policy.max_retries

"""Days in options: what every command says of a text that is none."""

from __future__ import annotations

from datetime import date

from market_platform.domain.errors import BadRequestError


def read_day(text: str, option: str) -> date:
    """The day of `--from 2024-03-04`.

    Raises:
        BadRequestError: code `invalid_range`; names the option and the form.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadRequestError(f"{option} {text!r} is not a day; write YYYY-MM-DD", code="invalid_range") from None

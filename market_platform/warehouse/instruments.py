"""An exchange's description of a symbol, as `trading_pairs.instrument` keeps it.

Belongs here: `domain.days.Instrument` to and from JSON. Does not: how an exchange spells it (exchanges/).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from market_platform.domain.days import Instrument


def instrument_to_json(instrument: Instrument) -> dict[str, Any]:
    """The instrument as plain JSON values, sessions, holidays and the exchange's raw answer included."""
    document: dict[str, Any] = _adapter().dump_python(instrument, mode="json")
    return document


def instrument_from_json(document: dict[str, Any]) -> Instrument:
    """The instrument that `instrument_to_json` made the document of."""
    return _adapter().validate_python(document)


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Instrument]:
    return TypeAdapter(Instrument)

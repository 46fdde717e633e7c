"""Times in OANDA's parameters. Belongs here: RFC 3339 and UNIX seconds to milliseconds. Does not: anything else."""

from __future__ import annotations

import re
from datetime import datetime

from market_platform.domain.clock import to_ms

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_UNIX = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?", re.ASCII)


def read_time(text: str) -> int:
    """Milliseconds since the epoch, cut.

    Raises:
        ValueError: it is neither; the message is the parameter's usual name.
    """
    match = _RFC3339.fullmatch(text)
    if match is not None:
        try:
            second = to_ms(datetime.fromisoformat(f"{match[1]}+00:00"))
        except ValueError:
            raise ValueError("from") from None
    else:
        match = _UNIX.fullmatch(text)
        if match is None:
            raise ValueError("from")
        second = int(match[1]) * 1000
    return second + int((match[2] or "0").ljust(3, "0")[:3])

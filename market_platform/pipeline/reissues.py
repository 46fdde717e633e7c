"""Files that an exchange published again after days were made of them. Belongs here: finding them. Does not: fetching anew.

Only checksums are asked for, so that looking at years of days is cheap. A file is found again as long as its days were not made
of it anew; one that is gone from the archive is no reason to doubt what was made of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import date

from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.binance.dumps.files import is_dump_name
from market_platform.pipeline.platform import Platform
from market_platform.warehouse.history_inputs import Reissue, load_inputs
from market_platform.warehouse.reference import load_pair

Checksums = Callable[[Collection[str]], Awaitable[Mapping[str, str | None]]]
"""The SHA-256 that each file has now, by the name of its input; None for one that is not there: `BinanceDumps.checksums`."""


async def find_reissued(
    platform: Platform, pair: TradingPair, series: str, days: Sequence[date], checksums: Checksums
) -> list[Reissue]:
    """The files that days of a series were made of and that have other bytes now, sorted by day and name.

    `series` is that of `history_inputs` (`candles_1m`, `funding_rates`, …).

    Raises:
        ExchangeError: what the archive answers is of no use.
    """
    with platform.warehouse.connect() as connection:
        recorded = load_inputs(connection, load_pair(connection, pair.exchange, pair.symbol).id, series, days)
    files = [(day, each) for day, inputs in sorted(recorded.items()) for each in inputs if is_dump_name(each.name)]
    if not files:
        return []
    now = await checksums({each.name for _, each in files})
    return [
        Reissue(day, each.name, each.sha256, told)
        for day, each in files
        if (told := now[each.name]) is not None and told != each.sha256
    ]

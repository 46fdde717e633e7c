"""A month of one pair by the pipeline's functions alone, in a process of its own: what `bench_backfill` compares a run with.

Prints the seconds from before the pipeline is imported (a run imports it, too) until the last day is compared with the
exchange's own candles. The environment says which database, lake and exchange.
"""

from __future__ import annotations

import sys
import time
from datetime import date

from market_platform.domain.clock import days_between


def main(pair_name: str, first: date, last: date) -> float:
    """Seconds for fetching, building and comparing the days, one function after the other."""
    started = time.perf_counter()
    import asyncio

    from market_platform.domain.conditions import Condition
    from market_platform.pipeline.candles import build_candle_days
    from market_platform.pipeline.platform import Platform, Provenance
    from market_platform.pipeline.ticks import ingest_tick_days
    from market_platform.pipeline.verify import compare_with_exchange
    from market_platform.settings import load_settings
    from market_platform.starlistings import load_starlistings

    settings = load_settings()
    assert settings.database_url is not None
    platform = Platform.from_settings(settings, settings.database_url.get_secret_value())
    pair = next(each for each in load_starlistings(settings.starlistings_file).pairs() if each.name == pair_name)
    days, provenance = days_between(first, last), Provenance("loop", "bench")
    reports = asyncio.run(ingest_tick_days(platform, pair, days, provenance, lambda _report: None))
    intervals = [each for each in pair.intervals if each.is_intraday]
    build_candle_days(platform, pair, days, intervals, provenance, lambda _report: None)
    for report in reports:
        if report.condition is Condition.AVAILABLE and report.rows:
            comparison = asyncio.run(compare_with_exchange(platform, pair, report.day))
            assert comparison.equal, comparison
    seconds = time.perf_counter() - started
    platform.close()
    return seconds


if __name__ == "__main__":
    print(main(sys.argv[1], date.fromisoformat(sys.argv[2]), date.fromisoformat(sys.argv[3])))

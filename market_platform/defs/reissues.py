"""Files that Binance published again: looked for every week by their checksums, and the days made of them fetched anew.

Belongs here: the job and its schedule. Does not: comparing (pipeline/reissues.py), fetching (pipeline/history_*.py).
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, time, timedelta
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.history_step import made_history
from market_platform.defs.assets.results import log_partitions
from market_platform.defs.cron import cron, launching
from market_platform.defs.jobs import database_name
from market_platform.defs.names import (
    HISTORY_LAYERS,
    TRAINING,
    asset_path,
    day_intervals,
    history_candle_layer,
    history_series,
    shown_name,
)
from market_platform.defs.resources import PLATFORM, TRAINING_PLATFORM
from market_platform.domain.clock import days_between
from market_platform.domain.errors import MarketPlatformError
from market_platform.domain.history import SeriesKind
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import HISTORY_VERSION

if TYPE_CHECKING:
    from market_platform.exchanges.binance.dumps.client import BinanceDumps
    from market_platform.pipeline.history_reports import HistoryReport
    from market_platform.pipeline.platform import Platform
    from market_platform.warehouse.history_inputs import Reissue

REISSUED_FILES = "reissued_files"
_LOOKS_BACK = timedelta(days=400)
_ASKED_AT_ONCE = 31

OpenArchive = Callable[[], "AbstractAsyncContextManager[BinanceDumps]"]


def reissue_job(pairs: Sequence[TradingPair], open_archive: OpenArchive, database: str) -> dg.JobDefinition:
    """The job for the pairs of a database whose past has files."""
    resource = TRAINING_PLATFORM if database == TRAINING else PLATFORM

    @dg.op(
        name=database_name("fetch_reissued_files", database),
        required_resource_keys={resource},
        description=(
            f"Compares the files that the last {_LOOKS_BACK.days} days were made of with the archive's checksums of today, and fetches "
            "the days of those that differ again. Each such day is reported as materialised, with its new data version and both "
            "hashes."
        ),
    )
    def fetch(context: dg.OpExecutionContext) -> None:
        platform: Platform = getattr(context.resources, resource)
        yesterday = platform.clock().date() - timedelta(days=1)
        days = days_between(yesterday - _LOOKS_BACK, yesterday)
        failures: list[str] = []
        found = 0
        for pair in pairs:
            for kind, interval, key in _series_of(pair):
                series = f"candles_{interval}" if interval is not None else kind.value
                try:
                    reissued = asyncio.run(_find(platform, pair, series, days, open_archive))
                    for each in reissued:
                        context.log.warning(
                            f"{shown_name(pair)} {series} {each.day}: {each.name} was published again: "
                            f"{each.earlier_sha256[:12]} is now {each.sha256[:12]}"
                        )
                    found += len(reissued)
                    told = partial(_tell, context, key)
                    _fetch(platform, context.run_id, pair, kind, interval, reissued, told)
                except MarketPlatformError as error:
                    failures.append(f"{shown_name(pair)} {series}: {error}")
        context.log.info(f"{found} days were made of files that were published again")
        if failures:
            raise dg.Failure("\n".join(failures), allow_retries=False)

    @dg.job(
        name=database_name(REISSUED_FILES, database),
        description=f"Finds files that Binance published again, and fetches their days anew ({database} database).",
    )
    def reissued_files() -> None:
        fetch()

    return reissued_files


def reissue_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Sundays at 06:20 UTC."""
    return launching(
        job.name, cron(time(6, 20), "* * 0"), job, "Looks every week for files that Binance published again."
    )


def _series_of(pair: TradingPair) -> Iterator[tuple[SeriesKind, Interval | None, dg.AssetKey]]:
    """What is fetched of the pair, the interval of candles, and the asset."""
    for kind in history_series(pair):
        if kind is SeriesKind.CANDLES:
            for interval in day_intervals(pair):
                key = dg.AssetKey(asset_path(pair, history_candle_layer(interval)))
                yield kind, interval, key
        else:
            yield kind, None, dg.AssetKey(asset_path(pair, HISTORY_LAYERS[kind]))


async def _find(
    platform: "Platform", pair: TradingPair, series: str, days: Sequence[date], open_archive: OpenArchive
) -> "list[Reissue]":
    from market_platform.pipeline.reissues import find_reissued

    async with open_archive() as archive:
        return await find_reissued(platform, pair, series, days, archive.checksums)


def _tell(context: dg.OpExecutionContext, key: dg.AssetKey, report: "HistoryReport") -> None:
    """Report a day as soon as it is committed, whatever becomes of the others."""
    log_partitions(context, key, [made_history(report)])


def _fetch(
    platform: "Platform",
    run_id: str,
    pair: TradingPair,
    kind: SeriesKind,
    interval: Interval | None,
    reissued: "Sequence[Reissue]",
    on_report: "Callable[[HistoryReport], None]",
) -> None:
    from market_platform.pipeline.history_candles import build_history_candles
    from market_platform.pipeline.history_context import build_history_series
    from market_platform.pipeline.history_trades import build_history_trades
    from market_platform.pipeline.platform import Provenance

    provenance = Provenance(run_id, HISTORY_VERSION)
    days = sorted({each.day for each in reissued})
    for first in range(0, len(days), _ASKED_AT_ONCE):
        some = days[first : first + _ASKED_AT_ONCE]
        if interval is not None:
            build_history_candles(platform, pair, some, [interval], provenance, on_report)
        elif kind is SeriesKind.TRADES:
            build_history_trades(platform, pair, some, provenance, on_report)
        else:
            build_history_series(platform, pair, kind, some, provenance, on_report)

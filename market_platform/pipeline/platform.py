"""The three rooms a pipeline function needs, opened from settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.databases import Database
from market_platform.domain.days import TickSource
from market_platform.domain.errors import ConfigError
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.history import HistorySource
from market_platform.exchanges.limits import install_ledger, remove_ledger
from market_platform.exchanges.registry import open_history, open_tick_source
from market_platform.lake.store import Lake
from market_platform.pipeline.lakes import open_lake
from market_platform.settings import Settings
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.rate_limits import PostgresLedger
from market_platform.warehouse.reference import PairRow

TickSourceFactory = Callable[[str], AbstractAsyncContextManager[TickSource]]
HistoryFactory = Callable[[TradingPair], AbstractAsyncContextManager[HistorySource]]


def no_history(pair: TradingPair) -> AbstractAsyncContextManager[HistorySource]:
    """The history of a platform that was given none.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(f"{pair.name}: this platform has no history to ask")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who writes: the run (Dagster's id, or `direct-…`) and the version of the code."""

    run_id: str
    code_version: str


@dataclass(frozen=True, slots=True)
class Platform:
    """Lake, warehouse and exchanges of one process. Nothing is connected until it is used."""

    lake: Lake
    warehouse: Warehouse
    open_source: TickSourceFactory
    clock: Clock = field(default=utc_now)
    open_history: HistoryFactory = no_history
    limits: PostgresLedger | None = None
    """Where this process counts what it asks of exchanges together with all others, until the platform is closed."""

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        database_url: str,
        clock: Clock = utc_now,
        *,
        limits_url: str | None = None,
        role: Database = "realtime",
    ) -> Platform:
        """Open what the settings name; no I/O happens here.

        `role` is what the database must say of itself before anything is written to it; each has a lake of its own (lakes.py).

        `limits_url` is the database that all processes of this address count in, whichever they write to: that of the
        settings unless told.
        """
        realtime = settings.database_url
        limits = PostgresLedger(limits_url or (realtime.get_secret_value() if realtime else database_url))
        opened = cls(
            lake=open_lake(settings, role),
            warehouse=create_warehouse(
                database_url,
                pool_size=settings.database_pool_size,
                timeout_s=settings.database_timeout_s,
                role=role,
            ),
            open_source=lambda exchange: open_tick_source(exchange, settings, clock),
            clock=clock,
            open_history=lambda pair: open_history(pair, settings, clock),
            limits=limits,
        )
        install_ledger(limits)
        return opened

    def close(self) -> None:
        """Give back the database connections."""
        if self.limits is not None:
            remove_ledger(self.limits)
            self.limits.close()
        self.warehouse.close()


def starlisting_ids(row: PairRow, pair: TradingPair, intervals: Sequence[Interval]) -> dict[Interval, int]:
    """Where the pair's candles of those intervals are kept.

    Raises:
        ConfigError: the database does not list them, or lists them as candles of another price or alignment: the config
            changed and was not synced, and candles of two kinds must never mix.
    """
    ids: dict[Interval, int] = {}
    wanted = (pair.candle_price, pair.alignment.value)
    for interval in intervals:
        if interval.name not in row.starlistings:
            raise ConfigError(
                f"{pair.name} {interval}: the database lists no such candles; run `market-platform config sync`"
            )
        kind = tuple(row.kinds[interval.name])
        if kind != wanted:
            raise ConfigError(
                f"{pair.name} {interval}: the config says {' '.join(wanted)} candles, the database {' '.join(kind)}; "
                "run `market-platform config sync`"
            )
        ids[interval] = row.starlistings[interval.name]
    return ids


def failure_summary(what: str, failures: dict[date, Exception], of: int, unit: str = "days") -> str:
    """One message for the days (or periods) of a range that failed; the first errors are told in full."""
    shown = [f"  {day}: {error}" for day, error in sorted(failures.items())[:5]]
    more = f"\n  … and {len(failures) - 5} more" if len(failures) > 5 else ""
    kept = of - len(failures)
    return f"{what}: {len(failures)} of {of} {unit} failed, {kept} are kept:\n" + "\n".join(shown) + more

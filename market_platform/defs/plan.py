"""What a backfill asks for, as asset partitions: pure, and free of Dagster, because the command line plans before it asks.

Days of the range for the day layers; for 1w and 1M the periods that the range completes: those inside it, and one at either
end whose other days are there already. A period that lacks days would only become `pending`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta

from market_platform.defs.choices import candle_asset_layer, day_asset_layers, period_asset_intervals
from market_platform.defs.names import HISTORY_STARTS, asset_path
from market_platform.domain.clock import days_between
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import Interval, bucket_end, bucket_start
from market_platform.domain.pairs import TradingPair


@dataclass(frozen=True, slots=True)
class Target:
    """Partitions of one asset, from `first` to `last`, both included (first days of periods for 1w and 1M)."""

    path: tuple[str, ...]
    first: date
    last: date
    partitions: int

    @property
    def name(self) -> str:
        """The asset as people write it."""
        return "/".join(self.path)


def check_range(first: date, last: date, today: date) -> None:
    """Nothing for a range of complete days.

    Raises:
        BadRequestError: code `invalid_range`, for a reversed range, one that has not ended, or one before all history.
    """
    yesterday = today - timedelta(days=1)
    if last < first:
        raise BadRequestError(f"--to {last} is before --from {first}; both days are included", code="invalid_range")
    if last > yesterday:
        raise BadRequestError(
            f"--to {last} is not over yet; the last complete day (UTC) is {yesterday}", code="invalid_range"
        )
    if first < HISTORY_STARTS:
        raise BadRequestError(
            f"--from {first} is before all history, which begins on {HISTORY_STARTS}", code="invalid_range"
        )


def plan_targets(
    pair: TradingPair,
    layers: Sequence[str],
    first: date,
    last: date,
    today: date,
    known_days: AbstractSet[date] = frozenset(),
) -> list[Target]:
    """What to materialise for the pair. `known_days` have 1d candles already and are not pending."""
    targets = [
        Target(tuple(asset_path(pair, layer)), first, last, (last - first).days + 1)
        for layer in layers
        if layer in day_asset_layers(pair)
    ]
    for interval in period_asset_intervals(pair):
        layer = candle_asset_layer(pair, interval)
        if layer in layers:
            starts = periods_completed(interval, first, last, today, known_days)
            if starts:
                path = tuple(asset_path(pair, layer))
                targets.append(Target(path, starts[0], starts[-1], len(starts)))
    return targets


def periods_completed(
    interval: Interval, first: date, last: date, today: date, known_days: AbstractSet[date]
) -> list[date]:
    """First days of the periods that overlap the range, are over, and lack no day once the range is there."""
    starts = []
    for start in periods_overlapping(interval, first, last):
        end = _day_of(bucket_end(_midnight(start), interval)) - timedelta(days=1)
        others = [day for day in days_between(start, end) if not first <= day <= last]
        if end < today and start >= HISTORY_STARTS and all(day in known_days for day in others):
            starts.append(start)
    return starts


def periods_overlapping(interval: Interval, first: date, last: date) -> list[date]:
    """First days of the periods that hold a day of the range."""
    starts = []
    start = _day_of(bucket_start(_midnight(first), interval))
    while start <= last:
        starts.append(start)
        start = _day_of(bucket_end(_midnight(start), interval))
    return starts


def split(targets: Mapping[str, Sequence[Target]], first: date, last: date) -> list[dict[str, Sequence[Target]]]:
    """Targets by pair as backfills: few days of many pairs fit into one run, many days get a backfill a pair."""
    if (last - first).days < _FEW_DAYS:
        return [dict(targets)]
    return [{pair: mine} for pair, mine in targets.items()]


_FEW_DAYS = 3


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000


def _day_of(ms: int) -> date:
    return date(1970, 1, 1) + timedelta(days=ms // 86_400_000)

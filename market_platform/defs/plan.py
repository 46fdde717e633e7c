"""What a backfill asks for, as asset partitions: pure, and free of Dagster, because the command line plans before it asks.

Days of the range for the day layers; for 1w and 1M the periods that the range completes: those inside it, and one at either
end whose other days are there already. A period that lacks days would only become `pending`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta

from market_platform.defs.names import (
    HISTORY_STARTS,
    TICKS,
    asset_path,
    candle_layer,
    day_layers,
    has_history,
    period_intervals,
)
from market_platform.domain.clock import days_between
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import INTERVALS, Interval, bucket_end, bucket_start
from market_platform.domain.pairs import TradingPair

CANDLES = "candles"


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


def choose_pairs(pairs: Sequence[TradingPair], names: Sequence[str]) -> list[TradingPair]:
    """The pairs that people mean by `dukascopy/EURUSD`, `EURUSD`, `eur/usd` or `all`, in the order given.

    Pairs without a history of ticks are none of them.

    Raises:
        BadRequestError: for a name that is no configured pair, with the nearest ones, that several exchanges have, or whose
            pair is streamed and can't be backfilled.
    """
    streamed = [pair for pair in pairs if not has_history(pair)]
    pairs = [pair for pair in pairs if has_history(pair)]
    if "all" in names:
        return list(pairs)
    chosen: dict[str, TradingPair] = {}
    for name in names:
        found = _pairs_called(pairs, name)
        if len(found) > 1:
            choices = ", ".join(pair.name for pair in found)
            raise BadRequestError(f"{name!r} is ambiguous: {choices}", code="symbol_not_found")
        if not found and (live := _pairs_called(streamed, name)):
            raise BadRequestError(
                f"{live[0].name} is streamed; it has no history to backfill. `market-platform gaps --pair {live[0].name}` shows "
                "what the stream missed and repairs it",
                code="symbol_not_found",
            )
        if not found:
            raise BadRequestError(f"{name!r} is not a configured pair{_nearest(pairs, name)}", code="symbol_not_found")
        chosen[found[0].name] = found[0]
    return list(chosen.values())


def choose_layers(pair: TradingPair, names: Sequence[str]) -> list[str]:
    """The pair's layers meant by `ticks`, `candles` (every interval), an interval (`5m`) or a layer (`candles_5m`).

    Raises:
        BadRequestError: for anything else, naming what there is.
    """
    all_layers = [*day_layers(pair), *(candle_layer(each) for each in period_intervals(pair))]
    chosen: set[str] = set()
    for name in names:
        if name == CANDLES:
            chosen.update(layer for layer in all_layers if layer != TICKS)
        elif name in all_layers:
            chosen.add(name)
        elif f"candles_{name}" in all_layers:
            chosen.add(f"candles_{name}")
        else:
            known = ", ".join([TICKS, CANDLES, *(each.name for each in INTERVALS if each in pair.intervals)])
            raise BadRequestError(f"{pair.name} has no layer {name!r}; choose from {known}", code="invalid_layer")
    return [layer for layer in all_layers if layer in chosen]


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
        if layer in day_layers(pair)
    ]
    for interval in period_intervals(pair):
        if candle_layer(interval) in layers:
            starts = periods_completed(interval, first, last, today, known_days)
            if starts:
                path = tuple(asset_path(pair, candle_layer(interval)))
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


def _pairs_called(pairs: Sequence[TradingPair], name: str) -> list[TradingPair]:
    exchange, _, symbol = name.rpartition("/")
    exact = [pair for pair in pairs if pair.exchange == exchange.lower() and pair.symbol == symbol.upper()]
    squeezed = "".join(letter for letter in name.upper() if letter not in "/_- ")
    return exact or [pair for pair in pairs if pair.symbol == squeezed]


def _nearest(pairs: Sequence[TradingPair], name: str) -> str:
    by_symbol = {pair.symbol: pair.name for pair in pairs}
    symbol = name.rpartition("/")[2].upper()
    close = [symbol] if symbol in by_symbol else difflib.get_close_matches(symbol, by_symbol, n=3, cutoff=0.6)
    if close:
        return "; did you mean " + " or ".join(by_symbol[each] for each in close) + "?"
    return "; configured are " + ", ".join(pair.name for pair in pairs) + " (config/starlistings.yaml)"


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000


def _day_of(ms: int) -> date:
    return date(1970, 1, 1) + timedelta(days=ms // 86_400_000)

"""Which pairs and layers people mean: by names, or by options. Pure, and free of Dagster.

Belongs here: choosing among what is configured. Does not: which partitions that makes (plan.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from market_platform.defs.names import (
    HISTORY_LAYERS,
    TICKS,
    candle_layer,
    day_layers,
    has_history,
    history_candle_layer,
    history_day_layers,
    history_period_intervals,
    period_intervals,
)
from market_platform.domain.errors import BadRequestError
from market_platform.domain.history import SeriesKind
from market_platform.domain.intervals import INTERVALS, Interval
from market_platform.domain.pairs import TradingPair

CANDLES = "candles"


def choose_pairs(pairs: Sequence[TradingPair], names: Sequence[str]) -> list[TradingPair]:
    """The pairs that people mean by `dukascopy/EURUSD`, `EURUSD`, `eur/usd` or `all`, in the order given.

    `all` are those with a history of ticks; of a symbol that several exchanges have, one with ticks is meant.

    Raises:
        BadRequestError: for a name that is no configured pair, with the nearest ones, that several exchanges have, or whose
            pair has no past that can be fetched.
    """
    ticked = [pair for pair in pairs if has_history(pair)]
    if "all" in names:
        return ticked
    fetched = [pair for pair in pairs if day_asset_layers(pair)]
    chosen: dict[str, TradingPair] = {}
    for name in names:
        found = _pairs_called(ticked, name) or _pairs_called(fetched, name)
        if len(found) > 1:
            choices = ", ".join(pair.name for pair in found)
            raise BadRequestError(f"{name!r} is ambiguous: {choices}", code="symbol_not_found")
        if not found and (others := _pairs_called(pairs, name)):
            raise _nothing_to_fetch(others[0])
        if not found:
            raise BadRequestError(
                f"{name!r} is not a configured pair{_nearest(fetched, name)}", code="symbol_not_found"
            )
        chosen[found[0].name] = found[0]
    return list(chosen.values())


@dataclass(frozen=True, slots=True)
class Wanted:
    """What options say of pairs; None is any. `coin`, `quote` and `market_type` may be several, separated by commas."""

    exchange: str | None = None
    coin: str | None = None
    quote: str | None = None
    market_type: str | None = None

    @property
    def told(self) -> str:
        """The options as they were written."""
        given = {
            "--exchange": self.exchange,
            "--coin": self.coin,
            "--quote": self.quote,
            "--market-type": self.market_type,
        }
        return " ".join(f"{option} {value}" for option, value in given.items() if value is not None)

    def matches(self, pair: TradingPair) -> bool:
        """Whether the pair is one of them."""
        return (
            _is_named(pair.exchange, self.exchange)
            and _is_named(pair.coin, self.coin)
            and _is_named(pair.quote, self.quote)
            and _is_named(pair.market_type, self.market_type)
        )


def find_pairs(pairs: Sequence[TradingPair], wanted: Wanted) -> list[TradingPair]:
    """The pairs with a past that the options mean, in the order of the configuration.

    Raises:
        BadRequestError: there is none, naming what there is.
    """
    found = [pair for pair in pairs if wanted.matches(pair)]
    fetched = [pair for pair in found if day_asset_layers(pair)]
    if found and not fetched:
        raise _nothing_to_fetch(found[0])
    if not fetched:
        there = [pair for pair in pairs if _is_named(pair.exchange, wanted.exchange)] or pairs
        named = ", ".join(f"{pair.exchange} {pair.trading_pair} {pair.market_type}" for pair in there)
        raise BadRequestError(f"{wanted.told} is no configured pair; configured are {named}", code="symbol_not_found")
    return fetched


def choose_layers(pair: TradingPair, names: Sequence[str]) -> list[str]:
    """The pair's layers meant by `ticks`, `candles` (every interval), an interval (`5m`) or a layer (`candles_5m`).

    Of a pair whose past is fetched as candles: `candles`, an interval, `funding`, `oi`, `trades`, `actions`, or a layer
    (`history_candles_5m`).

    Raises:
        BadRequestError: for anything else, naming what there is.
    """
    candles = {each.name: candle_asset_layer(pair, each) for each in INTERVALS if each in pair.intervals}
    days = day_asset_layers(pair)
    all_layers = [*days, *(candle_asset_layer(pair, each) for each in period_asset_intervals(pair))]
    groups = short_names(pair)
    chosen: set[str] = set()
    for name in names:
        if name == CANDLES:
            chosen.update(layer for layer in all_layers if layer in candles.values())
        elif name in all_layers:
            chosen.add(name)
        elif name in groups or candles.get(name.removeprefix("candles_")) in all_layers:
            chosen.add(groups.get(name) or candles[name.removeprefix("candles_")])
        else:
            known = ", ".join([*groups, CANDLES, *(each for each, layer in candles.items() if layer in all_layers)])
            raise BadRequestError(f"{pair.name} has no layer {name!r}; choose from {known}", code="invalid_layer")
    return [layer for layer in all_layers if layer in chosen]


def short_names(pair: TradingPair) -> dict[str, str]:
    """What people call the pair's layers that are not candles, and the layers."""
    layers = day_asset_layers(pair)
    return {short: layer for short, layer in _SHORT.items() if layer in layers}


def usual_layers(pair: TradingPair) -> list[str]:
    """What is fetched of a pair unless more or less is asked for: ticks and candles, or candles."""
    return [TICKS, CANDLES] if has_history(pair) else [CANDLES]


_SHORT = {
    TICKS: TICKS,
    "funding": HISTORY_LAYERS[SeriesKind.FUNDING],
    "oi": HISTORY_LAYERS[SeriesKind.OPEN_INTEREST],
    "trades": HISTORY_LAYERS[SeriesKind.TRADES],
    "actions": HISTORY_LAYERS[SeriesKind.ACTIONS],
}
"""What people call a layer that is not candles."""
SERIES = tuple(name for name in _SHORT if name != TICKS)
"""What may be fetched beside candles."""


def day_asset_layers(pair: TradingPair) -> list[str]:
    """Layers that a backfill of the pair may materialise, with a partition a day."""
    return day_layers(pair) if has_history(pair) else history_day_layers(pair)


def period_asset_intervals(pair: TradingPair) -> tuple[Interval, ...]:
    """Intervals of the pair's weeks and months that a backfill may materialise."""
    return period_intervals(pair) if has_history(pair) else history_period_intervals(pair)


def candle_asset_layer(pair: TradingPair, interval: Interval) -> str:
    """Layer of the pair's candles that a backfill may materialise."""
    return candle_layer(interval) if has_history(pair) else history_candle_layer(interval)


def _is_named(value: str, among: str | None) -> bool:
    return among is None or value.lower() in [each.strip().lower() for each in among.split(",")]


def _nothing_to_fetch(pair: TradingPair) -> BadRequestError:
    return BadRequestError(
        f"{pair.name} has no history to backfill; what is streamed is repaired by `market-platform gaps --pair {pair.name}`",
        code="symbol_not_found",
    )


def _pairs_called(pairs: Sequence[TradingPair], name: str) -> list[TradingPair]:
    exchange, _, symbol = name.rpartition("/")
    exact = [pair for pair in pairs if pair.exchange == exchange.lower() and pair.symbol == symbol.upper()]
    squeezed = "".join(letter for letter in name.upper() if letter not in "/_- ")
    return exact or [pair for pair in pairs if pair.symbol == squeezed]


def _nearest(pairs: Sequence[TradingPair], name: str) -> str:
    by_symbol = {pair.symbol: pair.name for pair in sorted(pairs, key=has_history)}
    symbol = name.rpartition("/")[2].upper()
    close = [symbol] if symbol in by_symbol else difflib.get_close_matches(symbol, by_symbol, n=3, cutoff=0.6)
    if close:
        return "; did you mean " + " or ".join(by_symbol[each] for each in close) + "?"
    return "; configured are " + ", ".join(pair.name for pair in pairs) + " (config/starlistings.yaml)"

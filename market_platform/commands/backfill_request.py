"""What a backfill is asked for, from arguments to partitions of assets.

Belongs here: names, options, days and layers, and which of them contradict each other. Does not: what they mean among what is
configured (defs/choices.py, defs/plan.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from market_platform.commands.day_options import read_day
from market_platform.domain.databases import Database
from market_platform.domain.errors import BadRequestError, ConfigError, WarehouseError
from market_platform.settings import Settings

if TYPE_CHECKING:
    from market_platform.defs.choices import Wanted
    from market_platform.defs.plan import Target
    from market_platform.domain.pairs import TradingPair


@dataclass(frozen=True, slots=True)
class Request:
    """A backfill's days, both included, which pairs of which database (by `names` or by what is `wanted`), and which layers.

    `layers` empty means the usual ones of each pair. `exact` layers are all of them; others are candles and what is beside them,
    and a pair with ticks gets its ticks, too.
    """

    first: date
    last: date
    today: date
    database: Database
    names: tuple[str, ...]
    wanted: Wanted
    layers: tuple[str, ...]
    exact: bool = False


def read_days(first: str | None, last: str | None, days: int | None, today: date) -> tuple[date, date]:
    """The range of `--from` and `--to`, or the last `--days` complete days.

    Raises:
        BadRequestError: code `invalid_range`, for both, neither, half of it, or what is no day.
    """
    if days is not None:
        if first is not None or last is not None:
            raise BadRequestError("give --days, or --from and --to, not both", code="invalid_range")
        return today - timedelta(days=days), today - timedelta(days=1)
    if first is None or last is None:
        raise BadRequestError(
            "say which days: --from 2024-03-04 --to 2024-03-08 (both included), or --days 30", code="invalid_range"
        )
    return read_day(first, "--from"), read_day(last, "--to")


def read_layers(layers: str | None, intervals: str | None, beside: str | None) -> tuple[str, ...]:
    """The layers of `--layers`, or of `--intervals` and `--with`; nothing when none of them is given.

    Raises:
        BadRequestError: code `invalid_layer`, for an option that names nothing, or options that contradict each other.
    """
    from market_platform.defs.choices import CANDLES, SERIES

    if layers is not None:
        if intervals is not None or beside is not None:
            raise BadRequestError("give --layers, or --intervals and --with, not both", code="invalid_layer")
        return _listed(layers, "--layers", "write `ticks`, `candles` or intervals such as `5m`")
    chosen: list[str] = []
    if intervals is not None:
        named = _listed(intervals, "--intervals", "write intervals such as `1m,1h`, or `all`")
        chosen += [CANDLES] if "all" in named else named
    if beside is not None:
        series = _listed(beside, "--with", f"write some of {', '.join(SERIES)}")
        unknown = [each for each in series if each not in SERIES]
        if unknown:
            raise BadRequestError(
                f"--with {unknown[0]!r} is not known; choose from {', '.join(SERIES)}", code="invalid_layer"
            )
        chosen += [*([] if chosen else [CANDLES]), *series]
    return tuple(chosen)


def plan(settings: Settings, request: Request) -> dict[str, Sequence[Target]]:
    """What to materialise, by pair.

    Raises:
        BadRequestError: nothing that is configured is meant, or there is nothing to do.
        ConfigError: a file of pairs has a mistake.
    """
    from market_platform.defs.choices import choose_layers, choose_pairs, find_pairs, usual_layers
    from market_platform.defs.names import shown_name
    from market_platform.defs.plan import check_range, plan_targets
    from market_platform.starlistings import configured_pairs

    check_range(request.first, request.last, request.today)
    configured = [pair for pair in configured_pairs(settings) if pair.database == request.database]
    pairs = choose_pairs(configured, request.names) if request.names else find_pairs(configured, request.wanted)
    known = _known_days(settings, pairs, request)
    targets = {
        shown_name(pair): plan_targets(
            pair,
            choose_layers(pair, _offered(pair, request) or usual_layers(pair)),
            request.first,
            request.last,
            request.today,
            known.get(pair.name, frozenset()),
        )
        for pair in pairs
    }
    if not any(targets.values()):
        raise BadRequestError(
            "the range completes no week and no month, so there is nothing to build", code="invalid_range"
        )
    return {name: mine for name, mine in targets.items() if mine}


def _offered(pair: TradingPair, request: Request) -> list[str]:
    """The layers asked for; of pairs that options found, only the series that the pair has (spot has no funding)."""
    from market_platform.defs.choices import SERIES, short_names
    from market_platform.defs.names import TICKS, has_history

    offered = list(request.layers)
    if not request.names:
        offered = [each for each in offered if each not in SERIES or each in short_names(pair)]
    return [TICKS, *offered] if offered and has_history(pair) and not request.exact else offered


def _known_days(settings: Settings, pairs: Sequence[TradingPair], request: Request) -> Mapping[str, AbstractSet[date]]:
    """Days around the range that have 1d candles and are not pending; nothing when the database can't be asked."""
    from market_platform.domain.conditions import Condition
    from market_platform.embedded.databases import open_database
    from market_platform.warehouse.candle_days import load_candle_days
    from market_platform.warehouse.reference import load_pairs

    around = timedelta(days=31)
    names = {pair.name for pair in pairs}
    found: dict[str, AbstractSet[date]] = {}
    try:
        with open_database(settings, request.database) as warehouse, warehouse.connect() as connection:
            for row in load_pairs(connection):
                if row.name in names and "1d" in row.starlistings:
                    days = load_candle_days(
                        connection, row.starlistings["1d"], request.first - around, request.last + around
                    )
                    found[row.name] = {day for day, each in days.items() if each.condition is not Condition.PENDING}
    except (ConfigError, WarehouseError):
        return {}
    return found


def _listed(text: str, option: str, advice: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        what = "layer" if option == "--layers" else "one"
        raise BadRequestError(f"{option} names no {what}; {advice}, separated by commas", code="invalid_layer")
    return names

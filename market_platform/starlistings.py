"""`config/starlistings.yaml`: which pairs the platform collects, read with a line number for every mistake.

Belongs here: the file's shape and its checks. Does not: the database (warehouse/reference.py brings it there).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from market_platform.domain.errors import ConfigError
from market_platform.domain.intervals import INTERVALS, Alignment, parse_interval
from market_platform.domain.live import CandlesFrom
from market_platform.domain.pairs import TradingPair
from market_platform.settings import PROJECT_ROOT, Settings
from market_platform.yaml_lines import Mistake, YamlDocument, YamlPath, read_yaml

CandlePrice = Literal["mid", "bid", "ask"]
_INTERVAL_NAMES = tuple(interval.name for interval in INTERVALS)


def _interval(name: object) -> object:
    if name not in _INTERVAL_NAMES:
        raise ValueError(f"unknown interval {name!r}; use one of {', '.join(_INTERVAL_NAMES)}")
    return name


def _interval_list(value: object) -> object:
    """`all` is every interval, a lone name a list of one."""
    if value == "all":
        return _INTERVAL_NAMES
    return (value,) if isinstance(value, str) else value


def _utc_alignment(value: object) -> object:
    names = ", ".join(Alignment)
    if value not in tuple(Alignment):
        raise ValueError(f"unknown alignment {value!r}; use one of {names}")
    if value != Alignment.UTC:
        raise ValueError(f"alignment {value!r} is not supported yet: candles are cut in UTC; use 'utc' or leave it out")
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
LowerCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9.]{1,16}$")]
Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9.]{2,32}$")]
IntervalName = Annotated[str, BeforeValidator(_interval)]
Intervals = Annotated[tuple[IntervalName, ...], BeforeValidator(_interval_list)]

_PATTERNS = {
    r"^[a-z0-9_]{1,32}$": "must be lower-case letters, digits and _, such as dukascopy",
    r"^[A-Z0-9.]{1,16}$": "must be upper-case letters, digits and dots, such as EUR",
    r"^[A-Z0-9.]{2,32}$": "is not a symbol: 2 to 32 upper-case letters, digits and dots, such as EURUSD",
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExchangeConfig(_Section):
    """An exchange, and what its pairs are unless they say otherwise."""

    name: Name
    licence: Literal["public", "private"]
    alignment: Annotated[Alignment, BeforeValidator(_utc_alignment)] = Alignment.UTC
    market_type: LowerCode = "spot"
    candle_price: CandlePrice = "mid"
    intervals: Intervals = _INTERVAL_NAMES
    history: Literal["native", "ccxt"] = "native"
    ccxt_id: LowerCode | None = None


class PairConfig(_Section):
    """A pair of an exchange; None is "as the exchange's"."""

    coin: CurrencyCode
    quote: CurrencyCode
    market_type: LowerCode | None = None
    candle_price: CandlePrice | None = None
    intervals: Intervals | None = None
    first_day: date | None = None
    active: bool = True
    candles_from: CandlesFrom = "exchange"


class StarlistingsConfig(_Section):
    """The whole file, checked. Mappings are by code; `starlistings` is exchange → symbol → pair."""

    exchanges: dict[LowerCode, ExchangeConfig]
    coins: dict[CurrencyCode, Name]
    quote_currencies: dict[CurrencyCode, Name]
    market_types: dict[LowerCode, Name]
    intervals: Intervals = _INTERVAL_NAMES
    starlistings: dict[LowerCode, dict[Symbol, PairConfig]]

    def pairs(self) -> list[TradingPair]:
        """The pairs to collect, in the order of the file; those with `active: false` are left out."""
        return [pair for pair in self.all_pairs() if pair.active]

    def all_pairs(self) -> list[TradingPair]:
        """Every pair of the file, with `active` as it says."""
        return [
            self._pair(exchange, symbol, pair)
            for exchange, pairs in self.starlistings.items()
            for symbol, pair in pairs.items()
        ]

    def _pair(self, exchange_code: str, symbol: str, pair: PairConfig) -> TradingPair:
        exchange = self.exchanges[exchange_code]
        names = exchange.intervals if pair.intervals is None else pair.intervals
        market_type = pair.market_type or exchange.market_type
        return TradingPair(
            exchange=exchange_code,
            coin=pair.coin,
            quote=pair.quote,
            market_type=market_type,
            symbol=symbol,
            intervals=tuple(sorted(parse_interval(name) for name in names if name in self.intervals)),
            candle_price=pair.candle_price or exchange.candle_price,
            alignment=exchange.alignment,
            first_day=pair.first_day.isoformat() if pair.first_day else None,
            active=pair.active,
            candles_from=pair.candles_from,
            history=exchange.history,
            ccxt_id=exchange.ccxt_id or (exchange_code if exchange.history == "ccxt" else None),
            licence=exchange.licence,
            labels={
                "exchange": exchange.name,
                "coin": self.coins[pair.coin],
                "quote": self.quote_currencies[pair.quote],
                "market_type": self.market_types[market_type],
            },
        )


def configured_pairs(settings: Settings) -> list[TradingPair]:
    """The pairs to collect of both files: those of `starlistings_file`, then those of `training_stars_file`, which say so.

    Raises:
        ConfigError: every mistake in a file.
    """
    stars = load_starlistings(settings.training_stars_file).pairs()
    training = [replace(pair, database="training") for pair in stars]
    return [*load_starlistings(settings.starlistings_file).pairs(), *training]


def load_starlistings(path: Path) -> StarlistingsConfig:
    """Read and check the file, or training_stars.yaml, which has the same form.

    Raises:
        ConfigError: every mistake in it, each as `config/starlistings.yaml:12: where: what is wrong and what to write`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist; set STARLISTINGS_FILE (or TRAINING_STARS_FILE), or restore the repository's "
            f"config/{path.name if path.name == 'training_stars.yaml' else 'starlistings.yaml'}"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} can't be read: byte {error.start} is not text in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    return parse_starlistings(text, _shown(path))


def parse_starlistings(text: str, name: str = "starlistings.yaml") -> StarlistingsConfig:
    """The same for text already read; `name` is what messages call it.

    Raises:
        ConfigError: as `load_starlistings`.
    """
    document = read_yaml(text, name)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{name}:1: must have the keys {', '.join(StarlistingsConfig.model_fields)}")
    mistakes = list(document.mistakes)
    try:
        config = StarlistingsConfig.model_validate(document.data)
    except ValidationError as error:
        mistakes += [_mistake(each, document) for each in error.errors()]
        raise document.error(mistakes) from None
    mistakes += _cross_check(config)
    if mistakes:
        raise document.error(mistakes)
    return config


def _cross_check(config: StarlistingsConfig) -> Iterator[Mistake]:
    """References to things the file does not list, and pairs that are there twice."""
    for code, exchange in config.exchanges.items():
        yield from _unknown(
            ("exchanges", code, "market_type"), "market type", exchange.market_type, config.market_types
        )
    for code, pairs in config.starlistings.items():
        yield from _unknown(("starlistings", code), "exchange", code, config.exchanges)
        default = config.exchanges[code].market_type if code in config.exchanges else ""
        seen: dict[tuple[str, str, str], str] = {}
        for symbol, pair in pairs.items():
            path: YamlPath = ("starlistings", code, symbol)
            yield from _unknown((*path, "coin"), "coin", pair.coin, config.coins)
            yield from _unknown((*path, "quote"), "quote currency", pair.quote, config.quote_currencies)
            if pair.market_type is not None:
                yield from _unknown((*path, "market_type"), "market type", pair.market_type, config.market_types)
            for name in pair.intervals or ():
                if name not in config.intervals:
                    yield Mistake((*path, "intervals"), f"interval {name} is not listed under `intervals`")
            twin = seen.setdefault((pair.coin, pair.quote, pair.market_type or default), symbol)
            if twin != symbol:
                yield Mistake(
                    path,
                    f"is the same pair as {twin}: {pair.coin}/{pair.quote}; give it another market_type or remove one",
                )


def _unknown(
    path: YamlPath, what: str, code: str, known: dict[str, str] | dict[str, ExchangeConfig]
) -> Iterator[Mistake]:
    if code not in known:
        section = {"exchange": "exchanges", "coin": "coins", "quote currency": "quote_currencies"}.get(
            what, "market_types"
        )
        yield Mistake(
            path, f"unknown {what} {code!r}; use one of {', '.join(known) or 'none yet'}, or add it under `{section}`"
        )


def _mistake(error: ErrorDetails, document: YamlDocument) -> Mistake:
    path: YamlPath = tuple(part for part in error["loc"] if part != "[key]")
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        siblings = ", ".join(_known_keys(path))
        return Mistake(path, f"unknown key; use one of {siblings}")
    if kind == "missing":
        return Mistake(path, "is missing", document.line(path[:-1]))
    if kind == "value_error":
        return Mistake(path, str(context["error"]))
    if kind == "string_pattern_mismatch":
        return Mistake(path, f"{given!r} {_PATTERNS[context['pattern']]}")
    if kind == "literal_error":
        return Mistake(path, f"{given!r} is not possible; use one of {context['expected'].replace(' or ', ', ')}")
    if kind.startswith("date_"):
        return Mistake(path, f"{given!r} is not a date; write it as 2019-02-04")
    if kind == "bool_parsing":
        return Mistake(path, f"{given!r} is neither true nor false")
    expected = {
        "string_type": "must be text",
        "dict_type": "must be a mapping (`key: value` lines)",
        "model_type": "must be a mapping (`key: value` lines)",
        "tuple_type": "must be a list, such as [1m, 1h]",
        "string_too_short": "must not be empty",
    }
    return Mistake(path, expected.get(kind, error["msg"]))


def _known_keys(path: YamlPath) -> list[str]:
    if len(path) == 1:
        return list(StarlistingsConfig.model_fields)
    return list((ExchangeConfig if path[0] == "exchanges" else PairConfig).model_fields)


def _shown(path: Path) -> str:
    absolute = path.absolute()
    return str(absolute.relative_to(PROJECT_ROOT)) if absolute.is_relative_to(PROJECT_ROOT) else str(path)

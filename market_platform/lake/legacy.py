"""The old lake layout's JSON tick parts, `ticks/{SYMBOL}/{YYYY}/{MM}/{DD}/part-*.json`, read exactly as they are.

A part is a JSON array of objects, one object a line, or `{"ticks": [objects]}`. An object has a time (`timestamp`, `time`
or `t`: milliseconds since the epoch, or ISO 8601, UTC when it names no zone), `bid` or `bidPrice`, `ask` or `askPrice`, and
volumes `bidVolume` or `bid_volume`, `askVolume` or `ask_volume` in the base currency's units; other members are ignored.
Numbers become decimals from their text, never through a float. Whatever does not fit is an error naming file and row:
nothing is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

import msgspec
import numpy as np

from market_platform.domain.clock import day_start_ms
from market_platform.domain.errors import BadPayloadError, CorruptObjectError
from market_platform.domain.intervals import DAY_MS
from market_platform.domain.quotes import concat_quote_ticks
from market_platform.domain.ticks import MAX_UNITS, Ints, Ticks
from market_platform.domain.units import finer_units
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS

_PART = re.compile(rf"{TICK_DAYS.root}/(?P<symbol>[^/]+)/(?P<day>\d{{4}}/\d{{2}}/\d{{2}})/part-[^/]*\.json")
_NAMES = (
    ("timestamp", "time", "t"),
    ("bid", "bidPrice"),
    ("ask", "askPrice"),
    ("bidVolume", "bid_volume"),
    ("askVolume", "ask_volume"),
)
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
_MAX_SCALE = 18
_Row = tuple[int, tuple[Decimal, Decimal, Decimal, Decimal]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class LegacyDay:
    """A day of old parts: sorted ticks, the parts they came from, and how many exact duplicates were dropped."""

    ticks: Ticks
    parts: tuple[str, ...]
    duplicates: int


def is_legacy_part(key: str) -> bool:
    """Whether a key is that of an old part."""
    return _PART.fullmatch(key) is not None


def legacy_parts(lake: Lake, symbol: str, day: date) -> list[str]:
    """Keys of a day's old parts, sorted."""
    return [info.key for info in lake.list(TICK_DAYS.folder(symbol, day)) if is_legacy_part(info.key)]


def legacy_days(lake: Lake, symbol: str) -> list[date]:
    """Days of a symbol that have old parts, sorted."""
    found = {match["day"] for info in lake.list(f"{TICK_DAYS.root}/{symbol}") if (match := _PART.fullmatch(info.key))}
    return sorted(datetime.strptime(day, "%Y/%m/%d").replace(tzinfo=UTC).date() for day in found)


def read_legacy_day(lake: Lake, symbol: str, day: date, price_scale: int = 0) -> LegacyDay | None:
    """A day's old parts as ticks, or None when it has none.

    Prices get the smallest scale that holds every digit, at least `price_scale` (the instrument's own).

    Raises:
        CorruptObjectError: a part is not in a known shape, has a value that can't be a quote, or one of another day.
        LakeUnavailableError: the lake does not answer.
    """
    keys = legacy_parts(lake, symbol, day)
    if not keys:
        return None
    parts = [_part_ticks(_read_part(lake.get(key), key, day), key) for key in keys]  # a part's rows take 700 bytes each
    try:
        unique, duplicates = _together(parts, price_scale).sorted_unique()
    except BadPayloadError as error:
        raise CorruptObjectError(f"{keys[0]} and the day's other parts: {error}") from None
    return LegacyDay(unique, tuple(keys), duplicates)


def read_part(data: bytes, name: str) -> list[tuple[int, tuple[Decimal, Decimal, Decimal, Decimal]]]:
    """The rows of a part of any day, in its order: time in ms; bid, ask, bid volume, ask volume. `name` is for messages.

    Raises:
        CorruptObjectError: it is not in a known shape, or has a value that is no time or number.
    """
    return _read_part(data, name, None)


def _read_part(data: bytes, key: str, day: date | None) -> list[_Row]:
    start = day_start_ms(day) if day is not None else None
    parsed: list[_Row] = []
    fields: tuple[str, ...] | None = None
    for number, row in enumerate(_objects(data, key), start=1):
        where = f"{key}, row {number}"
        if not isinstance(row, dict):
            raise CorruptObjectError(f"{where}: not an object: {str(row)[:80]!r}")
        if fields is None or any(name not in row for name in fields):
            fields = _field_names(row, where)
        time, bid, ask, bid_volume, ask_volume = (row[name] for name in fields)
        moment = _time(time, where)
        if start is not None and not start <= moment < start + DAY_MS:
            raise CorruptObjectError(f"{where}: its time {time} is not of {day}")
        values = (
            _decimal(bid, f"{where}, {fields[1]}"),
            _decimal(ask, f"{where}, {fields[2]}"),
            _decimal(bid_volume, f"{where}, {fields[3]}"),
            _decimal(ask_volume, f"{where}, {fields[4]}"),
        )
        parsed.append((moment, values))
    return parsed


def _part_ticks(rows: Sequence[_Row], key: str) -> Ticks:
    """A part's rows at the smallest scales that hold every digit."""
    bid, ask, bid_volume, ask_volume = ([row[1][index] for row in rows] for index in range(4))
    prices, volumes = _scale(bid + ask, key), _scale(bid_volume + ask_volume, key)
    ticks = Ticks(
        np.array([row[0] for row in rows], np.int64),
        _units(bid, prices, key),
        _units(ask, prices, key),
        _units(bid_volume, volumes, key),
        _units(ask_volume, volumes, key),
        prices,
        volumes,
    )
    try:
        ticks.check(key)
    except BadPayloadError as error:
        raise CorruptObjectError(str(error)) from None
    return ticks


def _together(parts: Sequence[Ticks], price_scale: int) -> Ticks:
    """All parts' ticks, their prices at that scale or a finer one that holds every digit."""
    ticks = concat_quote_ticks(parts)
    scale = max(price_scale, ticks.price_scale)
    bid, ask = (finer_units(each, ticks.price_scale, scale, MAX_UNITS, "prices") for each in (ticks.bid, ticks.ask))
    return replace(ticks, bid=bid, ask=ask, price_scale=scale)


def _objects(data: bytes, key: str) -> Sequence[Any]:
    """The rows of a part in any of the three shapes."""
    decoder = msgspec.json.Decoder(float_hook=Decimal)
    try:
        document = decoder.decode(data)
    except ValueError as error:
        return _lines(data, key, decoder.decode, error)
    if isinstance(document, dict) and "ticks" in document:
        document = document["ticks"]
    elif isinstance(document, dict):
        document = [document]  # a single line
    if not isinstance(document, list):
        raise CorruptObjectError(f"{key}: neither a JSON array, nor objects a line, nor an object with a list of ticks")
    return document


def _lines(data: bytes, key: str, decode: Callable[[bytes], Any], whole: ValueError) -> list[Any]:
    rows = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(decode(line))
        except ValueError as error:
            reason = f"row {number}: {error}" if rows else str(whole)
            raise CorruptObjectError(f"{key}, {reason}; the part is not whole JSON, fetch the day again") from None
    if not rows:
        raise CorruptObjectError(f"{key}: {whole}")
    return rows


def _field_names(row: Mapping[str, Any], where: str) -> tuple[str, ...]:
    found = []
    for names in _NAMES:
        name = next((each for each in names if each in row), None)
        if name is None:
            raise CorruptObjectError(
                f"{where}: it has none of {', '.join(names)}; it has {', '.join(row) or 'nothing'}"
            )
        found.append(name)
    return tuple(found)


def _time(value: Any, where: str) -> int:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise CorruptObjectError(f"{where}: {value!r} is not a time") from None
        micros = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
        ms = Decimal((micros.days * 86_400 + micros.seconds) * 1_000_000 + micros.microseconds) / 1000
    else:
        ms = _decimal(value, where)
    if ms != ms.to_integral_value():
        raise CorruptObjectError(f"{where}: the time {value} is finer than a millisecond, which ticks can't hold")
    return int(ms)


def _decimal(value: Any, where: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise CorruptObjectError(f"{where}: {value!r} is not a number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise CorruptObjectError(f"{where}: {value!r} is not a number") from None
    if not number.is_finite():
        raise CorruptObjectError(f"{where}: {value!r} is not a finite number")
    return number


def _scale(values: Sequence[Decimal], key: str) -> int:
    """Digits after the point that hold all values."""
    try:
        scale = max((-int(value.normalize(_EXACT).as_tuple().exponent) for value in set(values)), default=0)
    except Inexact:
        scale = _MAX_SCALE + 1
    if scale > _MAX_SCALE:
        raise CorruptObjectError(f"{key} has a number with more than {_MAX_SCALE} decimals")
    return max(scale, 0)


def _units(values: Sequence[Decimal], scale: int, key: str) -> Ints:
    units = {value: int(value.scaleb(scale, _EXACT)) for value in set(values)}
    if any(abs(each) > MAX_UNITS for each in units.values()):
        raise CorruptObjectError(f"{key} has a number too large for a tick")
    return np.array([units[value] for value in values], np.int64)

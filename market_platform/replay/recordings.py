"""A folder of recorded files as a source the server can serve.

Belongs here: finding recorded files, serving them as they are, and saying the same ticks and candles as JSON the way the
API would. Does not: inventing anything. What is not recorded is an empty period; the folder holds

    dukascopy/{SYMBOL}/{YYYY}/{MM-1}/{DD}/{HH}h_ticks.bi5            and candle files, in the exchange's own tree
    dukascopy/json_api/ticks-{CODE}-{Y}-{M}-{D}-{H}.json            a JSON body, named by its path with dashes
    dukascopy/json_api/candles-minute-{CODE}-BID-{Y}-{M}-{D}.json   (`-empty` may follow)
    dukascopy/json_api/instrument-{CODE}.json                       wins over the built-in description
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson

from market_platform.domain.clock import Clock, to_ms, utc_now
from market_platform.domain.errors import BadPayloadError, ConfigError
from market_platform.domain.ticks import Ticks
from market_platform.replay import bi5, jetta
from market_platform.replay.addresses import Address, Series, symbol_of
from market_platform.replay.candles import CandleRows
from market_platform.replay.instruments import LISTED, describe, describe_all

_FOREX_START = to_ms(datetime(2003, 5, 4, 21, tzinfo=UTC))
_CRYPTO_START = to_ms(datetime(2017, 5, 7, 23, 59, 59, 58_000, tzinfo=UTC))
FIRST_TICKS: Mapping[str, int] = {
    **dict.fromkeys(LISTED, _FOREX_START),
    "EURUSD": to_ms(datetime(2003, 5, 4, 19, 0, 0, 48_000, tzinfo=UTC)),
    "BTCUSD": _CRYPTO_START,
}
"""Where Dukascopy's own history of ticks begins, for instruments without a recorded description."""


class RecordingsSource:
    """Serves `folder/dukascopy`.

    Raises:
        ConfigError: when the folder is not there.
    """

    def __init__(self, folder: Path, clock: Clock = utc_now) -> None:
        self._root = folder / "dukascopy"
        self._clock = clock
        if not self._root.is_dir():
            raise ConfigError(
                f"there are no recordings in {folder}: it has no folder dukascopy; RECORDINGS must name the folder above it"
            )
        self.name = f"recordings in {folder}"

    def instruments(self) -> bytes:
        """The built-in instruments."""
        return describe_all(LISTED.values())

    def instrument(self, code: str) -> bytes | None:
        """The recorded description, else the built-in one."""
        recorded = self._recorded(f"instrument-{code}")
        if recorded is not None:
            return recorded
        listed = LISTED.get(symbol_of(code))
        if listed is None or listed.code != code:
            return None
        last_year = self._clock().astimezone(UTC).year
        return describe(listed, first_tick_ms=FIRST_TICKS[listed.symbol], last_year=last_year)

    def json_body(self, address: Address, *, empty: bool = False) -> bytes | None:
        """The recorded body as it is, else the recorded bi5 file's content as the API would send it."""
        scale = self._price_scale(address.instrument)
        if scale is None:
            return None
        if not empty:
            recorded = self._recorded(address.path.replace("/", "-"))
            if recorded is not None:
                return recorded
        path = self._root / _bi5_path(address)
        data = b"" if empty else _content(path)
        what = str(path.relative_to(self._root))
        if address.series is Series.TICKS:
            ticks = bi5.decode_ticks(data, address.start_ms, scale, what) if data else Ticks.empty(scale)
            return jetta.tick_body(ticks, address.start_ms)
        rows = bi5.decode_candles(data, address.start_ms, what) if data else _no_candles()
        return jetta.candle_body(rows, address.start_ms, address.series.step_ms, scale)

    def bi5_body(self, address: Address, *, empty: bool = False) -> bytes | None:
        """The recorded file as it is; an instrument is known when it is listed, described or has a folder."""
        known = address.instrument in LISTED or (self._root / address.instrument).is_dir()
        if not known:
            return None
        return b"" if empty else _content(self._root / address.path)

    def _price_scale(self, code: str) -> int | None:
        body = self._recorded(f"instrument-{code}")
        if body is None:
            listed = LISTED.get(symbol_of(code))
            return None if listed is None or listed.code != code else listed.price_scale
        try:
            return int(orjson.loads(body)["priceScale"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadPayloadError(f"recording json_api/instrument-{code}.json has no priceScale: {error!r}") from error

    def _recorded(self, name: str) -> bytes | None:
        """A recorded JSON body. Names come from paths whose letters are checked, so they can't lead out of the folder."""
        if "/" in name:
            return None
        for path in (self._root / "json_api" / f"{name}.json", self._root / "json_api" / f"{name}-empty.json"):
            if path.is_file():
                return path.read_bytes()
        return None


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _no_candles() -> CandleRows:
    none = np.empty(0, np.int64)
    return CandleRows(none, none, none, none, none, np.empty(0, np.float64))


def _bi5_path(address: Address) -> str:
    """The bi5 file that holds the same as a JSON address: months count from 0 there."""
    start = datetime.fromtimestamp(address.start_ms // 1000, UTC)
    year, month, day = f"{start:%Y}", f"{start.month - 1:02d}", f"{start:%d}"
    folder = address.symbol
    match address.series:
        case Series.TICKS:
            return f"{folder}/{year}/{month}/{day}/{start:%H}h_ticks.bi5"
        case Series.MINUTES:
            return f"{folder}/{year}/{month}/{day}/{address.side}_candles_min_1.bi5"
        case Series.HOURS:
            return f"{folder}/{year}/{month}/{address.side}_candles_hour_1.bi5"
        case Series.DAYS:
            return f"{folder}/{year}/{address.side}_candles_day_1.bi5"

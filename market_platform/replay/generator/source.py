"""The generated market as a source the server can serve. Belongs here: addresses to bodies. Does not: making markets."""

from __future__ import annotations

from market_platform.domain.clock import Clock, utc_now
from market_platform.replay import bi5, jetta
from market_platform.replay.addresses import Address, Series, Side, symbol_of
from market_platform.replay.cache import BoundedCache
from market_platform.replay.candles import BuiltCandles, CandleRows, concatenated, with_flats
from market_platform.replay.generator.market import HISTORY_START_MS, Market
from market_platform.replay.generator.profiles import PROFILES, Profile
from market_platform.replay.instruments import describe, describe_all

_KEPT_FILES_BYTES = 8 << 20


class GeneratorSource:
    """A history from 2015-01-01 to the end of yesterday, by the clock; the same seed, the same bytes.

    The exchange's own candles are exactly those of its ticks. Where JSON ticks state volumes finer than bi5's whole units
    (bitcoin), each transport's candles are those of that transport's ticks.
    """

    def __init__(self, seed: int, clock: Clock = utc_now) -> None:
        self._market = Market(seed, clock)
        self._files: BoundedCache[tuple[str, int], bytes] = BoundedCache(_KEPT_FILES_BYTES, len)
        self.name = f"generator, seed {seed}"

    def instruments(self) -> bytes:
        """All symbols it makes."""
        return describe_all(profile.listed for profile in PROFILES.values())

    def instrument(self, code: str) -> bytes | None:
        """Dukascopy's description, with a history that begins at the first generated tick."""
        profile = self._profile(code)
        if profile is None or profile.listed.code != code:
            return None
        first = self._market.first_tick_ms(profile)
        return describe(profile.listed, first_tick_ms=first, last_year=self._market.last_year)

    def json_body(self, address: Address, *, empty: bool = False) -> bytes | None:
        """Ticks or candles as JSON."""
        profile = self._profile(address.instrument)
        if profile is None or profile.listed.code != address.instrument:
            return None
        if address.series is Series.TICKS:
            start = HISTORY_START_MS - 1 if empty else address.start_ms
            return jetta.tick_body(self._market.ticks(profile, start), address.start_ms)
        candles = concatenated([], profile.volume_scale) if empty else self._candles(profile, address)
        return jetta.candle_body(
            candles.rows(whole=False), address.start_ms, address.series.step_ms, profile.price_scale
        )

    def bi5_body(self, address: Address, *, empty: bool = False) -> bytes | None:
        """Ticks or candles as bi5; the files last made are kept, since compressing is the slow part."""
        profile = PROFILES.get(address.instrument)
        if profile is None:
            return None
        if empty or address.end_ms <= HISTORY_START_MS or address.start_ms >= self._market.published_until_ms:
            return b""
        published = min(address.end_ms, self._market.published_until_ms)
        return self._files.get((address.path, published), lambda: self._file(profile, address, published))

    def _file(self, profile: Profile, address: Address, published_ms: int) -> bytes:
        if address.series is Series.TICKS:
            return bi5.encode_ticks(self._market.ticks(profile, address.start_ms), address.start_ms)
        rows = self._candles(profile, address).rows(whole=True)
        before = self._previous_close(profile, _side(address), address.start_ms, rows)
        full = with_flats(rows, address.start_ms, published_ms, address.series.step_ms, before)
        return bi5.encode_candles(full, address.start_ms)

    def _candles(self, profile: Profile, address: Address) -> BuiltCandles:
        side = _side(address)
        if address.series is Series.MINUTES:
            return self._market.minute_candles(profile, side, address.start_ms)
        if address.series is Series.HOURS:
            return self._market.hour_candles(profile, side, address.start_ms, address.end_ms)
        return self._market.day_candles(profile, side, address.start_ms)

    def _previous_close(self, profile: Profile, side: Side, start_ms: int, rows: CandleRows) -> int:
        if len(rows) and rows.time[0] == start_ms:
            return int(rows.open[0])
        quote = self._market.last_quote_before(profile, start_ms)
        if quote is not None:
            return quote[0] if side == "BID" else quote[1]
        return int(rows.open[0]) if len(rows) else 0

    @staticmethod
    def _profile(instrument: str) -> Profile | None:
        return PROFILES.get(symbol_of(instrument))


def _side(address: Address) -> Side:
    assert address.side is not None, "an address of candles has a side"
    return address.side

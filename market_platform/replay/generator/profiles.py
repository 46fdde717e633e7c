"""What each generated symbol is like. Belongs here: numbers about symbols. Does not: how they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from market_platform.domain.ticks import Ints
from market_platform.replay.instruments import EVERY_DAY, LISTED, ListedInstrument

VolumeKind = Literal["currency", "gold", "silver", "bitcoin"]


@dataclass(frozen=True, slots=True)
class Profile:
    """One symbol's character.

    `price` is the level the market keeps returning to, `volatility` the usual daily move as a fraction, `ticks` those of
    a usual full day, `spread` the usual one in price units. `sessions` weighs Tokyo, London and New York. A cross has two
    `legs`, whose product it is.
    """

    listed: ListedInstrument
    price: float
    volatility: float
    ticks: int
    spread: float
    sessions: tuple[float, float, float]
    volumes: VolumeKind = "currency"
    legs: tuple[str, str] | None = None

    @property
    def symbol(self) -> str:
        """`EURUSD`."""
        return self.listed.symbol

    @property
    def price_scale(self) -> int:
        """Digits after the point."""
        return self.listed.price_scale

    @property
    def volume_scale(self) -> int:
        """Digits of a volume after the point: bitcoin is quoted in hundredths of a unit, all else in whole units."""
        return 2 if self.volumes == "bitcoin" else 0

    @property
    def is_round_the_clock(self) -> bool:
        """Whether weekends are trading days too."""
        return self.listed.schedule is EVERY_DAY


def _profile(
    symbol: str, price: float, volatility: float, ticks: int, spread: float, sessions: tuple[float, float, float]
) -> Profile:
    return Profile(LISTED[symbol], price, volatility, ticks, spread, sessions)


_LONDON, _ASIA, _AMERICA = (0.9, 5.2, 4.2), (2.2, 4.2, 3.8), (0.6, 3.6, 5.4)

PROFILES: Mapping[str, Profile] = {
    each.symbol: each
    for each in (
        _profile("EURUSD", 1.12, 0.0036, 90_000, 2.9, _LONDON),
        _profile("GBPUSD", 1.31, 0.0045, 88_000, 5.5, _LONDON),
        _profile("USDJPY", 122.0, 0.0042, 84_000, 4.0, _ASIA),
        _profile("AUDUSD", 0.72, 0.0050, 66_000, 4.5, _ASIA),
        _profile("USDCAD", 1.31, 0.0038, 64_000, 6.0, _AMERICA),
        _profile("USDCHF", 0.95, 0.0038, 60_000, 6.5, _LONDON),
        _profile("NZDUSD", 0.67, 0.0050, 56_000, 6.5, _ASIA),
        Profile(LISTED["GBPJPY"], 0, 0.0065, 92_000, 13.0, _ASIA, legs=("GBPUSD", "USDJPY")),
        Profile(LISTED["EURJPY"], 0, 0.0060, 86_000, 7.0, _ASIA, legs=("EURUSD", "USDJPY")),
        Profile(LISTED["XAUUSD"], 1750.0, 0.0080, 96_000, 330.0, _AMERICA, "gold"),
        Profile(LISTED["XAGUSD"], 22.0, 0.0140, 62_000, 24.0, _AMERICA, "silver"),
        Profile(LISTED["BTCUSD"], 24_000.0, 0.0300, 88_000, 380.0, (1.2, 2.0, 2.6), "bitcoin"),
    )
}
"""By symbol."""

_LOTS = {"currency": 10_000, "gold": 1, "silver": 50, "bitcoin": 1}
_USUAL = {
    "currency": [100] * 60 + [90] * 20 + [150] * 34 + [112] * 18 + [225] * 16 + [125] * 16 + [180] * 12 + [375] * 10,
    "gold": [90] * 70 + [120] * 40 + [180] * 30 + [450] * 14,
    "silver": [30] * 60 + [45] * 40 + [90] * 30 + [150] * 14,
    "bitcoin": [148] * 84 + [150] * 66 + [400] * 30 + [900] * 24 + [146] * 18 + [1300] * 14,
}
_RARE = {"currency": (75, 13), "gold": (150, 7), "silver": (20, 5), "bitcoin": (645, 11)}


def volume_pool(profile: Profile) -> Ints:
    """256 volumes to draw from, in units of the profile's volume scale: a few usual ones and a tail of rarer ones.

    All stay below 16 million units, the most a bi5 file's 32-bit float holds to the unit.
    """
    usual = _USUAL[profile.volumes]
    start, step = _RARE[profile.volumes]
    rare = [start + step * number for number in range(256 - len(usual))]
    return np.array(usual + rare, np.int64) * _LOTS[profile.volumes]

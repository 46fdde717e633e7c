"""The ticks of one hour.

Belongs here: times, quotes and volumes between two known levels. Does not: where the levels come from. What it imitates
was measured on recorded hours: clustered quotes no closer than 50 ms, a mid price that moves about as far per quote as
the hour's range allows, spreads that stay for a few quotes, and the same few volumes again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np

from market_platform.domain.sessions import Span
from market_platform.domain.ticks import Ticks
from market_platform.replay.addresses import HOUR_MS
from market_platform.replay.generator.activity import NEWS_FADES_MS, Floats, News
from market_platform.replay.generator.profiles import Profile, volume_pool
from market_platform.replay.generator.seeds import stream

QUOTE_GAP_MS = 50
MAX_TICKS = 16_000
_SPREAD_STEPS = np.exp(np.linspace(-0.75, 0.75, 64) + 0.2 * np.linspace(-1, 1, 64) ** 3)
"""Spreads a quote may have, as multiples of the hour's: 64 steps, drawn with the same chance."""


@dataclass(frozen=True, slots=True)
class HourPlan:
    """What an hour is to be: its open span (ms), levels in price units, expected ticks, mean spread, and the news in it."""

    hour_ms: int
    span: Span
    start: float
    end: float
    volatility: float
    ticks: float
    spread: float
    news: list[News]


def make_hour(seed: int, profile: Profile, plan: HourPlan) -> Ticks:
    """The hour's ticks, sorted, one a millisecond at most; the last one stands at the hour's end level."""
    draws = stream(seed, "ticks", profile.symbol, plan.hour_ms // HOUR_MS)
    opens, closes = plan.span
    count = int(plan.ticks * exp(draws.normal(0.0, 0.08)))
    count = min(max(count, 0), MAX_TICKS, (closes - opens) // (2 * QUOTE_GAP_MS))
    if count == 0:
        return Ticks.empty(profile.price_scale, profile.volume_scale)

    excitement = _excitement(plan)
    time = _times(draws, plan, count, excitement)
    minute = (time - plan.hour_ms) // 60_000

    liveliness = np.sqrt(excitement)[minute]
    steps = draws.standard_normal(count) * liveliness
    steps *= plan.volatility / np.sqrt(np.square(liveliness).sum())
    path = np.cumsum(steps)
    path += np.linspace(1 / count, 1.0, count) * (plan.end - plan.start - path[-1]) + plan.start

    keeps = draws.random(count, dtype=np.float32) < 0.65
    keeps[0] = False
    which = np.maximum.accumulate(np.where(keeps, 0, np.arange(count)))
    factors = _SPREAD_STEPS[draws.integers(0, 64, count)][which]
    spread = np.maximum(np.rint(plan.spread * factors * (0.7 + 0.3 * excitement[minute])), 1.0)
    bid = np.maximum(np.rint(path - spread / 2), 1.0).astype(np.int64)

    pool = volume_pool(profile)
    volumes = pool[draws.integers(0, len(pool), (2, count))]
    return Ticks(
        time, bid, bid + spread.astype(np.int64), volumes[0], volumes[1], profile.price_scale, profile.volume_scale
    )


def _excitement(plan: HourPlan) -> Floats:
    """How much more than usual happens in each of the hour's 60 minutes, because of news."""
    excitement = np.ones(60)
    minutes = plan.hour_ms + 60_000 * np.arange(60)
    for event in plan.news:
        since = minutes - event.at_ms
        excitement += np.where(since >= 0, 5.0 * event.strength * np.exp(-np.maximum(since, 0) / NEWS_FADES_MS), 0.0)
    return excitement


def _times(
    draws: np.random.Generator, plan: HourPlan, count: int, excitement: Floats
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """`count` moments of the open span, at least `QUOTE_GAP_MS` apart, denser in lively minutes."""
    opens, closes = plan.span
    rates = excitement * np.exp(0.4 * draws.standard_normal(60))
    edges = np.clip(plan.hour_ms + 60_000 * np.arange(61), opens, closes)
    elapsed = np.concatenate(([0.0], np.cumsum(rates * np.diff(edges))))
    gaps = draws.standard_gamma(0.5, count + 1)
    position = np.cumsum(gaps)
    position *= elapsed[-1] / position[-1]
    moments = np.interp(position[:count], elapsed, edges - opens)
    free = (closes - opens - QUOTE_GAP_MS * count) / (closes - opens)
    return opens + (moments * free).astype(np.int64) + QUOTE_GAP_MS * np.arange(count)

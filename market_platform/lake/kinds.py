"""The kinds of rows that the lake keeps by day: quote ticks, and trades. A kind's name is its folder and its manifests' kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market_platform.lake.day_files import DayFiles
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.trade_days import TRADE_DAYS

KINDS: Mapping[str, DayFiles[Any]] = {days.root: days for days in (TICK_DAYS, TRADE_DAYS)}

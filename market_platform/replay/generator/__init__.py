"""A seeded generator of plausible markets: the same seed gives the same bytes, in any order of asking.

Belongs here: prices, quotes and volumes made from hashed seeds. Does not: how a body is written (the modules above).

    profiles.py  what each symbol is like
    activity.py  how busy, how wide and how eventful an hour is
    walk.py      the level of a market at each day's and each hour's beginning
    hours.py     the ticks of one hour
    market.py    the history: which hours exist, and candles of them
    source.py    all of it as a source the server can serve
"""

from market_platform.replay.generator.source import GeneratorSource

__all__ = ["GeneratorSource"]

"""What market data means: trading pairs, intervals, ticks, candles, sessions, conditions, errors.

Belongs here: pure types and functions. Does not: I/O of any kind, Dagster, SQL, HTTP, settings, the clock's reading
(a `Clock` is passed in). Imports numpy, polars, pyarrow and the standard library only.
"""

"""From the journal to where things belong: rows to Postgres, parts of ticks to the lake, until each has everything.

Belongs here: one thread for each destination, and what it writes. Does not: the journal itself (journal/), SQL
(market_platform/warehouse), how ticks lie in a file (market_platform/lake).
"""

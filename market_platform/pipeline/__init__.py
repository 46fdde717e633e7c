"""The way of the data, without an orchestrator: exchange → lake → warehouse, a range of days at a time.

Belongs here: functions that put `exchanges/`, `lake/` and `warehouse/` together and report what they did, day by day.
Does not: Dagster (`defs/` wraps these functions), wire formats, SQL, how a file is laid out.

    ticks.py     exchange → one Parquet day file in the lake + its manifest row
    tick_commits.py  what committing one of them compares, writes and reports
    candles.py   the day's ticks → candles 1m … 1d in Postgres
    periods.py   complete days → candles 1w and 1M
    manifests.py the lake against its manifests; lost manifests made again
    lakes.py     settings → the lake of a database
    legacy.py    old JSON tick parts → day files + manifest rows
    sweep.py     day files that later ones replaced, removed
    exports/     rows of a span → files for models, and beside each a JSON that says what is in it
    verify.py    candles from our ticks against the exchange's own minute candles
"""

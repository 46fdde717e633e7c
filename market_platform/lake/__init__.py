"""The object store: where quote ticks and trades live, as one immutable Parquet file a pair and day.

    store.py       the lake itself: put-if-absent, get, range, list, delete over s3:// and file://, with typed errors
    store_errors.py  what the store's refusals mean and what a user can do about each
    local_folder.py  what only a local folder needs: fsync, and the leftovers of killed writers
    parquet_file.py  Parquet files of any columns of ours: sealed, described by themselves
    row_file.py    rows of one kind ⇄ such a file, exact and deterministic; a file's own description
    tick_file.py, trade_file.py  what files of quote ticks look like, and of trades
    row_groups.py  a file's rows piece by piece, and their hash
    tick_scan.py   reading parts of a tick file: a time range, or row group by row group on several threads
    day_files.py   a day's file: its key, writing it, reading it verified, removing superseded ones
    tick_days.py, trade_days.py, kinds.py  the day files of quote ticks, of trades, and both by name
    parts.py       parts of a day that is still being streamed
    legacy.py      the old layout's JSON parts
    survey.py      what the lake holds, by its files' own descriptions (for statistics and rebuilding manifests)
    day_checks.py  whether day files and parts hold what they say
    statistics.py  ticks or trades, days, bytes and gaps a symbol

Belongs here: bytes in the lake and what they mean. Does not: Postgres, exchanges' wire formats, Dagster, settings.

A file is named by the hash of its rows and, when its day is not `available`, by the condition too, so a name never
means two things. Its description (condition, raw inputs, run, code version) is what the first writer of that name knew;
the manifest row in Postgres is the commit and may know more.
"""

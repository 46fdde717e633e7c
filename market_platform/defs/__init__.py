"""Dagster and nothing else: assets, checks, partitions, resources, schedules, sensors, jobs.

Belongs here: definitions that wrap functions of `pipeline/` and `warehouse/`, and what Dagster alone needs to know of them
(partitions, policies, metadata, descriptions). Does not: fetching, decoding, building or storing data, SQL, settings of
other rooms. Nothing here does I/O when imported or when definitions are built; heavy imports happen inside a running step.

    names.py        what assets, groups and pools are called; free of Dagster, so that the command line may use it
    partitions.py   days, weeks, months           policies.py   backfill, retry, freshness
    assets/         ticks, candles, periods, the exchange itself and its own candles, lake statistics;
                    of streamed pairs: what the streamer writes (external), and its days made one file each
    checks.py       what must hold                quality.py    its outcomes in the database
    metadata.py, chart.py, table_schemas.py       what a person sees of an asset and its materialisations
    schedules.py    yesterday, last week, last month
    symptoms.py     what is not as it should be   repair.py     what to ask for again: both pure   sensors.py  both at work
    gaps.py         gaps of streams that the streamer could not repair
    stream_reports.py                             what the streamer wrote, as materialisations; late parts
    orphans.py      runs whose process is gone    housekeeping.py  pruning
    build.py        all of it as one Definitions
    storage.py, instance.py, setup.py             Dagster's own storage and limits
"""

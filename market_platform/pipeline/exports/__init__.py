"""Files for people and models: rows of a span in Parquet or CSV, and beside each file a JSON that says exactly what is in it.

    request.py    what is asked for, and what came of it
    selection.py  names of pairs and intervals → requests, file names
    columns.py    each data set's columns: types, units, what they mean
    licence.py    which data may be passed on
    reading.py    one snapshot of the database → frames by month, and the version of every day read
    leakage.py    the guard: nothing in a row may be known later than the row's close
    writing.py    frames → a file that appears whole or not at all
    export.py     all of these together: `export`
    sidecar.py    the JSON beside a file
    verify.py     a file against its JSON
    reproduce.py  a file made again from its JSON
    workplace.py  a folder for files that are not kept
    lake_layout.py   what files in the lake are called
    lake_exports.py  days and months of all pairs as partitions in the lake
    lake_prune.py    files in the lake that may not be passed on any more

Does not belong here: SQL (warehouse/export_queries.py), the command line, Dagster.

A file is finished when its JSON and it are there: both are written beside their places as `….partial` and renamed, the JSON
first. What a killed export leaves is called `.partial`, and the next export to the same place removes it.
"""

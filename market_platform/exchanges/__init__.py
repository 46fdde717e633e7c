"""The exchanges: one folder each, with its wire formats to and from domain types, its clients and its history.

Belongs here: URLs, bytes and JSON of an exchange, retries, limits, time budgets, typed failures; `registry` opens an
exchange by its name. Does not: Dagster, the database, the lake, the command line, or anything two exchanges would not
share. A folder's decoders are pure (bytes in, domain columns out); only its transport and client do I/O.
"""

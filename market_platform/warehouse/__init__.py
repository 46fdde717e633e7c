"""Postgres: the connection pools, migrations, COPY writes and every query of the platform.

Belongs here: all SQL that is not in sql/, and nothing but SQL and the types its rows come back as. Does not: exchanges,
the lake, Dagster, HTTP, or what data means (that is domain/). Every write takes the caller's transaction and never
commits it.
"""

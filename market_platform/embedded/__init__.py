"""The embedded default: our own Postgres from a wheel, and the supervisor behind `market-platform up`.

Belongs here: starting, watching and ending processes on one machine; the state files below `MARKET_DATA_DIR`; moments
that only a machine without Docker or accounts needs. Does not: what the processes do. Nothing here imports Dagster, the
exchanges or the API; the supervisor runs the very commands that docker-compose runs.
"""

"""Tests and benchmarks of the whole platform.

- unit/         one function or class, no server, no database
- integration/  real parts: a real Postgres from a template database, real HTTP on localhost, a real Dagster instance
- contract/     promises about the repository itself: imports, docs, settings, schema, commands, containers
- e2e/          the whole stack as a user starts it, and a real browser
- bench/        `make bench`: measured ratios against their limits

Belongs here also: fixtures and generated data. Does not: recordings of exchanges' data (`recordings.py` says where to look
for them; tests that need them skip with a reason).
"""

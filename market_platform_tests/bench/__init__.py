"""Measured ratios: each against its limit or a peer measured in the same run, on the same machine.

Belongs here: `bench_*.py`, one room each, with a function `measure(...) -> list[BenchRow]`; `rows.py` says what a row is;
`__main__.py` runs them all. Does not: tests; nothing here runs in `make test`.
"""

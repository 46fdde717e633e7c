"""Market data, from exchanges' ticks to candles. This file holds no code, so that importing a room imports only that room.

domain/ is what market data means; exchanges/, lake/, warehouse/, indicators/ and replay/ know one outside thing each and
not one another; pipeline/ puts them together; defs/ is Dagster and nothing else; embedded/ runs it all on one machine;
commands/ is the command line. `docs/architecture.md` has the picture and the reasons.
"""

"""Any other exchange's past, through CCXT: candles, and of perpetuals funding rates and open interest.

`client` keeps one CCXT instance within limits and makes our errors of its own, `symbols` finds a pair among its markets,
`amounts` makes exact decimals, `pages` checks what came, `history` puts them together. Where exactness, trade counts and ids
matter, an exchange deserves a client of its own; this is for breadth.
"""

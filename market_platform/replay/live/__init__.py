"""Live markets: the exchanges that stream, as their clients meet them, from one generated tape of trades per market.

Belongs here: Binance, Hyperliquid and OANDA as servers: their frames, REST answers, limits and habits, the trades behind
them, faults of a stream. Does not: anything their clients are made of.

    clock.py               the exchange's time, which may run faster than ours
    noise.py tape.py       prices and trades as functions of seed, market and time: nothing is stored
    candles.py             exact candles of the trades
    markets.py world.py    which markets there are; history.py grids.py limits.py what they answer and allow
    recorded.py            recorded Binance streams, played instead of generated ones
    feed.py hub.py         what makes a stream's messages, and one pump for all of them
    outlet.py serving.py   one open connection and its faults
    truth.py               what the exchanges really did, for tests to compare with
    binance/ hyperliquid/ oanda/   the exchanges' own words
"""

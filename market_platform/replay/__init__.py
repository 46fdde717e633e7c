"""The replay exchange: a server that speaks an exchange's own protocols, from recordings or from a seeded generator.

Belongs here: wire formats as the exchange writes them, plausible markets, recordings, faults on demand, the server. Does
not: anything of the clients it is there to test. It imports domain and settings only, never exchanges, the lake, the
warehouse or Dagster: a simulator that shared code with its client would repeat the client's mistakes and prove nothing.

    source.py        what a source of a market must answer (bodies for addresses)
    recordings.py    a folder of recorded files, served as they are
    generator/       plausible markets from a seed, the same bytes in any order of asking
    addresses.py     which data a URL names, on both of Dukascopy's transports
    jetta.py bi5.py  the bodies, written as the exchange writes them
    live/            Binance, Hyperliquid and OANDA: streams and REST, from generated trades or recorded lines
    faults.py        misbehaviour on demand; middleware.py carries it out and counts requests
    app.py server.py the ASGI application, and the process around it (logs.py); testing.py runs it in a test
"""

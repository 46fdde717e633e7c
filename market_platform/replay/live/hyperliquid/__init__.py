"""Hyperliquid as its clients meet it.

texts.py    numbers, trades and candles as Hyperliquid writes them; contexts.py funding, open interest, prices
feeds.py    trades, candle and activeAssetCtx
sockets.py  /ws: subscriptions, pings, and what ends a connection
info.py     POST /info
"""

"""Binance spot and USD-M as their clients meet them.

texts.py    numbers and rows as Binance writes them
feeds.py    aggTrade, trade, bookTicker, kline and markPrice streams
sockets.py  /ws and /stream: subscriptions, limits, answers
rest.py     /api/v3, /fapi/v1 and /futures/data; contracts.py what perpetuals have besides trades, past.py the past of it
"""

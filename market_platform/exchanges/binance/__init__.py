"""Binance: trades, candles, quotes and funding of its spot and USD-M markets, streamed, and their recent past over REST.

`messages` are the wire's shapes, `convert` makes events of them, `parse` tells stream messages apart, `dialect` knows
streams, connections and limits; `transport` does HTTP within the exchange's weight, `pages` reads its answers, `rest` asks
for candles and trades page by page, `exchange` puts them together. COIN-M messages are understood too, but nothing
subscribes to that market. The archive of daily files is not here.
"""

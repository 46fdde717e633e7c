"""Binance: trades, candles, quotes and funding of its spot and USD-M markets, streamed, and their past.

`messages` are the wire's shapes, `convert` makes events of them, `parse` tells stream messages apart, `dialect` knows
streams, connections and limits; `transport` does HTTP within the exchange's weight, `pages` reads its answers, `rest` asks
for candles and trades page by page, `exchange` puts them together. COIN-M messages are understood too, but nothing
subscribes to that market.

The past, day by day: `history` takes a day from the archive (`dumps/`) or over REST; of the latter, `history_rest` asks for
pages and `history_pages` checks each, `history_days` makes days of them, `history_candles`, `history_context` (funding, open
interest) and `history_trades` know what is due.
"""

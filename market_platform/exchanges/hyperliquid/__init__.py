"""Hyperliquid: perpetuals against USD, over one WebSocket and one POST address.

`wire` makes events of messages and REST bodies, `dialect` knows subscriptions and limits, `rest` asks for candles within
the weight that is allowed, `exchange` puts them together. There is no closed flag, no sequence number and no history of
trades: what follows from that is the streamer's business.
"""

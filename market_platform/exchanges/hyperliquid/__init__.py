"""Hyperliquid: perpetuals against USD, over one WebSocket and one POST address.

`messages` are the wire's shapes, `wire` makes events of them, `dialect` knows subscriptions and limits; `rest` asks for
candles within the weight that is allowed, `weeks` makes Mondays' weeks of days, `exchange` puts them together. There is no
closed flag, no sequence number and no history of trades: what follows from that is the streamer's business.
"""

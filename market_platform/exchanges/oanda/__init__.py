"""OANDA v20: quotes of forex, metals and CFDs over chunked HTTP, candles over REST.

`wire` makes events of stream lines and REST bodies, `dialect` builds the stream's address, `rest` asks for candles,
`exchange` puts them together. The stream is conflated (at most four prices a second, windows differ between connections),
so no candle may be built from it and no missed quote can be had again.
"""

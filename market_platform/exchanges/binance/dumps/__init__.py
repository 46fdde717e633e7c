"""Binance's public archive: daily and monthly zips of candles, trades, funding and open interest, each with its checksum.

`files` knows what is called what and when it is published, `transport` brings a file whose checksum holds, `archive` opens
it, `tables` makes columns of its text; `klines`, `trades`, `funding` and `metrics` make rows of them, `days` the days of
those, and `client` asks for ranges of days. Nothing goes through a float.

The archive is quicker than REST for long ranges and has what REST forgot: open interest of years. A file that is not there
(too new, too old, never made) fails its days with `NotPublishedError`; whoever asks can turn to REST for them. It is Binance's
habit to publish a file again with other content: the file's hash is the day's input version.
"""

"""OANDA v20 as its clients meet it: quotes of the same generated markets that Dukascopy's side has, weekends included.

quotes.py    the ticks of an instrument, and its candles of bid, ask and mid
alignment.py where OANDA's candles begin
stream.py    /pricing/stream: chunked lines, heartbeats
rest.py      candles, prices and instruments
"""

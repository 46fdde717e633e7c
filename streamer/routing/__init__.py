"""What events mean: from what a stream says of a pair to final rows, holes, and the times at which streams went and came back.

Belongs here: the exchange's time, duplicates and order, when a candle or a minute is final, what makes no sense. Does not:
sockets (connections/), writing gaps down (gaps/), asking the exchange (rest/), storing (sink.py).
"""

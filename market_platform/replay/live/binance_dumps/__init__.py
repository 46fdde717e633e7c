"""Binance's public archive as its clients meet it: daily and monthly zips of what REST would answer, with their checksums.

addresses.py  which file a path asks for, and whether it is published yet
bars.py       candles of whole days as columns
rows.py       the text of candles, trades, funding rates and metrics as the archive writes it
archive.py    files with the same bytes whenever they are asked for
serving.py    /binance/dumps/data/…
"""

"""Yahoo's chart API as the replay exchange serves it: generated stocks in the sessions of their exchange.

`stocks` says which there are, `market` makes their minutes, days, dividends and splits, `chart` answers as Yahoo does, with
its habits: prices with the noise of 32-bit floats, half hours that are hours, depth limits, a row of this moment at the end.
"""

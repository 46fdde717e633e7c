"""Yahoo Finance: bars, dividends and splits of stocks, by its chart API, which is unofficial.

`wire` reads answers digit for digit, `prices` makes decimals of their float noise, `breaker` and `transport` do HTTP with
back-off, `sessions` says when a stock exchange is open, `days` cuts an answer into days and says what each lacks,
`suspects` finds what is probably wrong and repairs nothing, `history` asks for days. There is no stream here.
"""

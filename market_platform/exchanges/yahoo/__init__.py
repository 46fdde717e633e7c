"""Yahoo Finance: bars, dividends and splits of stocks, by its chart API, which is unofficial.

`wire` reads answers digit for digit, `prices` makes decimals of their float noise, `breaker` and `transport` do HTTP with
back-off, `sessions` says when a stock exchange is open, `plans` what a day should hold, `days` cuts an answer into days and says
what each lacks, `actions` has dividends and splits, `suspects` and `judging` find what is probably wrong and repair nothing,
`history` asks for days. There is no stream here.
"""

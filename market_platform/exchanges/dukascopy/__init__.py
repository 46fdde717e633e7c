"""Dukascopy: ticks and candles of forex, metals, crypto and CFDs, over its JSON API and over hourly bi5 files.

`bi5` and `jetta` decode the two formats, `instrument` the symbol descriptions, `columns` holds the checks and exact
conversions they share; `transport` does HTTP and folders, `asking` picks format, retry and fallback, `client` puts them
together. A further format is a decoder beside these; what an hour without ticks means stays in `domain.days`.
"""

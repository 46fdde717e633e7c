"""Indicators: RSI, MACD, moving averages and the rest, as pure functions on candle frames.

Belongs here: functions from a frame of `domain.candles.CANDLE_SCHEMA` to a frame of the same times with one column an
indicator, and their incremental twins. Does not: reading or writing anything, Dagster, exchanges. The first part of the
platform computes none yet; the room is named so that nothing else grows in its place.
"""

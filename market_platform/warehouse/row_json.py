"""Rows as JSON text in the starlisting API's shape, made by Postgres: expressions of SQL, shared by REST and WebSocket.

Belongs here: how a row looks. Does not: which rows (starlisting_queries.py, series_queries.py).

Decimals are strings with all their stored digits. `to_json` of a timestamptz is ISO 8601 with `+00:00` because every
session of ours has its time zone set to UTC.
"""

from __future__ import annotations


def _decimal(alias: str, column: str) -> str:
    return f"""'"{column}":"', {alias}.{column}, '"'"""


def _optional_decimal(alias: str, column: str) -> str:
    return f"""'"{column}":', coalesce('"' || {alias}.{column} || '"', 'null')"""


def candle_json(alias: str) -> str:
    """A candle's JSON object: time, open, high, low, close, volume, num_trades."""
    decimals = ", ',', ".join(_decimal(alias, name) for name in ("open", "high", "low", "close", "volume"))
    return (
        f"""concat('{{"time":', to_json({alias}."time"), ',', {decimals}, """
        f"""',"num_trades":', coalesce({alias}.num_trades::text, 'null'), '}}')"""
    )


def funding_json(alias: str) -> str:
    """A funding rate's JSON object: time, funding_rate, premium and the prices, next_funding_time; NULL is null."""
    prices = ("premium", "mark_price", "index_price", "oracle_price", "mid_price")
    decimals = ", ',', ".join(_optional_decimal(alias, name) for name in prices)
    return (
        f"""concat('{{"time":', to_json({alias}."time"), ',', {_decimal(alias, "funding_rate")}, ',', {decimals}, """
        f"""',"next_funding_time":', coalesce(to_json({alias}.next_funding_time)::text, 'null'), '}}')"""
    )


def open_interest_json(alias: str) -> str:
    """An open interest's JSON object: time, open_interest, notional_value, day_base_volume, day_notional_volume."""
    volumes = ("notional_value", "day_base_volume", "day_notional_volume")
    decimals = ", ',', ".join(_optional_decimal(alias, name) for name in volumes)
    return f"""concat('{{"time":', to_json({alias}."time"), ',', {_decimal(alias, "open_interest")}, ',', {decimals}, '}}')"""

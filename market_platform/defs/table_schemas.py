"""The one description of every table an asset writes: shown in the catalogue, and checked against what is really there."""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

PRICE = "numeric(30,18)"
VOLUME = "numeric(40,18)"


@lru_cache(maxsize=1024)
def tick_schema(coin: str, quote: str) -> dg.TableSchema:
    """Columns of a day file of ticks, as decoded."""
    return dg.TableSchema(
        columns=[
            _column("time", "timestamp[ms, UTC]", "when the exchange quoted, to the millisecond; sorted"),
            _column("bid", "decimal", f"best price to sell one {coin} at, in {quote}; exact"),
            _column("ask", "decimal", f"best price to buy one {coin} at, in {quote}; exact"),
            _column("bid_volume", "decimal", f"{coin} offered at the bid"),
            _column("ask_volume", "decimal", f"{coin} offered at the ask"),
        ]
    )


@lru_cache(maxsize=1024)
def trade_schema(coin: str, quote: str) -> dg.TableSchema:
    """Columns of a day file of trades, as decoded."""
    return dg.TableSchema(
        columns=[
            _column("trade_id", "bigint", "the exchange's own number of the trade; each occurs once"),
            _column("time", "timestamp[ms, UTC]", "when it was made, by the exchange's clock"),
            _column("price", "decimal", f"price of one {coin}, in {quote}; exact"),
            _column("quantity", "decimal", f"{coin} traded; exact"),
            _column("side", "text", "buy or sell: the side of the order that took"),
        ]
    )


@lru_cache(maxsize=1024)
def candle_schema(coin: str, quote: str, price: str) -> dg.TableSchema:
    """Columns of the table `candles`."""
    sides = {"mid": "the mid price, (bid + ask) / 2", "bid": "the bid", "ask": "the ask"}[price]
    return dg.TableSchema(
        columns=[
            _column("starlisting_id", "integer", "pair and interval; see the table starlistings", primary=True),
            _column("time", "timestamptz", "when the candle opened, UTC", primary=True),
            _column("open", PRICE, f"first value of {sides} in {quote}"),
            _column("high", PRICE, f"highest value of {sides} in {quote}"),
            _column("low", PRICE, f"lowest value of {sides} in {quote}"),
            _column("close", PRICE, f"last value of {sides} in {quote}"),
            _column(
                "volume", VOLUME, f"bid plus ask volume, in {coin}" if price == "mid" else f"{price} volume, in {coin}"
            ),
            _column("num_trades", "bigint", "number of ticks", nullable=True),
            _column("source", "smallint", "rank of who wrote the row: 20 from complete ticks, 15 from incomplete ones"),
        ]
    )


@lru_cache(maxsize=1024)
def live_candle_schema(coin: str, quote: str) -> dg.TableSchema:
    """Columns of the table `candles`, for candles of an exchange that trades."""
    return dg.TableSchema(
        columns=[
            _column("starlisting_id", "integer", "pair and interval; see the table starlistings", primary=True),
            _column("time", "timestamptz", "when the candle opened, UTC", primary=True),
            *(_column(name, PRICE, f"{name} in {quote}") for name in ("open", "high", "low", "close")),
            _column("volume", VOLUME, f"volume in {coin}"),
            _column("num_trades", "bigint", "number of trades, where the exchange says", nullable=True),
            _column(
                "source", "smallint", "rank of who wrote the row: 30 the exchange's own closed candle, 10 a live stream"
            ),
        ]
    )


@lru_cache(maxsize=2)
def minute_schema(table: str) -> dg.TableSchema:
    """Columns of `funding_rates` or `open_interest`."""
    return dg.TableSchema(
        columns=[
            _column("trading_pair_id", "integer", "see the table trading_pairs", primary=True),
            _column("time", "timestamptz", "the minute, UTC", primary=True),
            *(_column(*each, nullable=number > 0) for number, each in enumerate(_MINUTES[table])),
            _column("source", "smallint", "rank of who wrote the row"),
        ]
    )


@lru_cache(maxsize=1)
def action_schema() -> dg.TableSchema:
    """Columns of `corporate_actions`."""
    return dg.TableSchema(
        columns=[
            _column("trading_pair_id", "integer", "see the table trading_pairs", primary=True),
            _column("time", "timestamptz", "open of the exchange day from which it counts, UTC", primary=True),
            _column("kind", "text", "dividend or split", primary=True),
            _column("value", PRICE, "dividend: per share, in the quote currency; split: new shares for an old one"),
        ]
    )


@lru_cache(maxsize=1)
def proof_schema() -> dg.TableSchema:
    """Columns of `proof_differences`."""
    return dg.TableSchema(
        columns=[
            _column("trading_pair_id", "integer", "see the table trading_pairs", primary=True),
            _column("day", "date", "the UTC day", primary=True),
            _column("time", "timestamptz", "the minute, UTC", primary=True),
            _column("sides", "text", "which two of streamed, rebuilt and exchange", primary=True),
            _column("field", "text", "which value; minute: one side has no such candle", primary=True),
            _column("left_value", "text", "what the first side says, exact", nullable=True),
            _column("right_value", "text", "what the second says, exact", nullable=True),
            _column("reason", "text", "why, as far as it can be shown"),
            _column("detail", "text", "ids of trades, the gap, who agrees with whom"),
        ]
    )


_MINUTES = {
    "funding_rates": [
        ("funding_rate", PRICE, "rate of the funding period going on"),
        ("next_funding_time", "timestamptz", "when it is paid"),
        ("premium", PRICE, "premium index"),
        ("mark_price", PRICE, "mark price"),
        ("index_price", PRICE, "index price"),
        ("oracle_price", PRICE, "oracle price"),
        ("mid_price", PRICE, "mid price"),
    ],
    "open_interest": [
        ("open_interest", VOLUME, "contracts open, in coins"),
        ("notional_value", VOLUME, "their value"),
        ("day_base_volume", VOLUME, "volume of the last 24 hours, in coins"),
        ("day_notional_volume", VOLUME, "volume of the last 24 hours, as value"),
    ],
}


def _column(
    name: str, data_type: str, description: str, *, nullable: bool = False, primary: bool = False
) -> dg.TableColumn:
    return dg.TableColumn(
        name=name,
        type=data_type,
        description=description,
        constraints=dg.TableColumnConstraints(nullable=nullable, other=["primary key"] if primary else []),
    )

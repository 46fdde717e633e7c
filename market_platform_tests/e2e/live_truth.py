"""What the exchanges say happened, and what the platform has of it, in the same form."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from market_platform.domain.trades import Trades, concat_trades
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.compaction import compact_day
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.warehouse.reference import load_pair
from market_platform_tests.e2e.live_world import LiveWorld


@dataclass(frozen=True)
class CandleRow:
    """A candle."""

    time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    num_trades: int


@dataclass(frozen=True)
class TradeRow:
    """A trade; `side` is the taker's."""

    trade_id: int
    time_ms: int
    price: Decimal
    quantity: Decimal
    side: str


def stored_candles(world: LiveWorld, starlisting_id: int) -> list[CandleRow]:
    """What Postgres has of a starlisting as its exchange's own candles."""
    query = """
    SELECT (extract(epoch FROM "time") * 1000)::bigint, open, high, low, close, volume, num_trades
    FROM candles WHERE starlisting_id = %s AND source = 30 ORDER BY "time"
    """
    return [CandleRow(*row) for row in world.rows(query, starlisting_id)]


def true_candles(world: LiveWorld, name: str, first_ms: int, last_ms: int) -> list[CandleRow]:
    """The exchange's candles of `exchange/symbol/interval`, from the first open time to the last."""
    pair, _, interval = name.rpartition("/")
    rows = _truth(world, pair, "candles", interval=interval, **{"from": first_ms, "to": last_ms + 1})
    assert all(row["closed"] for row in rows)
    return [_candle(row) for row in rows]


def stored_trades(world: LiveWorld, pair: str) -> list[TradeRow]:
    """What the lake has of a pair once its days are compacted; no part is left after it."""
    exchange, symbol = pair.split("/")
    lake = world.lake()
    platform = Platform.from_settings(world.settings, world.env["DATABASE_URL"])
    try:
        with platform.warehouse.connect() as connection:
            row = load_pair(connection, exchange, symbol)
        days = sorted({date(*map(int, each.key.split("/")[2:5])) for each in lake.list(f"trades/{symbol}")})
        files: list[Trades] = []
        for day in days:
            compact_day(platform, row, day, "trades", Provenance("chaos", "test"))
            assert list(lake.list(f"trades/{symbol}/{day:%Y/%m/%d}/parts")) == []
            found = TRADE_DAYS.files(lake, exchange, symbol, day)
            files.append(TRADE_DAYS.read(lake, found[-1].key, None))
    finally:
        platform.close()
    return _rows(concat_trades(files))


def recorded_trades(recording: Path) -> list[TradeRow]:
    """Every trade of a recorded Binance stream."""
    rows: list[TradeRow] = []
    with gzip.open(recording, "rb") as lines:
        for line in lines:
            if b'@trade"' in line:
                data = json.loads(line.partition(b" ")[2])["data"]
                side = "sell" if data["m"] else "buy"
                rows.append(TradeRow(data["t"], data["T"], Decimal(data["p"]), Decimal(data["q"]), side))
    return rows


def true_trades(world: LiveWorld, pair: str, first_ms: int, last_ms: int) -> list[TradeRow]:
    """The exchange's trades of `exchange/symbol`, from the first moment to the last."""
    return [
        TradeRow(row["id"], row["time"], Decimal(row["price"]), Decimal(row["quantity"]), row["side"])
        for row in _truth(world, pair, "trades", **{"from": first_ms, "to": last_ms + 1})
    ]


def _truth(world: LiveWorld, pair: str, what: str, **parameters: Any) -> list[dict[str, Any]]:
    exchange, symbol = pair.split("/")
    market, wire = {
        "binance": ("binance-usdm" if symbol.endswith(".P") else "binance-spot", symbol.removesuffix(".P")),
        "hyperliquid": ("hyperliquid", symbol.removesuffix("USD")),
        "oanda": ("oanda", f"{symbol[:3]}_{symbol[3:]}"),
    }[exchange]
    rows: list[dict[str, Any]] = world.get(f"{world.replay_url}/_truth/{market}/{wire}/{what}", **parameters)
    return rows


def _candle(row: dict[str, Any]) -> CandleRow:
    opened, high, low, close, volume = (Decimal(row[each]) for each in ("open", "high", "low", "close", "volume"))
    return CandleRow(row["time"], opened, high, low, close, volume, row["num_trades"])


def _rows(trades: Trades) -> list[TradeRow]:
    return [
        TradeRow(
            int(trade_id),
            int(time),
            Decimal(int(price)).scaleb(-trades.price_scale),
            Decimal(int(quantity)).scaleb(-trades.quantity_scale),
            "buy" if is_buy else "sell",
        )
        for trade_id, time, price, quantity, is_buy, *_ in zip(*trades.columns, strict=True)
    ]

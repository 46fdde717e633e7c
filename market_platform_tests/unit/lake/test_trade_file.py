"""Trades ⇄ Parquet, and the keys of their day files and parts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from market_platform.domain.clock import day_start_ms
from market_platform.domain.errors import CorruptObjectError
from market_platform.domain.events import Quote, Trade
from market_platform.domain.quotes import ticks_from_quotes
from market_platform.domain.trades import Trades
from market_platform.lake.parts import list_parts, parse_part, write_tick_parts, write_trade_parts
from market_platform.lake.store import Lake
from market_platform.lake.survey import survey
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.tick_file import TICK_FILE
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.lake.trade_file import TRADE_FILE

DAY = date(2026, 3, 2)
MIDNIGHT = day_start_ms(date(2026, 3, 3))


def made(first: int = 1, count: int = 1000, start_ms: int = MIDNIGHT - 500) -> Trades:
    return Trades.from_events(
        [
            Trade(
                "BTCUSDT", each, Decimal(97_000) + each, Decimal(each) / 1000, "sell", start_ms + each, each, each + 1
            )
            for each in range(first, first + count)
        ]
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open((tmp_path / "lake").as_uri())


def test_what_is_decoded_is_what_was_encoded_whatever_the_scales() -> None:
    trades = made()

    data = TRADE_FILE.encode(trades, {"symbol": "BTCUSDT"})

    assert TRADE_FILE.decode(data).content_hash() == trades.content_hash()
    assert TRADE_FILE.encode(trades.with_scales(9, 9), {"symbol": "BTCUSDT"}) == data
    description = TRADE_FILE.describe(data)
    assert (description["rows"], description["symbol"]) == ("1000", "BTCUSDT")
    assert description["content_hash"] == trades.content_hash()
    assert pl.read_parquet(data).schema["time"] == pl.Datetime("ms", "UTC")


def test_a_trade_file_is_no_tick_file_and_damage_is_noticed() -> None:
    data = TRADE_FILE.encode(made(), {})

    with pytest.raises(CorruptObjectError, match="not one of this platform's tick files"):
        TICK_FILE.decode(data)
    for at in (60, len(data) // 2, len(data) - 20):
        broken = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        with pytest.raises(CorruptObjectError):
            TRADE_DAYS.verified(broken, "broken", made().content_hash())


def test_parts_are_split_at_midnight_and_the_same_again_is_the_same(lake: Lake) -> None:
    trades = made()

    parts = write_trade_parts(lake, "binance", "BTCUSDT", trades, {"run_id": "r"})
    again = write_trade_parts(lake, "binance", "BTCUSDT", trades, {"run_id": "r"})

    assert again == parts
    assert [(part.day, part.rows) for part in parts] == [(DAY, 499), (date(2026, 3, 3), 501)]
    assert parts[0].object_key.startswith("trades/BTCUSDT/2026/03/02/parts/binance-1-499-")
    assert list_parts(TRADE_DAYS, lake, "binance", "BTCUSDT", DAY) == [parts[0].object_key]
    assert list_parts(TRADE_DAYS, lake, "hyperliquid", "BTCUSDT", DAY) == []
    assert TRADE_DAYS.files(lake, "binance", "BTCUSDT", DAY) == []
    assert TRADE_DAYS.read(lake, parts[1].object_key, None).trade_id.tolist() == list(range(500, 1001))


def test_a_torn_part_is_written_again(lake: Lake) -> None:
    (part,) = write_trade_parts(lake, "binance", "BTCUSDT", made(count=9), {})
    lake.replace(part.object_key, lake.get(part.object_key)[:100])

    write_trade_parts(lake, "binance", "BTCUSDT", made(count=9), {})

    assert len(TRADE_DAYS.read(lake, part.object_key, None)) == 9


def test_parts_of_quotes_are_nothing_foreign_to_a_survey(lake: Lake) -> None:
    quotes = [
        Quote("EUR_USD", Decimal("1.1"), Decimal("1.2"), Decimal(1), Decimal(1), MIDNIGHT - each) for each in (3, 2)
    ]

    (part,) = write_tick_parts(lake, "oanda", "EURUSD", ticks_from_quotes(quotes), {})

    assert parse_part(TICK_DAYS, part.object_key) is not None
    assert part.object_key.startswith(f"ticks/EURUSD/2026/03/02/parts/oanda-{MIDNIGHT - 3}-{MIDNIGHT - 2}-")
    assert survey(lake).foreign == ()
    assert TICK_DAYS.parse(part.object_key) is None


def test_day_files_of_trades_and_ticks_have_keys_of_their_own(lake: Lake) -> None:
    file = TRADE_DAYS.write(lake, "binance", "BTCUSDT.P", DAY, made(count=9), {"condition": "degraded"})

    assert (
        file.object_key == f"trades/BTCUSDT.P/2026/03/02/binance-{made(count=9).content_hash()[:16]}-degraded.parquet"
    )
    parsed = TRADE_DAYS.parse(file.object_key)
    assert parsed is not None
    assert (parsed.exchange, parsed.symbol, parsed.day, parsed.condition) == ("binance", "BTCUSDT.P", DAY, "degraded")
    assert TICK_DAYS.parse(file.object_key) is None

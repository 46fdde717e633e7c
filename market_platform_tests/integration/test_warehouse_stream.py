"""What the streamer keeps in Postgres beside market data: its pairs, health, days and dead letters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from market_platform.warehouse.dead_letters import (
    MAX_TEXT,
    DeadLetterRow,
    add_dead_letters,
    load_dead_letters,
    prune_dead_letters,
)
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.health_queries import (
    count_dead_letters,
    load_connections,
    load_stream_states,
)
from market_platform.warehouse.live_pairs import load_live_pairs
from market_platform.warehouse.stream_days import StreamDayAddition, add_stream_days, load_unreported, mark_reported
from market_platform.warehouse.stream_health import (
    StreamConnection,
    StreamState,
    read_connections,
    read_stream_states,
    save_connections,
    save_stream_state,
)
from market_platform_tests.fixtures.reference import synced_pair

NOW = datetime(2024, 2, 4, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    """Psycopg runs on asyncio."""
    return "asyncio"


def spelled(exchange: str, coin: str, quote: str, market_type: str) -> str | None:
    return None if coin == "BTC" else f"{exchange}:{coin}_{quote}:{market_type}"


def test_pairs_to_stream_are_the_active_ones_with_an_active_starlisting(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse, "oanda")

    def loaded(*exchanges: str) -> list[str]:
        with warehouse.connect() as conn:
            return [each.name for each in load_live_pairs(conn, exchanges, spelled)]

    with warehouse.connect() as conn:
        found = load_live_pairs(conn, ["oanda"], spelled)[0]
    assert (found.id, found.name, found.wire, found.candles_from) == (
        pair.id,
        "oanda/EURUSD",
        "oanda:EUR_USD:spot",
        "exchange",
    )
    assert found.starlistings == pair.starlistings
    assert [each.name for each in found.intervals] == ["1m", "1h"]
    assert loaded("oanda", "dukascopy") == ["dukascopy/EURUSD", "oanda/EURUSD"]  # the exchange does not spell BTC
    with psycopg.connect(warehouse.url, autocommit=True) as changing:
        changing.execute("UPDATE starlistings SET active = false WHERE id = %s", (pair.starlistings["1m"],))
        with warehouse.connect() as reading:
            assert list(load_live_pairs(reading, ["oanda"], spelled)[0].starlistings) == ["1h"]
        changing.execute("UPDATE starlistings SET active = false WHERE id = %s", (pair.starlistings["1h"],))
    assert loaded("oanda") == []
    with psycopg.connect(warehouse.url, autocommit=True) as changing:
        changing.execute("UPDATE exchanges SET active = false WHERE code = 'dukascopy'")
    assert loaded("dukascopy") == []


@pytest.mark.anyio
async def test_connections_and_state_are_rewritten(warehouse: Warehouse) -> None:
    first = StreamConnection(
        "binance", "spot-1", "open", "half_open", NOW, NOW, NOW, 12.5, 30, 1, 1000, 2, 3, "cut", {"age_s": 12}
    )
    second = StreamConnection("binance", "usdm-1", "backing_off")
    other = StreamConnection("oanda", "prices-1", "open")
    with warehouse.begin() as conn:
        save_connections(conn, "binance", [first, second])
        save_connections(conn, "oanda", [other])
    with warehouse.begin() as conn:
        save_connections(conn, "binance", [replace(first, messages=1001)])
        save_stream_state(conn, StreamState("streamer", NOW, accepting=True))
        save_stream_state(conn, StreamState("streamer", NOW, False, "the disk is full", 5, 500, NOW, {"pid": 1}))
    async with await psycopg.AsyncConnection.connect(warehouse.url, autocommit=True) as reading:
        everything = await load_connections(reading)
        binance = await load_connections(reading, "binance")
        states = await load_stream_states(reading)
    assert [replace(each, updated_at=None) for each in everything] == [replace(first, messages=1001), other]
    assert binance == everything[:1]
    assert [replace(each, updated_at=None) for each in states] == [
        StreamState("streamer", NOW, False, "the disk is full", 5, 500, NOW, {"pid": 1})
    ]
    with warehouse.connect() as conn:
        assert (read_connections(conn), read_stream_states(conn)) == (everything, states)


def test_days_are_added_up_and_reported_as_they_were_read(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    day = date(2024, 2, 4)
    addition = StreamDayAddition(pair.id, "candles_1m", day, 3, NOW, NOW + timedelta(minutes=2), 20.0, 1)
    with warehouse.begin() as conn:
        add_stream_days(conn, [addition, replace(addition, rows=2, first_time=NOW - timedelta(minutes=1), gaps=0)])
        recorded = StreamDayAddition(pair.id, "candles_1m", day, 1, lag_ms=4e10)
        add_stream_days(conn, [recorded])  # years old: a recording's lag is left out
        add_stream_days(conn, [replace(addition, day=date(2024, 2, 5))])
    with warehouse.begin() as conn:
        found = load_unreported(conn, through=day)
        assert [(each.symbol, each.layer, each.rows, each.gaps, each.lag_ms) for each in found] == [
            ("EURUSD", "candles_1m", 6, 1, 20.0)
        ]
        assert (found[0].first_time, found[0].last_time) == (NOW - timedelta(minutes=1), NOW + timedelta(minutes=2))
    with warehouse.begin() as conn:
        add_stream_days(conn, [StreamDayAddition(pair.id, "candles_1m", day, 1)])
    with warehouse.begin() as conn:
        mark_reported(conn, found)
        again = load_unreported(conn, through=day)
        assert [each.rows for each in again] == [7]  # what came after it was read is not reported yet
        mark_reported(conn, again)
        assert load_unreported(conn, through=day) == []


@pytest.mark.anyio
async def test_dead_letters_keep_any_text(warehouse: Warehouse) -> None:
    now = datetime.now(UTC)
    letters = [
        DeadLetterRow("binance", "spot-1", "not JSON", "a\0b\ud800c" + "x" * MAX_TEXT, now),
        DeadLetterRow("oanda", "prices-1", "crossed", "{}", now - timedelta(days=2)),
    ]
    with warehouse.begin() as conn:
        add_dead_letters(conn, letters)
        add_dead_letters(conn, [])
        newest, older = load_dead_letters(conn)
        assert newest.payload.startswith("a\\x00b\\ud800cxxx")
        assert older == letters[1]
        assert load_dead_letters(conn, "oanda") == [older]
    async with await psycopg.AsyncConnection.connect(warehouse.url, autocommit=True) as reading:
        assert await count_dead_letters(reading, timedelta(days=1)) == {"binance": 1}
    with warehouse.begin() as conn:
        assert prune_dead_letters(conn, timedelta(days=1)) == 1

"""Which exchange a symbol means: the same for `/api/metadata` and `/api/candles`, over real HTTP and a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import psycopg
import pytest

from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import PairRow, load_pair
from market_platform_tests.fixtures.api_server import ApiServer, wait_for
from market_platform_tests.fixtures.reference import synced_pair
from market_platform_tests.fixtures.stored_candles import at, hours, seconds, store

MONDAY = date(2024, 3, 18)
FROM, TO = seconds("2024-03-18"), seconds("2024-03-18T23:59:59")


@pytest.fixture
def dukascopy(warehouse: Warehouse) -> PairRow:
    """EURUSD of the exchange that was configured first."""
    return synced_pair(warehouse)


@pytest.fixture
def oanda(warehouse: Warehouse, dukascopy: PairRow) -> PairRow:
    """EURUSD of the other one."""
    assert dukascopy.id
    with warehouse.connect() as conn:
        return load_pair(conn, "oanda", "EURUSD")


@pytest.fixture
def api(database_url: str, oanda: PairRow) -> Iterator[ApiServer]:
    assert oanda.id
    with ApiServer(database_url) as server:
        server.wait_until_listening()
        yield server


def charted(api: ApiServer) -> str:
    """Whose candles of EURUSD are served."""
    return str(api.get("/api/candles/EURUSD/1h", from_=FROM, to=TO).headers["x-exchange"])


def listed(api: ApiServer) -> list[str]:
    """Where the metadata says that EURUSD is."""
    return [each["exchange"] for each in api.get("/api/metadata").json()["symbols"] if each["symbol"] == "EURUSD"]


def test_what_is_listed_is_what_is_charted(
    api: ApiServer, warehouse: Warehouse, dukascopy: PairRow, oanda: PairRow
) -> None:
    assert (listed(api), charted(api)) == ([], "dukascopy")  # nowhere a candle: the one configured first
    store(warehouse, oanda, "1h", MONDAY, hours(at("2024-03-18"), 3))
    wait_for(lambda: charted(api) == "oanda")
    assert listed(api) == ["oanda"]
    assert len(api.get("/api/candles/EURUSD/1h", from_=FROM, to=TO).json()) == 3
    store(warehouse, dukascopy, "1d", MONDAY, hours(at("2024-03-18"), 1))
    wait_for(lambda: charted(api) == "dukascopy")  # whatever the timeframe, one exchange
    assert listed(api) == ["dukascopy"]
    one = api.get("/api/metadata", symbol="EURUSD")
    assert (one.json()["exchange"], one.headers["x-exchange"]) == ("dukascopy", "dukascopy")


def test_every_exchange_can_be_asked_for(
    api: ApiServer, warehouse: Warehouse, dukascopy: PairRow, oanda: PairRow
) -> None:
    for pair in (dukascopy, oanda):
        store(warehouse, pair, "1h", MONDAY, hours(at("2024-03-18"), 1))
    for exchange in ("oanda", "OANDA"):
        assert api.get("/api/metadata", symbol="EURUSD", exchange=exchange).json()["exchange"] == "oanda"
        [symbol] = api.get("/api/metadata", exchange=exchange).json()["symbols"]
        assert (symbol["symbol"], symbol["exchange"]) == ("EURUSD", "oanda")
        asked = api.get("/api/candles/EURUSD/1h", exchange=exchange, from_=FROM, to=TO)
        assert (asked.headers["x-exchange"], len(asked.json())) == ("oanda", 1)


def test_candles_come_before_ticks_alone(
    api: ApiServer, database_url: str, warehouse: Warehouse, dukascopy: PairRow, oanda: PairRow
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO lake_days (trading_pair_id, day, kind, object_key, content_hash, rows, bytes, first_time, last_time,"
            " condition, run_id, code_version) VALUES (%s, '2024-03-17', 'ticks', 'k', 'h', 7, 1, '2024-03-17 01:00+00',"
            " '2024-03-17 23:59+00', 'available', 'run', '1')",
            (dukascopy.id,),
        )
    assert listed(api) == ["dukascopy"]
    store(warehouse, oanda, "1h", MONDAY, hours(at("2024-03-18"), 1))
    wait_for(lambda: charted(api) == "oanda")
    assert listed(api) == ["oanda"]

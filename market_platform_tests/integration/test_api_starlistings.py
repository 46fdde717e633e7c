"""Section 2 of the API: starlistings, and their candles, funding and open interest, as clients of it know them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from market_platform.domain.clock import to_ms
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candles import CandleWrite, write_candle_days
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.market_context import FundingRow, OpenInterestRow, write_funding, write_open_interest
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.api_server import ApiServer, wait_for
from market_platform_tests.fixtures.candle_frames import candle_frame
from market_platform_tests.fixtures.reference import synced_pair

DAY = date(2024, 3, 18)
MIDNIGHT = datetime(2024, 3, 18, tzinfo=UTC)
FRAME = candle_frame(DAY, 1440)
CANDLES = "/candles/oanda/EUR/USD/spot/1m"


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return synced_pair(warehouse, "oanda")


@pytest.fixture
def api(database_url: str, pair: PairRow) -> Iterator[ApiServer]:
    assert pair.starlistings
    with ApiServer(database_url) as server:
        yield server


def store(warehouse: Warehouse, pair: PairRow, first: int = 0, rows: int = 1440) -> None:
    with warehouse.begin() as conn:
        frame = FRAME.slice(first, rows)
        write = CandleWrite(pair.starlistings["1m"], DAY, frame, None, CandleRank.EXCHANGE, replace=False)
        write_candle_days(conn, [write], run_id="run", code_version="test")


def expected(row: int) -> dict[str, Any]:
    candle = FRAME.row(row, named=True)
    return {
        "time": candle["time"].isoformat(),
        **{name: f"{candle[name]:.18f}" for name in ("open", "high", "low", "close", "volume")},
        "num_trades": candle["num_trades"],
    }


def test_what_this_is(api: ApiServer) -> None:
    answer = api.get("/").json()
    assert {"name", "version", "docs"} <= answer.keys()
    assert api.get(answer["docs"]).status_code == 200


def test_starlistings_have_the_names_people_read(api: ApiServer, pair: PairRow) -> None:
    listed = api.get("/starlistings").json()
    assert listed["total_count"] == len(listed["starlistings"]) == 18
    hour = next(each for each in listed["starlistings"] if each["id"] == pair.starlistings["1h"])
    assert hour == {
        "id": pair.starlistings["1h"],
        "exchange": "oanda",
        "exchange_display": "OANDA",
        "coin": "EUR",
        "coin_name": "Euro",
        "quote": "USD",
        "quote_name": "US Dollar",
        "trading_pair": "EUR/USD",
        "trading_pair_id": pair.id,
        "market_type": "spot",
        "market_type_display": "Spot",
        "interval": "1h",
        "interval_seconds": 3600,
        "active": True,
        "symbol": "EURUSD",
    }
    assert api.get(f"/starlistings/{hour['id']}").json() == hour


def test_starlistings_are_filtered(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    def ids(**filters: Any) -> list[int]:
        return [each["id"] for each in api.get("/starlistings", **filters).json()["starlistings"]]

    both = [pair.starlistings["1m"], pair.starlistings["1h"]]
    assert ids(exchange="oanda") == ids(exchange="OANDA", coin="eur", quote="usd", market_type="spot") == both
    assert ids(exchange="oanda", interval="1h") == both[1:]
    assert ids(market_type="perps") == []
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("UPDATE starlistings SET active = false WHERE id = %s", (both[0],))
    wait_for(lambda: ids(exchange="oanda", active="true") == both[1:])
    assert ids(exchange="oanda", active="false") == both[:1]
    assert ids(exchange="oanda") == both


def test_candles_are_exact_strings_oldest_first(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    store(warehouse, pair)
    answer = api.get(CANDLES, limit=3)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "data": [expected(each) for each in (1437, 1438, 1439)],
        "metadata": {
            "exchange": "oanda",
            "coin": "EUR",
            "quote": "USD",
            "trading_pair": "EUR/USD",
            "market_type": "spot",
            "interval": "1m",
            "count": 3,
            "start_time": None,
            "end_time": None,
        },
    }
    assert len(api.get(CANDLES).json()["data"]) == 1000
    assert len(api.get(CANDLES, limit=5000).json()["data"]) == 1440
    assert api.get("/candles/OANDA/eur/Usd/Spot/1m", limit=3).json() == answer.json()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-03-18T00:10:00Z", "2024-03-18T00:12:00+00:00"),
        ("2024-03-18T00:10:00", "2024-03-18 00:12:00"),
        ("2024-03-18T01:10:00+01:00", "2024-03-17T23:12:00-01:00"),
        (str(to_ms(MIDNIGHT) // 1000 + 600), str(to_ms(MIDNIGHT) // 1000 + 720)),
    ],
)
def test_a_range_includes_both_ends(api: ApiServer, warehouse: Warehouse, pair: PairRow, start: str, end: str) -> None:
    store(warehouse, pair, 0, 60)
    answer = api.get(CANDLES, start_time=start, end_time=end).json()
    assert answer["data"] == [expected(each) for each in (10, 11, 12)]
    assert answer["metadata"]["start_time"] == "2024-03-18T00:10:00+00:00"
    assert answer["metadata"]["end_time"] == "2024-03-18T00:12:00+00:00"
    unescaped = api.http.get(f"{CANDLES}?start_time={start}&limit=2").json()  # a plus sign becomes a space
    assert unescaped["data"] == [expected(58), expected(59)]


MISTAKES: list[tuple[str, int, str]] = [
    (f"{CANDLES}?limit=0", 422, "validation_error"),
    (f"{CANDLES}?limit=5001", 422, "validation_error"),
    (f"{CANDLES}?limit=x", 422, "validation_error"),
    (f"{CANDLES}?start_time=yesterday", 422, "validation_error"),
    (f"{CANDLES}?start_time=1710720000000", 422, "validation_error"),
    (f"{CANDLES}?start_time=0001-01-01T00:00:00%2B14:00", 422, "validation_error"),
    (f"{CANDLES}?start_time=2024-03-19&end_time=2024-03-18", 422, "validation_error"),
    (f"{CANDLES}?start_time=%ff", 422, "validation_error"),
    (f"{CANDLES}?{'x' * 2000}=1", 422, "validation_error"),
    ("/starlistings/0", 422, "validation_error"),
    ("/starlistings/abc", 422, "validation_error"),
    ("/starlistings?active=maybe", 422, "validation_error"),
    ("/starlistings/999999", 404, "starlisting_not_found"),
    ("/candles/oanda/EUR/USD/spot/7m", 404, "starlisting_not_found"),
    ("/candles/oanda/EUR/USD/spot/1d", 404, "starlisting_not_found"),
    ("/candles/oanda/EUR/USD/perps/1m", 404, "trading_pair_not_found"),
    ("/candles/nowhere/EUR/USD/spot/1m", 404, "trading_pair_not_found"),
    ("/funding/oanda/EUR/USD/perps", 404, "trading_pair_not_found"),
    ("/open-interest/oanda/BTC/USD/spot", 404, "trading_pair_not_found"),
    ("/candles/oanda/EUR/USD", 404, "not_found"),
]


def test_mistakes_are_problems(api: ApiServer) -> None:
    for path, status, code in MISTAKES:
        answer = api.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_not_collected_any_more_says_so(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("UPDATE starlistings SET active = false WHERE id = %s", (pair.starlistings["1m"],))
        wait_for(lambda: api.get(CANDLES).status_code == 400)
        assert api.get(CANDLES).json()["code"] == "starlisting_inactive"
        assert api.get("/funding/oanda/EUR/USD/spot").status_code == 200
        conn.execute("UPDATE trading_pairs SET active = false WHERE id = %s", (pair.id,))
        wait_for(lambda: api.get("/funding/oanda/EUR/USD/spot").status_code == 400)
    assert api.get("/funding/oanda/EUR/USD/spot").json()["code"] == "trading_pair_inactive"


def test_candles_after_a_range_leave_its_tag(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    store(warehouse, pair, 0, 60)
    url = f"{CANDLES}?start_time=2024-03-18T00:10:00Z&end_time=2024-03-18T00:20:00Z"
    tag = api.get(url).headers["etag"]
    store(warehouse, pair, 60, 5)
    again = api.get(url, {"If-None-Match": tag, "Cache-Control": "no-cache"})
    assert (again.status_code, again.headers["etag"]) == (304, tag)


def test_the_tag_changes_when_and_only_when_rows_do(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    store(warehouse, pair, 0, 60)
    api.wait_until_listening()
    tag = api.get(CANDLES, limit=10).headers["etag"]
    again = api.get(CANDLES, {"If-None-Match": tag}, limit=10)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert again.headers["x-data-version"] == tag.strip('"')
    ranged = api.get(CANDLES, start_time="2024-03-18T00:50:00Z", end_time="2024-03-18T09:00:00Z")
    assert ranged.headers["etag"] == tag  # the same rows asked for otherwise
    assert ranged.json()["metadata"]["start_time"] == "2024-03-18T00:50:00+00:00"
    assert api.get(CANDLES, limit=11).headers["etag"] != tag
    store(warehouse, pair, 0, 60)
    assert api.get(CANDLES, {"If-None-Match": tag, "Cache-Control": "no-cache"}, limit=10).status_code == 304
    store(warehouse, pair, 60, 1)
    changed = api.get(CANDLES, {"If-None-Match": tag, "Cache-Control": "no-cache"}, limit=10)
    assert (changed.status_code, changed.json()["data"][-1]) == (200, expected(60))
    wait_for(lambda: api.get(CANDLES, {"If-None-Match": tag}, limit=10).status_code == 200)


def test_private_data_is_marked(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    store(warehouse, pair, 0, 3)
    span = f"from={to_ms(MIDNIGHT) // 1000}&to={to_ms(MIDNIGHT) // 1000 + 60}"
    charts = f"/api/candles/EURUSD/1m?{span}&exchange="
    for path in (f"{charts}oanda", CANDLES, "/funding/oanda/EUR/USD/spot", "/open-interest/oanda/EUR/USD/spot"):
        answer = api.get(path)
        assert answer.headers["x-licence"] == "private", path
        unchanged = api.get(path, {"If-None-Match": answer.headers["etag"]})
        assert (unchanged.status_code, unchanged.headers["x-licence"]) == (304, "private"), path
    for path in (f"{charts}dukascopy", CANDLES.replace("oanda", "dukascopy"), "/funding/dukascopy/EUR/USD/spot"):
        answer = api.get(path)
        assert (answer.status_code, answer.headers.get("x-licence")) == (200, None), path


def test_nothing_stored_is_an_empty_answer(api: ApiServer) -> None:
    for path in (CANDLES, "/funding/oanda/EUR/USD/spot", "/open-interest/oanda/EUR/USD/spot"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()["data"], answer.json()["metadata"]["count"]) == (200, [], 0)


def test_funding_and_open_interest(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    start = to_ms(MIDNIGHT)
    with warehouse.begin() as conn:
        for minute in range(3):
            rate = Funding("E", Decimal(f"0.000{minute + 1}"), mark_price=Decimal("1.0871"), next_funding_ms=start)
            write_funding(conn, [FundingRow(pair.id, start + minute * 60_000, rate)])
        interest = OpenInterest("E", Decimal("12.5"), notional_value=Decimal(100))
        write_open_interest(conn, [OpenInterestRow(pair.id, start, interest)])
    funding = api.get("/funding/oanda/eur/usd/spot", limit=2)
    assert funding.json() == {
        "data": [
            {
                "time": f"2024-03-18T00:0{minute}:00+00:00",
                "funding_rate": f"0.000{minute + 1}00000000000000",
                "premium": None,
                "mark_price": "1.087100000000000000",
                "index_price": None,
                "oracle_price": None,
                "mid_price": None,
                "next_funding_time": "2024-03-18T00:00:00+00:00",
            }
            for minute in (1, 2)
        ],
        "metadata": {
            "exchange": "oanda",
            "coin": "EUR",
            "quote": "USD",
            "trading_pair": "EUR/USD",
            "market_type": "spot",
            "count": 2,
            "start_time": None,
            "end_time": None,
        },
    }
    tag = funding.headers["etag"]
    assert api.get("/funding/oanda/eur/usd/spot", {"If-None-Match": tag}, limit=2).status_code == 304
    assert api.get("/open-interest/oanda/EUR/USD/spot").json()["data"] == [
        {
            "time": "2024-03-18T00:00:00+00:00",
            "open_interest": "12.500000000000000000",
            "notional_value": "100.000000000000000000",
            "day_base_volume": None,
            "day_notional_volume": None,
        }
    ]


def test_head_is_get_without_a_body(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    store(warehouse, pair, 0, 5)
    head, whole = api.http.head(CANDLES), api.get(CANDLES)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert api.http.post(CANDLES).status_code == 405

"""Tags, 304, what is kept in memory, and when it is not believed any more."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from market_platform.domain.conditions import Condition
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.api_server import ApiServer, wait_for
from market_platform_tests.fixtures.reference import synced_pair
from market_platform_tests.fixtures.stored_candles import at, hours, seconds, store
from market_platform_tests.fixtures.tcp_proxy import TcpProxy

MONDAY, TUESDAY = date(2024, 3, 18), date(2024, 3, 19)
URL = f"/api/candles/BTCUSD/1h?from={seconds('2024-03-18')}&to={seconds('2024-03-19T23:59')}"
ONLY_MONDAY = f"/api/candles/BTCUSD/1h?from={seconds('2024-03-18')}&to={seconds('2024-03-18T23:59')}"
NOW = datetime(2024, 6, 1, tzinfo=UTC)
STRICT = {"cache-control": "no-cache"}


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    pair = synced_pair(warehouse, "dukascopy", "BTCUSD")
    store(warehouse, pair, "1h", MONDAY, hours(at("2024-03-18"), 24))
    store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 24))
    return pair


@pytest.fixture
def api(database_url: str, pair: PairRow) -> Iterator[ApiServer]:
    with ApiServer(database_url, clock=lambda: NOW) as server:
        server.wait_until_listening()
        yield server


def revoke_reading_of_candles(database_url: str) -> str:
    """URL of a role that may read everything but candles."""
    parts = urlsplit(database_url)
    role = f"reader_{parts.path.strip('/')}"
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reads'")
        conn.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        conn.execute(f"REVOKE SELECT ON candles FROM {role}")
    return parts._replace(netloc=f"{role}:reads@{parts.hostname}:{parts.port}").geturl()


def test_a_304_reads_no_candle(database_url: str, api: ApiServer) -> None:
    tag = api.http.get(URL).headers["etag"]
    with ApiServer(revoke_reading_of_candles(database_url), clock=lambda: NOW) as blind:
        for header in (tag, tag, "*", f'"x", {tag}', f"W/{tag}"):
            answer = blind.http.get(URL, headers={"if-none-match": header})
            assert (answer.status_code, answer.content) == (304, b""), header
            assert answer.headers["etag"] == tag
            assert answer.headers["x-data-version"] == tag.strip('"')
            assert answer.headers["cache-control"] == "public, max-age=1800"
            assert answer.headers["x-data-condition"] == "available"
            assert blind.http.head(URL, headers={"if-none-match": header}).status_code == 304
        refused = blind.http.get(URL, headers={"if-none-match": '"another"'})
        assert (refused.status_code, refused.json()["code"]) == (500, "internal_error")


def test_a_tag_changes_when_a_candle_of_the_range_does_and_only_then(
    api: ApiServer, warehouse: Warehouse, pair: PairRow
) -> None:
    def tags() -> tuple[str, str]:
        both = (api.http.get(url, headers=STRICT).headers["etag"] for url in (ONLY_MONDAY, URL))
        return next(both), next(both)

    monday, two_days = tags()
    assert monday != two_days
    store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 24))  # the same again
    assert tags() == (monday, two_days)
    store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 24), built_from="other ticks")  # of other ticks
    assert tags() == (monday, two_days)
    store(warehouse, pair, "5m", MONDAY, hours(at("2024-03-18"), 2))  # another interval
    assert tags() == (monday, two_days)
    store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 24, "3"))
    assert tags()[0] == monday
    assert tags()[1] != two_days
    two_days = tags()[1]
    store(warehouse, pair, "1h", MONDAY, hours(at("2024-03-18"), 23))  # one less
    assert tags()[0] != monday
    assert tags()[1] != two_days


def test_a_part_of_a_day_has_its_own_version(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    """A day moves for candles outside the range too, as today does every minute; the tag is of those inside alone."""
    part = f"/api/candles/BTCUSD/1h?from={seconds('2024-03-18T20:00')}&to={seconds('2024-03-19T05:59')}"
    inside = f"/api/candles/BTCUSD/1h?from={seconds('2024-03-19T03:00')}&to={seconds('2024-03-19T05:59')}"
    through = f"/api/candles/BTCUSD/1h?from={seconds('2024-03-17T20:00')}&to={seconds('2024-03-19T05:59')}"

    def tags() -> list[str]:
        return [api.http.get(url, headers=STRICT).headers["etag"] for url in (part, inside, through)]

    first = tags()
    assert len(set(first)) == 3
    for count in (23, 22, 6):
        store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), count))
        assert tags() == first
        again = api.http.get(part, headers={"if-none-match": first[0], **STRICT})
        assert (again.status_code, again.content) == (304, b"")
    store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 5))  # one less in all three
    assert not set(tags()) & set(first)
    store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 6))
    assert tags() == first  # the same rows again
    store(warehouse, pair, "1h", MONDAY, [*hours(at("2024-03-18"), 20), *hours(at("2024-03-18T20:00"), 4, "3")])
    changed = tags()
    assert (changed[0] == first[0], changed[1] == first[1], changed[2] == first[2]) == (False, True, False)


def test_a_part_of_a_day_has_one_version_everywhere(
    api: ApiServer, database_url: str, warehouse: Warehouse, pair: PairRow
) -> None:
    store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 23, "65000.123456789012345678"))
    part = f"/api/candles/BTCUSD/1h?from={seconds('2024-03-18T20:00')}&to={seconds('2024-03-19T05:59')}"
    version = api.http.get(part, headers=STRICT).headers["x-data-version"]
    with ApiServer(database_url, clock=lambda: NOW) as other:
        as_csv = other.http.get(f"{part}&format=csv")
        assert as_csv.headers["x-data-version"] == version
        further = part.replace(str(seconds("2024-03-19T05:59")), str(seconds("2024-03-19T05:00")))
        assert other.http.get(further).headers["x-data-version"] == version  # the same rows asked for otherwise


def test_while_no_day_moves_a_304_of_a_part_reads_no_candle(database_url: str, pair: PairRow) -> None:
    assert pair.id
    url = revoke_reading_of_candles(database_url)
    part = f"/api/candles/BTCUSD/1h?from={seconds('2024-03-18T20:00')}&to={seconds('2024-03-19T05:59')}"
    role = urlsplit(url).username
    with psycopg.connect(database_url, autocommit=True) as conn, ApiServer(url, clock=lambda: NOW) as blinded:
        conn.execute(f"GRANT SELECT ON candles TO {role}".encode())
        blinded.wait_until_listening()
        tag = blinded.http.get(part).headers["etag"]
        conn.execute(f"REVOKE SELECT ON candles FROM {role}".encode())
        assert blinded.http.get(part, headers={"if-none-match": tag, **STRICT}).status_code == 304
        assert blinded.http.get(part, headers={"if-none-match": tag}).status_code == 304


def test_a_condition_is_no_content(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    before = api.http.get(URL)
    assert before.headers["x-data-condition"] == "available"
    store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 24), Condition.DEGRADED)
    after = api.http.get(URL, headers={"if-none-match": before.headers["etag"], **STRICT})
    assert (after.status_code, after.headers["x-data-condition"]) == (304, "degraded")


def test_a_rebuilt_database_has_the_same_tags(api: ApiServer, make_database: Any, pair: PairRow) -> None:
    url = make_database()
    rebuilt = create_warehouse(url)
    try:
        synced_pair(rebuilt, "oanda", "EURUSD")
        again = synced_pair(rebuilt, "dukascopy", "BTCUSD")
        for day in (TUESDAY, MONDAY):
            store(rebuilt, again, "1h", day, hours(at(day.isoformat()), 24))
    finally:
        rebuilt.close()
    with ApiServer(url, clock=lambda: NOW) as other:
        assert other.http.get(URL).headers["etag"] == api.http.get(URL).headers["etag"]


def test_a_kept_answer_follows_a_commit_of_another_process(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    for price in ("2", "3", "4"):
        before = api.http.get(URL)
        assert api.http.get(URL).content == before.content
        store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 24, price))
        strict = api.http.get(URL, headers=STRICT)  # sees the commit whatever was heard
        assert strict.json()[-1]["close"] == int(price)
        wait_for(lambda after=strict: api.http.get(URL).headers["etag"] == after.headers["etag"], 2)  # type: ignore[misc]
        assert api.http.get(URL).content == strict.content


def test_a_rolled_back_write_changes_nothing(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    before = api.http.get(URL)
    with warehouse.connect() as conn:  # rolled back at its end
        conn.exec_driver_sql("DELETE FROM candles")
        conn.exec_driver_sql("DELETE FROM candle_days")
    assert api.http.get(URL, headers=STRICT).headers["etag"] == before.headers["etag"]


def test_a_change_by_hand_is_heard_of_too(api: ApiServer, database_url: str) -> None:
    assert api.http.get(URL).json()
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("TRUNCATE candle_days, candles")
    wait_for(lambda: api.http.get(URL).json() == [], 2)


def test_a_kept_answer_asks_postgres_nothing(api: ApiServer, database_url: str) -> None:
    def statements() -> int:
        with psycopg.connect(database_url, autocommit=True) as conn:
            row = conn.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'market-platform-api'"
                " AND query NOT LIKE 'SELECT 1' AND query NOT LIKE 'LISTEN%%'"
                " AND datname = current_database() AND query_start > %s",
                (started,),
            ).fetchone()
            assert row is not None
            return int(row[0])

    api.http.get(URL)
    api.http.get("/livez")
    with psycopg.connect(database_url, autocommit=True) as conn:
        row = conn.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        started = row[0]
    tag = api.http.get(URL).headers["etag"]
    for _ in range(5):
        assert api.http.get(URL).status_code == 200
        assert api.http.get(URL, headers={"if-none-match": tag}).status_code == 304
    assert statements() == 0
    api.http.get(URL, headers=STRICT)
    assert statements() == 1


def test_many_at_once_see_one_version_each_while_it_changes(
    api: ApiServer, warehouse: Warehouse, pair: PairRow
) -> None:
    """Every answer's body is that of its tag, however writes and reads interleave."""
    bodies: dict[str, set[bytes]] = {}
    done = False

    def ask() -> None:
        with httpx.Client(base_url=api.url, timeout=15) as http:
            while not done:
                answer = http.get(URL)
                assert answer.status_code == 200
                bodies.setdefault(answer.headers["etag"], set()).add(answer.content)
                closes = {row["close"] for row in answer.json()[24:]}
                assert len(closes) == 1, "half of one write, half of another"

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask) for _ in range(4)]
        for price in range(2, 22):
            store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 24, str(price)))
        final = api.http.get(URL, headers=STRICT)
        wait_for(lambda: api.http.get(URL).headers["etag"] == final.headers["etag"], 5)
        done = True
        for each in asking:
            each.result()
    assert all(len(contents) == 1 for contents in bodies.values())
    assert final.json()[-1]["close"] == 21


def test_while_the_network_swallows_notifications_nothing_kept_is_used_for_long(
    database_url: str, warehouse: Warehouse, pair: PairRow
) -> None:
    """The listener's connection dies without a word; the pool's is fine: versions are asked for again within seconds."""
    parts = urlsplit(database_url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = TcpProxy(parts.hostname, parts.port)
    try:
        with ApiServer(proxy.url(database_url), clock=lambda: NOW, database_timeout_s=1.0) as api:
            api.wait_until_listening()
            before = api.http.get(URL)
            assert before.status_code == 200
            proxy.swallow()
            store(warehouse, pair, "1h", TUESDAY, hours(at("2024-03-19"), 24, "7"))
            wait_for(lambda: api.http.get(URL).status_code == 503, 6)  # it asks, and says that it can't know
            proxy.restore()
            wait_for(lambda: api.http.get(URL).status_code == 200, 10)
            assert api.http.get(URL).json()[-1]["close"] == 7
            api.wait_until_listening()
            assert api.http.get(URL).json()[-1]["close"] == 7
    finally:
        proxy.close()

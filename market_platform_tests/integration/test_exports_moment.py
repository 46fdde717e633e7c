"""An export is of one moment and appears whole or not at all, whoever writes, stops or fills the disk meanwhile."""

from __future__ import annotations

import itertools
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from market_platform.domain.clock import to_ms
from market_platform.domain.events import Funding
from market_platform.pipeline.exports.errors import ExportError, LeakageError
from market_platform.pipeline.exports.export import export
from market_platform.pipeline.exports.request import ExportProgress
from market_platform.pipeline.exports.sidecar import sidecar_path
from market_platform.pipeline.exports.verify import verify_export
from market_platform.pipeline.exports.writing import open_partial
from market_platform.warehouse import export_queries
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.market_context import FundingRow, write_funding
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.export_world import (
    FIRST,
    HOURS,
    MINUTES,
    SECOND,
    fill_hours,
    hourly_request,
    make_market,
    request,
    store_minutes,
    write_minutes,
)


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return make_market(warehouse)


def test_an_export_is_of_one_moment_although_rows_and_versions_change_under_it(
    warehouse: Warehouse, pair: PairRow, tmp_path: Path
) -> None:
    before = export(warehouse, request(), tmp_path / "before.parquet")
    closes = iter(("43111", "43112", "43113", "43114"))

    def change(_: ExportProgress) -> None:
        close = next(closes)
        store_minutes(warehouse, pair, FIRST, 0, 5, close=close)
        store_minutes(warehouse, pair, SECOND, 5, 10, close=close)

    during = export(warehouse, request(), tmp_path / "during.parquet", on_progress=change)
    assert during.sha256 == before.sha256
    assert during.document["inputs"] == before.document["inputs"]
    after = export(warehouse, request(), tmp_path / "after.parquet")
    assert set(pl.read_parquet(after.path)["close"]) == {Decimal(43112)}
    assert after.document["inputs"] != before.document["inputs"]


def test_every_export_beside_a_writer_is_a_state_that_was_committed(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    committed: dict[str, Decimal] = {}
    started, stop = threading.Event(), threading.Event()

    def write() -> None:
        writer = create_warehouse(database_url)
        try:
            for close in itertools.count(43_101):
                with writer.begin() as conn:
                    days = {
                        day: write_minutes(conn, pair, day, *minutes, close=str(close))
                        for day, minutes in ((FIRST, (0, 5)), (SECOND, (5, 10)))
                    }
                    rate = FundingRow(pair.id, to_ms(MINUTES[0]), Funding("BTC", Decimal(close)))
                    write_funding(conn, [rate])
                committed["".join(days[day].data_version for day in (FIRST, SECOND))] = Decimal(close)
                started.set()
                if stop.is_set() or close > 43_190:  # the candles' high is 43,300
                    return
        finally:
            writer.close()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        assert started.wait(60)
        exported = [export(warehouse, request(), tmp_path / f"{each}.parquet") for each in range(8)]
        stop.set()
        writing.result()
    for result in exported:
        frame = pl.read_parquet(result.path)
        closes = set(frame["close"])
        assert closes == {frame["funding_rate"][0]}
        assert closes == {committed["".join(result.document["inputs"][0]["days"].values())]}


def test_an_export_that_is_given_up_leaves_the_connection_to_others(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    fill_hours(database_url, pair.starlistings["1h"], HOURS, hourly_request().start)

    def give_up(progress: ExportProgress) -> None:
        raise KeyboardInterrupt

    only = create_warehouse(database_url, pool_size=1)
    try:
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                export(only, hourly_request(), tmp_path / "h.parquet", on_progress=give_up)
        assert list(tmp_path.iterdir()) == []
        assert export(only, hourly_request(), tmp_path / "h.parquet").rows == HOURS
    finally:
        only.close()


def test_a_full_disk_is_said_and_leaves_no_file(
    warehouse: Warehouse, database_url: str, pair: PairRow, tmp_path: Path
) -> None:
    fill_hours(database_url, pair.starlistings["1h"], HOURS, hourly_request().start)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ExportError, match=r"h\.parquet could not be written: File too large"):
            export(warehouse, hourly_request(), tmp_path / "h.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_value_of_later_than_the_close_ends_the_export(
    warehouse: Warehouse, pair: PairRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    select = export_queries._select

    def looking_ahead(source: export_queries.ExportSource) -> str:
        joined = 'funding_rates."time" = candles."time"'
        return select(source).replace(joined, f"{joined} + interval '1 minute'")

    monkeypatch.setattr(export_queries, "_select", looking_ahead)
    with pytest.raises(LeakageError, match="the row of 2024-04-01 00:02 would hold a value of 2024-04-01 00:03"):
        export(warehouse, request(), tmp_path / "m.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_unless_told(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    path.write_text("mine")
    with pytest.raises(ExportError, match="--overwrite"):
        export(warehouse, request(), path)
    assert path.read_text() == "mine"
    export(warehouse, request(), path, overwrite=True)
    assert verify_export(sidecar_path(path)).differences == ()


def test_two_exports_do_not_write_the_same_file(warehouse: Warehouse, pair: PairRow, tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    with open_partial(path), pytest.raises(ExportError, match="another export is writing"):
        export(warehouse, request(), path)
    assert list(tmp_path.iterdir()) == []
    export(warehouse, request(), path)

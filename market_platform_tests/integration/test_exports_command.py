"""`market-platform export`: files, summaries, messages, exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import polars as pl
import psycopg
import pytest

from market_platform.settings import get_settings
from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.export_commands import Run, command_line
from market_platform_tests.fixtures.export_world import MINUTES, SECOND, make_market, store_minutes, sync_export_pairs

SPAN = ("--start-time", "2024-03-31", "--end-time", "2024-04-02")
MERGED = "binance_BTCUSDT.P_merged_1m_2024-03-31_2024-04-02.parquet"


@pytest.fixture
def run(
    warehouse: Warehouse,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Runs `market-platform export …` on a database with the small market."""
    make_market(warehouse)
    yield partial(command_line(database_url, tmp_path, monkeypatch, capsys), "export")
    get_settings.cache_clear()


def test_a_data_set_is_exported_checked_and_made_again(run: Run, warehouse: Warehouse) -> None:
    merged = ("merged", "--coin", "btc", "--intervals", "1m", *SPAN)
    code, told, _ = run(*merged, "--dry-run")
    assert (code, told) == (
        0,
        f"would write {MERGED}: binance BTC/USDT perps merged 1m, 2024-03-31 00:00 to 2024-04-02 00:00 (not included)\n",
    )
    assert not Path(MERGED).exists()

    code, told, _ = run(*merged)
    size = Path(MERGED).stat().st_size
    assert (code, told) == (
        0,
        f"{MERGED}: 10 rows, 2024-03-31 23:55 to 2024-04-01 00:04, {size:,} bytes; days not available: 1 degraded\n",
    )
    assert pl.read_parquet(MERGED)["time"].to_list() == list(MINUTES)
    code, told, _ = run("verify", f"{MERGED}.json")
    assert (code, told) == (0, f"{MERGED}: as its JSON says, 10 rows\n")
    code, told, _ = run("reproduce", f"{MERGED}.json")
    assert (code, told.partition(" bytes")[0]) == (0, f"identical: {size:,}")

    code, _, told = run(*merged)
    assert code == 2
    assert "there already; --overwrite replaces" in told

    store_minutes(warehouse, sync_export_pairs(warehouse)[0], SECOND, 5, 10, close="43111")
    code, told, _ = run("reproduce", f"{MERGED}.json", "--output", "again.parquet")
    assert code == 1
    assert "not identical" in told
    assert told.count("candles_1m 2024-04-01: ") == 1
    assert "candles_1m 2024-03-31" not in told
    assert run("verify", "again.parquet.json")[0] == 0
    code, told, _ = run("verify", f"{MERGED}.json", "--file", "again.parquet")
    assert code == 1
    assert "sha256: " in told


def test_several_files_go_to_a_folder_and_one_that_fails_leaves_the_others(run: Run, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE candles SET volume = 1e20")
        conn.execute(
            "INSERT INTO candles SELECT starlistings.id, 30, %s, 1, 2, 3, 1, 2, 5 FROM starlistings JOIN intervals ON interval_id = "
            "intervals.id WHERE name = '15m'",
            (MINUTES[5],),
        )
    code, told, failed = run("candles", "--coin", "BTC", "--intervals", "all", *SPAN, "-o", "out", "--format", "csv")
    assert code == 1
    assert "volume of 2024-03-31T23:55:00.000Z is 100000000000000000000.000000000000000000" in failed
    assert told.splitlines()[-1].startswith("4 files (2 empty, 1 failed, 1 filled): 1 rows, ")
    assert "out/binance_BTCUSDT.P_candles_1month_2024-03-31_2024-04-02.csv: empty, no candles in this span" in told
    assert len(list(Path("out").glob("*.csv"))) == 3
    assert not list(Path("out").glob("*.partial"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("funding", "--coin", "ETH", "--days", "3"), "--coin ETH: the database has no such pair"),
        (("funding", "--coin", "BTC", "--days", "3", "--intervals", "1m"), "leave --intervals out"),
        (("candles", "--coin", "BTC", "--days", "3"), "candles needs --intervals"),
        (
            ("candles", "--coin", "BTC", "--intervals", "5m", "--days", "3"),
            "--intervals 5m: binance/BTCUSDT.P has none",
        ),
        (("candles", "--coin", "BTC", "--intervals", "1m"), "give either --days"),
        (("candles", "--coin", "EUR", "--intervals", "1m", "--days", "3"), "oanda/EURUSD is licensed as private"),
        (("merged", "--coin", "BTC", "--feature-version", "1", "--intervals", "1m", "--days", "3"), "is of features"),
        (("verify", "nowhere.json"), "nowhere.json can't be read: No such file"),
        (("reproduce", "nowhere.json"), "nowhere.json can't be read: No such file"),
    ],
)
def test_what_is_wrong_is_said(run: Run, arguments: tuple[str, ...], message: str) -> None:
    code, told, failed = run(*arguments)
    assert code in (1, 2)
    assert told == ""
    assert message in failed
    assert "Traceback" not in failed


def test_private_data_among_others_is_left_out_and_named(run: Run) -> None:
    asked = ("candles", "--coin", "all", "--intervals", "1m", "--days", "3")
    code, told, said = run(*asked)
    assert code == 0, said
    assert "oanda" not in told
    assert "binance_BTCUSDT.P_candles_1m" in told
    assert "left out, licensed as private: oanda/EURUSD; --include-private takes them too" in said
    code, told, said = run("candles", "--exchange", "oanda", *asked[3:])
    assert (code, told) == (2, "")
    assert "oanda/EURUSD is licensed as private" in said


def test_a_pair_needs_no_coin_but_something_must_say_which(run: Run) -> None:
    asked = ("candles", "--intervals", "1m", "--days", "3")
    assert "binance_BTCUSDT.P_candles_1m" in run(*asked, "--exchange", "binance")[1]
    code, _, said = run(*asked)
    assert code == 2
    assert "say which pairs: --coin BTC" in said


def test_private_data_is_exported_when_it_stays(run: Run) -> None:
    code, told, _ = run(
        "candles", "--coin", "EUR", "--intervals", "1m", "--days", "3", "--include-private", "-o", "e.parquet"
    )
    assert (code, told) == (0, "e.parquet: empty, no candles in this span\n")
    assert run("verify", "e.parquet.json")[0] == 0


def test_a_training_export_says_so_in_its_name(run: Run) -> None:
    code, told, said = run("oi", "--coin", "BTC", *SPAN, "--database", "training")
    assert code == 0
    assert told.startswith("binance_BTCUSDT.P_oi_2024-03-31_2024-04-02_training.parquet: 2 rows")
    assert "no training database is set" in said

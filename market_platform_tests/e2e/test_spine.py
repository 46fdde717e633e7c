"""The spine, as a data engineer uses it: recordings over HTTP → a backfill through the daemon → candles over HTTP.

Once with the lake in a folder, bi5 and candles at bid; once with the lake on an S3 server, the JSON API and candles at
ask. The recorded exchange's own candle files are the truth.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
import yaml

from market_platform.embedded.postgres import find_database_url
from market_platform_tests.e2e.s3 import S3Server
from market_platform_tests.e2e.stack import Stack
from market_platform_tests.recordings import PROJECT_ROOT, needs_recordings, recording, recordings_dir

pytestmark = [pytest.mark.e2e, needs_recordings, pytest.mark.timeout(900)]

DAY = "2019-02-04"
DAY_MS = 1_549_238_400_000
LAUNCHES = [
    ("dukascopy/EURUSD", DAY, DAY),
    ("dukascopy/GBPJPY", "2012-12-01", "2012-12-03"),
    ("dukascopy/BTCUSD", "2023-02-20", "2023-02-20"),
]
CANDLE = np.dtype([("s", ">i4"), ("open", ">i4"), ("close", ">i4"), ("low", ">i4"), ("high", ">i4"), ("volume", ">f4")])


@dataclass(frozen=True)
class Case:
    """One way through: where the lake is, how the exchange is asked, which side candles are built from."""

    lake: str
    transport: str
    side: str


@dataclass
class Spine:
    """A stack in which a user has launched the backfills of this module."""

    case: Case
    stack: Stack

    def rows(self, query: str, *parameters: object) -> list[Any]:
        with psycopg.connect(find_database_url(self.stack.settings)) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def backfill(self, pair: str, first: str, last: str) -> None:
        self.stack.run("backfill", pair, "--from", first, "--to", last)


@pytest.fixture(
    scope="module",
    params=[Case("folder", "bi5", "bid"), Case("s3", "json", "ask")],
    ids=lambda case: f"{case.lake}-{case.transport}-{case.side}",
)
def spine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    case: Case = request.param
    home = tmp_path_factory.mktemp(case.lake)
    s3 = S3Server() if case.lake == "s3" else None
    stack = Stack(
        home,
        {
            "RECORDINGS": str(recordings_dir()),
            "DUKASCOPY_TRANSPORT": case.transport,
            "STARLISTINGS_FILE": str(with_candle_price(case.side, home / "starlistings.yaml")),
            **(s3.environment if s3 else {}),
        },
    )
    try:
        stack.up()
        spine = Spine(case, stack)
        with ThreadPoolExecutor() as users:
            for done in [users.submit(spine.backfill, *launch) for launch in LAUNCHES]:
                done.result()
        yield spine
        assert stack.down() == 0
    finally:
        stack.kill()
        if s3:
            s3.stop()


def with_candle_price(side: str, path: Path) -> Path:
    """The repository's own pairs with a history (nothing streams beside them), their candles from one side of the quote."""
    config = yaml.safe_load((PROJECT_ROOT / "config" / "starlistings.yaml").read_text())
    config["exchanges"]["dukascopy"]["candle_price"] = side
    config["starlistings"] = {"dukascopy": config["starlistings"]["dukascopy"]}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def recorded(relative: str) -> np.ndarray[Any, Any]:
    """A recorded candle file's rows that had ticks."""
    rows = np.frombuffer(lzma.decompress(recording(f"dukascopy/EURUSD/2019/{relative}").read_bytes()), CANDLE)
    return rows[rows["volume"] > 0]


def test_every_recorded_tick_is_committed(spine: Spine) -> None:
    [(rows, condition, key)] = spine.rows(
        "SELECT d.rows, d.condition, d.object_key FROM lake_days d JOIN trading_pairs p ON p.id = d.trading_pair_id"
        " WHERE p.symbol = 'EURUSD' AND d.day = %s",
        DAY,
    )
    assert (rows, condition) == (136_741, "available")
    assert key.startswith("ticks/EURUSD/2019/02/04/")


@pytest.mark.parametrize(
    ("interval", "file", "start_ms"),
    [
        ("1m", "01/04/{}_candles_min_1.bi5", DAY_MS),
        ("1h", "01/{}_candles_hour_1.bi5", 1_548_979_200_000),
        ("1d", "{}_candles_day_1.bi5", 1_546_300_800_000),
    ],
)
def test_candles_equal_the_exchange_s_own(spine: Spine, interval: str, file: str, start_ms: int) -> None:
    truth = recorded(file.format(spine.case.side.upper()))
    times = start_ms + truth["s"].astype(np.int64) * 1000
    truth = truth[(times >= DAY_MS) & (times < DAY_MS + 86_400_000)]
    times = times[(times >= DAY_MS) & (times < DAY_MS + 86_400_000)]
    ours = spine.rows(
        "SELECT (extract(epoch FROM c.time) * 1000)::bigint, c.open, c.high, c.low, c.close, c.volume"
        f" FROM candles_{interval} c WHERE c.symbol = 'EURUSD' ORDER BY c.time",
    )
    assert [row[0] for row in ours] == times.tolist()
    for column, name in ((1, "open"), (2, "high"), (3, "low"), (4, "close")):
        assert [row[column] for row in ours] == [Decimal(int(units)).scaleb(-5) for units in truth[name]], name
    volumes = np.array([float(row[5]) / 1e6 for row in ours]).astype(np.float32)
    steps = np.abs(volumes - truth["volume"].astype(np.float32)) / np.spacing(truth["volume"].astype(np.float32))
    assert steps.max() <= 1, "volumes differ by more than one float32 step"


def test_closed_hours_are_a_state_and_yen_has_three_decimals(spine: Spine) -> None:
    days = spine.rows(
        "SELECT d.day::text, d.condition, d.rows, d.first_time FROM lake_days d"
        " JOIN trading_pairs p ON p.id = d.trading_pair_id WHERE p.symbol = 'GBPJPY' ORDER BY d.day"
    )
    assert [(day, condition) for day, condition, _, _ in days] == [
        ("2012-12-01", "closed"),
        ("2012-12-02", "available"),
        ("2012-12-03", "available"),
    ]
    assert days[0][2] == 0
    assert days[1][3].hour == 22
    assert sum(rows for _, _, rows, _ in days) == 62_602
    [(low, high)] = spine.rows("SELECT min(low), max(high) FROM candles_1m WHERE symbol = 'GBPJPY'")
    assert Decimal(125) < low < high < Decimal(140)


def test_the_same_candles_over_http(spine: Spine) -> None:
    answer = httpx.get(
        f"{spine.stack.api_url}/api/candles/EURUSD/1m", params={"from": DAY_MS // 1000, "to": DAY_MS // 1000 + 86_399}
    )
    assert answer.status_code == 200
    served = answer.json(parse_float=Decimal)
    truth = recorded(f"01/04/{spine.case.side.upper()}_candles_min_1.bi5")
    assert len(served) == len(truth) == 1440
    assert [row["close"] for row in served] == [Decimal(int(units)).scaleb(-5).normalize() for units in truth["close"]]
    again = httpx.get(answer.url, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_everything_twice_changes_nothing(spine: Spine) -> None:
    versions = "SELECT starlisting_id, day, revision, data_version FROM candle_days ORDER BY 1, 2"
    objects = "SELECT trading_pair_id, day, object_key, content_hash, run_id FROM lake_days ORDER BY 1, 2"
    before = spine.rows(versions), spine.rows(objects)
    spine.backfill("dukascopy/EURUSD", DAY, DAY)
    assert (spine.rows(versions), spine.rows(objects)) == before


def test_the_exchange_s_own_candles_agree_in_a_check(spine: Spine) -> None:
    found = spine.rows(
        "SELECT passed FROM data_quality q JOIN trading_pairs p ON p.id = q.trading_pair_id"
        " WHERE p.symbol = 'EURUSD' AND q.check_type = 'equals_exchange_candles'"
    )
    assert found
    assert all(passed for (passed,) in found)


def test_an_incomplete_day_is_degraded_never_filled(spine: Spine) -> None:
    [(condition, rows)] = spine.rows(
        "SELECT d.condition, d.rows FROM lake_days d JOIN trading_pairs p ON p.id = d.trading_pair_id WHERE p.symbol = 'BTCUSD'"
    )
    assert (condition, rows) == ("degraded", 8_523)
    [(candles,)] = spine.rows("SELECT count(*) FROM candles_1m WHERE symbol = 'BTCUSD'")
    assert candles == 60

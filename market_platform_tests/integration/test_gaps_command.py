"""`market-platform gaps`: what it lists, and that `repair` repairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from market_platform.cli import main
from market_platform.domain.clock import to_ms
from market_platform.domain.errors import ExchangeUnavailableError
from market_platform.domain.live import LivePair
from market_platform.settings import get_settings
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.gap_repairs import mark_unrepairable
from market_platform.warehouse.gaps import GapRecord, record_gaps
from market_platform_tests.fixtures.live_reference import ScriptedExchange, synced_live_pairs
from market_platform_tests.fixtures.scripted_rest import ScriptedRest

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
END = NOON + timedelta(minutes=10)
BTC, EUR = "binance/BTCUSDT", "oanda/EURUSD"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pairs(warehouse: Warehouse) -> dict[str, LivePair]:
    return synced_live_pairs(warehouse)


@pytest.fixture
def rest() -> ScriptedRest:
    return ScriptedRest(to_ms(NOON + timedelta(hours=3)))


@pytest.fixture
def run(
    database_url: str,
    rest: ScriptedRest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Run the command line; exit code, standard output, standard error."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MARKET_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(
        "market_platform.exchanges.registry.live_exchange", lambda code, _settings: ScriptedExchange(code, rest)
    )

    def run(*arguments: str) -> tuple[int, str, str]:
        get_settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(["gaps", *arguments])
        printed = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, printed.out, printed.err

    yield run
    get_settings.cache_clear()


@pytest.fixture
def gaps(warehouse: Warehouse, pairs: dict[str, LivePair]) -> None:
    """An open one of each exchange, one whose stream is away, and one that is lost."""
    with warehouse.begin() as conn:
        record_gaps(
            conn,
            [
                GapRecord(
                    pairs[BTC].id, "candles", NOON, "disconnect", end=END, interval="1m", detail="closed with 1006"
                ),
                GapRecord(pairs[EUR].id, "candles", NOON, "start", end=END),
                GapRecord(pairs[BTC].id, "trades", END, "stale", first_id=7),
                GapRecord(pairs[EUR].id, "quotes", NOON, "start", end=END),
            ],
        )
        mark_unrepairable(conn, 4, "no exchange serves the quotes of the past")


def listed(output: str) -> list[dict[str, str]]:
    """The lines of a table in a pipe."""
    heading, *lines = [line.split("\t") for line in output.splitlines()]
    return [dict(zip(heading, line, strict=True)) for line in lines]


@pytest.mark.usefixtures("gaps")
def test_gaps_are_listed_newest_first_a_line_each_with_tabs_between(run: Run) -> None:
    code, out, _ = run()
    rows = listed(out)
    assert code == 0
    assert [row["id"] for row in rows] == ["4", "3", "2", "1"]
    assert rows[3] == {
        "id": "1",
        "pair": BTC,
        "kind": "candles 1m",
        "from (UTC)": "2024-03-04 12:00:00",
        "to (UTC)": "2024-03-04 12:10:00",
        "reason": "disconnect",
        "state": "open",
        "attempts": "0",
        "rows": "",
        "detail": "closed with 1006",
    }
    assert (rows[1]["to (UTC)"], rows[1]["kind"]) == ("still away", "trades 7–")


@pytest.mark.usefixtures("gaps")
@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["--open"], "321"),
        (["--unrepairable"], "4"),
        (["--exchange", "oanda"], "42"),
        (["--pair", "binance/btc/usdt"], "31"),
        (["--pair", "Binance/BTCUSDT", "--open", "--limit", "1"], "3"),
        (["--since", "1h"], "4321"),
        (["--since", "2999-01-01"], ""),
        (["--exchange", "hyperliquid"], ""),
    ],
)
def test_gaps_are_filtered(run: Run, arguments: list[str], ids: str) -> None:
    code, out, _ = run(*arguments, "--json")
    assert code == 0
    assert "".join(str(each["id"]) for each in json.loads(out)) == ids


@pytest.mark.usefixtures("gaps")
def test_json_has_everything_there_is_to_know(run: Run) -> None:
    gap: dict[str, Any] = json.loads(run("--unrepairable", "--json")[1])[0]
    assert gap["unrepairable"] == "no exchange serves the quotes of the past"
    assert (gap["start"], gap["state"], gap["interval"]) == ("2024-03-04T12:00:00+00:00", "unrepairable", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--open", "--unrepairable"], "exclude each other"),
        (["--pair", "BTCUSDT"], "write it as exchange/SYMBOL"),
        (["--pair", "binance/BTCUSDT", "--exchange", "oanda"], "give one of the two"),
        (["--exchange", "nope"], "there are binance, hyperliquid, oanda"),
        (["--pair", "dukascopy/EURUSD"], "is not streamed"),
        (["--since", "yesterday"], "write 30m, 24h, 7d"),
        (["repair", "99"], "there is no gap 99"),
    ],
)
def test_wrong_arguments_are_answered_with_what_to_write(run: Run, arguments: list[str], message: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert message in err


def test_no_gaps_is_an_answer(run: Run) -> None:
    assert run()[:2] == (0, "no gaps\n")
    assert run("--json")[:2] == (0, "[]\n")
    assert run("repair")[:2] == (0, "nothing to repair\n")


@pytest.mark.usefixtures("gaps")
def test_a_dry_run_asks_no_exchange_and_changes_nothing(run: Run, rest: ScriptedRest) -> None:
    code, out, _ = run("repair", "--dry-run")
    assert code == 0
    assert "would make 2 repairs of 2 gaps" in out
    assert "1 gap can't be repaired yet: its stream is still away" in out
    assert rest.asked == []


@pytest.mark.usefixtures("gaps")
def test_repair_repairs_what_can_be_and_says_what_it_did(run: Run) -> None:
    code, out, err = run("repair")
    assert code == 0
    assert "2 repaired; 23 rows" in out
    assert f"gap 1: {BTC} candles repaired, 11 rows" in err
    rows = {row["id"]: row for row in listed(run()[1])}
    assert [rows[each]["state"] for each in "1234"] == ["repaired", "repaired", "open", "unrepairable"]
    assert run("repair", "1")[1] == "gap 1 is repaired already\nnothing to repair\n"


@pytest.mark.usefixtures("gaps")
def test_a_repair_that_fails_is_exit_code_one_with_the_error(run: Run, rest: ScriptedRest) -> None:
    rest.faults = [ExchangeUnavailableError("503 from the exchange")]
    code, out, err = run("repair", "1")
    assert code == 1
    assert "1 failed; 0 rows" in out
    assert "503 from the exchange" in err
    assert "503 from the exchange" in run("--open")[1]


def test_the_help_teaches_by_examples(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "    market-platform gaps --pair binance/BTCUSDT --since 24h\n" in out
    assert "    market-platform gaps repair 17 18" in out


@pytest.mark.usefixtures("gaps")
@pytest.mark.parametrize("arguments", [(), ("repair",), ("repair", "--dry-run")])
def test_a_pair_that_nobody_knows_is_refused(run: Run, arguments: tuple[str, ...]) -> None:
    code, printed, error = run(*arguments, "--pair", "binance/NOPE")
    assert (code, printed) == (1, "")
    assert "binance/NOPE is not in the database" in error


@pytest.mark.usefixtures("gaps")
def test_gaps_of_a_pair_that_is_no_more_configured_are_listed(run: Run, warehouse: Warehouse) -> None:
    with warehouse.begin() as conn:
        conn.exec_driver_sql("UPDATE trading_pairs SET active = false")
    code, printed, _ = run("--pair", BTC)
    assert code == 0
    assert "disconnect" in printed

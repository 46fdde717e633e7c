"""`market-platform proof`: what it prints of what was proved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from market_platform.cli import main
from market_platform.domain.clock import day_start_ms
from market_platform.domain.proof import Difference, Reason, Side
from market_platform.settings import get_settings
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.proofs import ProofDay, save_proof
from market_platform_tests.fixtures.live_reference import synced_live_pairs

BTC, EUR = "binance/BTCUSDT", "oanda/EURUSD"
SUNDAY, MONDAY = date(2026, 11, 15), date(2026, 11, 16)
Run = Callable[..., tuple[int, str, str]]


def difference(day: date, minute: int, field: str, reason: Reason, detail: str = "") -> Difference:
    time_ms = day_start_ms(day) + minute * 60_000
    return Difference(time_ms, Side.STREAMED, Side.EXCHANGE, field, "100.5", None, reason, detail)


@pytest.fixture
def proved(warehouse: Warehouse) -> None:
    """Two days of BTC, one of which has something unexplained, and one of EUR of which a side was left out."""
    ids = {name: pair.id for name, pair in synced_live_pairs(warehouse).items()}
    compared = {"streamed/exchange": 1440}

    def save(name: str, day: date, found: list[Difference], left_out: dict[str, str]) -> None:
        unexplained = sum(not each.reason.is_explained for each in found)
        row = ProofDay(ids[name], day, 1440, len(found), unexplained, compared, left_out, {}, "run", "1")
        with warehouse.begin() as conn:
            save_proof(conn, row, found)

    save(BTC, SUNDAY, [difference(SUNDAY, 3, "close", Reason.UNEXPLAINED)], {})
    save(BTC, SUNDAY, [], {})
    save(
        BTC,
        MONDAY,
        [
            difference(MONDAY, 61, "close", Reason.UNEXPLAINED, "rebuilt and exchange agree"),
            difference(MONDAY, 61, "volume", Reason.GAP, "gap 7"),
        ],
        {},
    )
    save(EUR, MONDAY, [], {"rebuilt": "its quotes are conflated"})


@pytest.fixture
def run(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run the command; exit code, standard output, standard error."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MARKET_DATA_DIR", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        get_settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(["proof", *arguments])
        printed = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, printed.out, printed.err

    yield run
    get_settings.cache_clear()


def lines(printed: str) -> list[list[str]]:
    return [line.split("\t") for line in printed.splitlines()]


@pytest.mark.usefixtures("proved")
def test_days_are_listed_the_newest_first_for_a_pipe(run: Run) -> None:
    code, printed, _ = run()
    assert code == 0
    assert lines(printed) == [
        ["day", "pair", "minutes", "differences", "unexplained", "reasons", "not compared"],
        ["2026-11-16", BTC, "1440", "2", "1", "1 gap, 1 unexplained", ""],
        ["2026-11-16", EUR, "1440", "0", "0", "", "rebuilt: its quotes are conflated"],
        ["2026-11-15", BTC, "1440", "0", "0", "", ""],
    ]


@pytest.mark.usefixtures("proved")
@pytest.mark.parametrize(
    ("arguments", "days"),
    [
        ((BTC,), ["2026-11-16", "2026-11-15"]),
        (("--day", "2026-11-15"), ["2026-11-15"]),
        ((BTC, "oanda/eur_usd", "--from", "2026-11-16"), ["2026-11-16", "2026-11-16"]),
        (("--to", "2026-11-15"), ["2026-11-15"]),
        (("--unexplained",), ["2026-11-16"]),
    ],
)
def test_pairs_and_days_can_be_chosen(run: Run, arguments: tuple[str, ...], days: list[str]) -> None:
    assert [line[0] for line in lines(run(*arguments)[1])[1:]] == days


@pytest.mark.usefixtures("proved")
def test_differences_have_both_values_and_a_reason(run: Run) -> None:
    printed = lines(run("--differences")[1])
    assert printed[1:] == [
        [
            "2026-11-16 01:01",
            BTC,
            "streamed/exchange",
            "close",
            "100.5",
            "nothing",
            "unexplained",
            "rebuilt and exchange agree",
        ],
        ["2026-11-16 01:01", BTC, "streamed/exchange", "volume", "100.5", "nothing", "gap", "gap 7"],
    ]
    assert [line[3] for line in lines(run("--differences", "--unexplained")[1])[1:]] == ["close"]


@pytest.mark.usefixtures("proved")
def test_json_is_for_programs(run: Run) -> None:
    [monday, _] = json.loads(run(BTC, "--json")[1])
    expected: dict[str, Any] = {"pair": BTC, "day": "2026-11-16", "reasons": {"gap": 1, "unexplained": 1}}
    assert expected.items() <= monday.items()
    [first, _] = json.loads(run("--differences", "--json")[1])
    assert (first["left"], first["right"], first["time"]) == ("100.5", None, "2026-11-16T01:01:00+00:00")


@pytest.mark.usefixtures("proved")
def test_more_than_the_limit_is_said(run: Run) -> None:
    _, printed, error = run("--limit", "1")
    assert len(lines(printed)) == 2
    assert "--limit shows more" in error


def test_without_a_proof_it_says_who_makes_them(run: Run, warehouse: Warehouse) -> None:
    synced_live_pairs(warehouse)
    code, printed, error = run()
    assert (code, printed) == (0, "")
    assert "prove_yesterday" in error


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("BTCUSDT",), 2, "write it as exchange/SYMBOL"),
        (("dukascopy/EURUSD",), 2, "not streamed"),
        (("binance/NOPE",), 1, "not in the database"),
        (("--day", "2026-11-15", "--to", "2026-11-16"), 2, "exclude each other"),
        (("--from", "2026-11-17", "--to", "2026-11-16"), 2, "is after"),
    ],
)
def test_wrong_arguments_say_what_to_do(
    run: Run, warehouse: Warehouse, arguments: tuple[str, ...], code: int, said: str
) -> None:
    synced_live_pairs(warehouse)
    ended, printed, error = run(*arguments)
    assert (ended, printed) == (code, "")
    assert said in error


def test_a_note_of_the_proof_is_shown(run: Run, warehouse: Warehouse) -> None:
    pair = synced_live_pairs(warehouse)[BTC]
    note = "the stored candles were fetched again since they were streamed"
    with warehouse.begin() as conn:
        save_proof(conn, ProofDay(pair.id, MONDAY, 1440, 0, 0, {}, {}, {"note": note}, "run", "1"), [])
    assert lines(run()[1])[1][-1] == f"note: {note}"


@pytest.mark.parametrize("option", ["--day", "--from", "--to"])
def test_what_is_no_day_is_named_with_its_option_and_the_form(run: Run, option: str) -> None:
    code, _, error = run(option, "2026-99-01")
    assert code == 2
    assert f"{option} '2026-99-01' is not a day; write YYYY-MM-DD" in error


def test_a_pair_that_nobody_knows_is_refused_and_a_close_one_named(run: Run, warehouse: Warehouse) -> None:
    synced_live_pairs(warehouse)
    code, _, error = run("binance/BTCUSTD")
    assert code == 1
    assert "binance/BTCUSTD is not in the database; did you mean binance/BTCUSDT" in error

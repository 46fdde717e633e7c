"""The list of services, their environment, and the checks before they start."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from market_platform.cli import make_app
from market_platform.domain.errors import ConfigError
from market_platform.embedded.errors import PortTakenError
from market_platform.embedded.preflight import check_ports
from market_platform.embedded.services import STREAMED, Port, Service, child_environment, stack_services
from market_platform.exchanges.codes import LIVE_EXCHANGES
from market_platform.settings import PROJECT_ROOT, Settings, load_settings

WRONG_USAGE = 2


def settings(**values: object) -> Settings:
    return load_settings(_env_file=None, **values)


def test_every_service_s_port_can_be_moved_by_a_setting_that_exists() -> None:
    for service in stack_services(settings(market="replay")):
        if service.port is not None:
            assert service.port.setting.lower() in Settings.model_fields, service.name
            moved = {each.name: each for each in stack_services(settings(**{service.port.setting.lower(): 12345}))}
            port = moved[service.name].port
            assert port is not None
            assert port.number == 12345


def test_the_replay_exchange_runs_only_when_it_is_the_market() -> None:
    assert "replay" in [each.name for each in stack_services(settings(market="replay"))]
    assert "replay" not in [each.name for each in stack_services(settings(market="live"))]


def test_the_streamer_runs_only_when_something_can_be_streamed(tmp_path: Path) -> None:
    def names(**values: object) -> list[str]:
        return [each.name for each in stack_services(settings(**values))]

    assert "streamer" in names()
    assert "streamer" in names(stream_exchanges="binance, oanda")
    assert "streamer" not in names(stream_exchanges="kraken")
    history = tmp_path / "starlistings.yaml"
    history.write_text(
        "exchanges: {dukascopy: {name: Dukascopy, licence: public, market_type: spot}}\n"
        "coins: {EUR: Euro}\nquote_currencies: {USD: US Dollar}\nmarket_types: {spot: Spot}\n"
        "starlistings: {dukascopy: {EURUSD: {coin: EUR, quote: USD, intervals: [1m]}}}\n"
    )
    assert "streamer" not in names(starlistings_file=history)
    history.write_text("starlistings: [")  # `config check` says what is wrong
    assert "streamer" in names(starlistings_file=history)


def test_what_can_be_streamed_is_what_exchanges_say() -> None:
    assert frozenset(LIVE_EXCHANGES) == STREAMED


def test_a_stopping_stack_leaves_the_streamer_no_more_time_than_it_has() -> None:
    url = "postgresql://me@db"
    assert float(child_environment(settings(), url)["STREAM_STOP_S"]) < 3
    assert float(child_environment(settings(stream_stop_s=0.5), url)["STREAM_STOP_S"]) == 0.5


def test_links_can_be_opened_whatever_address_is_listened_on() -> None:
    links = {each.name: each.link for each in stack_services(settings(dagster_host="0.0.0.0", api_host="::1"))}
    assert links["webserver"] == "http://127.0.0.1:3000"
    assert links["api"] == "http://[::1]:8000/docs"


def test_services_are_started_after_ones_that_exist() -> None:
    services = stack_services(settings())
    names = {each.name for each in services}
    assert all(names.issuperset(each.after) for each in services)


def test_the_workspace_is_found_from_any_folder(tmp_path: Path) -> None:
    daemons = [
        next(each for each in stack_services(settings(), folder=folder) if each.name == "daemon")
        for folder in (None, PROJECT_ROOT, tmp_path)
    ]
    assert [each.command[-1] for each in daemons] == [
        "workspace.yaml",
        "workspace.yaml",
        str(PROJECT_ROOT / "workspace.yaml"),
    ]


def test_before_is_a_shell_that_becomes_the_command() -> None:
    service = Service("x", "", ("echo", "it's", "done"), lambda _age: True, 1, before=("echo", "first"))
    assert subprocess.run(service.arguments, capture_output=True, text=True, check=True).stdout == "first\nit's done\n"
    failing = Service("x", "", ("echo", "never"), lambda _age: True, 1, before=("false",))
    assert subprocess.run(failing.arguments, capture_output=True, text=True, check=False).stdout == ""


def test_dagster_gets_the_parts_of_the_url_decoded() -> None:
    given = child_environment(
        settings(), "postgresql://me%40work:p%2Fw%3A@db.example:6543/market%20data?sslmode=require"
    )
    parts = {name: given[f"DAGSTER_PG_{name}"] for name in ("USERNAME", "PASSWORD", "HOST", "PORT", "DB")}
    assert parts == {
        "USERNAME": "me@work",
        "PASSWORD": "p/w:",
        "HOST": "db.example",
        "PORT": "6543",
        "DB": "market data",
    }
    assert child_environment(settings(), "postgresql://me@db")["DAGSTER_PG_PORT"] == "5432"
    assert given["PATH"].split(":")[0] == str(Path(sys.executable).parent)


def test_an_address_that_is_not_ours_is_named_with_its_setting() -> None:
    with pytest.raises(PortTakenError, match=r"API_PORT|API_HOST"):
        check_ports([], Port("192.0.2.1", 8000, "API_PORT"))


def test_a_port_in_use_is_named_with_its_user() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with pytest.raises(PortTakenError, match="DAGSTER_PORT") as caught:
            check_ports([], Port("127.0.0.1", server.getsockname()[1], "DAGSTER_PORT"))
    assert caught.value.setting == "DAGSTER_PORT"


def test_everything_that_runs_has_a_log_that_can_be_asked_for() -> None:
    names = {each.name for each in stack_services(settings(market="replay"))}
    for name in names:
        assert CliRunner().invoke(make_app(), ["logs", name]).exit_code != WRONG_USAGE, name
    assert CliRunner().invoke(make_app(), ["logs", "nobody"]).exit_code == WRONG_USAGE


def test_the_replay_exchange_is_asked_where_it_listens() -> None:
    moved = settings(market="replay", replay_host="replay", replay_port=8200)
    assert moved.live_url("binance_spot_stream") == "ws://replay:8200/binance/spot"
    assert moved.resolved_dukascopy_json_url == "http://replay:8200/dukascopy/v1"
    assert moved.resolved_dukascopy_bi5_url == "http://replay:8200/dukascopy/datafeed"
    [replay] = [each for each in stack_services(moved) if each.name == "replay"]
    assert (replay.port, replay.link) == (Port("replay", 8200, "REPLAY_PORT"), "http://replay:8200")
    assert settings(market="replay", replay_host="0.0.0.0").live_url("oanda_rest") == "http://127.0.0.1:8190/oanda"
    with pytest.raises(ConfigError, match="REPLAY_HOST"):
        settings(replay_host="http://replay")

"""docker-compose.yml runs what the supervisor runs, passes every setting on, and holds no secret."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
import yaml

from market_platform.embedded.services import child_environment, stack_services
from market_platform.settings import PROJECT_ROOT, Settings, load_settings
from market_platform_tests.contract.test_project_env import variable

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if name != "postgres"}
DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text()
# hosts and ports are the containers' own, and so these have no use inside
ONLY_ON_ONE_MACHINE = {
    "STARLISTINGS_FILE",
    "TRAINING_STARS_FILE",
    "EMBEDDED_POSTGRES_PORT",
    "RECORDINGS",
    "REPLAY_PORT",
    "API_HOST",
    "API_PORT",
    "API_ALLOW_PUBLIC",
    "DAGSTER_HOST",
    "DAGSTER_PORT",
    "STREAMER_METRICS_HOST",
    "STREAMER_METRICS_PORT",
}


def on_any_host(command: tuple[str, ...]) -> list[str]:
    """A command without the address it listens on."""
    return ["<host>" if re.fullmatch(r"127\.0\.0\.1|0\.0\.0\.0", word) else word for word in command]


def container_command(name: str) -> tuple[str, ...]:
    """What a container runs for as long as it lives: a shell's last `exec`, or the command itself."""
    command = tuple(SERVICES[name]["command"])
    return tuple(command[2].split("exec ")[1].split()) if command[:2] == ("sh", "-c") else command


def test_each_container_runs_the_command_of_the_supervisor() -> None:
    supervised = {each.name: on_any_host(each.command) for each in stack_services(load_settings(_env_file=None))}
    assert {name: on_any_host(container_command(name)) for name in OURS if name != "migrate"} == supervised


@pytest.mark.parametrize(
    ("module", "service"), [("market_platform.embedded.prepare", "migrate"), ("market_platform.defs.setup", "code")]
)
def test_what_is_prepared_on_one_machine_is_prepared_in_containers(module: str, service: str) -> None:
    assert f"python -m {module}" in " ".join(SERVICES[service]["command"])
    assert (PROJECT_ROOT / module.replace(".", "/")).with_suffix(".py").is_file()


def test_every_setting_reaches_the_containers() -> None:
    passed = set(COMPOSE["x-settings"])
    settings = {variable(name, field) for name, field in Settings.model_fields.items()}
    assert settings - passed == ONLY_ON_ONE_MACHINE
    for service in OURS.values():
        assert set(service["environment"]) >= passed


def test_the_supervisor_s_environment_reaches_the_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    given = child_environment(load_settings(_env_file=None), "postgresql://market:made-up@localhost:5432/market")
    image = set(re.findall(r"^(?:ENV|   ) ([A-Z_]+)=", DOCKERFILE, re.MULTILINE))
    assert set(given) <= set(COMPOSE["x-settings"]) | image


def test_containers_are_healthy_before_others_need_them() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed], f"{name} waits for {needed}, which has no health check"
        assert "healthcheck" in service or name == "migrate"


def test_images_are_pinned_and_run_as_nobody_special() -> None:
    images = [SERVICES["postgres"]["image"], *re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)]
    for image in images:
        assert re.search(r":[\w${}.-]*\d|:\$\{PYTHON_VERSION\}-slim-bookworm", image), image
        assert "latest" not in image
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)
    assert not any(service.get("privileged") for service in SERVICES.values())


def test_nothing_is_published_beyond_this_machine() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_no_secret_is_in_the_image_or_the_file() -> None:
    assert not re.search(r"(?i)(password|secret|token|key)\w*\s*=", DOCKERFILE)
    for name, value in COMPOSE["x-settings"].items():
        if re.search(r"PASSWORD|SECRET|KEY|TOKEN", name):
            assert value is None or value.startswith("${"), name


def test_the_image_has_what_it_copies_and_leaves_out_the_rest() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    allowed = (PROJECT_ROOT / ".dockerignore").read_text().splitlines()
    assert allowed[1] == "*"
    for name in " ".join(copied).split():
        assert (PROJECT_ROOT / name).exists(), name
        assert f"!{name}" in allowed or (name.startswith("requirements/") and "!requirements/*.txt" in allowed), name


def test_the_replay_exchange_is_reached_from_every_container() -> None:
    host = COMPOSE["x-settings"]["REPLAY_HOST"]
    assert SERVICES[host]["command"] == ["python", "-m", "market_platform.replay"]
    assert SERVICES[host]["environment"]["REPLAY_HOST"] == "0.0.0.0"
    assert all(service["environment"]["REPLAY_HOST"] == host for name, service in OURS.items() if name != host)
    assert not any("network_mode" in service for service in SERVICES.values())


def test_no_key_stands_twice() -> None:
    def repeated(node: yaml.Node) -> list[str]:
        if isinstance(node, yaml.SequenceNode):
            return [key for each in node.value for key in repeated(each)]
        if not isinstance(node, yaml.MappingNode):
            return []
        keys = [key.value for key, _ in node.value]
        return [
            *(key for key in keys if keys.count(key) > 1),
            *(found for _, each in node.value for found in repeated(each)),
        ]

    root = yaml.compose((PROJECT_ROOT / "docker-compose.yml").read_text())
    assert root is not None
    assert repeated(root) == []

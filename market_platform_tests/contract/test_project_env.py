"""`.env.example` documents every setting, with its true default and a sentence, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from market_platform.domain.errors import ConfigError
from market_platform.settings import PROJECT_ROOT, Settings, load_settings

EXAMPLE = PROJECT_ROOT / ".env.example"
ASSIGNMENT = re.compile(r"^# ([A-Z][A-Z0-9_]*)=(.*)$")


def documented() -> dict[str, tuple[str, str]]:
    """Variable → (default as written, the comment above it)."""
    found = {}
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if match := ASSIGNMENT.match(line):
            found[match[1]] = (match[2], lines[number - 1])
    return found


def variable(name: str, field: FieldInfo) -> str:
    """The variable a field is read from, the first when there are several."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else name.upper()


def as_written(default: Any) -> str:
    """A default as a person writes it: nothing for None, project folders relative to the project."""
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, Path) and default.is_relative_to(PROJECT_ROOT):
        return str(default.relative_to(PROJECT_ROOT))
    return str(default)


def for_compose_only() -> dict[str, str]:
    """Variables that docker-compose.yml itself reads and the platform does not, with their defaults."""
    used = re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?", (PROJECT_ROOT / "docker-compose.yml").read_text())
    ours = {variable(name, field) for name, field in Settings.model_fields.items()}
    return {name: default for name, default in used if name not in ours}


def test_every_setting_is_documented_with_its_default_and_nothing_else_is() -> None:
    expected = {variable(name, field): as_written(field.default) for name, field in Settings.model_fields.items()}
    assert {name: default for name, (default, _) in documented().items()} == expected | for_compose_only()


def test_every_setting_has_a_sentence() -> None:
    wordless = [
        name
        for name, (_, comment) in documented().items()
        if not re.fullmatch(r"# [A-Za-z].{15,}\.", comment) or ASSIGNMENT.match(comment)
    ]
    assert not wordless


def test_other_names_of_a_variable_are_mentioned() -> None:
    for name, field in Settings.model_fields.items():
        if isinstance(field.validation_alias, AliasChoices):
            comment = documented()[variable(name, field)][1]
            for other in field.validation_alias.choices[1:]:
                assert str(other) in comment


def test_the_example_with_everything_uncommented_is_a_valid_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, field in Settings.model_fields.items():
        monkeypatch.delenv(variable(name, field), raising=False)
    written = tmp_path / ".env"
    written.write_text("".join(f"{name}={default}\n" for name, (default, _) in documented().items()))
    loaded, plain = load_settings(_env_file=written), load_settings(_env_file=None)
    ignored = {"market_data_dir", "starlistings_file", "training_stars_file"}
    assert loaded.model_dump(exclude=ignored) == plain.model_dump(exclude=ignored)


def test_a_wrong_setting_is_named_without_its_value(tmp_path: Path) -> None:
    written = tmp_path / ".env"
    written.write_text("DATABASE_URL=mysql://user:sesame@host/db\nAPI_PORT=eighty\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(_env_file=written)
    assert "DATABASE_URL" in str(caught.value)
    assert "API_PORT" in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = load_settings(_env_file=None, database_url="postgresql://market:sesame@host/db", oanda_api_key="sesame")
    assert "sesame" not in repr(settings)
    assert "sesame" not in str(settings.model_dump())

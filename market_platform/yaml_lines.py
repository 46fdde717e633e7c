"""YAML read so that every value still knows its line.

Belongs here: text to plain values and their lines. Does not: what any file means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.reader import ReaderError

from market_platform.domain.errors import ConfigError

MAX_DEPTH = 20
MAX_VALUES = 200_000
YamlPath = tuple[str | int, ...]
"""Keys and list positions from the document's root to a value."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong at a path; `line` overrules the line the path has."""

    path: YamlPath
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A file's values (mappings, lists, and text for every scalar: no guessing what `NO` or `1e3` means) and their lines."""

    name: str
    data: Any
    lines: dict[YamlPath, int]
    mistakes: tuple[Mistake, ...]

    def error(self, mistakes: list[Mistake]) -> ConfigError:
        """One error that names every mistake with its line, in the order of the file."""
        placed = sorted((each.line or self.line(each.path), self._text(each)) for each in mistakes)
        return ConfigError("\n".join(f"{self.name}:{line}: {text}" for line, text in placed))

    def line(self, path: YamlPath) -> int:
        """The line of a path, or of the nearest part of it that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def _text(self, mistake: Mistake) -> str:
        where = ".".join(part for part in mistake.path if isinstance(part, str))
        return f"{where}: {mistake.message}" if where else mistake.message


def read_yaml(text: str, name: str) -> YamlDocument:
    """Parse a YAML document; keys given twice are mistakes of the result, not silently the last one.

    Raises:
        ConfigError: it is not YAML, or holds more than a configuration can, naming the line.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise ConfigError(f"{name}: values are nested deeper than {MAX_DEPTH} levels; is a bracket too many?") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}: not valid YAML: {error.problem or error.context}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{name}:{line}: not valid YAML: it holds the control character {text[error.position]!r}"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    lines: dict[YamlPath, int] = {}
    mistakes: list[Mistake] = []
    try:
        data = _plain(root, (), lines, mistakes) if root is not None else None
    except _TooMuchError as error:
        raise ConfigError(
            f"{name}:{error.line}: this is nested deeper than {MAX_DEPTH} levels, or is more than {MAX_VALUES:,} values: "
            "look for an alias (*name) that repeats what it stands in"
        ) from None
    return YamlDocument(name, data, lines, tuple(mistakes))


class _TooMuchError(Exception):
    """More than a configuration can be; `line` is where it was found."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _plain(node: yaml.Node, path: YamlPath, lines: dict[YamlPath, int], mistakes: list[Mistake]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > MAX_DEPTH or len(lines) > MAX_VALUES:
        raise _TooMuchError(node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                mistakes.append(Mistake(path, "a key must be plain text", line))
                continue
            key = key_node.value
            if key in mapping:
                mistakes.append(Mistake((*path, key), f"is given twice; first in line {lines[*path, key]}", line))
                continue
            lines[*path, key] = line
            mapping[key] = _plain(value_node, (*path, key), lines, mistakes)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, (*path, position), lines, mistakes) for position, each in enumerate(node.value)]
    return None if node.tag == "tag:yaml.org,2002:null" else node.value

"""Servers and stacks in folders of their own, ended and deleted after the test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from market_platform.embedded.postgres import EmbeddedPostgres
from market_platform_tests.fixtures.embedded_servers import MakeServer
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.unit.embedded.fake_stack import FakeStack, MakeStack


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user can get to."""
    path = Path(tempfile.mkdtemp(prefix="embedded-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_server(folder: Path) -> Iterator[MakeServer]:
    """Makes servers in `folder`; every one is stopped and deleted after the test."""
    made: list[EmbeddedPostgres] = []

    def make(state_dir: Path | None = None, *, port: int | None = None, durable: bool = False) -> EmbeddedPostgres:
        server = EmbeddedPostgres(state_dir or folder / "postgres", port or free_port(), durable=durable)
        made.append(server)
        return server

    yield make
    for server in made:
        server.destroy()


@pytest.fixture
def make_stack() -> Iterator[MakeStack]:
    """Makes fake stacks in a folder of their own; ends and deletes them after the test."""
    made: list[FakeStack] = []

    def make(services: dict[str, dict[str, Any]] | None = None, **options: Any) -> FakeStack:
        folder = Path(tempfile.mkdtemp(prefix="stack-test-"))
        folder.chmod(0o755)
        made.append(FakeStack(folder, services or {"web": {}}, **options))
        return made[-1]

    yield make
    for stack in made:
        stack.end()
        shutil.rmtree(stack.folder)

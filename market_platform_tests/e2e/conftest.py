"""A test module here starts a whole platform, so all tests that share one run in the same worker."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one stack together: those of a module, and of its parameter where it has several stacks."""
    for item in items:
        if item.get_closest_marker("e2e"):
            case = getattr(item, "callspec", None)
            stack = case.params.get("spine", "") if case is not None else ""
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{stack}"))

"""A real Chromium for tests of pages; tests skip, and say so, where it is not installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from market_platform_tests.recordings import PROJECT_ROOT

# Without these, Chromium looks for its maker's hosts at every start, which a closed network refuses.
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
IMAGES = PROJECT_ROOT / "docs" / "images"


def chromium_path() -> str | None:
    """Where Chromium is: Debian's package, or what `CHROMIUM` names."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


needs_chromium = pytest.mark.skipif(
    chromium_path() is None, reason="Chromium is not installed (Debian: apt-get install chromium)"
)


@contextmanager
def open_page(url: str) -> Iterator[Page]:
    """A page in a fresh, headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(_QUIET))
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            page.set_default_timeout(60_000)
            expect.set_options(timeout=60_000)
            page.goto(url)
            yield page
        finally:
            browser.close()


def keep_picture(page: Page, name: str, folder: Path) -> None:
    """Take a picture of the page; with `UPDATE_SCREENSHOTS=1` it becomes the one in docs/images."""
    target = IMAGES if os.environ.get("UPDATE_SCREENSHOTS") == "1" else folder
    target.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=target / f"{name}.png")

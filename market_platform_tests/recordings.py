"""Where the real recordings are, for tests that read them; they are never part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def recordings_dir() -> Path:
    """`MARKET_TEST_DATA`, or `../shared/data` beside the project."""
    return Path(os.environ.get("MARKET_TEST_DATA") or PROJECT_ROOT.parent / "shared" / "data")


def recording(relative: str) -> Path:
    """A recorded file or folder; skips the test when it is not on this machine."""
    path = recordings_dir() / relative
    if not path.exists():
        pytest.skip(f"recording {relative} is not here; set MARKET_TEST_DATA to the folder of recordings")
    return path


needs_recordings = pytest.mark.skipif(
    not (recordings_dir() / "dukascopy").is_dir(),
    reason="the recordings are not here; set MARKET_TEST_DATA to their folder",
)

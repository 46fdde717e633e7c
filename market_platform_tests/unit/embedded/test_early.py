"""A program that imports early and starts when told."""

from __future__ import annotations

import subprocess
import sys

EARLY = [sys.executable, "-m", "market_platform.embedded.early"]


def test_it_becomes_the_script_when_told() -> None:
    with subprocess.Popen(
        [*EARLY, "market-platform", "--version"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.poll() is None
        out, _ = process.communicate("go\n")
    assert process.returncode == 0
    assert out.startswith("market-platform ")


def test_it_ends_when_nobody_can_tell_it_any_more() -> None:
    done = subprocess.run(
        [*EARLY, "market-platform", "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")

"""Run a console script whose imports are done before it may start: `python -m market_platform.embedded.early <script> …`.

Dagster's programs spend seconds importing. The supervisor starts them this way while the database is still being prepared;
they wait here, imported, until it closes their standard input with one line in it. Then this process *is* the script, with
its arguments. Nothing is imported by name here: the script's entry point says what.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> object:
    """What the script returns; 1 when the word to go never comes."""
    script = arguments[0]
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name=script)
    run = entry.load()
    if not sys.stdin.buffer.readline():
        return 1
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.argv = list(arguments)
    return run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))  # type: ignore[arg-type]  # as every console script does

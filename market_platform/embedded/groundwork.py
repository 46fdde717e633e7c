"""What must be there before the services start: Dagster's home, and a database that was prepared.

Belongs here: making the one, running the program that does the other. Does not: what that program does (prepare.py).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from market_platform.embedded.errors import StackFailedError
from market_platform.settings import PROJECT_ROOT, Settings

PREPARE = ("python", "-m", "market_platform.embedded.prepare")
_PREPARE_TIMEOUT_S = 900


def link_dagster_home(settings: Settings) -> None:
    """Make DAGSTER_HOME, with the repository's own dagster.yaml in it."""
    home = settings.dagster_home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    source, link = PROJECT_ROOT / "dagster.yaml", home / "dagster.yaml"
    if link.is_symlink() and link.readlink() == source:
        return
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(source)
    except OSError:  # a file system without symbolic links
        shutil.copyfile(source, link)


def run_preparation(
    command: Sequence[str], environment: Mapping[str, str], *, folder: Path, tell: Callable[[str], None]
) -> None:
    """Run the command to its end in `folder`; what it prints is told, a line each.

    Raises:
        StackFailedError: with what it said, when it failed or could not be run.
    """
    tell("migrations and pairs …")
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PREPARE_TIMEOUT_S,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackFailedError(f"could not prepare the database: {error}") from None
    for line in done.stdout.splitlines():
        tell(line)
    if done.returncode != 0:
        raise StackFailedError(done.stderr.strip() or f"preparing the database ended with code {done.returncode}")

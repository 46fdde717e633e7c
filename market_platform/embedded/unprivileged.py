"""The user Postgres runs as: ourselves, or, since Postgres refuses root, somebody without privileges.

Belongs here: choosing that user, starting a program as them, what they can reach. Does not: what they run.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market_platform.embedded.errors import EmbeddedPostgresError

_CANDIDATES = ("postgres", "nobody")
_NOBODY = 65534


@dataclass(frozen=True)
class RunAs:
    """A user to run a program as; `drops` says that we are root and give our privileges up for it."""

    uid: int
    gid: int
    name: str
    drops: bool

    def popen_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `Popen` that make the program run as this user: groups, then gid, then uid."""
        return {"user": self.uid, "group": self.gid, "extra_groups": [self.gid]} if self.drops else {}

    def give(self, path: Path) -> None:
        """Make a file or folder this user's."""
        if self.drops:
            os.chown(path, self.uid, self.gid)

    def run(self, command: Sequence[str], *, folder: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as this user, in `folder`, with a bare environment; output is captured.

        Raises:
            OSError: the user can't reach or execute the program.
            EmbeddedPostgresError: we may not become that user, or the program took too long.
        """
        try:
            return subprocess.run(
                command,
                cwd=folder,
                env=bare_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
                **self.popen_arguments(),
            )
        except subprocess.TimeoutExpired:
            raise EmbeddedPostgresError(f"{command[0]} did not finish within {timeout_s:.0f} s") from None
        except subprocess.SubprocessError as error:
            raise EmbeddedPostgresError(
                f"may not run a program as user {self.name}: {error}. Postgres refuses to run as root; "
                "start as a normal user, or set DATABASE_URL to a server of your own"
            ) from None


def bare_environment() -> dict[str, str]:
    """An environment without the user's variables (PGDATA, PGOPTIONS, LC_ALL, TZ, …), which would change Postgres."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


def choose_user(data_owner: int | None) -> RunAs:
    """The user for a data folder owned by `data_owner` (None: there is none yet).

    Not root: ourselves. Root: the folder's owner, else `postgres`, else `nobody`.
    """
    if os.geteuid() != 0:
        return RunAs(os.geteuid(), os.getegid(), _name_of(os.geteuid()), drops=False)
    if data_owner:
        try:
            entry = pwd.getpwuid(data_owner)
        except KeyError:
            return RunAs(data_owner, data_owner, str(data_owner), drops=True)
        return RunAs(entry.pw_uid, entry.pw_gid, entry.pw_name, drops=True)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return RunAs(entry.pw_uid, entry.pw_gid, name, drops=True)
    return RunAs(_NOBODY, _NOBODY, str(_NOBODY), drops=True)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def can_reach(user: RunAs, folder: Path) -> bool:
    """Whether the user may pass through every folder on the way to `folder`, and through `folder` itself."""
    if not user.drops:
        return True
    resolved = folder.resolve()
    for each in (resolved, *resolved.parents):
        status = each.stat()
        if status.st_uid == user.uid:
            bit = 0o100
        elif status.st_gid == user.gid:
            bit = 0o010
        else:
            bit = 0o001
        if not status.st_mode & bit:
            return False
    return True

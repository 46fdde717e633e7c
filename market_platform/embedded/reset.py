"""Deleting what the embedded stack keeps, and nothing else.

Belongs here: which folders those are. Does not: external databases or object stores, which are never touched.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from market_platform.embedded.errors import AlreadyRunningError, EmbeddedPostgresError
from market_platform.embedded.files import make_folder
from market_platform.embedded.postgres_home import abandoned_homes, home_of, read_state
from market_platform.embedded.record import already_running, is_locked, lock_stack, run_folder
from market_platform.embedded.stack import embedded_postgres
from market_platform.settings import Settings


def what_reset_deletes(settings: Settings, *, keep_lake: bool = False) -> list[tuple[Path, str]]:
    """Folders that a reset deletes, each with what it is; only those that exist."""
    data = settings.market_data_dir.absolute()
    state_dir = settings.postgres_dir.absolute()
    state = read_state(state_dir) if state_dir.is_dir() else None
    folders = [(state_dir, "embedded Postgres")]
    if state is not None and home_of(state_dir, state) != state_dir:
        folders.append((home_of(state_dir, state), "embedded Postgres: its data, where its user can reach it"))
    folders += [(each, "database of an earlier data folder in the same place") for each in abandoned_homes(state_dir)]
    if not keep_lake:
        folders.append((data / "lake", "local lake"))
    folders.append((settings.journal_dir.absolute(), "the streamer's journal, with what it has not delivered"))
    folders += [(data / "dagster", "Dagster's home"), (data / "logs", "logs")]
    return [(folder, what) for folder, what in folders if folder.is_dir()]


def reset_data(settings: Settings, *, keep_lake: bool = False) -> None:
    """Delete those folders.

    Raises:
        AlreadyRunningError: the stack runs.
        EmbeddedPostgresError: a folder can't be deleted.
    """
    if is_locked(settings):
        raise already_running(settings)
    make_folder(run_folder(settings))
    lock = lock_stack(settings)
    if lock is None:
        raise AlreadyRunningError("`market-platform up` was started just now; nothing was deleted")
    try:
        folders = what_reset_deletes(settings, keep_lake=keep_lake)
        embedded_postgres(settings).destroy()
        for folder, _ in folders:
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise EmbeddedPostgresError(f"could not delete {folder}: {error.strerror} ({error.filename})") from None
        shutil.rmtree(run_folder(settings), ignore_errors=True)
    finally:
        os.close(lock)

"""Whose the journal is: the database that it was written for, so that nothing of one ever goes into another.

Belongs here: noting that database and comparing. Does not: which database the settings name, delivering (delivery/).
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from market_platform.domain.errors import ConfigError
from market_platform.warehouse.database_role import load_role
from market_platform.warehouse.engine import Warehouse
from streamer.gaps.file import GapFile
from streamer.journal.file import JournalFile
from streamer.journal.holdings import Holdings

OWNER_FILE = "database.json"

log = structlog.get_logger("streamer")


class _Owner(msgspec.Struct, frozen=True):
    claimed_at: datetime


def require_own_journal(folder: Path, warehouse: Warehouse) -> None:
    """Make sure that the journal in `folder` is this database's; one that holds nothing of another begins anew. Blocks.

    A database is told by the moment it was claimed: it keeps that through copies and other addresses, and no other has it.

    Raises:
        ConfigError: it holds what another database has still to get.
        WarehouseUnavailableError: Postgres does not answer.
    """
    with warehouse.connect() as conn:
        role = load_role(conn)
    if role is None:  # nobody's yet
        return
    mine, before = _Owner(role.claimed_at), _read(folder)
    if before == mine:
        return
    if before is not None:
        _begin_anew(folder, before)
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f"{OWNER_FILE}.tmp"
    beside.write_bytes(msgspec.json.encode(mine))
    beside.replace(folder / OWNER_FILE)


def _read(folder: Path) -> _Owner | None:
    try:
        return msgspec.json.decode((folder / OWNER_FILE).read_bytes(), type=_Owner)
    except (OSError, msgspec.MsgspecError):
        return None


def _begin_anew(folder: Path, before: _Owner) -> None:
    """Forget trade ids and pairs of the other database."""
    file = JournalFile(folder)
    with closing(file.open()) as connection:
        try:
            held = Holdings()
            held.load(connection)
            rows, ticks = held.rows.count, sum(each.count for each in held.ticks.values())
            gaps = len(GapFile(folder).load())
            if rows or ticks or gaps:
                raise ConfigError(
                    f"the journal in {folder} holds {rows} rows, {ticks} ticks and {gaps} gaps for another database (claimed "
                    f"{before.claimed_at:%Y-%m-%d %H:%M:%S} UTC). Start the streamer with that DATABASE_URL to deliver them, "
                    "or move the folder away to give them up"
                )
            for path in folder.glob("*"):
                if path.name != "journal.lock":
                    path.unlink()
        finally:
            file.close()
    log.warning("the journal was another database's and held nothing: it begins anew", folder=str(folder))

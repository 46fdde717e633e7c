"""Files → `market_ticks`: start a load, go on with one, take one back. Whatever ends it in between, all three find it whole.

Belongs here: the order of a load's steps. Does not: what files may hold (tick_files.py), SQL (warehouse/bulk_loads.py).

    loading    the indexes are dropped with the record of the load; each file comes in with its record, or not at all
    indexing   the indexes are built again, one by one, without locking anybody out; then ANALYZE
    done, or rolled_back: the rows that the load wrote were deleted in one transaction before the indexes were built again
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from market_platform.domain.errors import BadRequestError, CorruptObjectError
from market_platform.pipeline.loaded_files import file_hash, refuse_loaded
from market_platform.pipeline.tick_files import first_line, read_tick_file
from market_platform.warehouse.bulk_loads import (
    BulkLoad,
    CopyPiece,
    copy_file,
    count_already,
    delete_loaded,
    open_load,
    save_load,
    start_load,
)
from market_platform.warehouse.market_ticks import TicksSession
from market_platform.warehouse.reference import PairRow
from market_platform.warehouse.tick_indexes import analyze, build_index

Told = Callable[[str], None]
"""Hears each step as it is done, in words."""


def checked_files(paths: Sequence[Path]) -> list[Path]:
    """The files to load, absolute, in the order given.

    Raises:
        BadRequestError: one is not there, or is named twice.
    """
    files = [path.resolve() for path in paths]
    for path, times in Counter(files).items():
        if times > 1:
            raise BadRequestError(f"{path} is named {times} times; it would be loaded as often")
        if not path.is_file():
            raise BadRequestError(f"{path}: no such file")
    if not files:
        raise BadRequestError("name the files to load, or give --resume or --roll-back")
    return files


def count_file(path: Path, *, accept_floats: bool) -> int:
    """Read and check a whole file without writing; its rows. Raises as `read_tick_file`."""
    return sum(piece.csv.count(b"\n") for piece in read_tick_file(path, 0, accept_floats=accept_floats))


def load_files(
    session: TicksSession,
    pair: PairRow,
    files: Sequence[Path],
    told: Told,
    *,
    manage_indexes: bool,
    accept_floats: bool = False,
    again: bool = False,
) -> BulkLoad:
    """Load files of one pair; one that was loaded before only `again`.

    Raises:
        BadRequestError: an earlier load is neither finished nor taken back, or brought one of the files.
        CorruptObjectError: a file is bad; nothing of it stays, those before it do, and the load waits to be resumed. Where
            none came before it, there is no load.
        WarehouseError: Postgres refuses a value.
    """
    interrupted = open_load(session.connection)
    if interrupted is not None:
        raise BadRequestError(described(interrupted))
    if not again:
        refuse_loaded(session.connection, pair.id, pair.name, files)
    next(read_tick_file(files[0], pair.id, accept_floats=accept_floats), None)  # before an index is dropped for nothing
    load = start_load(
        session.connection,
        pair.id,
        pair.name,
        [str(path) for path in files],
        drop_indexes=manage_indexes,
        accept_floats=accept_floats,
    )
    if load.indexes:
        told(f"dropped the index {', '.join(load.indexes)}")
    try:
        return _go_on(session, load, told)
    except CorruptObjectError:
        begun = open_load(session.connection)
        if begun is not None and not begun.rows:
            roll_back_load(session, told)
        raise


def resume_load(session: TicksSession, told: Told) -> BulkLoad:
    """Finish the load that was interrupted, or the taking back of one.

    Raises:
        BadRequestError: there is none; or a file that is not in yet is gone.
        CorruptObjectError, WarehouseError: as `load_files`.
    """
    return _go_on(session, _interrupted(session), told)


def roll_back_load(session: TicksSession, told: Told) -> BulkLoad:
    """Delete what the interrupted load wrote, and build the indexes again.

    Raises:
        BadRequestError: there is no interrupted load.
        WarehouseError: its rows are not there as it wrote them; nothing is deleted.
    """
    load = _interrupted(session)
    if not load.rolling_back:
        rows = load.rows
        load = delete_loaded(session.connection, load)
        told(f"deleted {rows:,} rows")
    return _go_on(session, load, told)


def described(load: BulkLoad) -> str:
    """An interrupted load in words: how far it is, and the two ways on."""
    done = sum("rows" in each for each in load.files)
    if load.rolling_back:
        state = "its rows are deleted, its indexes are to be built again"
    elif load.state == "indexing":
        state = f"all {done} files ({load.rows:,} rows) are in, its indexes are to be built again"
    else:
        state = f"{done} of {len(load.files)} files ({load.rows:,} rows) are in"
        state += f", the index {', '.join(load.indexes)} is dropped" if load.indexes else ""
    ways = "finish that with `market-platform ticks load --resume`"
    if not load.rolling_back:
        ways = "finish it with `market-platform ticks load --resume`, or take it back with `ticks load --roll-back`"
    return f"load {load.id} of {load.pair} was interrupted: {state}; {ways}"


def _interrupted(session: TicksSession) -> BulkLoad:
    load = open_load(session.connection)
    if load is None:
        raise BadRequestError("no load was interrupted; there is nothing to resume or roll back")
    return load


def _go_on(session: TicksSession, load: BulkLoad, told: Told) -> BulkLoad:
    if load.state == "loading":
        for position, each in enumerate(load.files):
            if "rows" in each:
                continue
            path = Path(each["path"])
            load = copy_file(
                session.connection,
                load,
                position,
                _pieces(path, load.progress),
                first_line=first_line(path),
                sha256=file_hash(path),
            )
            told(f"{path}: {load.files[position]['rows']:,} rows")
        load = save_load(session.connection, load, "indexing")
    for name, definition in load.indexes.items():
        if build_index(session.connection, name, definition):
            told(f"built the index {name}")
    analyze(session.connection)
    if load.rolling_back:
        return save_load(session.connection, load, "rolled_back")
    load = count_already(session.connection, load)
    for each in load.files:
        if each.get("already"):
            told(
                f"{each['path']}: the table had {each['already']:,} rows already between {each['first']} and {each['last']}"
            )
    return save_load(session.connection, load, "done")


def _pieces(path: Path, progress: dict[str, Any]) -> Iterator[CopyPiece]:
    return read_tick_file(path, progress["pair_id"], accept_floats=bool(progress["accept_floats"]))

"""The lake's files against `lake_days`: differences between them, and manifests of a lost database made again.

A manifest row is the commit, so nothing here overwrites one: rebuilding only adds rows for days that have none. Days
without ticks have no file, so their conditions are not in the lake: they are asked of the exchange again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from market_platform.domain.clock import from_ms
from market_platform.lake.kinds import KINDS
from market_platform.lake.store import Lake
from market_platform.lake.survey import Survey, SurveyedDay
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day, load_lake_days, lock_lake_day
from market_platform.warehouse.reference import load_pairs

DAYS_IN_TRANSACTION = 500


@dataclass(frozen=True, slots=True)
class ManifestDifference:
    """A day on which a manifest and the lake disagree, and how; `kind` is `ticks` or `trades`."""

    pair: str
    kind: str
    day: date
    problem: str


@dataclass(frozen=True, slots=True)
class ManifestRebuild:
    """What a rebuild did (or would do): rows added, days that had theirs, and pairs that are not in the database."""

    added: tuple[SurveyedDay, ...]
    kept: int
    unknown_pairs: tuple[str, ...]


def compare_manifests(
    lake: Lake,
    warehouse: Warehouse,
    found: Survey,
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    first: date = date.min,
    last: date = date.max,
) -> list[ManifestDifference]:
    """Every manifest row of the range whose file is missing or other than it says, and every file no row names.

    `found` is a survey of the same exchange, symbol and range. A file that can't be read is the survey's to name.

    Raises:
        WarehouseError: the database does not answer.
        LakeError: the lake does not answer.
    """
    current = {(f"{each.exchange}/{each.symbol}", each.kind, each.day): each for each in found.current}
    by_key = {each.object_key: each for each in (*found.current, *found.superseded)}
    differences: list[ManifestDifference] = []
    with warehouse.connect() as connection:
        pairs = [
            pair
            for pair in load_pairs(connection)
            if (exchange or pair.exchange) == pair.exchange and (symbol or pair.symbol) == pair.symbol
        ]
        for pair in pairs:
            for kind in KINDS:
                for day, row in load_lake_days(connection, pair.id, first, last, kind=kind).items():
                    newest = current.pop((pair.name, kind, day), None)
                    problem = _difference(lake, row, newest, by_key)
                    if problem:
                        differences.append(ManifestDifference(pair.name, kind, day, problem))
    differences += [
        ManifestDifference(*of, f"no manifest names {file.object_key}; `market-platform lake rebuild` adds it")
        for of, file in current.items()
    ]
    return sorted(differences, key=lambda each: (each.pair, each.kind, each.day))


def rebuild_manifests(warehouse: Warehouse, found: Survey, *, dry_run: bool = False) -> ManifestRebuild:
    """Add a manifest row for every surveyed day that has none; existing rows stay as they are.

    Raises:
        WarehouseError: the database does not answer. What was added before stays; doing it again adds the rest.
    """
    by_pair: dict[tuple[str, str], list[SurveyedDay]] = defaultdict(list)
    for file in found.current:
        by_pair[f"{file.exchange}/{file.symbol}", file.kind].append(file)
    with warehouse.connect() as connection:
        known = {pair.name: pair.id for pair in load_pairs(connection)}
    added: list[SurveyedDay] = []
    kept = 0
    for (name, kind), files in sorted(by_pair.items()):
        if name not in known:
            continue
        for start in range(0, len(files), DAYS_IN_TRANSACTION):
            batch = files[start : start + DAYS_IN_TRANSACTION]
            missing = _add_missing(warehouse, known[name], kind, batch, dry_run=dry_run)
            added += missing
            kept += len(batch) - len(missing)
    return ManifestRebuild(tuple(added), kept, tuple(sorted({name for name, _ in by_pair if name not in known})))


def _add_missing(
    warehouse: Warehouse, pair_id: int, kind: str, files: Sequence[SurveyedDay], *, dry_run: bool
) -> list[SurveyedDay]:
    """Those of a pair's files, sorted by day, whose day has no manifest; each got one, in one transaction."""
    with warehouse.begin() as connection:
        there = load_lake_days(connection, pair_id, files[0].day, files[-1].day, kind=kind)
        missing = [file for file in files if file.day not in there]
        if dry_run:
            return missing
        # a backfill or a compaction may be committing one of them now
        missing = [file for file in missing if lock_lake_day(connection, pair_id, file.day, kind=kind) is None]
        for file in missing:
            commit_lake_day(connection, _manifest(pair_id, file))
    return missing


def _difference(lake: Lake, row: LakeDay, newest: SurveyedDay | None, by_key: Mapping[str, SurveyedDay]) -> str | None:
    if row.object_key is None:
        return (
            f"its manifest says {row.condition} without {row.kind}, the lake has {newest.object_key}"
            if newest
            else None
        )
    file = by_key.get(row.object_key)
    if file is None:
        if lake.exists(row.object_key):
            return None  # there and unreadable: the survey says so
        return f"its manifest names {row.object_key}, which is not in the lake; backfill the day again"
    said, is_ = (row.content_hash, row.rows, row.condition), (file.content_hash, file.rows, file.condition)
    if said != is_:
        return f"its manifest says {_told(row.kind, said)}, {row.object_key} says {_told(row.kind, is_)}"
    if newest is not None and newest.object_key != row.object_key:
        return f"the lake has a newer file that was never committed: {newest.object_key}"
    return None


def _told(kind: str, values: Sequence[object]) -> str:
    content_hash, rows, condition = values
    return f"{rows} {kind}, {condition}, hash {str(content_hash)[:12]}…"


def _manifest(trading_pair_id: int, file: SurveyedDay) -> LakeDay:
    return LakeDay(
        trading_pair_id=trading_pair_id,
        day=file.day,
        object_key=file.object_key,
        content_hash=file.content_hash,
        rows=file.rows,
        bytes=file.bytes,
        first_time=from_ms(file.first_ms),
        last_time=from_ms(file.last_ms),
        condition=file.condition,
        run_id=file.run_id or "lake-rebuild",
        code_version=file.code_version,
        kind=file.kind,
        raw_inputs=[each for each in file.raw_inputs if isinstance(each, dict)],
    )

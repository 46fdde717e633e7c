"""Where a journal's row belongs in the database as it is now: the journal may be older than the database.

Belongs here: giving a row the numbers that its pair has by name. Does not: writing it (writer.py), SQL (warehouse/).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from market_platform.domain.errors import WarehouseError
from market_platform.warehouse.live_pairs import PairIds, load_pair_ids
from streamer.journal.records import NO_PAIR, CandleRecord, DeadLetterRecord, JournalPair, Row

_BELIEVED_S = 60.0

Load = Callable[[Connection], Mapping[tuple[str, str], PairIds]]


class Places:
    """The numbers that pairs and starlistings have; read from the database, and again a minute later or after `forget`."""

    def __init__(self, load: Load = load_pair_ids, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._monotonic = monotonic
        self._ids: Mapping[tuple[str, str], PairIds] = {}
        self._good_until = 0.0

    def forget(self) -> None:
        """The database may be another one: look again."""
        self._good_until = 0.0

    def is_due(self, rows: Sequence[Row]) -> bool:
        """Whether to look before placing those rows: the numbers are old, or a name is not among them."""
        return self._monotonic() >= self._good_until or any(self._is_strange(row) for row in rows)

    def refresh(self, connection: Connection) -> None:
        """Look."""
        self._ids, self._good_until = self._load(connection), self._monotonic() + _BELIEVED_S

    def _is_strange(self, row: Row) -> bool:
        if row.pair.id == NO_PAIR.id:
            return False
        ids = self._ids.get((row.pair.exchange, row.pair.symbol))
        record = row.record
        return ids is None or (isinstance(record, CandleRecord) and record.candle.interval not in ids.starlistings)

    def place(self, row: Row) -> Row:
        """The row with the numbers that its names have now.

        Raises:
            WarehouseError: the database knows no such pair, or no such interval of it.
        """
        if row.pair.id == NO_PAIR.id or isinstance(row.record, DeadLetterRecord):
            return row
        name = f"{row.pair.exchange}/{row.pair.symbol}"
        ids = self._ids.get((row.pair.exchange, row.pair.symbol))
        if ids is None:
            raise WarehouseError(f"the database knows no pair {name}")
        record = row.record
        if isinstance(record, CandleRecord):
            listed = ids.starlistings.get(record.candle.interval)
            if listed is None:
                raise WarehouseError(f"the database knows no {record.candle.interval} candles of {name}")
            if listed != record.starlisting_id:
                record = msgspec.structs.replace(record, starlisting_id=listed)
        if ids.pair_id == row.pair.id and record is row.record:
            return row
        return Row(JournalPair(ids.pair_id, row.pair.exchange, row.pair.symbol), record)

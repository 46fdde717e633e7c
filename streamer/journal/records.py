"""What stands in the journal: kinds of entries, and their bytes.

Belongs here: events to compact msgpack and back, exact (decimals are their own text). Does not: SQLite (journal.py), where
they go from there (rows.py, parts.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any

import msgspec

from market_platform.domain.events import Candle, Funding, OpenInterest, Quote, Trade
from market_platform.domain.live import LivePair
from streamer.sink import DeadLetter


class Kind(IntEnum):
    """Kinds of entries, as the file stores them; numbers are never used again."""

    TRADES = 1
    QUOTES = 2
    CANDLES = 3
    FUNDING = 4
    OPEN_INTEREST = 5
    DEAD_LETTERS = 6
    STREAM_DAYS = 7


TICK_KINDS = frozenset({Kind.TRADES, Kind.QUOTES})
"""What goes to the lake; everything else goes to Postgres."""


class JournalPair(msgspec.Struct, frozen=True):
    """What delivering needs to know of a pair. Id 0 stands for none (dead letters)."""

    id: int
    exchange: str
    symbol: str

    @classmethod
    def of(cls, pair: LivePair) -> JournalPair:
        """The same pair, as the journal remembers it."""
        return cls(pair.id, pair.exchange, pair.symbol)


NO_PAIR = JournalPair(0, "", "")


class CandleRecord(msgspec.Struct, frozen=True, array_like=True):
    """A closed candle and where it belongs."""

    starlisting_id: int
    rank: int
    candle: Candle


class FundingRecord(msgspec.Struct, frozen=True, array_like=True):
    """The last funding of a minute."""

    minute_ms: int
    funding: Funding


class OpenInterestRecord(msgspec.Struct, frozen=True, array_like=True):
    """The last open interest of a minute."""

    minute_ms: int
    open_interest: OpenInterest


class DeadLetterRecord(msgspec.Struct, frozen=True, array_like=True):
    """A message that could not be used."""

    exchange: str
    channel: str
    reason: str
    payload: str
    received_at: datetime

    @classmethod
    def of(cls, letter: DeadLetter) -> DeadLetterRecord:
        """The letter with texts that any store can hold: at most 64 Ki characters, no halves of surrogate pairs."""
        return cls(
            _storable(letter.exchange),
            _storable(letter.channel),
            _storable(letter.reason),
            _storable(letter.payload),
            letter.received_at,
        )


class StreamDayRecord(msgspec.Struct, frozen=True, array_like=True):
    """What a part added to a pair's day in the lake."""

    layer: str
    day: date
    rows: int
    first_ms: int
    last_ms: int
    lag_ms: float


RowRecord = CandleRecord | FundingRecord | OpenInterestRecord | DeadLetterRecord | StreamDayRecord


@dataclass(frozen=True, slots=True)
class Row:
    """A record for Postgres with its pair."""

    pair: JournalPair
    record: RowRecord


_TradeTuple = tuple[int, Decimal, Decimal, bool, int, int | None, int | None]
_QuoteTuple = tuple[int, Decimal, Decimal, Decimal, Decimal]
_encode = msgspec.msgpack.Encoder().encode
_decode_trades = msgspec.msgpack.Decoder(list[_TradeTuple]).decode
_decode_quotes = msgspec.msgpack.Decoder(list[_QuoteTuple]).decode
_ROWS: dict[Kind, Callable[[bytes], Sequence[RowRecord]]] = {
    Kind.CANDLES: msgspec.msgpack.Decoder(list[CandleRecord]).decode,
    Kind.FUNDING: msgspec.msgpack.Decoder(list[FundingRecord]).decode,
    Kind.OPEN_INTEREST: msgspec.msgpack.Decoder(list[OpenInterestRecord]).decode,
    Kind.DEAD_LETTERS: msgspec.msgpack.Decoder(list[DeadLetterRecord]).decode,
    Kind.STREAM_DAYS: msgspec.msgpack.Decoder(list[StreamDayRecord]).decode,
}


def encode_entry(kind: Kind, items: Sequence[Any]) -> bytes:
    """The bytes of an entry: trades, quotes, or records of that kind.

    Raises:
        OverflowError: an integer has more than 64 bits.
    """
    if kind is Kind.TRADES:
        return _encode(
            [
                (
                    each.trade_id,
                    each.price,
                    each.quantity,
                    each.side == "buy",
                    each.time_ms,
                    each.first_id,
                    each.last_id,
                )
                for each in items
            ]
        )
    if kind is Kind.QUOTES:
        return _encode([(each.time_ms, each.bid, each.ask, each.bid_volume, each.ask_volume) for each in items])
    return _encode(items)


def decode_trades(content: bytes, symbol: str) -> list[Trade]:
    """The trades of an entry, under that symbol.

    Raises:
        ValueError: the bytes are no such entry.
    """
    return [
        Trade(symbol, trade_id, price, quantity, "buy" if buy else "sell", time_ms, first_id, last_id)
        for trade_id, price, quantity, buy, time_ms, first_id, last_id in _decode_trades(content)
    ]


def decode_quotes(content: bytes, symbol: str) -> list[Quote]:
    """The quotes of an entry, under that symbol.

    Raises:
        ValueError: the bytes are no such entry.
    """
    return [
        Quote(symbol, bid, ask, bid_volume, ask_volume, time_ms)
        for time_ms, bid, ask, bid_volume, ask_volume in _decode_quotes(content)
    ]


def decode_rows(kind: Kind, content: bytes) -> Sequence[RowRecord]:
    """The records of an entry for Postgres.

    Raises:
        ValueError: the bytes are no such entry.
    """
    return _ROWS[kind](content)


def _storable(text: str) -> str:
    return text[:65_536].encode("utf-8", "backslashreplace").decode("utf-8")

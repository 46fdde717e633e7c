"""What we say: every message of the server as a ready WebSocket frame.

Belongs here: shapes (section 4 of the API). Does not: to whom and when.

A row's JSON comes from Postgres or from the streamer's exact decimal text and is never parsed into a float: decimals are
strings where clients are asked for starlistings, and numbers with the same digits in the symbol dialect.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
import orjson

from api_service.live.errors import ErrorCode
from api_service.live.listings import Listing
from market_platform.domain.live_frames import FormingCandle, LiveTick

RowKind = Literal["candle", "funding", "open_interest"]

_HISTORICAL: dict[RowKind, str] = {
    "candle": "historical",
    "funding": "historical_funding",
    "open_interest": "historical_oi",
}
_EIGHTEEN = Decimal("1e-18")


class CandleRow(msgspec.Struct, gc=False):
    """A candle's row as Postgres writes it: decimals as text."""

    time: datetime
    open: str
    high: str
    low: str
    close: str
    volume: str
    num_trades: int | None = None


_read_candle = msgspec.json.Decoder(CandleRow).decode
_read_candles = msgspec.json.Decoder(list[CandleRow]).decode


def frame(text: bytes) -> bytes:
    """One unmasked, final text frame (RFC 6455, 5.2)."""
    size = len(text)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + text
    if size < 65_536:
        return struct.pack("!BBH", 0x81, 126, size) + text
    return struct.pack("!BBQ", 0x81, 127, size) + text


def status_frame() -> bytes:
    """What a client hears first."""
    return _from({"type": "status", "message": "Connected to Market Data Server"})


def success_frame(message: str, **fields: Any) -> bytes:
    """An action was carried out."""
    return _from({"type": "success", "message": message, **fields})


def error_frame(code: ErrorCode, message: str) -> bytes:
    """Something was wrong; it changed nothing."""
    return _from({"type": "error", "code": code, "message": message})


def clock_frame(kind: Literal["ping", "pong"], now: datetime) -> bytes:
    """`ping` or `pong` with the server's time."""
    return _from({"type": kind, "timestamp": now.isoformat(timespec="milliseconds")})


def resync_frame(starlisting_id: int, seq: int) -> bytes:
    """What came before `seq` can't be told one by one: what the client holds may be outdated."""
    return frame(b'{"type":"resync","starlisting_id":%d,"seq":%d}' % (starlisting_id, seq))


def row_frame(listing: Listing, kind: RowKind, seq: int, data: str) -> bytes:
    """A final row, `data` its JSON object."""
    closed = ',"closed":true' if kind == "candle" else ""
    return frame(f'{{"type":"{kind}",{listing.head},"seq":{seq}{closed},"data":{data}}}'.encode())


def forming_frame(listing: Listing, seq: int, candle: FormingCandle) -> bytes:
    """A candle that is not closed yet."""
    trades = "null" if candle.num_trades is None else candle.num_trades
    data = (
        f'{{"time":"{_iso(candle.time)}","open":"{_stored(candle.open)}","high":"{_stored(candle.high)}",'
        f'"low":"{_stored(candle.low)}","close":"{_stored(candle.close)}","volume":"{_stored(candle.volume)}",'
        f'"num_trades":{trades}}}'
    )
    return frame(f'{{"type":"candle",{listing.head},"seq":{seq},"closed":false,"data":{data}}}'.encode())


def history_frame(listing: Listing, kind: RowKind, seq: int, count: int, rows: str) -> bytes:
    """The newest rows, oldest first, `rows` their JSON array, as of number `seq`."""
    return frame(f'{{"type":"{_HISTORICAL[kind]}",{listing.head},"count":{count},"seq":{seq},"data":{rows}}}'.encode())


def tick_frame(broker: str, symbol: str, tick: LiveTick) -> bytes:
    """The newest trade or quote of a symbol; what the exchange does not say is null."""
    side = "null" if tick.side is None else f'"{tick.side}"'
    data = (
        f'{{"price":{_number(tick.price)},"volume":{_number(tick.volume)},"side":{side},'
        f'"bid":{_number(tick.bid)},"ask":{_number(tick.ask)}}}'
    )
    return _data_frame(broker, symbol, "tick", tick.time, "", data)


def candle_data_frame(listing: Listing, seq: int, data: str) -> bytes:
    """A closed candle in the symbol dialect, from its row's JSON."""
    row = _read_candle(data)
    extra = f',"interval":"{listing.interval}","seq":{seq},"closed":true'
    return _data_frame(listing.exchange, listing.symbol, "candle", _milliseconds(row.time), extra, _numbers(row))


def forming_data_frame(listing: Listing, seq: int, candle: FormingCandle) -> bytes:
    """A forming candle in the symbol dialect."""
    extra = f',"interval":"{listing.interval}","seq":{seq},"closed":false'
    return _data_frame(listing.exchange, listing.symbol, "candle", candle.time, extra, _numbers(candle))


def bar_of_row(data: str) -> tuple[int, str]:
    """Open time (Unix seconds) and JSON of a chart's bar, from a candle row's JSON."""
    return _bar(_read_candle(data))


def bars_of_rows(rows: str) -> list[tuple[int, str]]:
    """`bar_of_row` of a JSON array of rows."""
    return [_bar(row) for row in _read_candles(rows)]


def bar_of_forming(candle: FormingCandle) -> tuple[int, str]:
    """`bar_of_row` of a forming candle."""
    time = candle.time // 1000
    return time, f'{{"time":{time},{_numbers(candle)[1:]}'


def chart_frame(kind: Literal["initial", "update"], listing: Listing, bars: Sequence[str]) -> bytes:
    """Bars of a chart, oldest first, and whose they are."""
    named = f'"symbol":"{listing.symbol}","exchange":"{listing.exchange}","timeframe":"{listing.interval}"'
    return frame(f'{{"type":"{kind}",{named},"bars":[{",".join(bars)}],"indicators":{{}}}}'.encode())


def _from(message: dict[str, Any]) -> bytes:
    return frame(orjson.dumps(message))


def _data_frame(broker: str, symbol: str, kind: str, time: int, extra: str, data: str) -> bytes:
    named = f'"broker":"{broker}","symbol":"{symbol}"'
    return frame(
        f'{{"type":"data",{named},"data":{{{named},"type":"{kind}","timestamp":{time}{extra},"data":{data}}}}}'.encode()
    )


def _bar(row: CandleRow) -> tuple[int, str]:
    time = _milliseconds(row.time) // 1000
    return time, f'{{"time":{time},{_numbers(row)[1:]}'


def _numbers(row: CandleRow | FormingCandle) -> str:
    return (
        f'{{"open":{_number(row.open)},"high":{_number(row.high)},"low":{_number(row.low)},'
        f'"close":{_number(row.close)},"volume":{_number(row.volume)}}}'
    )


def _number(text: str | None) -> str:
    """Decimal text as a JSON number of the same value, without trailing zeros."""
    if text is None:
        return "null"
    if "." in text and "E" not in text and "e" not in text:
        return text.rstrip("0").rstrip(".")
    return text


def _stored(text: str) -> str:
    """Decimal text as the tables keep it: 18 decimals."""
    return f"{Decimal(text).quantize(_EIGHTEEN):f}" if "E" in text or "e" in text else _padded(text)


def _padded(text: str) -> str:
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<18}"


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)

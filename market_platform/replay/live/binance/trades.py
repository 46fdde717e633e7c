"""Pages of Binance's trades. Belongs here: which rows. Does not: their text (texts.py)."""

from __future__ import annotations

import orjson

from market_platform.replay.live.binance.asking import Asked, RestError
from market_platform.replay.live.binance.texts import Texts, agg_row, parts_of
from market_platform.replay.live.history import listed_from_ms
from market_platform.replay.live.recorded import RecordedTrade, Recording
from market_platform.replay.live.tape import MINUTE_MS, Tape


def agg_trades(asked: Asked) -> bytes:
    """`/aggTrades`: by id, by time, or the newest."""
    market, book = asked.market()
    recording = asked.recording()
    if recording is not None:
        played = (f"{{{recording.aggregate(trade)}}}" for trade in _played(recording, asked))
        return f"[{','.join(played)}]".encode()
    tape, now = book.tape, asked.now_ms
    newest, oldest = tape.last_before(now), _oldest_id(tape, now)
    first, last, limit = _span(asked, tape, newest)
    texts = Texts(market)
    rows: list[str] = []
    trade_id, last = max(first, oldest), min(last, newest)
    while trade_id <= last and len(rows) < limit:
        minute = tape.minute(tape.minute_of(trade_id))
        low = trade_id - minute.first_id
        high = min(len(minute.times), last - minute.first_id + 1, low + limit - len(rows))
        columns = (minute.prices, minute.lots, minute.taker_buys, minute.times)
        for row in zip(*(column[low:high] for column in columns), strict=True):
            rows.append(f"{{{agg_row(tape, texts, trade_id, *row)}}}")
            trade_id += 1
    return f"[{','.join(rows)}]".encode()


def single_trades(asked: Asked) -> bytes:
    """`/trades`, the newest, and `/historicalTrades`, by id."""
    market, book = asked.market()
    recording = asked.recording()
    if recording is not None:
        return orjson.dumps([recording.single(trade) for trade in _played(recording, asked)])
    tape, texts, now = book.tape, Texts(market), asked.now_ms
    newest = tape.first_part(tape.last_before(now) + 1) - 1
    limit = asked.limit(1000)
    first = asked.number("fromId") if asked.request.url.path.endswith("historicalTrades") else None
    first = newest - limit + 1 if first is None else first
    first = max(first, tape.first_part(_oldest_id(tape, now)))
    rows: list[str] = []
    last = min(first + limit - 1, newest)
    for holder in range(tape.holder_of(first), tape.holder_of(last) + 1) if first <= last else ():
        minute = tape.minute(tape.minute_of(holder))
        at = holder - minute.first_id
        for part, lots in parts_of(tape, holder, minute.lots[at]):
            if first <= part <= last:
                quote = texts.quote(minute.prices[at] * lots)
                maker = "false" if minute.taker_buys[at] else "true"
                best = ',"isBestMatch":true' if texts.is_spot else ""
                rows.append(
                    f'{{"id":{part},"price":"{texts.price(minute.prices[at])}","qty":"{texts.size(lots)}",'
                    f'"quoteQty":"{quote}","time":{minute.times[at]},"isBuyerMaker":{maker}{best}}}'
                )
    return f"[{','.join(rows)}]".encode()


def _span(asked: Asked, tape: Tape, newest: int) -> tuple[int, int, int]:
    """First and last id asked for, and the most rows."""
    limit = asked.limit(1000)
    first, start, end = (asked.number(name) for name in ("fromId", "startTime", "endTime"))
    if first is not None:
        if start is not None or end is not None:
            raise RestError(-1128, "Combination of optional parameters invalid.")
        return first, newest, limit
    last = newest if end is None else tape.last_before(end + 1)
    return (max(last - limit + 1, 1) if start is None else tape.last_before(start) + 1), last, limit


def _played(recording: Recording, asked: Asked) -> list[RecordedTrade]:
    """What a request for trades gets of a recording."""
    return recording.trades(asked.number("fromId"), asked.limit(1000))


def _oldest_id(tape: Tape, now_ms: int) -> int:
    return tape.first_id(listed_from_ms(now_ms) // MINUTE_MS)

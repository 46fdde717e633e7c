"""The past of USD-M contracts: funding rates as charged, open interest every five minutes. Belongs here: which rows."""

from __future__ import annotations

import orjson

from market_platform.replay.live.binance.asking import Asked, RestError
from market_platform.replay.live.binance.contracts import FUNDING_MS, Contract
from market_platform.replay.live.history import listed_from_ms

FUNDING_ROWS = 1000
INTEREST_ROWS = 500
INTEREST_KEPT_MS = 30 * 86_400_000
_PERIODS = {
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
}
_LATENESS_MS = 9
"""Binance says when it charged, which is some milliseconds after it was due."""


def funding_rates(asked: Asked) -> bytes:
    """`/fundingRate`: from `startTime` on, or the latest."""
    market, book = asked.market()
    if asked.recording() is not None:
        return b"[]"
    now, limit = asked.now_ms, min(asked.number("limit") or 100, FUNDING_ROWS)
    start, end = asked.number("startTime"), asked.number("endTime")
    oldest = listed_from_ms(now)
    first = -(-max(oldest, start or 0) // FUNDING_MS) * FUNDING_MS
    due = [
        each for each in range(first, now + 1, FUNDING_MS) if charged_ms(each) <= min(now, now if end is None else end)
    ]
    due = due[-limit:] if start is None else [each for each in due if charged_ms(each) >= start][:limit]
    contract = Contract(book.tape)
    return orjson.dumps(
        [
            {
                "symbol": market.symbol,
                "fundingTime": charged_ms(each),
                "fundingRate": contract.charged_rate(each),
                "markPrice": contract.mark_price(each // 1000),
            }
            for each in due
        ]
    )


def charged_ms(due_ms: int) -> int:
    """When a funding that is due then is charged."""
    return due_ms + due_ms // FUNDING_MS % _LATENESS_MS


def open_interest_past(asked: Asked) -> bytes:
    """`/futures/data/openInterestHist`: the latest rows of the window, of a month at most."""
    market, book = asked.market()
    period = _PERIODS.get(asked.text("period"))
    if period is None:
        raise RestError(-1130, "parameter 'period' is invalid.")
    if asked.recording() is not None:
        return b"[]"
    now, limit = asked.now_ms, min(asked.number("limit") or 30, INTEREST_ROWS)
    start, end = asked.number("startTime"), asked.number("endTime")
    kept = now - INTEREST_KEPT_MS
    if start is not None and start < kept:
        raise RestError(-1130, "parameter 'startTime' is invalid.")
    first = -(-max(listed_from_ms(now), kept if start is None else start) // period) * period
    times = range(first, min(now, now if end is None else end) + 1, period)[-limit:]
    contract = Contract(book.tape)
    return orjson.dumps(
        [
            {
                "symbol": market.symbol,
                "sumOpenInterest": contract.open_interest(each // 1000),
                "sumOpenInterestValue": contract.open_interest_value(each // 1000),
                "timestamp": each,
            }
            for each in times
        ]
    )

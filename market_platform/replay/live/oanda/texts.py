"""Prices, times and lines as OANDA writes them. Belongs here: units to text. Does not: which ticks."""

from __future__ import annotations

from market_platform.domain.clock import from_ms
from market_platform.domain.ticks import Ticks
from market_platform.replay.live.binance.texts import decimal

NOT_TRADEABLE = '"status":"non-tradeable","tradeable":false'
TRADEABLE = '"status":"tradeable","tradeable":true'


def moment(ms: int, nanoseconds: int = 0) -> str:
    """`2026-11-18T13:37:46.048197280Z`; the nanoseconds are those within the millisecond."""
    return f"{from_ms(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}{nanoseconds:06d}Z"


def heartbeat(now_ms: int) -> bytes:
    """A line that says only that the connection lives."""
    return f'{{"type":"HEARTBEAT","time":"{moment(now_ms, 48_280)}","lastTransactionID":"7582"}}'.encode()


def price_body(instrument: str, ticks: Ticks, at: int, status: str = TRADEABLE) -> str:
    """What a PRICE line and an answer's price have in common. Now and then the better level is not the first."""
    scale, time = ticks.price_scale, int(ticks.time[at])
    bid, ask = int(ticks.bid[at]), int(ticks.ask[at])
    bids = [_level(bid, int(ticks.bid_volume[at]), scale), _level(bid - 2, 10_000_000, scale)]
    asks = [_level(ask, int(ticks.ask_volume[at]), scale), _level(ask + 2, 10_000_000, scale)]
    if time % 7 == 0:
        bids.reverse()
    return (
        f'"instrument":"{instrument}","time":"{moment(time, time * 7919 % 1_000_000)}",'
        f'"bids":[{",".join(bids)}],"asks":[{",".join(asks)}],'
        f'"closeoutBid":"{decimal(bid - 4, scale, scale)}","closeoutAsk":"{decimal(ask + 4, scale, scale)}",{status}'
    )


def price_line(instrument: str, ticks: Ticks, at: int, status: str = TRADEABLE) -> bytes:
    """A PRICE line of the stream."""
    return f'{{"type":"PRICE",{price_body(instrument, ticks, at, status)}}}'.encode()


def _level(units: int, liquidity: int, scale: int) -> str:
    return f'{{"price":"{decimal(units, scale, scale)}","liquidity":{liquidity}}}'

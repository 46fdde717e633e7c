"""Numbers and rows as Binance writes them. Belongs here: whole units to text. Does not: which rows."""

from __future__ import annotations

from collections.abc import Callable

from market_platform.replay.live.candles import Bar
from market_platform.replay.live.markets import Market
from market_platform.replay.live.tape import Tape

SPOT_PLACES = 8


def decimal(units: int, scale: int, places: int) -> str:
    """`units / 10**scale` with so many digits after the point: `decimal(6183763, 2, 8)` is `61837.63000000`."""
    whole, rest = divmod(units, 10**scale)
    return f"{whole}.{rest:0{scale}d}{'0' * (places - scale)}" if places else str(whole)


def writer(scale: int, places: int) -> Callable[[int], str]:
    """`decimal` for one scale, fast."""
    if places == 0:
        return str
    one, tail = 10**scale, "0" * (places - scale)
    if scale == 0:
        return lambda units: f"{units}.{tail}"

    def text(units: int) -> str:
        whole, rest = divmod(units, one)
        return f"{whole}.{rest:0{scale}d}{tail}"

    return text


class Texts:
    """How one market's prices, sizes and sums are written: spot always to eight digits, USD-M to its own precision."""

    def __init__(self, market: Market) -> None:
        both = market.price_scale + market.lot_scale
        spot = market.venue == "binance-spot"
        self.is_spot = spot
        self.price = writer(market.price_scale, SPOT_PLACES if spot else market.price_scale)
        self.size = writer(market.lot_scale, SPOT_PLACES if spot else market.lot_scale)
        self.quote = writer(both, SPOT_PLACES if spot else both)


def agg_row(tape: Tape, texts: Texts, trade_id: int, price: int, lots: int, buys: int, time: int) -> str:
    """The fields that the stream and REST share, without braces."""
    best = ',"M":true' if texts.is_spot else ""
    return (
        f'"a":{trade_id},"p":"{texts.price(price)}","q":"{texts.size(lots)}","f":{tape.first_part(trade_id)},'
        f'"l":{tape.first_part(trade_id + 1) - 1},"T":{time},"m":{"false" if buys else "true"}{best}'
    )


def part_ids(tape: Tape, bar: Bar) -> tuple[int, int, int]:
    """First and last single trade of a candle and how many; -1, -1, 0 when it has none."""
    if bar.count == 0:
        return -1, -1, 0
    first, after = tape.first_part(bar.first_id), tape.first_part(bar.first_id + bar.count)
    return first, after - 1, after - first


def rest_kline(tape: Tape, texts: Texts, bar: Bar) -> str:
    """The twelve-element row of `/klines`."""
    return (
        f'[{bar.open_ms},"{texts.price(bar.open)}","{texts.price(bar.high)}","{texts.price(bar.low)}",'
        f'"{texts.price(bar.close)}","{texts.size(bar.lots)}",{bar.end_ms - 1},"{texts.quote(bar.quote)}",'
        f'{part_ids(tape, bar)[2]},"{texts.size(bar.buy_lots)}","{texts.quote(bar.buy_quote)}","0"]'
    )


def parts_of(tape: Tape, trade_id: int, lots: int) -> list[tuple[int, int]]:
    """Ids and sizes of the single trades within an aggregate; the sizes sum to its size."""
    first, after = tape.first_part(trade_id), tape.first_part(trade_id + 1)
    each = lots // (after - first)
    return [(part, each if part > first else lots - each * (after - first - 1)) for part in range(first, after)]

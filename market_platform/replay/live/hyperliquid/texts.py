"""Numbers, trades and candles as Hyperliquid writes them. Belongs here: whole units to text. Does not: which rows."""

from __future__ import annotations

from collections.abc import Callable

from market_platform.replay.live.candles import Bar
from market_platform.replay.live.markets import Market

_TID_BITS = 50
_TID_FACTOR = 0x9E3779B97F4A7 | 1
_TAKER, _MAKER = "0xe9ed7e16612d676df804f5aecd16e1f9bf9ec9dd", "0x6802b4267f7f2bf7003dcf993c51542245b38329"


def writer(scale: int) -> Callable[[int], str]:
    """Units to text without needless zeros, but with one digit after the point: `105056.0`, `0.00219`."""
    one = 10**scale

    def text(units: int) -> str:
        sign = "-" if units < 0 else ""
        whole, rest = divmod(abs(units), one)
        return f"{sign}{whole}.{f'{rest:0{scale}d}'.rstrip('0') or '0'}"

    return text


class Texts:
    """How one market's prices and sizes are written."""

    def __init__(self, market: Market) -> None:
        self.coin = market.symbol
        self.price = writer(market.price_scale)
        self.size = writer(market.lot_scale)

    def trade(self, trade_id: int, price: int, lots: int, buys: int, time: int) -> str:
        """One trade of the `trades` channel."""
        tid = tid_of(trade_id)
        return (
            f'{{"coin":"{self.coin}","side":"{"B" if buys else "A"}","px":"{self.price(price)}",'
            f'"sz":"{self.size(lots)}","time":{time},"hash":"0x{tid * _TID_FACTOR:064x}","tid":{tid},'
            f'"users":["{_TAKER}","{_MAKER}"]}}'
        )

    def candle(self, bar: Bar, interval: str) -> str:
        """One candle, of the channel and of candleSnapshot."""
        return (
            f'{{"t":{bar.open_ms},"T":{bar.end_ms - 1},"s":"{self.coin}","i":"{interval}","o":"{self.price(bar.open)}",'
            f'"c":"{self.price(bar.close)}","h":"{self.price(bar.high)}","l":"{self.price(bar.low)}",'
            f'"v":"{self.size(bar.lots)}","n":{bar.count}}}'
        )


def tid_of(trade_id: int) -> int:
    """The `tid` of a trade: unique, and in no order."""
    return trade_id * _TID_FACTOR % (1 << _TID_BITS)

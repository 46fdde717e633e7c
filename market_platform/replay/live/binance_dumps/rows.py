"""The text of files as the archive writes it: spot without header and in microseconds from 2025 on, USD-M with a header.

Belongs here: rows. Does not: zips, which days. Numbers are those of REST: as many digits, the same contracts.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.replay.live.binance.contracts import FUNDING_MS, Contract
from market_platform.replay.live.binance.texts import SPOT_PLACES
from market_platform.replay.live.binance_dumps.bars import Bars
from market_platform.replay.live.markets import Market
from market_platform.replay.live.noise import Ints
from market_platform.replay.live.tape import MINUTE_MS, Tape

HEADERS = {
    "klines": "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore",
    "aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
    "fundingRate": "calc_time,funding_interval_hours,last_funding_rate",
    "metrics": "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio",
}
MICROSECONDS_FROM = date(2025, 1, 1)
LABELLED_BY_START = date(2026, 6, 25)
"""From this day on a row of metrics is labelled by the beginning of its five minutes, before by the end."""
DAY_MS = 86_400_000
STEP_MS = 300_000


def klines(tape: Tape, bars: Bars, length_ms: int, day: date) -> str:
    """The candles of a day."""
    market = tape.market
    unit, ending = (1000, 999) if _in_microseconds(market, day) else (1, 0)
    parts = tape.first_parts(bars.first_ids)
    prices = {name: _price(market, getattr(bars, name)) for name in ("open", "high", "low", "close")}
    return _text(
        {
            "open_time": pl.Series(bars.open_ms * unit),
            **prices,
            "volume": _size(market, bars.lots),
            "close_time": pl.Series((bars.open_ms + length_ms - 1) * unit + ending),
            "quote_volume": _quote(market, bars.quote),
            "count": pl.Series(np.diff(parts)),
            "taker_buy_volume": _size(market, bars.buy_lots),
            "taker_buy_quote_volume": _quote(market, bars.buy_quote),
            "ignore": pl.repeat("0", len(bars.open_ms), eager=True),
        }
    )


def agg_trades(tape: Tape, day: date) -> str:
    """The aggregate trades of a day."""
    market = tape.market
    begin = day_start_ms(day) // MINUTE_MS
    rows = tape.trades(begin, begin + 1440)
    ids = np.arange(rows.first_id, rows.first_id + len(rows) + 1)
    parts = tape.first_parts(ids)
    spot = market.venue == "binance-spot"
    maker, taker = ("True", "False") if spot else ("true", "false")
    columns = {
        "agg_trade_id": pl.Series(ids[:-1]),
        "price": _price(market, rows.price),
        "quantity": _size(market, rows.lots),
        "first_trade_id": pl.Series(parts[:-1]),
        "last_trade_id": pl.Series(parts[1:] - 1),
        "transact_time": pl.Series(rows.time * (1000 if _in_microseconds(market, day) else 1)),
        "is_buyer_maker": pl.Series(np.where(rows.taker_buys == 1, taker, maker)),
    }
    best = {"is_best_match": pl.repeat(maker, len(rows), eager=True)} if spot else {}
    return _text({**columns, **best})


def funding(tape: Tape, day: date) -> str:
    """The rates charged on a day, each a few milliseconds late, as Binance writes them."""
    contract, start = Contract(tape), day_start_ms(day)
    return "".join(
        f"{time + time // FUNDING_MS % 9},{FUNDING_MS // 3_600_000},{contract.charged_rate(time)}\n"
        for time in range(start, start + DAY_MS, FUNDING_MS)
    )


def metrics(tape: Tape, day: date) -> str:
    """The readings from the first five minutes of a day to its end. The ratios, which nobody here reads, are sometimes blank."""
    contract, start = Contract(tape), day_start_ms(day)
    early = STEP_MS if day >= LABELLED_BY_START else 0
    lines: list[str] = []
    for taken in range(start + STEP_MS, start + DAY_MS + 1, STEP_MS):
        interest, value = contract.open_interest(taken // 1000), contract.open_interest_value(taken // 1000)
        ratio = "" if taken // STEP_MS % 40 == 0 else "1.00000000"
        label = f"{from_ms(taken - early):%Y-%m-%d %H:%M:%S}"
        lines.append(f"{label},{tape.market.symbol},{interest},{value},{ratio},{ratio},1.00000000,1.00000000\n")
    return "".join(lines)


def _in_microseconds(market: Market, day: date) -> bool:
    return market.venue == "binance-spot" and day >= MICROSECONDS_FROM


def _price(market: Market, units: Ints) -> pl.Series:
    return _decimals(market, units, market.price_scale)


def _size(market: Market, units: Ints) -> pl.Series:
    return _decimals(market, units, market.lot_scale)


def _quote(market: Market, units: Ints) -> pl.Series:
    return _decimals(market, units, market.price_scale + market.lot_scale)


def _decimals(market: Market, units: Ints, scale: int) -> pl.Series:
    """`units / 10**scale`, with eight digits on spot and its own on USD-M; the same as `Texts`, for whole columns."""
    places = SPOT_PLACES if market.venue == "binance-spot" else scale
    whole, rest = np.divmod(units, 10**scale)
    frame = pl.DataFrame({"whole": whole, "rest": rest}).cast(pl.String)
    if places == 0:
        return frame["whole"]
    digits = pl.col("rest").str.zfill(scale) if scale else pl.lit("")
    return frame.select(pl.concat_str("whole", pl.lit("."), digits, pl.lit("0" * (places - scale))).alias("text"))[
        "text"
    ]


def _text(columns: dict[str, pl.Series]) -> str:
    return pl.DataFrame(columns).write_csv(include_header=False)

"""Trades and candles that follow from seed and time alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.grids import BINANCE_GRIDS, HYPERLIQUID_GRIDS
from market_platform.replay.live.markets import LISTED, Market, markets_of
from market_platform.replay.live.tape import MINUTE_MS, Tape

BITCOIN = LISTED["binance-spot", "BTCUSDT"]
NOON = 1_795_003_200_000 // MINUTE_MS
QUIET = next(market for market in markets_of("binance-spot") if market.symbol == "COIN010USDT")


@pytest.mark.parametrize("market", [BITCOIN, QUIET, LISTED["hyperliquid", "SOL"]], ids=lambda market: market.symbol)
def test_ids_have_no_hole_and_times_do_not_go_back(market: Market) -> None:
    tape = Tape(7, market)
    rows = tape.trades(NOON - 1500, NOON)
    assert rows.first_id == tape.first_id(NOON - 1500)
    assert rows.first_id + len(rows) == tape.first_id(NOON)
    assert (rows.time[1:] >= rows.time[:-1]).all()
    assert rows.time[0] >= (NOON - 1500) * MINUTE_MS
    assert rows.time[-1] < NOON * MINUTE_MS
    assert rows.lots.min() > 0
    assert (rows.price % market.tick == 0).all()


def test_any_part_of_time_is_the_same_however_it_is_asked_for() -> None:
    whole = Tape(7, BITCOIN).trades(NOON - 200, NOON)
    tape = Tape(7, BITCOIN)
    for minute in (NOON - 1, NOON - 200, NOON - 77):
        part = tape.minute(minute)
        start = part.first_id - whole.first_id
        end = start + len(part.times)
        assert part.times == whole.time[start:end].tolist()
        assert part.prices == whole.price[start:end].tolist()
        assert part.lots == whole.lots[start:end].tolist()
        assert part.taker_buys == whole.taker_buys[start:end].tolist()


def test_another_seed_is_another_market() -> None:
    assert Tape(7, BITCOIN).minute(NOON).prices != Tape(8, BITCOIN).minute(NOON).prices


def test_ids_and_minutes_are_each_others_opposite() -> None:
    for market in (BITCOIN, QUIET):
        tape = Tape(7, market)
        for minute in range(NOON - 60, NOON):
            for trade_id in (tape.first_id(minute), tape.first_id(minute + 1) - 1):
                if tape.first_id(minute) < tape.first_id(minute + 1):
                    assert tape.minute_of(trade_id) == minute


def test_single_trades_have_no_hole_and_know_their_aggregate() -> None:
    tape = Tape(7, BITCOIN)
    for trade_id in range(1000, 1100):
        first, after = tape.first_part(trade_id), tape.first_part(trade_id + 1)
        assert after > first
        assert {tape.holder_of(part) for part in range(first, after)} == {trade_id}


@pytest.mark.parametrize("name", ["1m", "5m", "1h", "4h", "1d"])
@pytest.mark.parametrize("market", [BITCOIN, QUIET], ids=lambda market: market.symbol)
def test_a_candle_is_the_sum_of_its_trades(market: Market, name: str) -> None:
    book, grid = CandleBook(Tape(7, market)), BINANCE_GRIDS[name]
    open_ms = grid.start(NOON * MINUTE_MS - grid.length_ms)
    bar = book.until(open_ms, grid.end(open_ms), grid.end(open_ms))
    rows = book.tape.trades(open_ms // MINUTE_MS, grid.end(open_ms) // MINUTE_MS)
    assert (bar.first_id, bar.count) == (rows.first_id, len(rows))
    if len(rows):
        assert (bar.open, bar.close) == (rows.price[0], rows.price[-1])
        assert (bar.high, bar.low) == (rows.price.max(), rows.price.min())
        assert (bar.lots, bar.quote) == (rows.lots.sum(), (rows.lots * rows.price).sum())
        assert bar.buy_lots == (rows.lots * rows.taker_buys).sum()


def test_a_minute_without_trades_stands_at_the_price_before_and_changes_no_longer_candle() -> None:
    book = CandleBook(Tape(7, QUIET))
    minutes = [
        book.until(minute * MINUTE_MS, (minute + 1) * MINUTE_MS, (minute + 1) * MINUTE_MS)
        for minute in range(NOON - 240, NOON)
    ]
    empty = [(before, bar) for before, bar in pairwise(minutes) if bar.count == 0]
    assert empty
    for before, bar in empty:
        assert {bar.open, bar.high, bar.low, bar.close} == {before.close}
        assert bar.lots == bar.quote == 0
    traded = [bar for bar in minutes[-60:] if bar.count]
    hour = book.until((NOON - 60) * MINUTE_MS, NOON * MINUTE_MS, NOON * MINUTE_MS)
    assert (hour.open, hour.high) == (traded[0].open, max(bar.high for bar in traded))


def test_a_forming_candle_has_the_trades_so_far() -> None:
    book = CandleBook(Tape(7, BITCOIN))
    start = NOON * MINUTE_MS
    for until in (start, start + 1, start + 90_500, start + 299_999):
        bar = book.until(start, start + 300_000, until)
        assert bar.count == book.tape.last_before(until) - book.tape.first_id(NOON) + 1


def test_prices_stay_near_their_level_and_move() -> None:
    for market in markets_of("binance-spot") + markets_of("binance-usdm") + markets_of("hyperliquid"):
        rows = Tape(7, market).trades(NOON - 2, NOON)
        if len(rows):
            level = market.price * 10**market.price_scale
            assert 0.6 * level < rows.price.mean() < 1.6 * level, market.symbol
    day = Tape(7, BITCOIN).trades(NOON - 1440, NOON).price
    assert 0.003 < (day.max() - day.min()) / day.mean() < 0.2


def test_weeks_begin_on_monday_at_binance_and_on_thursday_at_hyperliquid() -> None:
    wednesday = 1_795_003_200_000
    assert BINANCE_GRIDS["1w"].start(wednesday) == 1_794_787_200_000  # Monday 16 November 2026
    assert HYPERLIQUID_GRIDS["1w"].start(wednesday) == 1_794_441_600_000  # Thursday 12 November 2026
    month = BINANCE_GRIDS["1M"]
    assert month.end(month.start(wednesday)) == 1_796_083_200_000

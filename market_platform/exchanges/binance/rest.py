"""Binance's recent past: candles by time and trades by id, page by page, whole or not at all.

Belongs here: pages, and that they fit together. Does not: HTTP and limits (transport), the sanity of one row (convert).

What is asked, below a market's root (`/api/v3` of spot, `/fapi/v1` of USD-M): `/klines`, `/aggTrades`, `/time`,
`/exchangeInfo`, and `/openInterest` of USD-M.

A candle counts as closed when it ended before Binance's own clock, which is asked first (`/time`, weight 1): what had
ended by then cannot change in an answer that comes later, and neither our clock nor that of a cache between us is
believed. A candle is allowed to be missing, for Binance has none where it did not trade; two at a time, one outside the
question or one out of order is a wrong answer, and so is a hole in the ids of trades.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from types import TracebackType
from typing import Any, NoReturn, Self

import msgspec

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.errors import BadPayloadError, ExchangeUnavailableError, HistoryGoneError
from market_platform.domain.events import Candle, Funding, OpenInterest, Trade
from market_platform.domain.intervals import Interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.binance.config import MARKETS, BinanceConfig, Market
from market_platform.exchanges.binance.convert import (
    agg_trade_event,
    kline_amounts,
    kline_times,
    milliseconds,
    open_interest_event,
)
from market_platform.exchanges.binance.messages import (
    AggTradeData,
    Id,
    KlineBody,
    OpenInterestData,
    Symbol,
    Time,
)
from market_platform.exchanges.binance.transport import BinanceTransport, Question

_PREFIX: dict[Market, str] = {"spot": "/api/v3", "usdm": "/fapi/v1"}
_KLINES_A_PAGE: dict[Market, int] = {"spot": 1000, "usdm": 1500}
_TRADES_A_PAGE = 1000
_TRADES_WEIGHT: dict[Market, int] = {"spot": 4, "usdm": 20}
_INFO_WEIGHT: dict[Market, int] = {"spot": 20, "usdm": 1}


class KlineRow(msgspec.Struct, array_like=True, gc=False):
    """A candle as `/klines` has it; the fields after `trades` are of no use to us."""

    opens: Time
    open: str
    high: str
    low: str
    close: str
    volume: str
    ends: Time
    quote_volume: str
    trades: Id


class AggTradeRow(msgspec.Struct, gc=False):
    """A trade as `/aggTrades` has it: like the stream's, without the symbol."""

    a: Id
    p: Decimal
    q: Decimal
    f: Id
    l: Id  # noqa: E741  Binance's name
    T: Time
    m: bool


class _ServerTime(msgspec.Struct):
    server_time: Time = msgspec.field(name="serverTime")


class _SymbolInfo(msgspec.Struct):
    symbol: Symbol


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_SymbolInfo]


_klines = msgspec.json.Decoder(list[KlineRow])
_agg_trades = msgspec.json.Decoder(list[AggTradeRow])
_time = msgspec.json.Decoder(_ServerTime)
_info = msgspec.json.Decoder(_ExchangeInfo)
_open_interest = msgspec.json.Decoder(OpenInterestData)


class BinanceRest:
    """See `LiveRest`; use as an async context manager."""

    def __init__(self, config: BinanceConfig, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._transports: dict[Market, BinanceTransport] = {}

    async def __aenter__(self) -> Self:
        self._transports = {market: BinanceTransport(market, self._config, self._clock) for market in MARKETS.values()}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for transport in self._transports.values():
            await transport.aclose()
        self._transports = {}

    async def candles(self, pair: LivePair, interval: Interval, start_ms: int, end_ms: int) -> list[Candle]:
        """See `LiveRest.candles`; Binance serves them since the market began."""
        market, deadline = MARKETS[pair.market_type], self._deadline()
        what = f"{pair.name} {interval} candles"
        now = milliseconds((await self._ask(market, "/time", 1, {}, f"{what}: time", _time, deadline)).server_time)
        end_ms = min(end_ms, now)
        found: list[Candle] = []
        cursor = start_ms
        while cursor < end_ms:
            limit = min(_KLINES_A_PAGE[market], (end_ms - cursor) // min(interval.ms, 28 * 86_400_000) + 1)
            params = {
                "symbol": pair.wire,
                "interval": interval.name,
                "startTime": cursor,
                "endTime": end_ms - 1,
                "limit": limit,
            }
            asked = f"{what} from {cursor}"
            rows = await self._ask(market, "/klines", _klines_weight(market, limit), params, asked, _klines, deadline)
            if len(rows) > limit:
                _wrong(asked, f"{len(rows)} rows where {limit} were asked for")
            for row in rows:
                candle = _candle(pair.wire, interval, row)
                if not cursor <= candle.open_ms < end_ms:
                    _wrong(asked, f"a candle that opens at {candle.open_ms} is outside, repeated or out of order")
                cursor = candle.end_ms
                if candle.end_ms <= now:
                    found.append(candle)
            if not rows:
                break
        return found

    async def trades(self, pair: LivePair, first_id: int, last_id: int) -> list[Trade]:
        """See `LiveRest.trades`; ids are those of `aggTrade`."""
        deadline = self._deadline()
        found: list[Trade] = []
        cursor = first_id
        while cursor <= last_id:
            limit = min(_TRADES_A_PAGE, last_id - cursor + 1)
            asked = f"{pair.name} trades from {cursor}"
            rows = await self._trade_rows(pair, {"fromId": cursor, "limit": limit}, asked, deadline)
            if not rows:
                raise ExchangeUnavailableError(
                    f"{asked}: Binance has none yet, though the stream had up to {last_id}; ask again later"
                )
            if len(rows) > limit:
                _wrong(asked, f"{len(rows)} rows where {limit} were asked for")
            if not found and rows[0].trade_id > cursor:
                raise HistoryGoneError(
                    f"{asked}: the earliest that Binance still has is {rows[0].trade_id}", earliest_ms=rows[0].time_ms
                )
            for trade in rows:
                if trade.trade_id != cursor:
                    _wrong(asked, f"trade {trade.trade_id} comes where {cursor} was due")
                cursor += 1
            found += rows
        return found

    async def last_trade_id(self, pair: LivePair) -> int | None:
        """See `LiveRest.last_trade_id`; None for a market that has not traded yet."""
        rows = await self._trade_rows(pair, {"limit": 1}, f"{pair.name} newest trade", self._deadline())
        return rows[-1].trade_id if rows else None

    async def context(self, pair: LivePair) -> list[Funding | OpenInterest]:
        """Open interest of a USD-M contract, which no stream sends; nothing for spot."""
        market = MARKETS[pair.market_type]
        if market != "usdm":
            return []
        what = f"{pair.name} open interest"
        params = {"symbol": pair.wire}
        data = await self._ask(market, "/openInterest", 1, params, what, _open_interest, self._deadline())
        if data.symbol != pair.wire:
            _wrong(what, f"it is of {data.symbol}")
        return [open_interest_event(data)]

    async def known_symbols(self, market_type: str) -> frozenset[str]:
        """Every symbol of the market, trading or not."""
        market = MARKETS[market_type]
        what = f"binance {market_type} symbols"
        info = await self._ask(market, "/exchangeInfo", _INFO_WEIGHT[market], {}, what, _info, self._deadline())
        return frozenset(each.symbol for each in info.symbols)

    async def _trade_rows(self, pair: LivePair, params: dict[str, int], what: str, deadline: float) -> list[Trade]:
        market = MARKETS[pair.market_type]
        rows = await self._ask(
            market,
            "/aggTrades",
            _TRADES_WEIGHT[market],
            {"symbol": pair.wire, **params},
            what,
            _agg_trades,
            deadline,
        )
        return [
            agg_trade_event(AggTradeData(pair.wire, row.a, row.p, row.q, row.f, row.l, row.T, row.m)) for row in rows
        ]

    async def _ask(
        self,
        market: Market,
        path: str,
        weight: int,
        params: dict[str, Any],
        what: str,
        decoder: msgspec.json.Decoder[Any],
        deadline: float,
    ) -> Any:
        if not self._transports:
            raise RuntimeError("BinanceRest is used as `async with`")
        return await self._transports[market].ask(
            Question(what, f"{_PREFIX[market]}{path}", weight, params), decoder, deadline
        )

    def _deadline(self) -> float:
        """When a call that begins now must be over, in the running loop's time."""
        return asyncio.get_running_loop().time() + self._config.call_budget_s


def _candle(symbol: str, interval: Interval, row: KlineRow) -> Candle:
    """A closed candle of a page; whether it is closed the caller looks at.

    Raises:
        BadPayloadError: its numbers make no sense.
    """
    start, end = kline_times(symbol, interval.name, row.opens, row.ends)
    body = KlineBody(
        t=row.opens,
        T=row.ends,
        i=interval.name,
        f=-1,
        L=-1,
        o=row.open,
        c=row.close,
        h=row.high,
        l=row.low,
        v=row.volume,
        n=row.trades,
        x=True,
    )
    return Candle(symbol, interval.name, start, end, *kline_amounts(symbol, body), row.trades, closed=True)


def _klines_weight(market: Market, limit: int) -> int:
    """What a page of candles costs: on USD-M by how many are asked for."""
    if market == "spot":
        return 2
    return next(weight for most, weight in ((99, 1), (499, 2), (1000, 5), (1500, 10)) if limit <= most)


def _wrong(what: str, reason: str) -> NoReturn:
    raise BadPayloadError(f"{what}: {reason}; ask again later, or report it to Binance")

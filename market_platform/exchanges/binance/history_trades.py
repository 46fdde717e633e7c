"""A day of Binance's aggregate trades over REST.

Belongs here: which pages to ask for, and the proof that a day is whole. Does not: one trade (convert).

The first trade of the day is found by time; the trade with the id before it, if there is one, must be of an earlier day. From
there on pages go by id, none left out, until a trade of a later day, or the newest one, proves the end. A busy day has
thousands of pages, which are one input: the hash of the day's trades, however they came, under the question for the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import NoReturn

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Trade
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair, RawInput
from market_platform.domain.intervals import DAY_MS, MINUTE_MS
from market_platform.domain.trades import Trades, concat_trades
from market_platform.exchanges.binance.history_days import by_span, over_and_pending, pending_days
from market_platform.exchanges.binance.history_rest import HistoryRest, market_of, wire_symbol
from market_platform.exchanges.binance.pages import agg_trades_of
from market_platform.exchanges.binance.rest import TRADES_A_PAGE, TRADES_WEIGHT
from market_platform.exchanges.binance.transport import Question

_TRADES_A_PART = 100_000
"""Trades that are kept as objects before they become columns, which take a tenth of the memory."""
_SEARCH_MS = 60 * MINUTE_MS
"""Binance searches no more than an hour at once by time."""


async def trade_days(rest: HistoryRest, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[Trades]:
    """See `HistorySource.trades`.

    Raises:
        UnknownSymbolError: Binance does not know the symbol.
    """
    over, pending = over_and_pending(days, await rest.now_ms(pair))

    async def fetch(span: Sequence[date]) -> list[HistoryDay[Trades]]:
        return [await _Day(rest, pair, span[0]).fetched()]

    found = await by_span([[day] for day in over], fetch)
    return HistoryDays((*found.days, *pending_days(pending, Trades.empty())), found.failures)


class _Day:
    """One day on its way."""

    def __init__(self, rest: HistoryRest, pair: HistoryPair, day: date) -> None:
        self._rest = rest
        self._pair = pair
        self._day = day
        self._start_ms = day_start_ms(day)
        self._end_ms = self._start_ms + DAY_MS
        self._bytes = 0

    async def fetched(self) -> HistoryDay[Trades]:
        """The day.

        Raises:
            ExchangeError: a page did not come, or is wrong.
        """
        first = await self._first_id()
        if first is None:
            reason = "Binance has no trades of the day"
            return HistoryDay(self._day, Trades.empty(), 0, Condition.MISSING, reason=reason)
        parts: list[Trades] = []
        waiting: list[Trade] = []
        cursor, is_over = await self._begin(first, waiting)
        while not is_over:
            page = await self._page({"fromId": cursor, "limit": TRADES_A_PAGE}, f"page from trade {cursor}")
            if not page:
                await self._require_newest(cursor - 1)
                break
            is_over = self._take(page, cursor, waiting)
            cursor += len(page)
            if len(waiting) >= _TRADES_A_PART:
                parts.append(Trades.from_events(waiting))
                waiting = []
        trades = concat_trades([*parts, Trades.from_events(waiting)])
        answer = RawInput(self._named(), trades.content_hash(), self._bytes, len(trades))
        return HistoryDay(self._day, trades, len(trades), Condition.AVAILABLE, inputs=(answer,))

    async def _first_id(self) -> int | None:
        """The id of the first trade of the day; None when it has none."""
        for start in range(self._start_ms, self._end_ms, _SEARCH_MS):
            params = {"startTime": start, "endTime": start + _SEARCH_MS - 1, "limit": 1}
            page = await self._page(params, f"first trade from {from_ms(start):%H:%M}")
            if page:
                if not start <= page[0].time_ms < start + _SEARCH_MS:
                    self._refuse(f"asked for one from {start} on, Binance sends one of {page[0].time_ms}")
                return page[0].trade_id
        return None

    async def _begin(self, first: int, kept: list[Trade]) -> tuple[int, bool]:
        """Keep the first page, and prove that nothing of the day is before it; returns the next id, and whether that is all."""
        before = max(0, first - 1)
        page = await self._page({"fromId": before, "limit": TRADES_A_PAGE}, f"page from trade {before}")
        if page and page[0].trade_id == first - 1:
            if page[0].time_ms >= self._start_ms:
                self._refuse(f"trade {first} came as the first of the day, and {first - 1} is of {page[0].time_ms}")
            page = page[1:]
        if not page:
            self._refuse(f"trade {first} came by its time and does not by its id")
        return first + len(page), self._take(page, first, kept)

    def _take(self, page: Sequence[Trade], cursor: int, kept: list[Trade]) -> bool:
        """Keep the trades of the day that a page begins with; whether it has one of a later day.

        Raises:
            BadPayloadError: ids have a hole, repeat, or times go back across a day's edge.
        """
        for offset, trade in enumerate(page):
            if trade.trade_id != cursor + offset:
                self._refuse(f"trade {trade.trade_id} comes where {cursor + offset} was due")
            if trade.time_ms < self._start_ms:
                self._refuse(f"trade {trade.trade_id} is of {trade.time_ms}, before the day, and comes after its first")
        of_day = [trade for trade in page if trade.time_ms < self._end_ms]
        if any(trade.time_ms >= self._end_ms for trade in page[: len(of_day)]):
            self._refuse(f"trades of the day follow one of a later day; page from trade {cursor}")
        kept += of_day
        return len(of_day) < len(page)

    async def _require_newest(self, last: int) -> None:
        """Whether there really is no trade after it: an empty page may be a server's fault."""
        newest = await self._page({"limit": 1}, "newest trade")
        if not newest or newest[-1].trade_id != last:
            self._refuse(f"nothing comes after trade {last}, which is not the newest")

    async def _page(self, params: dict[str, int], page: str) -> list[Trade]:
        market = market_of(self._pair)
        question = Question(
            f"{self._pair.name} trades of {self._day}, {page}",
            "/aggTrades",
            TRADES_WEIGHT[market],
            {"symbol": wire_symbol(self._pair), **params},
        )
        found, answer = await self._rest.page(market, question, partial(agg_trades_of, wire_symbol(self._pair)))
        if len(found) > params["limit"]:
            self._refuse(f"{page}: {len(found)} rows where {params['limit']} were asked for")
        self._bytes += answer.bytes
        return found

    def _named(self) -> str:
        span: dict[str, str | int] = {
            "symbol": wire_symbol(self._pair),
            "startTime": self._start_ms,
            "endTime": self._end_ms - 1,
        }
        return self._rest.named(market_of(self._pair), Question("", "/aggTrades", 0, span))

    def _refuse(self, reason: str) -> NoReturn:
        raise BadPayloadError(f"{self._pair.name} trades of {self._day}: {reason}; ask again later")

"""One client of `/ws/{symbol}` or `/ws/subscribe`: the newest bars, then at most one update a second.

Belongs here: charts and their pace. Does not: the numbered messages of `/ws` (session.py).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from api_service.live.actions import (
    Auth,
    ChartAction,
    Ping,
    SubscribeChart,
    UnsubscribeChart,
    parse_chart_action,
)
from api_service.live.conversation import AWAY, Services, converse
from api_service.live.errors import ActionError, ClientGoneError
from api_service.live.listings import Listing
from api_service.live.messages import bars_of_rows, chart_frame, clock_frame, success_frame
from api_service.live.outbox import Outbox

BARS = 100
UPDATE_S = 1.0
MAX_CHARTS = 20


class SymbolChart:
    """A chart that a client looks at. It draws once it was begun, and again whenever it has to read anew."""

    def __init__(self, services: Services, outbox: Outbox, listing: Listing) -> None:
        self._services = services
        self._outbox = outbox
        self._listing = listing
        self._bars: dict[int, str] = {}
        self._begun = False
        self._sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Send the newest bars, then keep them up to date.

        Raises:
            WarehouseUnavailableError: they can't be read.
            ClientGoneError: nobody is there.
        """
        hub = self._services.hub
        [topic] = await hub.open([self._listing])
        topic.join_chart(self)
        seq = topic.seq or 0
        history = await hub.history(topic, BARS, seq)
        await self._outbox.ready()
        bars = [bar for _, bar in bars_of_rows(history.candles)]
        self._outbox.send(chart_frame("initial", self._listing, bars))
        self._begun = True
        self._sent_at = monotonic()
        if self._bars:
            self._schedule()

    def end(self) -> None:
        """Draw no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
        topic = self._services.hub.find(self._listing.id)
        if topic is not None:
            topic.leave_chart(self)

    def draw(self, time: int, bar: str) -> None:
        """Take a bar; the newest state of each goes out with the next update."""
        self._bars[time] = bar
        if len(self._bars) > BARS:
            del self._bars[min(self._bars)]
        if self._begun:
            self._schedule()

    def restart(self) -> None:
        """Read all bars anew."""
        if self._begun:
            self._begun = False
            self._task = asyncio.create_task(self._begin_again())

    async def _begin_again(self) -> None:
        while True:
            try:
                await self.begin()
            except AWAY:
                await asyncio.sleep(random.uniform(0.5, 2.0))  # noqa: S311
            except ClientGoneError:
                return
            else:
                return

    def _schedule(self) -> None:
        if self._timer is None:
            wait = self._sent_at + UPDATE_S - monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(0.0, wait), self._update)

    def _update(self) -> None:
        self._timer = None
        self._sent_at = monotonic()
        if self._outbox.is_blocked:
            self._schedule()  # the bars wait here, where newer ones replace them
            return
        bars = [self._bars[time] for time in sorted(self._bars)]
        self._bars.clear()
        self._outbox.send(chart_frame("update", self._listing, bars))


class ChartSession:
    """A client of the chart sockets; see `run`."""

    def __init__(self, services: Services, outbox: Outbox) -> None:
        self._services = services
        self._outbox = outbox
        self._charts: dict[str, SymbolChart] = {}

    async def run(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Serve until the client is gone."""
        try:
            await converse(receive, self._outbox, self._services, self._do)
        finally:
            for chart in self._charts.values():
                chart.end()

    async def begin(self, symbol: str, timeframe: str, exchange: str | None) -> None:
        """Begin a chart; another one of the symbol ends.

        Raises:
            ActionError: there is no such chart, or too many.
            WarehouseUnavailableError: its bars can't be read.
            ClientGoneError: nobody is there.
        """
        listing = await self._services.listings.of_chart(symbol, timeframe, exchange)
        if len(self._charts.keys() | {listing.symbol}) > MAX_CHARTS:
            raise ActionError("validation_error", f"a connection may show {MAX_CHARTS} charts; open another")
        self._end(listing.symbol)
        chart = self._charts[listing.symbol] = SymbolChart(self._services, self._outbox, listing)
        try:
            await chart.begin()
        except (*AWAY, ClientGoneError):
            self._end(listing.symbol)
            raise

    async def _do(self, text: str | None) -> None:
        action: ChartAction = parse_chart_action(text)
        match action:
            case Ping():
                self._outbox.send(clock_frame("pong", self._services.clock()))
            case Auth():
                self._outbox.send(success_frame("No key is needed here"))
            case SubscribeChart():
                await self.begin(action.symbol, action.timeframe, action.exchange)
            case UnsubscribeChart():
                symbol = self._services.listings.plain_symbol(action.symbol)
                self._end(symbol)
                self._outbox.send(success_frame(f"Unsubscribed from {symbol}", symbol=symbol))

    def _end(self, symbol: str) -> None:
        chart = self._charts.pop(symbol, None)
        if chart is not None:
            chart.end()

"""Where repaired rows go without a streamer: candles into Postgres, trades into the lake as parts, each durable at once.

Belongs here: the `Delivery` of Dagster's runs and of commands. Does not: asking for the rows (gap_candles.py, gap_trades.py).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

import polars as pl
from sqlalchemy import Connection

from market_platform.domain.candles import CANDLE_SCHEMA, PRICE_COLUMNS
from market_platform.domain.clock import from_ms
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Trade
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from market_platform.domain.trades import Trades
from market_platform.lake.parts import write_trade_parts
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.warehouse.candle_changes import CandleWrite
from market_platform.warehouse.candles import write_candle_days
from market_platform.warehouse.series import SeriesBump
from market_platform.warehouse.stream_days import StreamDayAddition, add_stream_days

_EXACT = Context(prec=38, traps=[Inexact, InvalidOperation])
_UNIT = Decimal("1E-18")


class DirectDelivery:
    """Keeps what it is given until `committed`, which writes it; used by one task at a time."""

    def __init__(self, platform: Platform, provenance: Provenance) -> None:
        self._platform = platform
        self._provenance = provenance
        self._candles: list[tuple[LivePair, Sequence[Candle], CandleRank]] = []
        self._trades: list[tuple[LivePair, Sequence[Trade]]] = []

    def trades(self, pair: LivePair, trades: Sequence[Trade]) -> None:
        """Trades, for the lake."""
        self._trades.append((pair, trades))

    def candles(self, pair: LivePair, candles: Sequence[Candle], rank: CandleRank) -> None:
        """Closed candles, for Postgres."""
        self._candles.append((pair, candles, rank))

    async def committed(self) -> None:
        """Write everything handed in before.

        Raises:
            LakeError, WarehouseError: it could not be written; some of it may be, and again changes nothing.
        """
        trades, self._trades = self._trades, []
        candles, self._candles = self._candles, []
        await asyncio.to_thread(self._write, trades, candles)

    def _write(
        self,
        trades: Sequence[tuple[LivePair, Sequence[Trade]]],
        candles: Sequence[tuple[LivePair, Sequence[Candle], CandleRank]],
    ) -> None:
        additions = [each for pair, mine in trades for each in self._write_trades(pair, mine)]
        if additions:
            with self._platform.warehouse.begin() as conn:
                add_stream_days(conn, additions)
        for pair, mine, rank in candles:
            with self._platform.warehouse.begin() as conn:
                self._write_candles(conn, pair, mine, rank)

    def _write_trades(self, pair: LivePair, trades: Sequence[Trade]) -> list[StreamDayAddition]:
        description = {"run_id": self._provenance.run_id, "code_version": self._provenance.code_version}
        parts = write_trade_parts(
            self._platform.lake, pair.exchange, pair.symbol, Trades.from_events(trades), description
        )
        return [
            StreamDayAddition(pair.id, "trades", part.day, part.rows, from_ms(part.first_ms), from_ms(part.last_ms))
            for part in parts
        ]

    def _write_candles(self, conn: Connection, pair: LivePair, candles: Sequence[Candle], rank: CandleRank) -> None:
        days: defaultdict[tuple[int, date], list[Candle]] = defaultdict(list)
        names: dict[int, str] = {}
        for candle in candles:
            listed = pair.starlistings.get(candle.interval)
            if listed is not None:
                days[listed, from_ms(candle.open_ms).date()].append(candle)
                names[listed] = candle.interval
        series = SeriesBump()
        written = write_candle_days(
            conn,
            [CandleWrite(*key, _frame(mine), None, rank, replace=False) for key, mine in sorted(days.items())],
            run_id=self._provenance.run_id,
            code_version=self._provenance.code_version,
            series=series,
        )
        series.save(conn)
        changed = {key: day.changed_rows for key, day in written.items() if day.changed_rows}
        add_stream_days(conn, [_addition(pair.id, names, key, days, rows) for key, rows in sorted(changed.items())])


def _addition(
    pair_id: int,
    names: Mapping[int, str],
    key: tuple[int, date],
    days: Mapping[tuple[int, date], Sequence[Candle]],
    rows: int,
) -> StreamDayAddition:
    times = [candle.open_ms for candle in days[key]]
    layer = f"candles_{names[key[0]]}"
    return StreamDayAddition(pair_id, layer, key[1], rows, from_ms(min(times)), from_ms(max(times)))


def _frame(candles: Sequence[Candle]) -> pl.DataFrame:
    columns = {
        "time": [from_ms(candle.open_ms) for candle in candles],
        **{
            name: [_exact(getattr(candle, name), name, candle) for candle in candles]
            for name in (*PRICE_COLUMNS, "volume")
        },
        "num_trades": [candle.num_trades for candle in candles],
    }
    return pl.DataFrame(columns, schema={name: CANDLE_SCHEMA[name] for name in columns}).select(list(CANDLE_SCHEMA))


def _exact(value: Decimal, name: str, candle: Candle) -> Decimal:
    try:
        return value.quantize(_UNIT, context=_EXACT)
    except DecimalException:
        raise BadPayloadError(
            f"{name} {value} of the {candle.interval} candle of {candle.symbol} at {candle.open_ms} ms is not a number of "
            "at most 20 digits before the point and 18 behind it"
        ) from None

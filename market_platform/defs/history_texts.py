"""What a person should know of an exchange's past before fetching it: where it comes from, and what can't be had.

Belongs here: sentences for descriptions in the catalogue. Does not: what is fetched (pipeline/history_*.py).
"""

from __future__ import annotations

from market_platform.defs.names import is_streamed, tick_kind
from market_platform.domain.history import SeriesKind
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.codes import CCXT

_GIVES: dict[tuple[str, SeriesKind], str] = {
    ("binance", SeriesKind.CANDLES): (
        "Days that are over come from Binance's public files (checksums verified), what no file has from its REST side; both go "
        "back to the day the market opened."
    ),
    (
        "binance",
        SeriesKind.FUNDING,
    ): "Rates as charged, with the mark price of that moment; as far back as the contract.",
    ("binance", SeriesKind.OPEN_INTEREST): (
        "A reading every 5 minutes: from Binance's public files since late 2020, over REST for the last month alone. Earlier days "
        "can't be had."
    ),
    ("binance", SeriesKind.TRADES): (
        "Every aggregated trade, from Binance's public files, or over REST by id; without a hole in the ids or not at all. A busy "
        "day is a million and more, so the nightly schedule leaves trades to the streamer."
    ),
    ("hyperliquid", SeriesKind.CANDLES): (
        "Hyperliquid serves the newest 5,000 candles of each interval and none before: 3.5 days of 1m, 17 days of 5m, 208 days of "
        "1h. Days beyond that are `missing`, and say so."
    ),
    ("hyperliquid", SeriesKind.FUNDING): (
        "Rate and premium of every hour since the contract began. It has no history of mark prices: those that were streamed stay."
    ),
    ("oanda", SeriesKind.CANDLES): (
        "OANDA's own candles of the configured side, cut at midnight UTC. It has none for a minute without a quote, weekends among "
        "them; `volume` counts price changes."
    ),
    ("yahoo", SeriesKind.CANDLES): (
        "Raw prices within the stock exchange's sessions, never adjusted for dividends or splits. Yahoo serves 1m for the last week "
        "or so, 5m to 30m for 60 days, 1h for two years, 1d for decades."
    ),
    (
        "yahoo",
        SeriesKind.ACTIONS,
    ): "Dividends per share and splits, kept beside raw prices; prices are never adjusted here.",
}

_CCXT = (
    "Fetched through CCXT, in the exchange's own digits; where CCXT has made floats of them, they are rounded to the market's own "
    "precision and the day's flags say so."
)

_NOUNS = {
    SeriesKind.FUNDING: "Funding rates",
    SeriesKind.OPEN_INTEREST: "Open interest",
    SeriesKind.TRADES: "Trades",
    SeriesKind.ACTIONS: "Dividends and splits",
}

_STORED = {
    SeriesKind.FUNDING: "Rows of the table `funding_rates`",
    SeriesKind.OPEN_INTEREST: "Rows of the table `open_interest`",
    SeriesKind.ACTIONS: "Rows of the table `corporate_actions`",
}

_TWICE = (
    "A day fetched again changes only what differs; a raw answer that has other bytes than before is shown as issued again. Nothing "
    "is filled in: what is missing is listed."
)


def candle_text(pair: TradingPair, interval: Interval, view: str) -> str:
    """Description of an interval's candles as the exchange has them."""
    beside = (
        f"\n\nThe same rows as `{pair.name}/candles_{interval}`, which the streamer writes live: fetched days complete and correct "
        "them."
        if is_streamed(pair)
        else ""
    )
    volume = "" if pair.exchange == "oanda" else f", volume in {pair.coin}"
    return (
        f"{interval} candles of {pair.trading_pair} as {pair.exchange} itself has them, of days that are over: open, high, low and "
        f"close in {pair.quote}{volume}, exact; `time` is the open, UTC. {gives(pair, SeriesKind.CANDLES)}\n\n{_TWICE}"
        f"\n\nRows of the table `candles`, easiest read through the view `{view}`; `candle_days` has condition and data version of "
        f"every day.{beside}"
    )


def series_text(pair: TradingPair, kind: SeriesKind) -> str:
    """Description of another series of the exchange's past."""
    if kind is SeriesKind.TRADES:
        stored = (
            f"One Parquet file a day, `trades/{pair.symbol}/YYYY/MM/DD/{pair.exchange}-<content hash>.parquet`, merged by id with what "
            "is committed: no trade is ever lost, and two different ones of one id are an error; its row in `lake_days` is the commit."
        )
    else:
        stored = f"{_STORED[kind]}; `history_days` has condition and data version of every day."
    live = {SeriesKind.FUNDING: "funding_rates", SeriesKind.OPEN_INTEREST: "open_interest"}.get(kind)
    if kind is SeriesKind.TRADES:
        live = tick_kind(pair.exchange)
    beside = (
        f" The streamer's `{pair.name}/{live}` are in the same place; values it brought are never overwritten by nothing."
        if live and is_streamed(pair)
        else ""
    )
    return (
        f"{_NOUNS[kind]} of {pair.trading_pair} as {pair.exchange} itself has them, of days that are over. {gives(pair, kind)}\n\n"
        f"{_TWICE}\n\n{stored}{beside}"
    )


def gives(pair: TradingPair, kind: SeriesKind) -> str:
    """What the exchange gives of that series, and what it can't."""
    if pair.history == CCXT:
        return _CCXT
    return _GIVES.get(
        (pair.exchange, kind), "As far back as the exchange serves it; earlier days say that it does not."
    )

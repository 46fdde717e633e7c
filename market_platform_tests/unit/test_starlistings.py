"""config/starlistings.yaml: every mistake is named with its line and what to write instead."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from market_platform.domain.errors import ConfigError
from market_platform.domain.intervals import INTERVALS
from market_platform.settings import PROJECT_ROOT
from market_platform.starlistings import load_starlistings, parse_starlistings

GOOD = """\
exchanges:
  dukascopy:
    name: Dukascopy
    licence: public
coins:
  EUR: Euro
  NO: Norwegian coin
quote_currencies: {USD: US Dollar}
market_types: {spot: Spot, perps: Perpetuals}
intervals: [1m, 5m, 1h]
starlistings:
  dukascopy:
    EURUSD: {coin: EUR, quote: USD}
    EURUSD.P: {coin: EUR, quote: USD, market_type: perps, intervals: 1h, candle_price: bid, first_day: 2019-02-04}
    NOUSD: {coin: NO, quote: USD, active: false}
"""


def test_the_repositorys_own_file() -> None:
    config = load_starlistings(PROJECT_ROOT / "config" / "starlistings.yaml")
    pairs = {pair.name: pair for pair in config.pairs()}
    assert set(pairs) >= {f"dukascopy/{symbol}" for symbol in ("EURUSD", "GBPJPY", "XAUUSD", "BTCUSD")}
    assert pairs["dukascopy/EURUSD"].intervals == INTERVALS
    assert pairs["dukascopy/EURUSD"].trading_pair == "EUR/USD"
    licences = {code: exchange.licence for code, exchange in config.exchanges.items()}
    public, private = ("dukascopy", "binance", "hyperliquid"), ("oanda", "yahoo")
    assert licences == dict.fromkeys(public, "public") | dict.fromkeys(private, "private")
    assert set(pairs) >= {"binance/BTCUSDT", "binance/BTCUSDT.P", "hyperliquid/SOLUSD", "oanda/EURUSD"}
    assert pairs["binance/BTCUSDT.P"].market_type == pairs["hyperliquid/BTCUSD"].market_type == "perps"
    assert {pair.candles_from for pair in pairs.values()} == {"exchange"}


def test_what_a_pair_leaves_out_is_its_exchanges() -> None:
    config = parse_starlistings(GOOD)
    plain, perps = config.pairs()
    assert (plain.market_type, plain.candle_price, plain.first_day) == ("spot", "mid", None)
    assert [interval.name for interval in plain.intervals] == ["1m", "5m", "1h"]
    assert (perps.market_type, perps.candle_price, perps.first_day) == ("perps", "bid", date(2019, 2, 4).isoformat())
    assert [interval.name for interval in perps.intervals] == ["1h"]
    assert plain.labels["coin"] == "Euro"


def test_inactive_pairs_are_kept_apart() -> None:
    config = parse_starlistings(GOOD)
    assert [pair.symbol for pair in config.pairs()] == ["EURUSD", "EURUSD.P"]
    assert [pair.symbol for pair in config.all_pairs() if not pair.active] == ["NOUSD"]


MISTAKES = [
    ("market_types: {", "market_typos: {", 9, "market_typos: unknown key; use one of exchanges, coins"),
    (
        "quote: USD}\n    EURUSD.P",
        "quote: USD, colour: red}\n    EURUSD.P",
        13,
        "EURUSD.colour: unknown key; use one of coin,",
    ),
    ("licence: public", "licence: free", 4, "exchanges.dukascopy.licence: 'free' is not possible; use one of 'public'"),
    ("name: Dukascopy", "name: [Duka]", 3, "exchanges.dukascopy.name: must be text"),
    ("    EURUSD: {coin: EUR, quote: USD}", "    EURUSD: EUR", 13, "EURUSD: must be a mapping"),
    ("    EURUSD: {coin: EUR, quote: USD}", "    EURUSD: {coin: EUR}", 13, "EURUSD.quote: is missing"),
    ("intervals: 1h", "intervals: [1m, 7m]", 14, "EURUSD.P.intervals: unknown interval '7m'; use one of 1m, 5m, 15m"),
    ("intervals: 1h", "intervals: 4h", 14, "EURUSD.P.intervals: interval 4h is not listed under `intervals`"),
    ("intervals: 1h", "intervals: {1h: x}", 14, "EURUSD.P.intervals: must be a list"),
    ("  dukascopy:\n    EURUSD", "  dukaskopy:\n    EURUSD", 12, "unknown exchange 'dukaskopy'; use one of dukascopy"),
    (
        "    EURUSD: {coin: EUR",
        "    EURUSD: {coin: EUX",
        13,
        "EURUSD.coin: unknown coin 'EUX'; use one of EUR, NO, or add it",
    ),
    ("market_type: perps", "market_type: swap", 14, "EURUSD.P.market_type: unknown market type 'swap'"),
    ("market_type: perps, ", "", 14, "EURUSD.P: is the same pair as EURUSD: EUR/USD"),
    ("    EURUSD.P:", "    EURUSD:", 14, "EURUSD: is given twice; first in line 13"),
    ("    EURUSD.P:", "    eur/usd:", 14, "'eur/usd' is not a symbol: 2 to 32 upper-case letters"),
    ("2019-02-04", "2019-02-30", 14, "EURUSD.P.first_day: '2019-02-30' is not a date; write it as 2019-02-04"),
    ("candle_price: bid", "candle_price: last", 14, "EURUSD.P.candle_price: 'last' is not possible; use one of 'mid'"),
    ("active: false", "active: perhaps", 15, "NOUSD.active: 'perhaps' is neither true nor false"),
    (
        "licence: public",
        "licence: public\n    alignment: new_york_17",
        5,
        "alignment 'new_york_17' is not supported yet",
    ),
    ("licence: public", "licence: public\n    alignment: tokyo", 5, "unknown alignment 'tokyo'; use one of utc"),
    ("coins:\n", "coins: [\n", 7, "not valid YAML"),
    ("coins:\n", "coins:\n\t- x\n", 6, "not valid YAML"),
]


@pytest.mark.parametrize(("text", "instead", "line", "message"), MISTAKES, ids=[each[3][:40] for each in MISTAKES])
def test_a_mistake_is_named_with_its_line(text: str, instead: str, line: int, message: str) -> None:
    assert text in GOOD
    with pytest.raises(ConfigError) as caught:
        parse_starlistings(GOOD.replace(text, instead, 1), "config/starlistings.yaml")
    found = [re.fullmatch(r"config/starlistings\.yaml:(\d+): (.*)", each) for each in str(caught.value).splitlines()]
    assert (line, True) in [(int(each[1]), message in each[2]) for each in found if each], str(caught.value)


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file() -> None:
    text = GOOD.replace("licence: public", "licence: free").replace("intervals: 1h", "intervals: 7m")
    with pytest.raises(ConfigError) as caught:
        parse_starlistings(text, "f.yaml")
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["4", "14"]


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must have the keys exchanges, coins"):
        parse_starlistings("# nothing\n")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist; set STARLISTINGS_FILE"):
        load_starlistings(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="can't be read"):
        load_starlistings(tmp_path / "binary.yaml")

"""How OANDA is spoken with: names, one address for all, and whose account it is."""

from __future__ import annotations

import pytest

from market_platform.domain.errors import ConfigError
from market_platform.domain.events import Control, Quote
from market_platform.domain.live import Channel, LivePair
from market_platform.exchanges.live import StreamDialect
from market_platform.exchanges.oanda.config import OandaConfig
from market_platform.exchanges.oanda.dialect import OandaDialect
from market_platform.exchanges.registry import live_exchange
from market_platform.settings import load_settings
from market_platform_tests.unit.exchanges.oanda.test_oanda_wire import HEARTBEAT, line

CONFIG = OandaConfig("https://stream.test", "https://rest.test", "secret-token", "001-001-1-001")
DIALECT: StreamDialect = OandaDialect(CONFIG)


def pair(number: int, wire: str = "EUR_USD") -> LivePair:
    coin, quote = wire.split("_")
    return LivePair(
        number, "oanda", coin + quote, coin, quote, "spot", wire, {"1m": number * 10, "1w": number * 10 + 1}
    )


def test_instruments_are_spelled_with_an_underscore() -> None:
    assert DIALECT.wire_symbol("EUR", "USD", "spot") == "EUR_USD"
    assert DIALECT.wire_symbol("SPX500", "USD", "spot") == "SPX500_USD"
    for coin, quote, market_type in (("BTC", "USD", "perps"), ("EUR&x=", "USD", "spot"), ("EUR", "U", "spot")):
        with pytest.raises(ConfigError, match="oanda"):
            DIALECT.wire_symbol(coin, quote, market_type)


def test_all_quotes_come_over_one_address_in_the_order_of_pairs() -> None:
    wanted = [
        each for number, wire in ((2, "USD_JPY"), (1, "EUR_USD")) for each in DIALECT.subscriptions(pair(number, wire))
    ]
    assert [each.channel for each in wanted] == [Channel.QUOTES, Channel.QUOTES]
    (plan,) = DIALECT.plan(wanted)
    assert plan.url == (
        "https://stream.test/v3/accounts/001-001-1-001/pricing/stream?instruments=EUR_USD,USD_JPY&snapshot=true"
    )
    assert (plan.name, plan.transport) == ("prices-1", "http")
    assert plan.headers["Authorization"] == "Bearer secret-token"
    assert DIALECT.plan([]) == []


def test_nothing_is_ever_sent() -> None:
    wanted = DIALECT.subscriptions(pair(1))
    assert DIALECT.subscribe(wanted) == DIALECT.unsubscribe(wanted) == []
    assert DIALECT.ping() is None
    assert not DIALECT.resubscribes


def test_a_plan_never_shows_the_token() -> None:
    (plan,) = DIALECT.plan(DIALECT.subscriptions(pair(1)))
    assert "secret-token" not in repr(plan) + repr(CONFIG)


def test_a_quote_belongs_to_its_instrument() -> None:
    (quote,) = DIALECT.parse(line(), "prices-1")
    assert isinstance(quote, Quote)
    assert DIALECT.subscription_of(quote, "prices-1") == DIALECT.subscriptions(pair(1))[0].name
    assert DIALECT.subscription_of(Control("heartbeat"), "prices-1") is None


def test_its_limits() -> None:
    limits = DIALECT.limits
    assert (limits.connections, limits.connects, limits.connects_per_s) == (20, 2, 1.0)
    assert limits.silence_s > 10.0  # two heartbeats
    assert HEARTBEAT["type"] == "HEARTBEAT"


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        ({}, "OANDA_API_KEY is not set"),
        ({"oanda_api_key": "abc"}, "OANDA_ACCOUNT_ID is not set"),
        ({"oanda_api_key": "a b", "oanda_account_id": "1"}, "OANDA_API_KEY has characters"),
        ({"oanda_api_key": "abc", "oanda_account_id": "1/../2"}, "OANDA_ACCOUNT_ID has characters"),
    ],
)
def test_on_the_real_market_key_and_account_are_needed(given: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigError, match=variable) as raised:
        live_exchange(
            "oanda", load_settings(market="live", **{"oanda_api_key": None, "oanda_account_id": None, **given})
        )
    assert "abc" not in str(raised.value)


def test_the_replay_exchange_wants_neither() -> None:
    exchange = live_exchange("oanda", load_settings(market="replay", oanda_api_key=None, oanda_account_id=None))
    (plan,) = exchange.dialect.plan(exchange.dialect.subscriptions(pair(1)))
    assert "/oanda/v3/accounts/replay/pricing/stream?" in plan.url
    assert exchange.polls_candles
    assert not exchange.confirms_candles
    assert exchange.trade_history == "none"

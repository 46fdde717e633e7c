"""How the Dukascopy client finds an instrument, and what it says when there is none."""

from __future__ import annotations

import asyncio

import pytest

from market_platform.domain.errors import (
    BadPayloadError,
    BadRequestError,
    ExchangeUnavailableError,
    UnknownSymbolError,
    is_retryable,
)
from market_platform.exchanges.dukascopy.client import DukascopyClient
from market_platform_tests.fixtures.dukascopy_days import (
    Script,
    fetch_instrument,
    with_client,
)
from market_platform_tests.fixtures.dukascopy_wire import (
    instrument_json,
)
from market_platform_tests.fixtures.scripted_exchange import Reply, ScriptedExchange, json_reply

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.mark.parametrize("spelling", ["EURUSD", "eur/usd", "EUR_USD"])
def test_instrument_is_found_by_any_spelling(spelling: str) -> None:
    script: Script = {"/v1/instruments/EUR-USD": json_reply(instrument_json())}
    instrument, server = fetch_instrument(script, spelling)
    assert (instrument.symbol, instrument.code, instrument.price_scale) == ("EURUSD", "EUR-USD", 5)
    assert [each.path for each in server.asked] == ["/v1/instruments/EUR-USD"]


LISTED: Script = {
    "/v1/instruments": json_reply([{"code": "EUR-USD"}, {"code": "USA500.IDX-USD"}, {"code": "AAPL.US-USD"}]),
    "/v1/instruments/AAPL.US-USD": json_reply(instrument_json("AAPL.US-USD", 3)),
    "/v1/instruments/USA500.IDX-USD": json_reply(instrument_json("USA500.IDX-USD", 3)),
}


def test_other_symbols_are_looked_up_in_the_exchanges_list_once() -> None:
    async def run() -> ScriptedExchange:
        async with asyncio.timeout(30), ScriptedExchange(dict(LISTED)) as server:

            async def both(client: DukascopyClient) -> None:
                assert (await client.fetch_instrument("AAPLUSUSD")).code == "AAPL.US-USD"
                assert (await client.fetch_instrument("USA500.IDXUSD")).price_scale == 3

            await with_client(server, both)
            return server

    assert asyncio.run(run()).times_asked("/v1/instruments") == 1


def test_unknown_symbol_is_told_with_what_to_do() -> None:
    with pytest.raises(UnknownSymbolError) as caught:
        fetch_instrument(dict(LISTED), "EURUSX")
    assert not is_retryable(caught.value)
    told = str(caught.value)
    assert "does not know the symbol EURUSX. Similar: EUR-USD." in told
    assert "curl http://127.0.0.1" in told
    with pytest.raises(UnknownSymbolError, match="does not know the symbol XXXYYY"):
        fetch_instrument({}, "XXXYYY")


def test_symbol_that_is_none_is_a_bad_request() -> None:
    with pytest.raises(BadRequestError):
        fetch_instrument({}, "EURUSD/../x")


def test_instrument_is_asked_again_after_trouble_and_refused_when_wrong() -> None:
    path = "/v1/instruments/EUR-USD"
    fine = json_reply(instrument_json())
    assert fetch_instrument({path: [Reply(status=503), Reply(b"{"), fine]}, "EURUSD")[1].times_asked(path) == 3
    with pytest.raises(ExchangeUnavailableError, match=r"dukascopy/EURUSD instrument: HTTP 503.*\(tried 5 times\)"):
        fetch_instrument({path: Reply(status=503)}, "EURUSD")
    with pytest.raises(BadPayloadError, match="priceScale"):
        fetch_instrument({path: json_reply(instrument_json(priceScale="five"))}, "EURUSD")
    with pytest.raises(ExchangeUnavailableError, match="no answer within"):
        fetch_instrument({path: Reply(hang=True)}, "EURUSD", day_budget_s=0.2)

"""Bad answers of an exchange, over real HTTP into a real Postgres and a lake: a clear error, and nothing half-written.

Before anything of the day is stored they leave no trace; after it was stored from good answers they change not one byte of
the lake and not one value of the tables.
"""

from __future__ import annotations

import asyncio
import json
import lzma
import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from market_platform.domain.clock import day_start_ms
from market_platform.domain.errors import BadPayloadError, DayFailedError, ExchangeError, UnknownSymbolError
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.dukascopy import bi5
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.pipeline.ticks import ingest_tick_days
from market_platform.settings import load_settings
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import sync_reference
from market_platform_tests.fixtures.dukascopy_wire import (
    HOUR_MS,
    TickRow,
    bi5_body,
    instrument_json,
    json_body,
    quiet_hour,
)
from market_platform_tests.fixtures.reference import small_config
from market_platform_tests.fixtures.scripted_exchange import Reply, ScriptedExchange, json_reply

DAY = date(2024, 3, 5)
BAD_HOUR = 7
START_MS = day_start_ms(DAY) + BAD_HOUR * HOUR_MS
INSTRUMENT = "/instruments/EUR-USD"
LONG_AFTER = datetime(2025, 1, 1, tzinfo=UTC)
ROWS = quiet_hour(60)

Script = dict[str, Reply | Sequence[Reply]]

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.fixture(autouse=True)
def pairs_are_synced(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection:
        sync_reference(connection, small_config())


def pair() -> TradingPair:
    return next(each for each in small_config().pairs() if each.name == "dukascopy/EURUSD")


def json_path(hour: int) -> str:
    return f"/ticks/EUR-USD/{DAY.year}/{DAY.month}/{DAY.day}/{hour}"


def bi5_path(hour: int) -> str:
    return f"/EURUSD/{DAY.year}/{DAY.month - 1:02}/{DAY.day:02}/{hour:02}h_ticks.bi5"


def good_day() -> Script:
    """The instrument and 24 full hours in both formats."""
    script: Script = {INSTRUMENT: json_reply(instrument_json())}
    for hour in range(24):
        script[json_path(hour)] = Reply(json_body(ROWS, day_start_ms(DAY) + hour * HOUR_MS))
        script[bi5_path(hour)] = Reply(bi5_body(ROWS), content_type="application/octet-stream")
    return script


class Kept:
    """What the platform keeps: every object of the lake and every row of every table."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.folder = folder
        self._database_url = database_url

    def everything(self) -> dict[str, Any]:
        """All of it, comparable."""
        files = {str(path): path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}
        with psycopg.connect(self._database_url) as connection:
            tables = [
                row[0]
                for row in connection.execute("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'")
            ]
            rows = {
                table: connection.execute(f'SELECT t::text FROM public."{table}" t ORDER BY 1').fetchall()
                for table in tables
            }
        return {"files": files, **rows}

    def days(self) -> int:
        """How many days are committed."""
        return len(self.everything()["lake_days"])


@pytest.fixture
def kept(database_url: str, tmp_path: Path) -> Kept:
    return Kept(database_url, tmp_path)


def ingest(script: Script, kept: Kept, database_url: str, transport: str) -> Exception | None:
    """Ingest the day from an exchange of that script; returns the error the day failed with."""

    async def run() -> None:
        async with asyncio.timeout(60), ScriptedExchange(script) as server:
            settings = load_settings(
                _env_file=None,
                market_data_dir=kept.folder,
                dukascopy_transport=transport,
                dukascopy_json_url=server.url,
                dukascopy_bi5_url=server.url,
            )
            platform = Platform.from_settings(settings, database_url, clock=lambda: LONG_AFTER)
            try:
                await ingest_tick_days(platform, pair(), [DAY], Provenance("run-1", "test-1"), lambda report: None)
            finally:
                platform.close()

    try:
        asyncio.run(run())
    except (DayFailedError, ExchangeError) as error:
        return error
    return None


def reason(failed: Exception | None, transport: str) -> str:
    """The message of the one day that failed, for the pair, day and hour; it says that a retry can't help."""
    assert isinstance(failed, DayFailedError)
    assert list(failed.failures) == [DAY.isoformat()]
    assert f"1 of 1 days failed, 0 are kept:\n  {DAY}: dukascopy/EURUSD {DAY} 07h ({transport}): " in str(failed)
    error = failed.failures[DAY.isoformat()]
    assert isinstance(error, BadPayloadError)
    return str(error)


def changed(row: int, **fields: float) -> list[TickRow]:
    """The good rows with some fields of one replaced."""
    names = ("ms", "ask", "bid", "ask_volume", "bid_volume")
    rows = list(ROWS)
    rows[row] = tuple(fields.get(name, value) for name, value in zip(names, rows[row], strict=True))  # type: ignore[assignment]
    return rows


def flipped(body: bytes, bit: int) -> bytes:
    damaged = bytearray(body)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


GOOD_BI5 = bi5_body(ROWS)
BAD_BI5: dict[str, tuple[bytes, str]] = {
    "cut off": (GOOD_BI5[:-30], "the bi5 file is cut off: "),
    "a header alone": (GOOD_BI5[:13], "the bi5 file is cut off: 13 bytes"),
    "a flipped bit": (flipped(GOOD_BI5, 8 * len(GOOD_BI5) // 2), "are not a bi5 file (Corrupt input data)"),
    "a flipped bit of the header": (flipped(GOOD_BI5, 3), "are not a bi5 file"),
    "something else": (b"<html>maintenance</html>", "24 bytes are not a bi5 file"),
    "bytes after the end": (GOOD_BI5 + b"\0\0", "go on after the end of the bi5 file"),
    "half a record": (
        lzma.compress(struct.pack(">3i2f", *ROWS[0]) + b"half", format=lzma.FORMAT_ALONE),
        "24 bytes after decompression are not whole records of 20 bytes",
    ),
    "times going back": (bi5_body(changed(9, ms=7999)), "time of row 9 is 7999 ms, but the row before has 8000 ms"),
    "a time of the next hour": (bi5_body(changed(59, ms=HOUR_MS)), "time of row 59 is 3600000 ms, but times of this"),
    "a time before the hour": (bi5_body(changed(0, ms=-1)), "time of row 0 is -1 ms"),
    "a price of zero": (bi5_body(changed(3, bid=0)), "bid of row 3 is 0 units, but a price is above zero"),
    "a negative price": (bi5_body(changed(3, ask=-5)), "ask of row 3 is -5 units, but a price is above zero"),
    "a volume that is no number": (bi5_body(changed(4, ask_volume=float("nan"))), "ask_volume of row 4 is nan, but a"),
    "an endless volume": (bi5_body(changed(4, bid_volume=float("inf"))), "bid_volume of row 4 is inf, but a volume is"),
    "a negative volume": (bi5_body(changed(5, bid_volume=-1.0)), "bid_volume of row 5 is -1.0, but a volume is"),
}


def body(**fields: Any) -> bytes:
    return json_body(ROWS, START_MS, **fields)


TIMES = [0] + [1000] * 59
BAD_JSON: dict[str, tuple[bytes, str]] = {
    "words for numbers": (body(times=["seven"] * 60), "Expected `int`, got `str` - at `$.times[0]`"),
    "a null among numbers": (body(askVolumes=[None] * 60), "Expected `float`, got `null` - at `$.askVolumes[0]`"),
    "a number for an array": (body(bids=7), "Expected `array`, got `int` - at `$.bids`"),
    "a field missing": (json.dumps({"timestamp": START_MS}).encode(), "Object missing required field `multiplier`"),
    "cut off": (body()[:-100], "are not the JSON expected: Input data was truncated"),
    "not JSON": (b"<html>maintenance</html>", "24 bytes are not the JSON expected"),
    "not a number": (body(bidVolumes=[float("nan")] * 60), "are not the JSON expected"),
    "another hour's": (
        json_body(ROWS, START_MS + HOUR_MS),
        f"its timestamp is {START_MS + HOUR_MS}, asked for {START_MS}",
    ),
    "times going back": (body(times=[*TIMES[:9], -1, *TIMES[10:]]), "time of row 9 is 7999 ms, but the row before has"),
    "a time of the next hour": (body(times=[*TIMES[:-1], HOUR_MS]), "but times of this period are 0 to 3599999 ms"),
    "a base price of zero": (body(bid=0.0), "base price bid is 0.0, which is not a price of scale 5"),
    "prices falling below zero": (body(asks=[0, -200_000] + [0] * 58), "ask of row 1 is -85498 units, but a price is"),
    "a negative volume": (body(askVolumes=[-0.5] + [1.0] * 59), "askVolumes of row 0 is -0.5, but a volume is"),
    "arrays of two lengths": (body(bids=[0]), "arrays differ in length: times 60, asks 60, bids 1, askVolumes 60"),
    "another scale": (body(multiplier=0.001), "multiplier is 0.001, but the instrument's price scale is 5"),
    "an absurd number": (
        body(times=[2**70, *TIMES[1:]]),
        "times of row 0 is 1180591620717411303424, but that is absurd",
    ),
    "endless brackets": (b'{"more":' + b"[" * 100_000, "are not the JSON expected"),
}

BAD = {"bi5": BAD_BI5, "json": BAD_JSON}
CASES = [
    pytest.param(transport, sent, told, id=f"{transport}: {name}")
    for transport, cases in BAD.items()
    for name, (sent, told) in cases.items()
]


def day_with(transport: str, sent: bytes) -> Script:
    """A good day with one bad hour in that format."""
    path = json_path if transport == "json" else bi5_path
    return good_day() | {path(BAD_HOUR): Reply(sent)}


@pytest.mark.parametrize(("transport", "sent", "told"), CASES)
def test_a_bad_hour_is_named_and_nothing_of_its_day_is_stored(
    transport: str, sent: bytes, told: str, kept: Kept, database_url: str
) -> None:
    message = reason(ingest(day_with(transport, sent), kept, database_url, transport), transport)
    assert told in message
    other = "bi5" if transport == "json" else "json"
    assert message.endswith(f"(tried 5 times); ask again later, or take the other format (DUKASCOPY_TRANSPORT={other})")
    assert len(message) < 400
    assert kept.everything()["files"] == {}
    assert kept.days() == 0


@pytest.mark.parametrize("transport", BAD)
def test_bad_hours_change_nothing_of_a_day_that_is_stored(transport: str, kept: Kept, database_url: str) -> None:
    assert ingest(good_day(), kept, database_url, transport) is None
    stored = kept.everything()
    assert kept.days() == len(stored["files"]) == 1
    for sent, _ in BAD[transport].values():
        assert isinstance(ingest(day_with(transport, sent), kept, database_url, transport), DayFailedError)
        assert kept.everything() == stored


def test_a_flip_of_any_bit_of_a_bi5_file_is_refused_or_changes_nothing() -> None:
    good = bi5.decode_ticks(GOOD_BI5, START_MS, 5, "good")
    for bit in range(len(GOOD_BI5) * 8):
        try:
            read = bi5.decode_ticks(flipped(GOOD_BI5, bit), START_MS, 5, "flipped")
        except BadPayloadError:
            continue
        for column in ("time", "bid", "ask", "bid_volume", "ask_volume"):
            assert (getattr(read, column) == getattr(good, column)).all(), bit


BAD_INSTRUMENTS: dict[str, tuple[Reply, str]] = {
    "words for numbers": (
        json_reply(instrument_json(priceScale="five")),
        "Expected `int`, got `str` - at `$.priceScale`",
    ),
    "an absurd scale": (json_reply(instrument_json(price_scale=40)), "priceScale is 40, but 0 to 9 can be"),
    "another instrument's": (
        json_reply(instrument_json("GBP-USD")),
        "the answer describes 'GBP-USD', asked for 'EUR-USD'",
    ),
    "no time zone": (json_reply(instrument_json(defaultTimezone="Mars/Base")), "'Mars/Base' is not a time zone"),
    "no times": (
        json_reply(instrument_json(tradeSchedule=[{"sessions": {"MONDAY": [{"start": "25:00", "end": "x"}]}}])),
        "tradeSchedule MONDAY is from '25:00' to 'x', which are not times",
    ),
    "endless brackets": (Reply(b'{"more":' + b"[" * 100_000), "are not the JSON expected"),
}


@pytest.mark.parametrize(("reply", "told"), BAD_INSTRUMENTS.values(), ids=BAD_INSTRUMENTS.keys())
def test_a_bad_description_of_the_instrument_is_named_and_changes_nothing(
    reply: Reply, told: str, kept: Kept, database_url: str
) -> None:
    before = kept.everything()
    error = ingest(good_day() | {INSTRUMENT: reply}, kept, database_url, "json")
    assert isinstance(error, BadPayloadError)
    assert str(error).startswith("dukascopy/EURUSD instrument: ")
    assert told in str(error)
    assert str(error).endswith("ask again later")
    assert kept.everything() == before


def test_a_symbol_the_exchange_does_not_know_is_told_with_those_it_knows(kept: Kept, database_url: str) -> None:
    before = kept.everything()
    listed = json_reply({"instruments": [{"code": code} for code in ("EUR-USX", "EUR-AUD", "BRENT.CMD-USD")]})
    error = ingest({"/instruments": listed}, kept, database_url, "json")
    assert isinstance(error, UnknownSymbolError)
    assert "Dukascopy does not know the symbol EURUSD. Similar: EUR-USX, EUR-AUD. All it knows: curl http" in str(error)
    assert kept.everything() == before

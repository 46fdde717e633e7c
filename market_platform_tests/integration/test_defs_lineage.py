"""Candles that were built from something else are noticed and built again: days, weeks and months, on real parts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import stamina

from market_platform.defs.names import candle_layer, day_layers
from market_platform.defs.partitions import Partitions
from market_platform.defs.recent import Look, unfinished_runs
from market_platform.defs.repair import Need
from market_platform.defs.symptoms import find_symptoms
from market_platform.domain.intervals import parse_interval
from market_platform.replay.generator.source import GeneratorSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.defs_world import NOW, DefsWorld, dagster_on_postgres

DAY, MONDAY, SUNDAY = date(2024, 3, 1), date(2024, 2, 26), date(2024, 3, 3)
WEEK_LAYER = candle_layer(parse_interval("1w"))
Found = list[tuple[Need, date, str]]


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(seed=7, clock=lambda: NOW)) as running:
        yield running


@pytest.fixture
def world(exchange: RunningReplay, database_url: str, tmp_path: Path) -> Iterator[DefsWorld]:
    made = DefsWorld(database_url, exchange, tmp_path)
    with stamina.set_testing(True, attempts=5, cap=True):
        yield made
    made.close()


def symptoms(world: DefsWorld, instance: dg.DagsterInstance) -> Found:
    """What the repair sensor sees."""
    look = Look.now(instance, Partitions.standard(), unfinished_runs(instance), world.now, 14)
    [state] = look.at_pairs(world.warehouse, [world.pair()])
    return [(each.need, each.day, each.reason) for each in find_symptoms(state)]


def correct(world: DefsWorld, instance: dg.DagsterInstance, day: date) -> None:
    """The exchange tells other ticks for the day, and only they are materialised: what a killed run leaves behind."""
    with running_replay(GeneratorSource(seed=8, clock=lambda: NOW)) as other:
        before = world.settings
        world.settings = before.model_copy(
            update={"dukascopy_json_url": other.json_url, "dukascopy_bi5_url": other.bi5_url}
        )
        assert world.run(instance, ["ticks"], day, day).success
        world.settings = before


def stored(world: DefsWorld, interval: str) -> list[tuple[object, ...]]:
    with psycopg.connect(world.database_url) as connection:
        return connection.execute(
            "SELECT d.day, d.input_version, d.data_version FROM candle_days AS d"
            " JOIN starlistings AS s ON s.id = d.starlisting_id JOIN intervals AS i ON i.id = s.interval_id"
            " WHERE i.name = %s ORDER BY d.day",
            [interval],
        ).fetchall()


def test_corrected_ticks_are_followed_by_their_candles_and_by_an_older_week(world: DefsWorld) -> None:
    days = day_layers(world.pair())
    candles = [layer for layer in days if layer != "ticks"]
    with dagster_on_postgres(world.settings, world.database_url) as instance:
        assert world.run(instance, days, MONDAY, SUNDAY).success
        assert world.run(instance, [WEEK_LAYER], MONDAY, MONDAY).success
        assert symptoms(world, instance) == []
        [week] = stored(world, "1w")
        correct(world, instance, DAY)
        assert symptoms(world, instance) == [(Need.CANDLES, DAY, "candles built from other ticks")]
        assert world.run(instance, candles[:1], DAY, DAY).success
        assert symptoms(world, instance) == [(Need.CANDLES, DAY, "candles built from other ticks")]
        assert world.run(instance, candles, DAY, DAY).success
        assert symptoms(world, instance) == [(Need.WEEK, MONDAY, "built from other days")]
        assert world.run(instance, [WEEK_LAYER], MONDAY, MONDAY).success
        assert symptoms(world, instance) == []
        [rebuilt] = stored(world, "1w")
        assert rebuilt[1] != week[1]
        assert rebuilt[2] != week[2]


def test_candles_of_before_the_lineage_was_kept_are_left_alone(world: DefsWorld) -> None:
    with dagster_on_postgres(world.settings, world.database_url) as instance:
        assert world.run(instance, day_layers(world.pair()), MONDAY, SUNDAY).success
        assert world.run(instance, [WEEK_LAYER], MONDAY, MONDAY).success
        with psycopg.connect(world.database_url) as connection:
            connection.execute("UPDATE candle_days SET input_version = ''")
        assert symptoms(world, instance) == []
        assert world.run(instance, day_layers(world.pair()), MONDAY, MONDAY + timedelta(days=6)).success
        assert {version for _, version, _ in stored(world, "1m")[:5]}.isdisjoint({""})
        assert symptoms(world, instance) == []

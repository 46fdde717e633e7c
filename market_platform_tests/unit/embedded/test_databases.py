"""Which database the settings name: one function decides for every process."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_platform.domain.errors import ConfigError
from market_platform.embedded.databases import find_database, find_database_url, find_shared_url, has_training_database
from market_platform.settings import Settings, load_settings

REALTIME = "postgresql://market:made-up@db.example:5432/market"
TRAINING = "postgresql://learner:made-up@ml.example:5433/stars"


def settings(folder: Path, **given: object) -> Settings:
    return load_settings(_env_file=None, market_data_dir=folder, **given)


def test_each_url_is_for_its_own_database(tmp_path: Path) -> None:
    both = settings(tmp_path, database_url=REALTIME, training_database_url=TRAINING)
    realtime, training = find_database(both), find_database(both, "training")
    assert (realtime.url, realtime.role, realtime.falls_back) == (REALTIME, "realtime", False)
    assert (training.url, training.role, training.falls_back) == (TRAINING, "training", False)
    assert has_training_database(both)


def test_without_a_training_database_training_is_the_realtime_one(tmp_path: Path) -> None:
    one = settings(tmp_path, database_url=REALTIME)
    found = find_database(one, "training")
    assert (found.url, found.role, found.falls_back) == (REALTIME, "realtime", True)
    assert not has_training_database(one)


@pytest.mark.parametrize(
    ("realtime", "beside"),
    [
        (REALTIME, "postgresql://market:made-up@db.example:5432/market_training"),
        ("postgres://market:a%2Fb@[::1]:5432/market", "postgresql://market:a%2Fb@[::1]:5432/market_training"),
        ("postgresql://h/market?sslmode=require&dbname=other", "postgresql://h/market_training?sslmode=require"),
        ("postgresql:///market?host=/run/postgresql", "postgresql:///market_training?host=%2Frun%2Fpostgresql"),
    ],
)
def test_a_name_alone_is_a_database_on_the_same_server(tmp_path: Path, realtime: str, beside: str) -> None:
    found = find_database(settings(tmp_path, database_url=realtime, training_database="market_training"), "training")
    assert (found.url, found.role) == (beside, "training")


def test_two_settings_for_one_database_are_refused(tmp_path: Path) -> None:
    both = settings(tmp_path, database_url=REALTIME, training_database_url=TRAINING, training_database="stars")
    with pytest.raises(ConfigError, match="both name the training database; unset one"):
        find_database(both, "training")
    assert find_database_url(both) == REALTIME


@pytest.mark.parametrize("name", ["Market", "market-training", "a/b", "1st", "postgresql://h/db", "x" * 64])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="TRAINING_DATABASE: must be a database's name alone"):
        settings(tmp_path, training_database=name)


def test_a_machine_may_have_the_training_database_alone(tmp_path: Path) -> None:
    alone = settings(tmp_path, training_database_url=TRAINING)
    assert find_database(alone, "training").url == TRAINING
    assert find_shared_url(alone) is None
    with pytest.raises(ConfigError, match="no database yet"):
        find_database(alone)
    with pytest.raises(ConfigError, match="no database yet"):
        find_database(settings(tmp_path, training_database="stars"), "training")

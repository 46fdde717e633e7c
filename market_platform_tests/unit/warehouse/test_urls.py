"""Database URLs in the spellings people have, shown without secrets."""

from __future__ import annotations

import pytest

from market_platform.domain.errors import ConfigError
from market_platform.warehouse.urls import dbmate_url, libpq_url, shown_url, sqlalchemy_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_spelling_is_understood(scheme: str) -> None:
    url = f"{scheme}://user:p%40ss@db.example:6543/market?sslmode=require"
    assert libpq_url(url) == "postgresql://user:p%40ss@db.example:6543/market?sslmode=require"
    assert sqlalchemy_url(url) == "postgresql+psycopg://user:p%40ss@db.example:6543/market?sslmode=require"
    assert shown_url(url) == "db.example:6543/market"


def test_another_database_is_refused_without_showing_the_url() -> None:
    with pytest.raises(ConfigError, match="postgresql://") as caught:
        libpq_url("mysql://user:secret@host/db")
    assert "secret" not in str(caught.value)


def test_what_libpq_negotiated_is_said_to_dbmate() -> None:
    url = "postgresql://u:p@host/market?application_name=x&options=-c%20a%3Db&connect_timeout=3"
    assert dbmate_url(url, tls=False) == "postgres://u:p@host/market?connect_timeout=3&sslmode=disable"
    assert dbmate_url(url, tls=True) == "postgres://u:p@host/market?connect_timeout=3&sslmode=require"
    assert dbmate_url("postgresql://host/market?sslmode=verify-full", tls=True).endswith("sslmode=verify-full")

"""Database URLs: the spellings people have, and how one may be shown.

Belongs here: pure functions on URLs. Does not: connecting.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from market_platform.domain.errors import ConfigError


def libpq_url(url: str) -> str:
    """The URL as libpq, psycopg and psql read it: `postgresql://…`.

    Raises:
        ConfigError: it is not a Postgres URL.
    """
    for prefix in ("postgresql+psycopg://", "postgresql+psycopg2://", "postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql://" + url.removeprefix(prefix)
    raise ConfigError("the database URL must begin with postgresql://; look at DATABASE_URL")


def sqlalchemy_url(url: str) -> str:
    """The URL as SQLAlchemy reads it, naming psycopg 3."""
    return "postgresql+psycopg://" + libpq_url(url).removeprefix("postgresql://")


def shown_url(url: str) -> str:
    """`host:port/database`: what messages and logs may show. Never the user's password, nor the options."""
    parts = urlsplit(libpq_url(url))
    options = dict(parse_qsl(parts.query))
    host = parts.hostname or options.get("host") or "localhost"
    return f"{host}:{parts.port or options.get('port') or 5432}/{parts.path.lstrip('/') or options.get('dbname', '')}"


_DBMATE_OPTIONS = {"sslmode", "sslcert", "sslkey", "sslrootcert", "connect_timeout", "host", "port", "search_path"}


def dbmate_url(url: str, *, tls: bool) -> str:
    """The URL as dbmate's driver reads it: `postgres://`, with `sslmode` said outright.

    libpq tries TLS and falls back to a plain connection; dbmate's driver does not, so `tls` says which one libpq got.
    Options dbmate would pass on to the server as settings are left out.
    """
    parts = urlsplit(libpq_url(url))
    options = {name: value for name, value in parse_qsl(parts.query) if name in _DBMATE_OPTIONS}
    if options.get("sslmode", "prefer") in ("prefer", "allow"):
        options["sslmode"] = "require" if tls else "disable"
    return urlunsplit(("postgres", parts.netloc, parts.path, urlencode(options), ""))

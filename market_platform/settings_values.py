"""What the value of a setting must look like: types that refuse, in words that show nothing secret, what would fail later.

Belongs here: the form of one value. Does not: which settings there are (settings.py), addresses of exchanges
(settings_addresses.py), whether anybody answers at an address.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

_POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")


def _check_database_url(value: SecretStr) -> SecretStr:
    """Refuse what Postgres's client would refuse too, but in words that show no part of a password."""
    url = value.get_secret_value()
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _POSTGRES_SCHEMES:
        raise ValueError("must be a postgresql:// URL")
    try:
        parts = urlsplit(url)
        encoded = rest.count("@") == parts.netloc.count("@") <= 1 and not re.search(r"%(?![0-9A-Fa-f]{2})", rest)
        _ = parts.port
    except ValueError:
        encoded = False
    if not encoded:
        raise ValueError(
            "must be postgresql://user:password@host:5432/name with a number as port; "
            "write @ : / ? # % in a password as %40 %3A %2F %3F %23 %25"
        )
    return value


def _check_database_name(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value):
        raise ValueError("must be a database's name alone: lower-case letters, digits and _, such as market_training")
    return value


def _check_lake_url(value: str) -> str:
    if not re.match(r"s3://[A-Za-z0-9_.-]+(/|$)|file://(localhost)?/+[^/]", value):
        raise ValueError("must be s3://bucket, s3://bucket/prefix or file:///folder")
    return value


def _check_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", value):
        raise ValueError("must be a name alone: letters, digits, dots and dashes")
    return value


def _check_endpoint(value: str) -> str:
    if not _is_web_address(value):
        raise ValueError("must be https://host or http://host:port, and a path if the store has one")
    return value


def _check_web_address(value: str) -> str:
    if not _is_web_address(value):
        raise ValueError("must be https://host/path or http://host/path")
    return value


def _check_stream_address(value: str) -> str:
    if not (re.match("wss?://", value) and _is_web_address(value.replace("ws", "http", 1))):
        raise ValueError("must be wss://host/path or ws://host/path")
    return value


def _check_address_or_folder(value: str) -> str:
    if not value.startswith("file:///") and not _is_web_address(value):
        raise ValueError("must be https://host/path, http://host/path or file:///folder")
    return value


def _is_web_address(url: str) -> bool:
    """Whether an HTTP client can use it; the lake's ends the process over one that it can't."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    name = re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", parts.hostname or "")
    return (
        url.isascii()
        and parts.scheme in ("http", "https")
        and name is not None
        and not re.search(r"[\s<>\"{}|\\^`]", url)
    )


DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database_url)]
"""`postgresql://user:password@host:5432/name`."""
DatabaseName = Annotated[str, AfterValidator(_check_database_name)]
"""The name of a database on the same server."""
LakeUrl = Annotated[str, AfterValidator(_check_lake_url)]
"""`s3://bucket/prefix` or `file:///folder`."""
Name = Annotated[str, AfterValidator(_check_name)]
"""A host, an account or a bucket."""
EndpointUrl = Annotated[str, AfterValidator(_check_endpoint)]
"""Where an object store of one's own answers."""
WebAddress = Annotated[str, AfterValidator(_check_web_address)]
"""`https://…` or `http://…`."""
StreamAddress = Annotated[str, AfterValidator(_check_stream_address)]
"""`wss://…` or `ws://…`."""
AddressOrFolder = Annotated[str, AfterValidator(_check_address_or_folder)]
"""A web address, or a folder that holds what would be fetched there."""

"""The lake that the settings name.

Belongs here: settings → an open lake. Does not: what is in it (lake/), and who writes there (platform.py).
"""

from __future__ import annotations

from market_platform.domain.databases import Database
from market_platform.lake.store import Lake
from market_platform.settings import Settings


def open_lake(settings: Settings, role: Database = "realtime") -> Lake:
    """The lake of that database; no I/O happens here.

    A training database has a folder of its own in the lake: files that one database's manifests do not name are removed, and
    the other might name them.

    Raises:
        ConfigError: the URL or the keys can't be used.
    """
    url = settings.resolved_lake_url
    key, secret = settings.r2_access_key_id, settings.r2_secret_access_key
    return Lake.open(
        url if role == "realtime" else f"{url.rstrip('/')}/{role}",
        access_key_id=key.get_secret_value() if key else None,
        secret_access_key=secret.get_secret_value() if secret else None,
        endpoint=settings.resolved_r2_endpoint,
        region=settings.r2_region,
    )

"""The two databases: `realtime`, which the streamer and the daily runs write, and `training`, for models to learn from.

Belongs here: their names. Does not: where they are (embedded/databases.py), which one a server's database is
(warehouse/database_role.py).
"""

from __future__ import annotations

from typing import Literal, get_args

Database = Literal["realtime", "training"]

DATABASES: tuple[Database, ...] = get_args(Database)

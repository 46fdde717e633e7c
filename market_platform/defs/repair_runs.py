"""A planned repair as the run that a sensor requests, and what it says of partitions that it gives up.

Belongs here: what both repairing sensors do with a plan (repair.py). Does not: what is wrong with which partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import dagster as dg

from market_platform.defs.names import PAIR_TAG, TRIGGER_TAG
from market_platform.defs.partitions import range_tags
from market_platform.defs.repair import Repair

REPAIR = "repair"
"""Value of `TRIGGER_TAG`."""
GIVEN_UP = "given up after several attempts, still {}; look at its last run, then materialise it by hand"
"""What is said of a partition that is not asked for again, with its reason."""


def repair_request(repair: Repair, job_name: str, keys: Sequence[dg.AssetKey], now: datetime) -> dg.RunRequest:
    """The run of the job for these assets; one partition, or a range of them."""
    one = repair.first == repair.last
    return dg.RunRequest(
        run_key=repair.run_key(now),
        job_name=job_name,
        partition_key=repair.first.isoformat() if one else None,
        asset_selection=keys,
        tags={
            TRIGGER_TAG: REPAIR,
            PAIR_TAG: repair.pair,
            "market/attempt": str(repair.attempt),
            **({} if one else range_tags(repair.first, repair.last)),
        },
    )

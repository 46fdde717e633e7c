"""Definitions so far: what each group of pairs adds to, before Dagster is given all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import dagster as dg

from market_platform.defs.jobs import AssetJob


@dataclass
class Kit:
    """Definitions so far."""

    assets: list[dg.AssetsDefinition | dg.AssetSpec]
    checks: list[dg.AssetChecksDefinition] = field(default_factory=list)
    jobs: list[dg.JobDefinition | AssetJob] = field(default_factory=list)
    schedules: list[dg.ScheduleDefinition] = field(default_factory=list)
    sensors: list[dg.SensorDefinition] = field(default_factory=list)

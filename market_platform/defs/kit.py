"""Definitions so far, and what all of them are made with: what each group of pairs adds to, before Dagster is given all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import dagster as dg

from market_platform.defs.jobs import AssetJob
from market_platform.defs.partitions import Partitions
from market_platform.defs.policies import Policies
from market_platform.domain.clock import Clock
from market_platform.settings import Settings


@dataclass
class Kit:
    """Definitions so far, and the settings, partitions, policies and clock of the next."""

    settings: Settings
    partitions: Partitions
    policies: Policies
    clock: Clock
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = field(default_factory=list)
    checks: list[dg.AssetChecksDefinition] = field(default_factory=list)
    jobs: list[dg.JobDefinition | AssetJob] = field(default_factory=list)
    schedules: list[dg.ScheduleDefinition] = field(default_factory=list)
    sensors: list[dg.SensorDefinition] = field(default_factory=list)

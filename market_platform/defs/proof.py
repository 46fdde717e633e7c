"""The definitions of the nightly proof: an asset a streamed pair, the job of all, and when it runs.

Belongs here: that. Does not: the asset itself (assets/proof.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time

import dagster as dg

from market_platform.defs.assets.proof import PROOF, has_proof, proof_asset, proof_key
from market_platform.defs.jobs import AssetJob
from market_platform.defs.kit import Kit
from market_platform.defs.schedules import nightly_schedule
from market_platform.domain.pairs import TradingPair


def add_proof(kit: Kit, pairs: Sequence[TradingPair]) -> None:
    """Add the proof of every streamed pair that has minute candles."""
    proved = [pair for pair in pairs if has_proof(pair)]
    if not proved:
        return
    kit.assets += [proof_asset(pair, kit.partitions, kit.policies) for pair in proved]
    job = dg.define_asset_job(
        PROOF,
        selection=dg.AssetSelection.assets(*(proof_key(pair) for pair in proved)),
        description="Compares the minute candles of every streamed pair three ways, for any days.",
    )
    kit.jobs.append(job)
    kit.schedules.append(_schedule(proved, job))


def _schedule(pairs: Sequence[TradingPair], job: AssetJob) -> dg.ScheduleDefinition:
    """03:30 UTC: the day files are made (00:30), and the history (05:00) has not yet written over what was streamed."""
    return nightly_schedule(
        "prove_yesterday",
        time(3, 30),
        pairs,
        job,
        lambda pair: [proof_key(pair)],
        "Compares yesterday's minute candles as streamed, as the lake's trades make them, and as the exchange has them.",
    )

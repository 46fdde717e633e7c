"""What Dagster loads: `dagster … -m market_platform.definitions`. Nothing is read before it asks for the definitions."""

from __future__ import annotations

import gc

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """The platform of this process's settings, and the pairs of `starlistings.yaml` and `training_stars.yaml`."""
    from market_platform.defs.build import accept_beta, build_defs
    from market_platform.settings import load_settings
    from market_platform.starlistings import configured_pairs

    settings = load_settings()
    pairs = configured_pairs(settings)
    accept_beta()
    gc.disable()  # definitions are made to stay: looking for garbage among them costs a sixth of the time
    try:
        definitions = build_defs(pairs, settings)
        definitions.get_repository_def()  # Dagster asks for it next, and gets this one
    finally:
        gc.enable()
    return definitions

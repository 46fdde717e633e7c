"""What Dagster loads: `dagster … -m market_platform.definitions`. Nothing is read before it asks for the definitions."""

from __future__ import annotations

import gc

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """The platform of this process's settings and its `starlistings.yaml`."""
    from market_platform.defs.build import accept_beta, build_defs
    from market_platform.settings import load_settings
    from market_platform.starlistings import load_starlistings

    settings = load_settings()
    pairs = load_starlistings(settings.starlistings_file).pairs()
    accept_beta()
    gc.disable()  # definitions are made to stay: looking for garbage among them costs a sixth of the time
    try:
        definitions = build_defs(pairs, settings)
        definitions.get_repository_def()  # Dagster asks for it next, and gets this one
    finally:
        gc.enable()
    return definitions

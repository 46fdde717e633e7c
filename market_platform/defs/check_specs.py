"""Asset checks as the catalogue shows them: what each is called, what it says, and which of them an asset has.

OHLC sanity blocks: impossible candles must not go downstream. The others inform: a day whose hours are missing is still the
truth, and says so in its condition. Does not belong here: what they find (checks.py).
"""

from __future__ import annotations

import dagster as dg

COVERAGE = "coverage_against_sessions"
NO_DUPLICATES = "no_duplicates"
TICK_ANOMALIES = "tick_anomalies"
OHLC_SANITY = "ohlc_sanity"
EQUALS_EXCHANGE = "equals_exchange_candles"
NO_PARTITION_FAILED = "no_partition_left_failed"


def tick_check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Checks of a ticks asset."""
    return [
        dg.AssetCheckSpec(
            COVERAGE,
            asset=key,
            description=(
                "Every hour in which the market was open by the exchange's own sessions and holidays has ticks. "
                "Warns for hours the exchange has yet to publish, fails for hours it does not have."
            ),
        ),
        dg.AssetCheckSpec(
            NO_DUPLICATES,
            asset=key,
            description="No two ticks of a day are equal in time, both prices and both volumes.",
        ),
        dg.AssetCheckSpec(
            TICK_ANOMALIES,
            asset=key,
            description=(
                "No crossed quotes (ask below bid), no one-tick spikes above 1 %, no spreads above 5 % of the price, "
                "no disorder. Warns: what the exchange sent is kept as it is, for a person to judge."
            ),
        ),
    ]


def candle_check_specs(key: dg.AssetKey, *, with_coverage: bool) -> list[dg.AssetCheckSpec]:
    """Checks of a candle asset; coverage is judged once, on the shortest interval."""
    specs = [
        dg.AssetCheckSpec(
            OHLC_SANITY,
            asset=key,
            blocking=True,
            description=(
                "High is the highest and low the lowest of open, high, low and close; prices are above zero, volume is not "
                "negative, no candle occurs twice. Blocks what is downstream."
            ),
        )
    ]
    if with_coverage:
        specs.append(
            dg.AssetCheckSpec(
                COVERAGE,
                asset=key,
                description="Every hour in which the market was open for half an hour or more has a candle.",
            )
        )
    return specs


def history_check_specs(key: dg.AssetKey, *, candles: bool, coverage: bool) -> list[dg.AssetCheckSpec]:
    """Checks of a layer of an exchange's past: sanity of candles; what is missing, judged once, on the shortest interval."""
    specs = candle_check_specs(key, with_coverage=False) if candles else []
    if coverage:
        description = (
            "Everything the market was open for came from the exchange. Fails for what is missing in between; warns for whole days "
            "that it does not have or has yet to publish, and for what a person should look at."
        )
        specs.append(dg.AssetCheckSpec(COVERAGE, asset=key, description=description))
    return specs


def exchange_check_description() -> str:
    """What `equals_exchange_candles` proves."""
    return (
        "Minute candles built from our ticks at bid and at ask equal the exchange's own: prices to the last digit, volumes "
        "to the precision the exchange keeps. Every difference is named. Days that are not complete yet are left out."
    )

"""Dividends and splits of a chart, by the exchange's own day.

Belongs here: making `CorporateAction`s of what Yahoo declares. Does not: asking, judging prices (suspects.py).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from market_platform.domain.clock import day_start_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.history import CorporateAction, HistoryDay, RawInput
from market_platform.exchanges.yahoo.plans import DayPlan, exchange_day
from market_platform.exchanges.yahoo.prices import decimal_price
from market_platform.exchanges.yahoo.suspects import Declared
from market_platform.exchanges.yahoo.wire import Chart

_LEAST = Decimal(1).scaleb(-18)

ActionDay = HistoryDay[tuple[CorporateAction, ...]]


@dataclass(slots=True)
class _Day:
    dividend: Decimal = Decimal(0)
    split: Decimal = Decimal(1)
    flags: list[str] = field(default_factory=list)
    unkept: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


def actions_of(chart: Chart, plans: Sequence[DayPlan], now_ms: int, ticker: str) -> list[ActionDay]:
    """Each day's dividends and splits, at midnight UTC of the exchange's day; a day without any is available and empty."""
    declared = _by_day(chart)
    return [_action_day(plan, declared, now_ms, ticker) for plan in plans]


def declared_of(chart: Chart) -> list[Declared]:
    """The same in the form in which bars are judged; a split is by how many new shares there are for an old one."""
    paid: defaultdict[int, Decimal] = defaultdict(Decimal)
    for each in chart.dividends:
        if each.currency is None:
            paid[each.time_ms] += each.amount
    return [
        *(Declared(time_ms, amount) for time_ms, amount in paid.items()),
        *(Declared(each.time_ms, each.new / each.old, is_split=True) for each in chart.splits),
    ]


def split_days_of(chart: Chart) -> dict[date, str]:
    """On which exchange days there was a split, as `4:1`."""
    return {
        exchange_day(each.time_ms, chart.timezone): f"{each.new.normalize():f}:{each.old.normalize():f}"
        for each in chart.splits
    }


def _by_day(chart: Chart) -> Mapping[date, _Day]:
    days: defaultdict[date, _Day] = defaultdict(_Day)
    for paid in chart.dividends:
        day = days[exchange_day(paid.time_ms, chart.timezone)]
        price = decimal_price(paid.amount, 2)
        day.text.append(f"dividend {paid.amount} {paid.is_gain} {paid.currency}")
        if paid.currency is not None:
            day.unkept.append(
                f"a dividend of {price.value} {paid.currency} is not kept, for prices are in {chart.currency}"
            )
            continue
        if day.dividend:
            day.flags.append("several payments of one day are added up")
        if paid.is_gain:
            day.flags.append(f"{price.value} of the dividend is a fund's capital gain")
        if not price.exact:
            day.flags.append(f"the dividend {price.value} is kept as sent")
        day.dividend += price.value
    for split in chart.splits:
        day = days[exchange_day(split.time_ms, chart.timezone)]
        day.text.append(f"split {split.new} {split.old}")
        ratio = split.new / split.old
        kept = ratio.quantize(_LEAST)
        if kept * split.old != split.new:
            day.flags.append(f"the split {split.new}:{split.old} is {kept}, rounded to 18 decimals")
        day.split *= kept
    return days


def _action_day(plan: DayPlan, declared: Mapping[date, _Day], now_ms: int, ticker: str) -> ActionDay:
    found = declared.get(plan.day, _Day())
    midnight = day_start_ms(plan.day)
    rows: list[CorporateAction] = []
    if found.dividend:
        rows.append(CorporateAction("dividend", midnight, found.dividend))
    if found.split != 1:
        rows.append(CorporateAction("split", midnight, found.split.quantize(_LEAST).normalize()))
    flags, reason = [*found.unkept, *found.flags], "; ".join(found.unkept)
    if not plan.expected:
        condition, reason = Condition.CLOSED, "the exchange has no session on this day"
        if rows:
            condition, reason = Condition.DEGRADED, "Yahoo dates it on a day on which the exchange has no session"
            flags.append(reason)
    elif now_ms < plan.final_ms:
        condition, reason = Condition.PENDING, "the session is not long enough over"
    else:
        condition = Condition.DEGRADED if found.unkept else Condition.AVAILABLE
    text = "\n".join(found.text).encode()
    name = f"/v8/finance/chart/{ticker}?interval=1d events {plan.day}"
    inputs = (RawInput(name, hashlib.sha256(text).hexdigest(), len(text), len(rows)),) if text else ()
    return HistoryDay(plan.day, tuple(rows), len(rows), condition, reason=reason, inputs=inputs, flags=tuple(flags))

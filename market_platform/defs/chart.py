"""A day's candles as a small picture: an SVG that travels inside a materialisation's metadata.

The Dagster UI shows Markdown images whose address is a `data:` URI. Coordinates are whole numbers and candles of one
colour share two paths, so that 96 candles stay below 4 KB. Floats are good enough to draw with; nothing else uses them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import quote

from market_platform.domain.clock import to_ms

if TYPE_CHECKING:
    import polars as pl

WIDTH, HEIGHT = 480, 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 2, 60, 6, 16
_MOST_CANDLES = 100
_MOST_POINTS = 300
_UNQUOTED = "/:=,;.-'"
"""Left as they are in the image's address; percent-encoding the rest is a quarter shorter than base64."""


def candle_chart(candles: pl.DataFrame, start: datetime, end: datetime, interval_s: int, title: str) -> str | None:
    """The candles of `[start, end)` as Markdown with one image; None without candles or with too many to be seen."""
    if candles.is_empty() or candles.height > _MOST_CANDLES:
        return None
    svg = candle_svg(candles, start, end, interval_s)
    return f"![{title}](data:image/svg+xml,{quote(svg, safe=_UNQUOTED)})"


def candle_svg(candles: pl.DataFrame, start: datetime, end: datetime, interval_s: int) -> str:
    """The picture itself: wicks and bodies, the highest and lowest price, and the time at the bottom."""
    import polars as pl  # a definitions' module: nothing heavy at import

    columns = [candles[name].cast(pl.Float64).to_list() for name in ("open", "high", "low", "close")]
    highest, lowest = float(max(columns[1])), float(min(columns[2]))
    height = HEIGHT - _TOP - _BOTTOM
    width = WIDTH - _LEFT - _RIGHT
    span = (highest - lowest) or highest * 1e-6
    start_ms, length_ms = to_ms(start), to_ms(end) - to_ms(start)
    body = max(1, round(width * interval_s * 1000 / length_ms * 0.7))

    def y(price: float) -> int:
        return round(_TOP + (highest - price) / span * height)

    wicks, bodies = {True: "", False: ""}, {True: "", False: ""}
    times = candles["time"].dt.epoch("ms").to_list()
    for time, opened, high, low, closed in zip(times, *columns, strict=True):
        x = round(_LEFT + (time - start_ms + interval_s * 500) / length_ms * width)
        rising = closed >= opened
        wicks[rising] += f"M{x},{y(high)}v{y(low) - y(high)}"
        top, bottom = y(max(opened, closed)), y(min(opened, closed))
        bodies[rising] += f"M{x},{top}v{max(bottom - top, 1)}"
    paths = "".join(
        f"<path stroke='{colour}' d='{wicks[rising]}'/><path stroke='{colour}' stroke-width='{body}' d='{bodies[rising]}'/>"
        for rising, colour in ((True, "#26a69a"), (False, "#ef5350"))
        if wicks[rising]
    )
    labels = _time_labels(start, end)
    prices = "".join(
        f"<text x='{WIDTH - _RIGHT + 4}' y='{y(price) + 4}'>{_price(candles, name, price)}</text>"
        for name, price in (("high", highest), ("low", lowest))
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}'>"
        f"<g font-family='sans-serif' font-size='10' fill='#888'>{labels}{prices}</g>{paths}</svg>"
    )


def line_chart(points: pl.DataFrame, start: datetime, end: datetime, title: str) -> str | None:
    """The `value` of `[start, end)` over `time` as Markdown with one image; None with less than two points or far too many."""
    if not 2 <= points.height <= _MOST_POINTS:
        return None
    times, values = points["time"].dt.epoch("ms").to_list(), points["value"].to_list()
    highest, lowest = max(values), min(values)
    span = (highest - lowest) or 1.0
    start_ms, length_ms = to_ms(start), to_ms(end) - to_ms(start)
    width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    line = ",".join(  # a space would be three letters of the image's address
        f"{round(_LEFT + (time - start_ms) / length_ms * width)},{round(_TOP + (highest - value) / span * height)}"
        for time, value in zip(times, values, strict=True)
    )
    numbers = "".join(
        f"<text x='{WIDTH - _RIGHT + 4}' y='{y + 4}'>{value:.6g}</text>"
        for y, value in ((_TOP, highest), (_TOP + height, lowest))
    )
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}'>"
        f"<g font-family='sans-serif' font-size='10' fill='#888'>{_time_labels(start, end)}{numbers}</g>"
        f"<polyline fill='none' stroke='#26a69a' points='{line}'/></svg>"
    )
    return f"![{title}](data:image/svg+xml,{quote(svg, safe=_UNQUOTED)})"


def _time_labels(start: datetime, end: datetime) -> str:
    width = WIDTH - _LEFT - _RIGHT
    return "".join(
        f"<text x='{_LEFT + round(share / 4 * width)}' y='{HEIGHT - 4}'>{_label(start + (end - start) * share / 4, end - start)}</text>"
        for share in range(4)
    )


def _label(moment: datetime, span: timedelta) -> str:
    """Hours within a day, days within longer periods."""
    return f"{moment:%H:%M}" if span <= timedelta(days=1) else f"{moment:%d %b}"


def _price(candles: pl.DataFrame, name: str, price: float) -> str:
    """The exact highest or lowest price, as it is stored, without trailing zeros."""
    exact = candles[name].max() if name == "high" else candles[name].min()
    text = f"{exact if isinstance(exact, Decimal) else price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

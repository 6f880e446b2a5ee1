"""Server-side SVG, drawn without inline styles so that the content security policy holds. Pure.

As in labs.plots the parts are plain text; what came from outside goes through `escape`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.utils.html import escape
from django.utils.safestring import SafeString

# A range bar is 150 wide; the range lies between these two, so that the bars of a table line up.
WIDTH, BAND_LEFT, BAND_RIGHT = 150, 38, 112
SPARK_WIDTH, SPARK_HEIGHT = 84, 24
TONES = {"L": "low", "LL": "crit", "H": "high", "HH": "crit", "A": "warn", "P": "warn", "?": "warn"}


def position(value: Decimal, low: Decimal | None, high: Decimal | None) -> float:
    """Where a value stands on the bar, in its units; may lie outside of 0 to WIDTH."""
    band = BAND_RIGHT - BAND_LEFT
    if low is not None and high is not None:
        if low == high:
            return (BAND_LEFT + BAND_RIGHT) / 2 + float(value.compare(low)) * band
        return BAND_LEFT + float((value - low) / (high - low)) * band
    limit = high if high is not None else low
    if limit is None or limit == 0:
        side = float(value.compare(limit or Decimal(0)))
        return (BAND_RIGHT if high is not None else BAND_LEFT) + side * 20
    edge = BAND_RIGHT if high is not None else BAND_LEFT
    return float(value / limit) * edge if limit > 0 else edge + float((value - limit) / -limit) * 40


def range_bar(number: str, qualifier: str, low: str, high: str, kind: str, flag: str) -> SafeString:
    """The value over its range; empty where there is no number or no range.

    A reference interval is a filled band. A measuring range is a dashed bracket: what the analyzer
    can measure, which says nothing about health.
    """
    if not number or not (low or high):
        return SafeString("")
    value = Decimal(number)
    bottom, top = (Decimal(end) if end else None for end in (low, high))
    where = position(value, bottom, top)
    left = BAND_LEFT if bottom is not None else 0
    right = BAND_RIGHT if top is not None else WIDTH
    measuring = kind == "measuring"
    name = "measuring range" if measuring else "range"
    words = f"{qualifier}{number}, {name} {low or '…'} to {high or '…'}"
    if measuring:
        kind = " measuring"
        band = (
            f'<path class="bracket" d="M{left + 0.5} 8V16M{right - 0.5} 8V16M{left} 12H{right}"/>'
        )
    else:
        kind = ""
        band = f'<rect class="band" x="{left}" y="9.5" width="{right - left}" height="5" rx="1"/>'
    return SafeString(
        f'<svg class="range{kind}" viewBox="0 0 150 18" role="img" aria-label="{escape(words)}">'
        f'<rect class="track" y="9.5" width="150" height="5" rx="2.5"/>{band}'
        f"{_mark(where, qualifier, '' if measuring else TONES.get(flag, ''))}</svg>"
    )


def _mark(where: float, qualifier: str, tone: str) -> str:
    tone = f"mark {tone}".strip()
    if where > WIDTH - 3:
        return f'<path class="{tone}" d="M149 12l-9 -5.5v11z"/>'
    if where < 3:
        return f'<path class="{tone}" d="M1 12l9 -5.5v11z"/>'
    x = round(where, 1)
    if qualifier in ("<", "<="):
        return f'<path class="{tone}" d="M{x} 6.5v11l-9 -5.5z"/>'
    if qualifier in (">", ">="):
        return f'<path class="{tone}" d="M{x} 6.5v11l9 -5.5z"/>'
    return (
        f'<path class="{tone}" d="M{round(x - 5, 1)} 1.5h10l-5 8z"/>'
        f'<path class="stem {tone}" d="M{x} 9v7"/>'
    )


def sparkline(values: Sequence[str], low: str, high: str, *, ended: bool = True) -> SafeString:
    """The last values, oldest first, with the reference interval as a band; empty below two. Not
    `ended`: the newest value is no number, so the line stops short of the end and has no point."""
    if len(values) < 2:
        return SafeString("")
    numbers = [Decimal(value) for value in values]
    ends = [Decimal(end) for end in (low, high) if end]
    bottom, top = min([*numbers, *ends]), max([*numbers, *ends])
    span = (top - bottom) or Decimal(1)

    def y(number: Decimal) -> float:
        return round(SPARK_HEIGHT - 3 - float((number - bottom) / span) * (SPARK_HEIGHT - 6), 1)

    step = (SPARK_WIDTH - 8) / (len(numbers) - ended)
    points = [(round(4 + index * step, 1), y(number)) for index, number in enumerate(numbers)]
    band = ""
    if ends:
        upper = y(Decimal(high)) if high else 0
        lower = y(Decimal(low)) if low else SPARK_HEIGHT
        height = max(1, round(lower - upper, 1))
        band = f'<rect x="0" y="{upper}" width="{SPARK_WIDTH}" height="{height}"/>'
    line = " ".join(f"{x},{place}" for x, place in points)
    x, place = points[-1]
    point = f'<circle cx="{x}" cy="{place}" r="2.6"/>' if ended else ""
    words = escape(f"last {len(values)} values: {', '.join(values)}")
    return SafeString(
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" role="img" '
        f'aria-label="{words}">{band}<polyline points="{line}"/>{point}</svg>'
    )

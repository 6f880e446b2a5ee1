"""Plots on axes, as server-side SVG without inline styles (the content security policy forbids
them). Pure. Numbers are Decimal until they are places: an analyzer may print 1e300.

A page has hundreds of points, so that `format_html`, which escapes places and our own class names
too, took half of its time. Here the parts are plain text, and what came from outside (`Point.text`,
`words` and `href`, a plot's name) goes through `escape` where it is put in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

from labs.charts import TONES

Across = Callable[[datetime], float]
Up = Callable[[Decimal], float]
WIDTH, HEIGHT = 420, 172
LEFT, RIGHT, TOP, BOTTOM = 46, 44, 16, 26
LABELLED = 8  # points with their value beside them; of more only the newest one
DAY = timedelta(days=1)
STEPS = (1, 2, 7, 14, 30, 91, 182, 365, 730, 1825, 3650)  # days between two dates on the axis
SHAPES = {"H": "M0 -6l6 10h-12z", "L": "M0 6l6 -10h-12z"}
DIAMOND = "M0 -6.5l6.5 6.5l-6.5 6.5l-6.5 -6.5z"


@dataclass(frozen=True, kw_only=True)
class Point:
    """A value at a time. `low` and `high` in canonical decimal text or empty; `measuring`: they say
    what the analyzer can measure and nothing of health. `words`: all of it, for who can't see."""

    at: datetime
    number: Decimal
    qualifier: str = ""
    text: str = ""
    flag: str = ""
    low: str = ""
    high: str = ""
    measuring: bool = False
    href: str = ""
    words: str = ""


def trend(points: Sequence[Point], start: datetime, end: datetime, name: str) -> SafeString:
    """Values over the time from `start` to `end`, oldest first, over their reference intervals as
    bands: each as wide as the time for which it was the nearest. The line joins plain numbers that
    follow one another; a value such as `<2` stands alone, since nobody knows where it is."""
    if not points:
        return SafeString("")
    start, end = min(start, points[0].at), max(end, points[-1].at)
    if end - start < DAY:
        start, end = start - DAY / 2, end + DAY / 2
    bottom, top = _span(points)

    def x(at: datetime) -> float:
        return round(LEFT + (at - start) / (end - start) * (WIDTH - LEFT - RIGHT), 1)

    def y(number: Decimal) -> float:
        share = float((number - bottom) / (top - bottom))
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    middles = [x(one.at + (other.at - one.at) / 2) for one, other in pairwise(points)]
    edges = [LEFT, *middles, WIDTH - RIGHT]
    ranges = [
        _range(point, left, right, y, (bottom, top))
        for point, (left, right) in zip(points, pairwise(edges), strict=True)
    ]
    last = len(points) - 1 if len(points) > LABELLED else 0
    marks = [
        _mark(point, x(point.at), y(point.number), labelled=index >= last)
        for index, point in enumerate(points)
    ]
    return SafeString(
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" '
        f'aria-label="{escape(name)}">'
        f"{''.join(ranges)}{_rules(bottom, top, y)}{_dates(start, end, x)}{_lines(points, x, y)}"
        f"{''.join(marks)}</svg>"
    )


def _span(points: Sequence[Point]) -> tuple[Decimal, Decimal]:
    """From where to where the axis goes: all values, and the ends of the reference intervals."""
    numbers = [point.number for point in points]
    for point in points:
        if not point.measuring:
            numbers += [Decimal(end) for end in (point.low, point.high) if end]
    bottom, top = min(numbers), max(numbers)
    room = (top - bottom) * Decimal("0.1") or abs(top) * Decimal("0.1") or Decimal(1)
    # No axis below nought for what cannot be: counts and concentrations.
    lowest = bottom - room if bottom < 0 else max(Decimal(0), bottom - room)
    return lowest, top + room


def _range(point: Point, left: float, right: float, y: Up, span: tuple[Decimal, Decimal]) -> str:
    bottom, top = span
    ends = [Decimal(end) if end else None for end in (point.low, point.high)]
    if point.measuring:
        return "".join(
            f'<path class="limit" d="M{left} {y(end)}H{right}"/>'
            for end in ends
            if end is not None and bottom <= end <= top
        )
    low, high = ends
    if low is None and high is None:
        return ""
    upper = y(high) if high is not None else TOP
    lower = y(low) if low is not None else HEIGHT - BOTTOM
    width, height = round(right - left, 1), max(1, round(lower - upper, 1))
    return f'<rect class="band" x="{left}" y="{upper}" width="{width}" height="{height}"/>'


def _rules(bottom: Decimal, top: Decimal, y: Up) -> str:
    """Two to six round numbers at the left, each with a thin line."""
    rough = (top - bottom) / 5
    power = Decimal(1).scaleb(rough.adjusted())
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    first = (bottom / step).to_integral_value(ROUND_CEILING) * step
    found: list[Decimal] = []
    at = first
    while at <= top and len(found) < 8:
        found.append(at)
        at += step
    return "".join(
        f'<path class="rule" d="M{LEFT} {place}H{WIDTH - RIGHT}"/>'
        f'<text class="y" x="{LEFT - 6}" y="{place + 4}">{short(number)}</text>'
        for number in found
        for place in [y(number)]
    )


def short(number: Decimal) -> str:
    """`12.5`, `4200`; what is too long for an axis as `1.2e+9`."""
    plain = f"{number.normalize():f}" if abs(number.adjusted()) < 12 else ""
    return plain if 0 < len(plain) <= 6 else f"{number:.2g}"


def _dates(start: datetime, end: datetime, x: Across) -> str:
    """At most five dates below, in the zone of `start`."""
    days = max(1, (end - start).days)
    step = next((each for each in STEPS if days / each <= 4), STEPS[-1] * (1 + days // 14600))
    first = start.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    found = []
    at = first
    while at <= end:
        found.append(at)
        at += step * DAY
    shape = "{0.day} {0:%b}" if days < 300 else "{0:%b %Y}"
    return "".join(
        f'<text class="x" x="{x(at)}" y="{HEIGHT - 8}">{shape.format(at)}</text>'
        for at in found
        if LEFT + 14 < x(at) < WIDTH - RIGHT - 14
    )


def _lines(points: Sequence[Point], x: Across, y: Up) -> str:
    pieces: list[list[str]] = [[]]
    for point in points:
        if point.qualifier:
            pieces.append([])
        else:
            pieces[-1].append(f"{x(point.at)},{y(point.number)}")
    return "".join(f'<polyline points="{" ".join(piece)}"/>' for piece in pieces if len(piece) > 1)


def _mark(point: Point, x: float, y: float, *, labelled: bool) -> str:
    """A circle within, a triangle up or down beyond, a diamond where critical; hollow where the
    value says only “less than” or “more than”."""
    tone = " ".join(
        part
        for part in ("dot", TONES.get(point.flag, ""), "open" if point.qualifier else "")
        if part
    )
    shape = DIAMOND if point.flag in ("LL", "HH") else SHAPES.get(point.flag, "")
    drawn = (
        f'<path class="{tone}" transform="translate({x} {y})" d="{shape}"/>'
        if shape
        else f'<circle class="{tone}" cx="{x}" cy="{y}" r="4.5"/>'
    )
    label = ""
    if labelled:
        text = escape(point.text[:10])
        # Where it would be cut off, or lie on the scale's numbers.
        last, first = x > WIDTH - RIGHT - 2, x < LEFT + 2
        aside = " aside" if last or first else ""
        at = f'x="{x + 9}" y="{y + 4}"' if last else f'x="{x}" y="{y - 9}"'
        label = f'<text class="v{aside}" {at}>{text}</text>'
    words = escape(point.words)
    inner = f'<title>{words}</title><circle class="aim" cx="{x}" cy="{y}" r="12"/>{drawn}{label}'
    if not point.href:
        return f"<g>{inner}</g>"
    return f'<a href="{escape(point.href)}" aria-label="{words}">{inner}</a>'


@dataclass(frozen=True, kw_only=True)
class Bar:
    """`usual` and `slow` in seconds; `below`: a second line under the name."""

    name: str
    below: str
    usual: int
    slow: int
    words: str
    label: str


def spans(bars: Sequence[Bar]) -> SafeString:
    """How long each takes: filled to the usual time, a line to the slow one."""
    if not bars:
        return SafeString("")
    longest = max(max(bar.slow for bar in bars), 1)
    room, step = WIDTH - 130, 46
    return format_html(
        '<svg class="plot spans" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        WIDTH,
        step * len(bars),
        "; ".join(bar.words for bar in bars),
        format_html_join(
            "",
            '<text class="name" x="0" y="{}">{}</text><text x="0" y="{}">{}</text>'
            '<rect class="fill" x="0" y="{}" width="{}" height="8" rx="1"/>'
            '<path class="tail" d="M{} {}H{}m0 -4v8"/>'
            '<text class="v aside" x="{}" y="{}">{}</text>',
            (
                (
                    index * step + 12,
                    bar.name[:40],
                    index * step + 24,
                    bar.below[:70] + ("…" if len(bar.below) > 70 else ""),
                    index * step + 29,
                    round(bar.usual / longest * room, 1),
                    round(bar.usual / longest * room, 1),
                    index * step + 33,
                    round(bar.slow / longest * room, 1),
                    round(bar.slow / longest * room, 1) + 8,
                    index * step + 37,
                    bar.label,
                )
                for index, bar in enumerate(bars)
            ),
        ),
    )

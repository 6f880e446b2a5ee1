"""Any analytes of one patient over time. Nothing is joined that differs in unit, specimen or
analyzer model, or was measured for another species: each of those is a plot of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from labs import plots
from labs.models import Flag, Patient
from labs.queries.readings.history import Earlier, Key, history
from labs.queries.words import FLAG_WORDS

MOST_POINTS = 200
MOST_PLOTS = 40
SPANS = {"month": timedelta(days=31), "year": timedelta(days=366)}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An analyte that was ever measured of the animal. `series`: how many of its own it has."""

    code: str
    name: str
    group: str
    position: int
    values: int
    series: int
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One analyte in one unit, of one specimen, on one analyzer model. `words`: values that are no
    numbers, newest first, which no plot can show."""

    code: str
    name: str
    unit: str
    model: str
    specimen: str
    svg: SafeString
    count: int
    words: list[Earlier]
    measuring: bool
    unassessed: bool
    typed: int  # of the numbers: how many a person typed in

    @property
    def where(self) -> str:
        return " · ".join(part for part in (self.model, self.specimen) if part)


@dataclass(frozen=True, kw_only=True)
class Trends:
    plots: list[Plot]
    groups: list[tuple[str, list[Choice]]]
    more: int
    chosen: int

    @property
    def apart(self) -> list[str]:
        """Analytes with more than one plot on this page."""
        codes = [plot.code for plot in self.plots]
        return [code for code in dict.fromkeys(codes) if codes.count(code) > 1]


def trends(
    patient: Patient, codes: list[str], span: str = "", *, only_reviewed: bool = False
) -> Trends:
    """The plots of those analytes, of all that have two numbers where none is named. Three
    statements. `span`: a key of SPANS, or empty for all."""
    now = timezone.now()
    since = now - SPANS[span] if span in SPANS else None
    every = history(patient, keep=MOST_POINTS, only_reviewed=only_reviewed)
    of_code: dict[str, list[list[Earlier]]] = {}
    for key, values in every.items():
        of_code.setdefault(key[0], []).append(values)
    choices = [
        Choice(
            code=code,
            name=newest.name,
            group=newest.group or "Not in the catalogue",
            position=newest.position,
            values=sum(len(values) for values in found),
            series=len(found),
            chosen=code in codes,
        )
        for code, found in of_code.items()
        for newest in [max((values[0] for values in found), key=lambda each: each.at)]
    ]
    choices.sort(key=lambda choice: (choice.position, choice.code))
    place = {choice.code: index for index, choice in enumerate(choices)}
    wanted = set(codes) & set(of_code)
    shown = {
        key: [value for value in values if since is None or value.at >= since]
        for key, values in every.items()
        if key[0] in wanted or (not wanted and sum(bool(v.number) for v in values) > 1)
    }
    shown = {key: values for key, values in shown.items() if values}
    times = [value.at for values in shown.values() for value in values if value.number]
    start = timezone.localtime(since or min(times, default=now))
    end = timezone.localtime(max(times, default=now))
    keys = sorted(shown, key=lambda key: (place[key[0]], -shown[key][0].at.timestamp(), key))
    # Once each, and not for each of the hundreds of points.
    found = {value.lab_report_id for values in shown.values() for value in values}
    pages = {name: reverse("labs:request", args=[name]) for name in found if name}
    groups: dict[str, list[Choice]] = {}
    for choice in choices:
        groups.setdefault(choice.group, []).append(choice)
    return Trends(
        plots=[_plot(key, shown[key], start, end, pages) for key in keys[:MOST_PLOTS]],
        groups=list(groups.items()),
        more=max(0, len(keys) - MOST_PLOTS),
        chosen=len(wanted),
    )


def _plot(
    key: Key, values: list[Earlier], start: datetime, end: datetime, pages: dict[str, str]
) -> Plot:
    """`pages`: the address of each request's page."""
    code, unit, model, specimen = key
    numbers = [value for value in reversed(values) if value.number]
    return Plot(
        code=code,
        name=values[0].name,
        unit=unit,
        model=model,
        specimen=specimen,
        svg=plots.trend(
            [_point(value, unit, pages) for value in numbers],
            start,
            end,
            f"{code} over time, {unit}",
        ),
        count=len(numbers),
        words=[value for value in values if not value.number],
        measuring=any(v.range_kind == "measuring" and (v.low or v.high) for v in numbers),
        typed=sum(bool(value.typed_by) for value in numbers),
        unassessed=not any(v.range_kind != "measuring" and (v.low or v.high) for v in numbers),
    )


def _point(value: Earlier, unit: str, pages: dict[str, str]) -> plots.Point:
    measuring = value.range_kind == "measuring"
    flag = FLAG_WORDS.get(Flag(value.flag), "not assessed")
    at = timezone.localtime(value.at)
    words = f"{value.text} {unit}, {flag}, {at.day} {at:%b %Y %H:%M}"
    if value.low or value.high:
        kind = "measuring range" if measuring else "range"
        words += f", {kind} {value.low or '…'} to {value.high or '…'}"
    if value.typed_by:
        words += f", typed by {value.typed_by}"
    return plots.Point(
        at=at,
        number=Decimal(value.number),
        qualifier=value.qualifier,
        text=value.text,
        flag=value.flag,
        low=value.low,
        high=value.high,
        measuring=measuring,
        href=pages.get(value.lab_report_id, ""),
        words=words,
    )

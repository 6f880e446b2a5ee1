"""The catalogue as one clinic has it: its analyzers, its tests, and whose range says what. A fixed
number of statements each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from labs.models import (
    Analyte,
    Analyzer,
    Clinic,
    OwnInterval,
    OwnPanel,
    Panel,
    ReferenceInterval,
    Species,
)
from labs.queries.orders.progress import takes, turnarounds, usually


@dataclass(frozen=True, kw_only=True)
class PanelLine:
    """`usually`: how long it takes here, and who says so."""

    panel: Panel
    own: OwnPanel | None
    code: str
    usually: str
    analytes: int


@dataclass(frozen=True, kw_only=True)
class CataloguePage:
    analyzers: list[Analyzer]
    panels: list[PanelLine]


def catalogue_page(clinic: Clinic) -> CataloguePage:
    """Six statements."""
    own = {row.panel_id: row for row in OwnPanel.objects.filter(clinic=clinic)}
    known = turnarounds(clinic.pk)
    panels = Panel.objects.prefetch_related("analytes")
    return CataloguePage(
        analyzers=list(Analyzer.objects.filter(clinic=clinic)),
        panels=[
            PanelLine(
                panel=panel,
                own=own.get(panel.pk),
                code=panel.code,
                usually=usually(takes(panel), known),
                analytes=len(panel.analytes.all()),
            )
            for panel in panels
        ],
    )


@dataclass(frozen=True, kw_only=True)
class RangeLine:
    """One analyte: by species the catalogue's interval, and below it the clinic's own that hold."""

    analyte: Analyte
    delivered: list[str]
    own: list[OwnInterval]


@dataclass(frozen=True, kw_only=True)
class RangesPage:
    groups: dict[str, list[RangeLine]]
    own: list[OwnInterval]
    ended: list[OwnInterval]
    species: list[tuple[str, str]]
    analytes: list[Analyte]


ENDED_SHOWN = 50


def ranges_page(clinic: Clinic) -> RangesPage:
    """Four statements."""
    mine = OwnInterval.objects.filter(clinic=clinic).select_related("analyte", "set_by", "ended_by")
    held: dict[int, list[OwnInterval]] = defaultdict(list)
    now = list(mine.filter(until=None))
    for own in now:
        held[own.analyte_id].append(own)
    demo: dict[tuple[int, str], str] = {
        (row["analyte"], row["species"]): row["text"]
        for row in ReferenceInterval.objects.values("analyte", "species", "text")
    }
    species = [(value, label) for value, label in Species.choices if value != Species.OTHER]
    groups: dict[str, list[RangeLine]] = {}
    analytes: list[Any] = list(Analyte.objects.filter(kind="num"))
    for analyte in analytes:
        groups.setdefault(analyte.group, []).append(
            RangeLine(
                analyte=analyte,
                delivered=[demo.get((analyte.pk, value), "") for value, _ in species],
                own=held[analyte.pk],
            )
        )
    return RangesPage(
        groups=groups,
        own=now,
        ended=list(mine.exclude(until=None).order_by("-until")[:ENDED_SHOWN]),
        species=list(Species.choices),
        analytes=analytes,
    )

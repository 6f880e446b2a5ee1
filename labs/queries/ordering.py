"""What the order page offers: panels by analyzer, and what is already on order for the patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet

from labs.models import Analyzer, Clinic, LabRequest, Panel, Patient, RequestedTest
from labs.queries.progress import OPEN_TESTS
from labs.queries.words import clock


@dataclass(frozen=True, kw_only=True)
class Tile:
    panel: Panel
    already: str


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """`groups`: by analyzer model. `panels`: what may be ordered at all."""

    groups: dict[str, list[Tile]] = field(default_factory=dict)

    @property
    def panels(self) -> list[Panel]:
        return [tile.panel for tiles in self.groups.values() for tile in tiles]


def tiles(patient: Patient) -> Tiles:
    """Panels of the analyzers in use at the patient's clinic (of all, where none is listed). Three
    statements."""
    models = set(
        Analyzer.objects.filter(clinic=patient.clinic_id, in_use=True).values_list(
            "model", flat=True
        )
    )
    waiting: dict[int, str] = {}
    for test in (
        RequestedTest.objects.filter(request__patient=patient, state__in=OPEN_TESTS)
        .filter(request__in=LabRequest.objects.filter(patient=patient).open())
        .select_related("request")
        .order_by("request__requested_at")
    ):
        waiting[test.panel_id] = f"on order since {clock(test.request.requested_at)}"
    groups: dict[str, list[Tile]] = {}
    for panel in Panel.objects.all():
        if not models or panel.analyzer_model in models:
            groups.setdefault(panel.analyzer_model, []).append(
                Tile(panel=panel, already=waiting.get(panel.pk, ""))
            )
    return Tiles(groups=groups)


def recent_patients(clinic: Clinic, patients: QuerySet[Any], limit: int) -> list[Patient]:
    """Those for whom something was ordered last: the likeliest to be ordered for again."""
    latest = (
        LabRequest.objects.filter(clinic=clinic)
        .order_by()
        .values("patient")
        .annotate(last=Max("requested_at"))
        .order_by("-last")
        .values_list("patient", "last")[:limit]
    )
    order: dict[int, datetime] = dict(latest)
    found = list(
        patients.filter(pk__in=order, deceased=False, is_test=False).select_related("owner")
    )
    for patient in found:
        patient.last_lab = order[patient.pk]
    return sorted(found, key=lambda patient: patient.last_lab, reverse=True)

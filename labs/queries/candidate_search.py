"""The simple search for an orphan's candidates: what was typed, looked up in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, F, IntegerField, OuterRef, Q, Subquery, Value, When

from labs.matching.reading import digits_of, is_placeholder
from labs.models import LabRequest, Patient, UnmatchedResult, Visit, Weight

# More animals than this share what was typed only where next to nothing was typed.
LOOKED_AT = 80


def patients_for(
    unmatched: UnmatchedResult, suggested: int | None, chosen: UUID | None
) -> list[Any]:
    """One statement. `strength` is how much the search itself says, to cut and to break ties."""
    hints = hints_of(identifying(unmatched))
    if suggested is not None:
        hints.append((Q(pk=suggested), 200))
    if chosen is not None:
        hints.append((Q(uuid=chosen), 400))
    if not hints:
        return []
    wanted = Q()
    strength: Any = Value(0)
    for hint, points in hints:
        wanted |= hint
        strength += Case(
            When(hint, then=Value(points)),
            default=Value(0),
            output_field=IntegerField(),
        )
    visits = Visit.objects.filter(
        patient=OuterRef("pk"), at__lte=unmatched.created_at + timedelta(days=1)
    ).order_by("-at")
    weights = Weight.objects.filter(patient=OuterRef("pk"))
    return list(
        Patient.objects.filter(wanted, clinic=unmatched.clinic, is_test=False)
        .select_related("owner")
        .annotate(
            strength=strength,
            latest_kg=Subquery(weights.values("kg")[:1]),
            last_seen=Subquery(visits.values("at")[:1]),
            last_doctor=Subquery(visits.values("doctor")[:1]),
        )
        .order_by("-strength", F("last_seen").desc(nulls_last=True), "name", "pk")[:LOOKED_AT]
    )


def identifying(unmatched: UnmatchedResult) -> dict[str, str]:
    """What was typed, but for an emergency code: that is nobody's patient id."""
    typed: dict[str, str] = unmatched.typed
    return typed if unmatched.emergency_id is None else {**typed, "patient_id": ""}


def hints_of(typed: Mapping[str, str]) -> list[tuple[Q, int]]:
    """What to search for, and how telling each is. Placeholders are never searched for."""
    hints: list[tuple[Q, int]] = []
    name, surname, chip, *ids = (
        " ".join((typed.get(key) or "").split())
        for key in (
            "patient_name",
            "owner_last_name",
            "microchip",
            "patient_id",
            "patient_name",
        )
    )
    # An id typed where the name belongs is common; and the id may be the code of a request.
    for text in dict.fromkeys(ids):
        if is_placeholder(text):
            continue
        hints.append((Q(patient_id__iexact=text), 100))
        hints.append((Q(pk__in=_patient_of_request(text)), 100))
        if len(number := digits_of(text)) > 1:
            hints.append((Q(patient_id__iregex=rf"^[^0-9]*0*{number}$"), 50))
    if not is_placeholder(chip):
        hints.append((Q(microchip=chip.replace(" ", "")), 100))
    if not is_placeholder(name):
        hints.append((_any_case("name__iexact", name), 20))
        if len(name) >= 3:
            hints.append((_any_case("name__istartswith", name[:12]), 4))
            hints.append((_any_case("name__icontains", name), 2))
        words = [w.strip(",;") for w in name.split()]
        if len(words) > 1:
            for word in (w for w in words if len(w) >= 3):
                hints.append((_any_case("name__iexact", word), 8))
                hints.append((_any_case("owner__last_name__iexact", word), 8))
    if not is_placeholder(surname):
        hints.append((_any_case("owner__last_name__iexact", surname), 10))
        if len(surname) >= 3:
            hints.append((_any_case("owner__last_name__istartswith", surname), 3))
    return hints


def _any_case(lookup: str, text: str) -> Q:
    # SQLite folds only ASCII: without these MÜLLER would not find Müller.
    forms = {text, text.lower(), text.upper(), text.title()} if not text.isascii() else {text}
    found = Q()
    for form in sorted(forms):
        found |= Q(**{lookup: form})
    return found


def _patient_of_request(text: str) -> Any:
    return LabRequest.objects.filter(lab_report_id__iexact=text).values("patient")

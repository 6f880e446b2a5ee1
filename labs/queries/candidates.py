"""Whose result might this be: animals of the orphan's clinic found by simple search, and each set
beside what was typed. Five statements, however many animals there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from labs.matching.compare import Comparison, OnFile, compare
from labs.models import (
    LabRequest,
    Panel,
    Patient,
    RequestState,
    TestRun,
    TestState,
    UnmatchedResult,
)
from labs.queries.candidate_search import identifying, patients_for
from labs.services.panels import panel_of

SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Target:
    """An open request of a candidate that waits for at least one of the orphan's tests."""

    request: LabRequest
    tests: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    patient: Patient
    comparison: Comparison
    targets: tuple[Target, ...] = ()
    chosen: bool = False
    suggested: bool = False
    separates: str = ""

    @property
    def surname(self) -> str:
        owner = self.patient.owner
        return (owner.last_name or owner.first_name) if owner else ""

    @property
    def identifiers(self) -> str:
        """What stands on the button: `Bella, Smith, P-10482`."""
        parts = (self.patient.name, self.surname, self.patient.patient_id)
        return ", ".join(part for part in parts if part)

    @property
    def must_type_name(self) -> bool:
        return bool(self.comparison.serious)

    @property
    def seen_key(self) -> str:
        """What of the animal's record a person decides by; it must still read so when they do."""
        patient = self.patient
        parts = (patient.name, self.surname, patient.patient_id, patient.species)
        return "|".join((*parts, patient.sex, str(patient.deceased), patient.microchip))


def candidates_for(
    unmatched: UnmatchedResult, *, runs: Iterable[TestRun], chosen: UUID | None = None
) -> list[Candidate]:
    """At most eight, best first: the one that a person chose by search, then the patient of the
    request that a conflict was sent for, then by agreeing minus contradicting fields.

    `unmatched` comes with its clinic and suggested request. `chosen` of another clinic is ignored.
    """
    suggested = _suggested(unmatched)
    patients = patients_for(unmatched, suggested, chosen)
    requests = _open_requests(unmatched, patients)
    ordered = list(Panel.objects.all())
    covered = [panel for run in runs if (panel := panel_of(run, ordered)) is not None]
    found = []
    for patient in patients:
        own = [request for request in requests if request.patient_id == patient.pk]
        comparison = compare(
            identifying(unmatched),
            on_file(patient, unmatched, [request.doctor for request in own]),
            at=unmatched.created_at,
            seen_words=_seen_words(patient, unmatched),
        )
        found.append(
            Candidate(
                patient=patient,
                comparison=comparison,
                targets=_targets(own, covered, unmatched),
                chosen=patient.uuid == chosen,
                suggested=patient.pk == suggested,
            )
        )
    found.sort(
        key=lambda c: (
            not c.chosen,
            not c.suggested,
            -c.comparison.points,
            -getattr(c.patient, "strength", 0),
            c.patient.name,
            c.patient.pk,
        )
    )
    return separated(found[:SHOWN])


def _suggested(unmatched: UnmatchedResult) -> int | None:
    """The animal of the request that it was sent for, or of the emergency code that it carries."""
    if unmatched.suggested_request is not None:
        return unmatched.suggested_request.patient_id
    return unmatched.emergency.patient_id if unmatched.emergency is not None else None


def separated(found: list[Candidate]) -> list[Candidate]:
    """Each after the first says in which lines it reads otherwise than the first."""
    if not found:
        return []
    first = {field.key: field for field in found[0].comparison.fields}
    told = [found[0]]
    for candidate in found[1:]:
        labels = [
            field.label.lower()
            for field in candidate.comparison.fields
            if field.key not in first or field.sign != first[field.key].sign
        ]
        told.append(
            Candidate(
                patient=candidate.patient,
                comparison=candidate.comparison,
                targets=candidate.targets,
                chosen=candidate.chosen,
                suggested=candidate.suggested,
                separates=", ".join(labels),
            )
        )
    return told


def on_file(patient: Any, unmatched: UnmatchedResult, doctors: Iterable[str] = ()) -> OnFile:
    """A patient annotated by `patients_for` as plain data."""
    owner = patient.owner
    came = unmatched.created_at.astimezone(unmatched.clinic.zone).date()
    return OnFile(
        name=patient.name,
        patient_id=patient.patient_id,
        species=patient.species,
        species_words=patient.get_species_display(),
        sex=patient.sex,
        sex_words=patient.sex_words,
        breed=patient.breed,
        birth_date=patient.birth_date,
        age_words=patient.age_words(came),
        weight_kg=patient.latest_kg,
        microchip=patient.microchip,
        deceased=patient.deceased,
        deceased_on=patient.deceased_on,
        owner_id=owner.owner_id if owner else "",
        owner_first_name=owner.first_name if owner else "",
        owner_last_name=owner.last_name if owner else "",
        last_seen=patient.last_seen,
        doctors=tuple(d for d in (*doctors, patient.last_doctor) if d),
    )


def _open_requests(unmatched: UnmatchedResult, patients: Iterable[Patient]) -> list[LabRequest]:
    """Three statements: requests, their tests, and the tests' panels."""
    wanted = ~Q(state__in=[RequestState.DRAFT, RequestState.COMPLETE, RequestState.CANCELLED])
    if unmatched.suggested_request_id is not None:
        wanted |= Q(pk=unmatched.suggested_request_id, cancelled_at=None)
    return list(
        LabRequest.objects.filter(
            wanted,
            clinic=unmatched.clinic,
            patient__in=[patient.pk for patient in patients],
        ).prefetch_related("tests__panel")
    )


def _targets(
    requests: Iterable[LabRequest], covered: Iterable[Panel], unmatched: UnmatchedResult
) -> tuple[Target, ...]:
    panels = {panel.pk for panel in covered}
    closed = {TestState.COMPLETE, TestState.REFUSED, TestState.CANCELLED}
    found = []
    for request in requests:
        tests = [
            test.panel.name
            for test in request.tests.all()
            if test.panel_id in panels
            # The request that a conflict was sent for may be right although its test has a result.
            and (test.state not in closed or request.pk == unmatched.suggested_request_id)
        ]
        if tests:
            found.append(Target(request=request, tests=", ".join(tests)))
    return tuple(found)


def _seen_words(patient: Any, unmatched: UnmatchedResult) -> str:
    if patient.last_seen is None:
        return ""
    zone = unmatched.clinic.zone
    seen = patient.last_seen.astimezone(zone)
    today = timezone.now().astimezone(zone)
    if seen.date() == today.date():
        return f"today {seen:%H:%M}"
    if seen.date() == today.date() - timedelta(days=1):
        return f"yesterday {seen:%H:%M}"
    return f"{seen.day} {seen:%b %Y}"

"""The audit of a clinic, for its administrators: by patient, by person, by day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from labs.models import Clinic, LabEvent, Patient
from labs.models.patient import with_own_id
from labs.queries.paging import Page, page_of
from labs.queries.records.event_words import event_detail, event_said, event_what, event_who
from labs.spreadsheet import csv_file

EXPORTED = 10_000
# What the page offers to choose from: the first part of an event's verb.
KINDS = {
    "staff": "Sign-in and staff",
    "patient": "Patients",
    "owner": "Owners' data",
    "request": "Requests",
    "submission": "Orders on their way",
    "result": "Results",
    "unmatched": "Unmatched results",
    "file": "Files that came with results",
    "message": "Messages",
    "emergency": "Emergency codes",
    "heska": "Connection to the laboratory",
    "code": "Codes",
    "audit": "The audit itself",
    "clinic": "The clinic",
    "screen": "Wall screens",
    "record": "Looked at in the administration",
}
HEADER = (
    *(
        "at_utc",
        "who",
        "verb",
        "patient_id",
        "lab_report_id",
        "unmatched",
        "message",
        "data",
        "words",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What was asked for. `patient`: a patient's own id; `person`: a username."""

    patient: str = ""
    person: str = ""
    kind: str = ""
    first: date | None = None
    last: date | None = None

    @property
    def any(self) -> bool:
        return bool(self.patient or self.person or self.kind or self.first or self.last)


@dataclass(frozen=True, kw_only=True)
class Line:
    event: LabEvent
    who: str
    what: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    page: Page[LabEvent]
    lines: list[Line]
    people: list[User]
    no_such_patient: bool


def audit(clinic: Clinic, sought: Sought, number: int) -> Audit:
    """A page of it, newest first. Two statements, four with a patient."""
    patients = _patients(clinic, sought)
    page = page_of(_rows(clinic, sought, patients), number)
    return Audit(
        page=page,
        lines=[
            Line(event=row, who=event_who(row), what=event_what(row), detail=event_detail(row))
            for row in page.rows
        ],
        people=list(User.objects.filter(membership__clinic=clinic).order_by("username").distinct()),
        no_such_patient=patients == [],
    )


def as_csv(clinic: Clinic, sought: Sought) -> bytes:
    """The newest 10,000 of what was asked for, with ids and no names but the logins."""
    rows = _rows(clinic, sought, _patients(clinic, sought))[:EXPORTED]
    return csv_file(HEADER, (_cells(row) for row in rows))


def _patients(clinic: Clinic, sought: Sought) -> list[int] | None:
    """None where any patient will do."""
    if not sought.patient:
        return None
    own = Patient.objects.filter(with_own_id(sought.patient), clinic=clinic)
    found = list(own.values_list("pk", flat=True))
    merged = Patient.objects.filter(merged_into__in=found)
    return found + list(merged.values_list("pk", flat=True))


def _rows(clinic: Clinic, sought: Sought, patients: list[int] | None) -> QuerySet[LabEvent]:
    rows = LabEvent.objects.filter(clinic=clinic)
    if patients is not None:
        rows = rows.filter(patient__in=patients)
    if sought.person:
        # Also what was done to that login: a changed role, a wrong password.
        users = list(User.objects.filter(username=sought.person).values_list("pk", flat=True))
        rows = rows.filter(Q(actor__in=users) | Q(verb__startswith="staff.", data__user__in=users))
    if sought.kind:
        rows = rows.filter(verb__startswith=f"{sought.kind}.")
    if sought.first:
        rows = rows.filter(at__gte=_midnight(clinic, sought.first))
    if sought.last:
        rows = rows.filter(at__lt=_midnight(clinic, sought.last + timedelta(days=1)))
    return (
        rows.select_related("actor", "patient", "request", "unmatched", "message", "words")
        .defer("message__raw", "message__reply", "message__headers")
        .order_by("-at", "-pk")
    )


def _midnight(clinic: Clinic, day: date) -> datetime:
    return datetime.combine(day, time(), clinic.zone)


def _cells(row: LabEvent) -> list[str]:
    return [
        f"{row.at:%Y-%m-%d %H:%M:%S}",
        row.actor.username if row.actor else row.source,
        row.verb,
        row.patient.patient_id if row.patient else "",
        row.request.lab_report_id if row.request else "",
        str(row.unmatched.uuid) if row.unmatched else "",
        row.message.receipt_id if row.message else "",
        json.dumps(row.data, sort_keys=True) if row.data else "",
        event_said(row),
    ]

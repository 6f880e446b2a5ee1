"""The audit of one record, newest first: who, what in words, when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from labs.models import LabEvent, LabRequest, Patient, UnmatchedResult
from labs.queries.records.event_words import event_detail, event_what, event_who
from labs.services.reviews.viewing import (
    ORPHAN_VIEWED,
    PATIENT_VIEWED,
    PRINTED,
    RECORD_VIEWED,
    TRENDS_VIEWED,
    VIEWED,
)

SHOWN = 100
LOOKED = (VIEWED, PRINTED, PATIENT_VIEWED, TRENDS_VIEWED, RECORD_VIEWED, ORPHAN_VIEWED)
# What is said of a row; the rest of the request and the person is not read a hundred times.
SAID = (
    *("at", "source", "verb", "data", "request__lab_report_id"),
    *("actor__first_name", "actor__last_name", "actor__username", "words__text"),
)


@dataclass(frozen=True, kw_only=True)
class Event:
    at: datetime
    who: str
    what: str
    detail: str
    verb: str
    lab_report_id: str
    data: dict[str, Any]


def of_request(request: LabRequest) -> list[Event]:
    return _events(request=request)


def of_patient(patient: Patient) -> list[Event]:
    """With that of the records that were merged into it."""
    records = Patient.objects.filter(Q(pk=patient.pk) | Q(merged_into=patient.pk))
    return _events(patient__in=records.order_by().values("pk"))


def of_unmatched(unmatched: UnmatchedResult) -> list[Event]:
    return _events(unmatched=unmatched)


def _events(**lookup: Any) -> list[Event]:
    """One statement; the newest hundred. Who has only looked is named where it matters: on the page
    where a match is taken back."""
    rows = LabEvent.objects.filter(**lookup).select_related("actor", "request", "words")
    rows = rows.only(*SAID).exclude(verb__in=LOOKED)
    return [
        Event(
            at=row.at,
            who=event_who(row),
            what=event_what(row),
            detail=event_detail(row),
            verb=row.verb,
            lab_report_id=row.request.lab_report_id if row.request else "",
            data=row.data,
        )
        for row in rows.order_by("-pk")[:SHOWN]
    ]

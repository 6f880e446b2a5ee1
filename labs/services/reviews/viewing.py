"""That a person has seen or printed results: when a match is taken back, whoever may have acted on
it is named (labs/queries/orphaned/witnesses.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.models import Attachment, LabEvent, LabRequest, Patient, UnmatchedResult
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

VIEWED, PRINTED = "result.viewed", "result.printed"
FILE_VIEWED = "file.viewed"
PATIENT_VIEWED, TRENDS_VIEWED = "patient.viewed", "trends.viewed"
# A row of the administration, where no result is shown.
RECORD_VIEWED = "record.viewed"
ORPHAN_VIEWED = "unmatched.viewed"
# Of the report for the owner, see labs/services/reviews/owner_report.py.
SENT, NOT_SENT, TOLD = "result.sent", "result.not_sent", "result.told"


def viewed(*, acting_user: User, request: LabRequest) -> None:
    """Note it once for each person and version of the request. Two statements, from then on one."""
    known = LabEvent.objects.filter(
        request=request, actor=acting_user, verb=VIEWED, data__version=request.version
    )
    if not known.exists():
        _note(VIEWED, acting_user, request)


def read(*, acting_user: User, unmatched: UnmatchedResult) -> None:
    """An unmatched result, with whom it may belong to: once for each person and version of it. Two
    statements, from then on one."""
    known = LabEvent.objects.filter(
        unmatched=unmatched,
        actor=acting_user,
        verb=ORPHAN_VIEWED,
        data__version=unmatched.version,
    )
    if not known.exists():
        record(
            ORPHAN_VIEWED,
            clinic=unmatched.clinic,
            acting_user=acting_user,
            unmatched=unmatched,
            version=unmatched.version,
        )


def looked_at(
    *, acting_user: User, patient: Patient, only_reviewed: bool, trends: bool = False
) -> None:
    """That the patient's record, or its trends, were opened; each time, in one statement.
    `only_reviewed`: what no veterinarian has signed was not shown."""
    record(
        TRENDS_VIEWED if trends else PATIENT_VIEWED,
        clinic=patient.clinic,
        acting_user=acting_user,
        patient=patient,
        only_reviewed=only_reviewed,
    )


def opened(*, acting_user: User, file: Attachment) -> None:
    """That a file which came with a result was opened or downloaded; each time."""
    record(
        FILE_VIEWED,
        clinic=file.message.clinic,
        acting_user=acting_user,
        request=file.result.run.request if file.result else None,
        message=file.message,
        file=str(file.uuid),
    )


def printed(*, acting_user: User, request: LabRequest) -> None:
    """Each time."""
    _note(PRINTED, acting_user, request)


def _note(verb: str, acting_user: User, request: LabRequest) -> None:
    record(
        verb,
        clinic=request.clinic,
        acting_user=acting_user,
        request=request,
        version=request.version,
    )

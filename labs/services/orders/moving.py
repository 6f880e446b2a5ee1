"""A request that was made for the wrong animal, moved to the right one, also while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F

from labs import roles
from labs.errors import InvalidInput, Stale
from labs.models import (
    LabRequest,
    MatchDecision,
    Patient,
    ReviewState,
    Sex,
    Submission,
    SubmissionState,
    UnmatchedResult,
)
from labs.services.events import record
from labs.services.orders import emergency_codes, outbox, states, submissions
from labs.services.orphaned.decisions import decide
from labs.services.registry.patients import followed, keep_standing, require_animal
from labs.services.reviews import alarms, species

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def move_request(
    *,
    acting_user: User | None,
    request: LabRequest,
    patient: Patient,
    expected_version: int,
    reason: str,
) -> str:
    """Move a request with all its results to another patient. What comes for it later follows, also
    under the old name: the analyzer has it under that one if the order has left (`sent_for`).
    Signatures stay in the history and do not come along. Returns a sentence for staff.

    Raises Stale, NotAllowed, InvalidInput without a reason, for the same patient or one of another
    clinic, or where the request was cancelled.
    """
    roles.require(acting_user, request.clinic, "match")
    if not reason.strip():
        raise InvalidInput("Say why the request is moved.")
    if patient.clinic_id != request.clinic_id:
        raise InvalidInput("This patient is not in the clinic that the request belongs to.")
    require_animal(patient)
    patient = followed(patient)
    with transaction.atomic():
        emergency_codes.request_moved(acting_user=acting_user, request=request)
        # The orphans on it before the request, as filing and matching lock them.
        matched = list(
            UnmatchedResult.objects.select_for_update(of=("self",))
            .filter(decisions__active=True, decisions__request=request)
            .order_by("pk")
        )
        now = submissions.locked(request.pk)
        if now.version != expected_version:
            raise Stale("This request changed while you were looking at it. Look at it again.")
        if now.patient_id == patient.pk:
            raise InvalidInput(f"It is {patient.name}'s request already.")
        if now.cancelled_at is not None:
            raise InvalidInput("This request was cancelled. Order the tests for the other animal.")
        patient.species = keep_standing(patient)
        was = now.patient
        if now.sent_for_id is None and _has_left(now):
            now.sent_for = was
        elif now.sent_for_id == patient.pk:
            now.sent_for = None
        now.patient = patient
        _leave_group(now)
        now.save(update_fields=["patient", "sent_for", "first", "link"])
        now.runs.exclude(review_state=ReviewState.WAITING).update(review_state=ReviewState.WAITING)
        species.assess(now.runs.all(), patient.species)
        alarms.another_animals(now.runs.all())
        Patient.objects.not_heard_of(was.pk, now.requested_at)
        Patient.objects.heard_of({patient.pk: now.requested_at})
        for orphan in matched:
            _follow(orphan, was, now, acting_user, reason)
        # In the history of both animals.
        for whose in (was, patient):
            record(
                "request.moved",
                clinic=now.clinic,
                acting_user=acting_user,
                source="command",
                patient=whose,
                request=now,
                was=was.patient_id,
                to=patient.patient_id,
                words=reason[:200],
            )
        states.refresh(now)
    request.refresh_from_db()
    if now.sent_for is not None:
        return (
            f"Moved to {patient.name}. The analyzer still shows {now.sent_for.name}: run it under "
            f"that name. Its results come to {patient.name}."
        )
    return f"Moved to {patient.name}."


def _has_left(request: LabRequest) -> bool:
    """As submissions against a worker that claims it at this moment (outbox.withdraw): what is
    still here is sent for the new patient."""
    found = Submission.objects.filter(request=request)
    here = [*outbox.WAITING, SubmissionState.CANCELLED]
    waiting = found.filter(state__in=here, may_have_arrived=False)
    return found.exists() and not waiting.update(not_before=F("not_before"))


def _leave_group(request: LabRequest) -> None:
    """Requests that stand beside each other are of one animal. Where others name this one as their
    first, the oldest of them takes its place."""
    others = list(LabRequest.objects.filter(first=request).order_by("pk"))
    if others:
        first, *rest = others
        LabRequest.objects.filter(pk=first.pk).update(first=None, link="")
        LabRequest.objects.filter(pk__in=[each.pk for each in rest]).update(first=first)
    request.first, request.link = None, ""


def _follow(
    orphan: UnmatchedResult,
    was: Patient,
    request: LabRequest,
    acting_user: User | None,
    reason: str,
) -> None:
    """What was matched to it goes along: the match to the old animal is taken back, and stands with
    the new one."""
    action = MatchDecision.Action
    standing = orphan.decisions.get(active=True)
    standing.active = False
    standing.save(update_fields=["active"])
    decide(orphan, action.UNMATCH, acting_user, reason, patient=was, request=request)
    decide(
        orphan,
        action.MATCH,
        acting_user,
        reason,
        active=True,
        patient=request.patient,
        request=request,
        evidence={"serious": _against(orphan, request.patient)},
    )
    orphan.version += 1
    orphan.save(update_fields=["version"])


def _against(orphan: UnmatchedResult, patient: Patient) -> list[str]:
    """What of that which was typed contradicts the animal, in the words of a match that a second
    person looks at (labs.matching.compare)."""
    code, sex = (orphan.typed.get(name, "") for name in ("species_code", "sex_code"))
    died = patient.deceased_on or orphan.created_at.date()
    contradicts = {
        "species": code not in ("", patient.species),
        "sex": patient.sex != Sex.UNKNOWN and sex not in ("", Sex.UNKNOWN, patient.sex),
        "deceased": patient.deceased and died <= orphan.created_at.date(),
    }
    return [key for key, is_so in contradicts.items() if is_so]

"""The outbox. A row is claimed by a conditional UPDATE that must change exactly one row (works on
SQLite and PostgreSQL alike), and settled only by whoever still holds that claim."""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from labs import roles, vendors
from labs.errors import InvalidInput
from labs.models import LabRequest, RequestedTest, Submission, SubmissionState, TestState
from labs.order import Order, OrderedTest, Receipt
from labs.services import states
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)

# An attempt (token, order, one replay) ends by 50 s; the lease outlives the 90 s task limit.
LEASE = timedelta(seconds=120)
# When the n-th attempt comes, counted from the first one.
SCHEDULE = [
    timedelta(seconds=seconds)
    for seconds in (0, 5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 86_400)
]
SWEEP_BATCH = 200


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`was_unknown`: an earlier attempt may have arrived, so that one which surely did not changes
    nothing about that."""

    submission: Submission
    lease: uuid.UUID
    was_unknown: bool = False


def claim(submission_id: int) -> Claim | None:
    """Take that row for sending, or None where it is not due or somebody else has it. The attempt
    is counted and committed before the call, so that an order which kills its worker is not sent
    for ever."""
    now = timezone.now()
    lease = uuid.uuid4()
    due = Submission.objects.due(now).filter(pk=submission_id)
    state = due.values_list("state", flat=True).first()
    changed = due.filter(state=state).update(
        state=SubmissionState.SENDING,
        attempts=F("attempts") + 1,
        first_attempt_at=Coalesce("first_attempt_at", now),
        lease=lease,
        lease_until=now + LEASE,
    )
    if changed != 1:
        return None
    submission = Submission.objects.select_related(
        "clinic", "request__clinic", "request__patient__owner", "request__requested_by"
    ).get(pk=submission_id)
    return Claim(
        submission=submission,
        lease=lease,
        was_unknown=state == SubmissionState.UNKNOWN,
    )


def order_of(submission: Submission) -> Order:
    """What the submission asks for, as plain data for a vendor's wire module."""
    request = submission.request
    patient = request.patient
    owner = patient.owner
    weight = patient.weight_set.first()
    technician = request.requested_by
    return Order(
        lab_report_id=request.lab_report_id,
        result_endpoint=vendors.get(submission.vendor).result_endpoint(request),
        clinic_id=request.clinic.public_id,
        requested_at=request.requested_at.astimezone(request.clinic.zone),
        stat=request.priority == "stat",
        notes=request.notes,
        patient_id=patient.patient_id,
        patient_name=patient.name,
        species=patient.species,
        breed=patient.breed,
        sex=patient.sex,
        neutered=patient.neutered,
        birth_date=patient.birth_date,
        birth_date_estimated=patient.birth_date_estimated,
        weight_kg=weight.kg if weight else None,
        microchip=patient.microchip,
        owner_id=owner.owner_id if owner else "",
        owner_first_name=owner.first_name if owner else "",
        owner_last_name=owner.last_name if owner else "",
        doctor=request.doctor,
        technician=(technician.get_full_name() or technician.username) if technician else "",
        tests=tuple(
            OrderedTest(
                test_request_id=test.test_request_id,
                code=test.panel.code,
                name=test.panel.name,
                analyzer_model=test.panel.analyzer_model,
                specimen_type=test.panel.specimen_type,
            )
            for test in request.tests.select_related("panel")
        ),
    )


def settle_accepted(claim: Claim, receipt: Receipt) -> bool:
    """The laboratory has it. Tests that it refused on their own are marked with its words."""

    def refuse_tests(submission: Submission) -> None:
        for outcome in receipt.tests:
            if not outcome.accepted:
                RequestedTest.objects.filter(
                    request=submission.request,
                    test_request_id=outcome.test_request_id,
                    state=TestState.REQUESTED,
                ).update(state=TestState.REFUSED, refusal=outcome.words or "No reason was given.")

    return _settle(
        claim,
        SubmissionState.ACCEPTED,
        error=receipt.note,
        external_id=receipt.external_id,
        also=refuse_tests,
    )


def settle_rejected(claim: Claim, *, error: str, words: str = "") -> bool:
    """The laboratory refuses the order as it stands; sending it again would change nothing."""
    return _settle(claim, SubmissionState.REJECTED, error=error, words=words)


def settle_blocked(claim: Claim, *, error: str, words: str = "") -> bool:
    """Nothing can be sent until a person has mended the set-up (credentials, address)."""
    return _settle(claim, SubmissionState.NEEDS_ATTENTION, error=error, words=words)


def settle_retry(
    claim: Claim,
    *,
    error: str,
    words: str = "",
    outcome_unknown: bool,
    retry_after: timedelta | None = None,
) -> bool:
    """A passing fault: due again by the schedule, the laboratory's own wish first. The same id is
    sent again, never a new one, because it may have arrived (`outcome_unknown`)."""
    submission = claim.submission
    if submission.attempts >= len(SCHEDULE):
        return _settle(claim, SubmissionState.NEEDS_ATTENTION, error=error, words=words)
    unknown = outcome_unknown or claim.was_unknown
    state = SubmissionState.UNKNOWN if unknown else SubmissionState.QUEUED
    return _settle(
        claim,
        state,
        error=error,
        words=words,
        wait=retry_after or next_wait(submission.attempts),
    )


def next_wait(attempts: int) -> timedelta:
    """From the attempt that just failed to the next one, with 10 % jitter so that many orders that
    failed together do not come back together."""
    step = SCHEDULE[attempts] - SCHEDULE[attempts - 1]
    return step * random.uniform(0.9, 1.1)  # noqa: S311 - jitter is no secret


def _settle(
    claim: Claim,
    state: str,
    *,
    error: str = "",
    words: str = "",
    external_id: str = "",
    wait: timedelta = timedelta(0),
    also: Callable[[Submission], None] | None = None,
) -> bool:
    """Write the outcome, if the claim still stands. A worker that was frozen past its lease loses
    here and changes nothing: false."""
    submission = claim.submission
    with transaction.atomic():
        # Results may come, and a person may cancel, while the call is under way: the head row's
        # lock, and what stands in it now.
        request = locked(submission.request_id)
        if request.cancelled_at is not None and state != SubmissionState.ACCEPTED:
            state = SubmissionState.CANCELLED  # never sent again
        changed = Submission.objects.filter(
            pk=submission.pk, state=SubmissionState.SENDING, lease=claim.lease
        ).update(
            state=state,
            last_error=error,
            provider_words=words,
            external_id=external_id or submission.external_id,
            accepted_at=timezone.now() if state == SubmissionState.ACCEPTED else None,
            not_before=timezone.now() + wait,
            lease=None,
            lease_until=None,
        )
        if changed != 1:
            return False
        if also:
            also(submission)
        record(
            f"submission.{state}",
            clinic=submission.clinic,
            source=submission.vendor,
            request=request,
            attempt=submission.attempts,
            error=error,
        )
        states.refresh(request)
    return True


def locked(request_id: int) -> LabRequest:
    """The head row of an order, locked in the caller's transaction: before its submission's row,
    always, so that nobody waits for each other."""
    found: LabRequest = (
        LabRequest.objects.select_for_update(of=("self",))
        .select_related("clinic", "patient")
        .get(pk=request_id)
    )
    return found


def resubmit(*, acting_user: User | None, submission: Submission) -> None:
    """Queue an order that needs attention once more, under the same id; its schedule starts anew.

    Raises InvalidInput where it is not waiting for a person, NotAllowed.
    """
    roles.require(acting_user, submission.clinic, "order")
    vendor = vendors.get(submission.vendor)
    with transaction.atomic():
        request = locked(submission.request_id)
        changed = Submission.objects.filter(
            state__in=[
                SubmissionState.REJECTED,
                SubmissionState.NEEDS_ATTENTION,
                SubmissionState.QUEUED,
                SubmissionState.UNKNOWN,
            ],
            pk=submission.pk,
            request__cancelled_at=None,
        ).update(
            # An order that may have arrived is still one that may have arrived.
            state=Case(
                When(state=SubmissionState.UNKNOWN, then=Value(SubmissionState.UNKNOWN)),
                default=Value(SubmissionState.QUEUED),
            ),
            attempts=0,
            first_attempt_at=None,
            not_before=timezone.now(),
        )
        if changed != 1:
            raise InvalidInput("This order is not waiting to be sent.")
        record(
            "submission.resubmitted",
            clinic=submission.clinic,
            acting_user=acting_user,
            request=request,
        )
        states.refresh(request)
        transaction.on_commit(lambda: vendor.wake(submission.pk))


def sweep() -> int:
    """Free expired leases and wake a worker for everything due; the broker may have lost any of it.
    Returns how many were woken. An expired lease is an unknown outcome: the call may have got
    through before the worker died."""
    now = timezone.now()
    for submission in Submission.objects.lease_expired(now)[:SWEEP_BATCH]:
        dead = Claim(submission=submission, lease=submission.lease or uuid.UUID(int=0))
        try:
            settle_retry(
                dead,
                error="The worker that was sending this order stopped.",
                outcome_unknown=True,
            )
        except Exception:
            # One order that cannot be settled must not keep the others waiting.
            log.exception("Freeing submission %s failed", submission.pk)
    due = list(
        Submission.objects.due(now).order_by("not_before").values_list("pk", "vendor")[:SWEEP_BATCH]
    )
    for pk, vendor in due:
        vendors.get(vendor).wake(pk)
    return len(due)

"""The outbox. A row is claimed by a conditional UPDATE that must change exactly one row (works on
SQLite and PostgreSQL alike), and settled only by whoever still holds that claim."""

from __future__ import annotations

import random
import uuid
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from labs import clock, vendors
from labs.failpoints import failpoint
from labs.models import LabRequest, RequestedTest, Submission, SubmissionState, TestState
from labs.order import Order, OrderedTest, Receipt
from labs.services.events import record
from labs.services.orders import codes, states

# An attempt (token, order, one replay) ends by 50 s; the lease outlives the 90 s task limit.
LEASE = timedelta(seconds=120)
# When attempts come, counted from the first one; the last of them ends it.
SCHEDULE = [
    timedelta(seconds=seconds)
    for seconds in (0, 5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 86_400)
]
SHORTEST_WAIT = timedelta(seconds=5)
LONGEST_JITTER = timedelta(minutes=5)
# A laboratory that asks for a second's patience again and again is asked this often at most, once
# it has been asked more often than the schedule would.
IMPORTUNED = timedelta(minutes=10)
MAX_CRASHES = 5


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`elapsed`: from the first attempt to this one."""

    submission: Submission
    lease: uuid.UUID
    elapsed: timedelta = timedelta(0)


def claim(submission_id: int) -> Claim | None:
    """Take that row for sending, or None where it is not due or somebody else has it. The attempt
    is counted and committed before the call, so that an order which kills its worker is not sent
    for ever."""
    now = clock.now()
    lease = uuid.uuid4()
    changed = (
        Submission.objects.due(now)
        .filter(pk=submission_id)
        .update(
            state=SubmissionState.SENDING,
            attempts=F("attempts") + 1,
            first_attempt_at=Coalesce("first_attempt_at", now),
            lease=lease,
            lease_until=now + LEASE,
        )
    )
    if changed != 1:
        return None
    submission = Submission.objects.select_related(
        "clinic", "request__clinic", "request__patient__owner", "request__requested_by"
    ).get(pk=submission_id)
    if submission.lease != lease or not (submission.lease_until and submission.first_attempt_at):
        return None  # frozen for so long between the two statements that it was taken away again
    elapsed = submission.lease_until - LEASE - submission.first_attempt_at
    return Claim(submission=submission, lease=lease, elapsed=elapsed)


def about_to_send(claim: Claim, body: str) -> bool:
    """Keep what is going to be sent. False where it must not be: a person has cancelled it, or
    the claim was lost.

    What may have arrived is sent again as it was (`Submission.sent_body`); a laboratory that gets
    another body under the same id has two orders, or refuses the second.
    """
    with transaction.atomic():
        # Under the request's lock: who is cancelling at this moment is waited for, and seen. An
        # UPDATE that asks the request's row itself sees it as it was when it began to wait.
        request = locked(claim.submission.request_id)
        held = Submission.objects.filter(
            pk=claim.submission.pk, state=SubmissionState.SENDING, lease=claim.lease
        )
        if request.cancelled_at is None and held.update(sent_body=body):
            if not claim.submission.may_have_arrived and _is_for(claim, request):
                _under_its_own_name(request)
            return True
    _settle(claim, SubmissionState.CANCELLED)
    return False


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
            for test in request.tests.filter(withdrawn=False).select_related("panel")
        ),
        codes=codes.of_clinic(submission.clinic, submission.vendor),
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
        change={
            "external_id": receipt.external_id or claim.submission.external_id,
            "accepted_at": clock.now(),
            "may_have_arrived": True,
            "sent_body": "",
        },
        also=refuse_tests,
        already_there=receipt.already_there,
    )


def settle_rejected(claim: Claim, *, error: str, words: str = "") -> bool:
    """The laboratory refuses the order as it stands; sending it again would change nothing. Of this
    attempt it has nothing: a corrected order may follow under the same id. Of an earlier one it may
    have what that one said; then a person looks at the analyzer first (`outbox.resubmit`)."""
    return _settle(
        claim, SubmissionState.REJECTED, error=error, words=words, change=_as_before(claim)
    )


def settle_unsendable(claim: Claim, *, error: str) -> bool:
    """As `settle_rejected`, but nobody was asked: the order holds what the laboratory has no word
    for, and did not leave."""
    return _settle(
        claim,
        SubmissionState.REJECTED,
        error=error,
        change=_as_before(claim),
        verb="submission.unsendable",
    )


def _as_before(claim: Claim) -> dict[str, Any]:
    """This attempt surely did not arrive: what may have arrived before it still may have."""
    return {} if claim.submission.may_have_arrived else {"sent_body": ""}


def settle_blocked(claim: Claim, *, error: str, words: str = "") -> bool:
    """Nothing can be sent until the set-up was mended (credentials, address): `release`."""
    return _settle(claim, SubmissionState.HELD, error=error, words=words)


def settle_retry(
    claim: Claim,
    *,
    error: str,
    words: str = "",
    outcome_unknown: bool,
    retry_after: timedelta | None = None,
    not_sooner: timedelta = timedelta(0),
    crashed: bool = False,
) -> bool:
    """A passing fault: due again by the schedule, the laboratory's own wish first. The same id is
    sent again, never a new one, because it may have arrived (`outcome_unknown`). `crashed`: the
    fault was ours, and an order with which it happens again and again is given up."""
    submission = claim.submission
    unknown = outcome_unknown or submission.may_have_arrived
    crashes = submission.crashes + crashed
    state = SubmissionState.UNKNOWN if unknown else SubmissionState.QUEUED
    if claim.elapsed >= SCHEDULE[-1]:
        state = SubmissionState.NEEDS_ATTENTION
    elif crashes >= MAX_CRASHES:
        state = SubmissionState.NEEDS_ATTENTION
        error = (
            f"This order could not be sent: our own program failed {crashes} times with it. "
            "Tell the operator, and run the tests at the analyzer by hand meanwhile."
        )
    return _settle(
        claim,
        state,
        error=error,
        words=words,
        change={
            "may_have_arrived": unknown,
            "crashes": crashes,
            "not_before": clock.now() + max(_wait(claim, retry_after), not_sooner),
        },
    )


def _wait(claim: Claim, retry_after: timedelta | None) -> timedelta:
    if retry_after is not None:
        often = claim.submission.attempts > len(SCHEDULE)
        return max(retry_after, IMPORTUNED) if often else retry_after
    first = claim.submission.first_attempt_at
    return next_wait(claim.elapsed, clock.read() - first if first else claim.elapsed)


def next_wait(claimed: timedelta, now: timedelta) -> timedelta:
    """From `now` to the next moment of the schedule after `claimed`, when the attempt that just
    failed began; both counted from the first attempt. Up to 10 % of the step later, so that many
    orders that failed together do not come back together."""
    step = min(bisect_right(SCHEDULE, claimed), len(SCHEDULE) - 1)
    length = SCHEDULE[step] - SCHEDULE[step - 1]
    jitter = min(length / 10, LONGEST_JITTER) * random.random()  # noqa: S311 - jitter is no secret
    return max(SCHEDULE[step] - now, SHORTEST_WAIT) + jitter


def _settle(
    claim: Claim,
    state: str,
    *,
    error: str = "",
    words: str = "",
    change: dict[str, Any] | None = None,
    also: Callable[[Submission], None] | None = None,
    verb: str = "",
    already_there: bool = False,
) -> bool:
    """Write the outcome, if the claim still stands. A worker that was frozen past its lease loses
    here and changes nothing: false."""
    submission = claim.submission
    failpoint("settling")
    with transaction.atomic():
        # Results may come, and a person may cancel, while the call is under way: the head row's
        # lock, and what stands in it now.
        request = locked(submission.request_id)
        there = (change or {}).get("may_have_arrived", submission.may_have_arrived)
        if request.cancelled_at is not None and state != SubmissionState.ACCEPTED:
            verb = _when_cancelled(state, verb, there=there)
            state = SubmissionState.CANCELLED  # never sent again
        changed = Submission.objects.filter(
            pk=submission.pk, state=SubmissionState.SENDING, lease=claim.lease
        ).update(
            state=state,
            last_error=error,
            provider_words=words,
            lease=None,
            lease_until=None,
            **(change or {}),
        )
        if changed != 1:
            return False
        if also:
            also(submission)
        taken = state == SubmissionState.ACCEPTED and not already_there
        if not there or (taken and _is_for(claim, request)):
            _under_its_own_name(request)
        record(
            verb or f"submission.{state}",
            clinic=submission.clinic,
            source=submission.vendor,
            request=request,
            attempt=submission.attempts,
            error=error,
            **({"already_there": True} if already_there else {}),
        )
        states.refresh(request)
    failpoint("settled")
    return True


def _when_cancelled(state: str, verb: str, *, there: bool) -> str:
    """What the history says of an attempt during which a person cancelled: that it was not sent is
    true only where it surely did not arrive."""
    if state == SubmissionState.REJECTED:
        return verb or "submission.rejected"
    return "submission.cancelled_unknown" if there else "submission.cancelled"


def _is_for(claim: Claim, request: LabRequest) -> bool:
    """Whether what this claim sends says the patient whose request it is now: it was not moved to
    another one since, and it is made anew and not sent again as it was."""
    again = claim.submission.may_have_arrived and claim.submission.sent_body
    return not again and claim.submission.request.patient_id == request.patient_id


def _under_its_own_name(request: LabRequest) -> None:
    """It was moved to another patient while it was being sent, and the laboratory does not have it
    under the old name after all."""
    if request.sent_for_id is not None:
        request.sent_for = None
        request.save(update_fields=["sent_for"])


def locked(request_id: int) -> LabRequest:
    """The head row of an order, locked in the caller's transaction: before its submission's row,
    always, so that nobody waits for each other."""
    rows = LabRequest.objects.select_for_update(of=("self",)).select_related("clinic", "patient")
    # While we waited for the lock it may have been moved to another patient: PostgreSQL then finds
    # no row, because the patient that it had joined is no longer the request's.
    found: LabRequest = rows.filter(pk=request_id).first() or rows.get(pk=request_id)
    # What it joins is shown as it was before it waited: by its species results are judged.
    found.patient.refresh_from_db(fields=["species"])
    return found

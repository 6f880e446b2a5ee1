"""The state of a request, derived: from its tests, its submission and a person's cancelling."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from labs import quick
from labs.models import (
    LabEvent,
    LabRequest,
    Panel,
    RequestedTest,
    RequestState,
    ResultStatus,
    ReviewState,
    SubmissionState,
    TestRun,
    TestState,
)
from labs.quick import Compiled, Given
from labs.services import events

SENDING_STATES = {
    SubmissionState.QUEUED: RequestState.QUEUED,
    SubmissionState.SENDING: RequestState.QUEUED,
    SubmissionState.UNKNOWN: RequestState.SENT,
    SubmissionState.HELD: RequestState.NEEDS_ATTENTION,
    SubmissionState.ACCEPTED: RequestState.ACCEPTED,
    SubmissionState.REJECTED: RequestState.NEEDS_ATTENTION,
    SubmissionState.NEEDS_ATTENTION: RequestState.NEEDS_ATTENTION,
    SubmissionState.CANCELLED: RequestState.CANCELLED,
}
RUN_TO_TEST = {
    ResultStatus.PRELIMINARY: TestState.RUNNING,
    ResultStatus.FINAL: TestState.COMPLETE,
    ResultStatus.CORRECTED: TestState.COMPLETE,
    ResultStatus.CANCELLED: TestState.CANCELLED,
    ResultStatus.WITHDRAWN: TestState.CANCELLED,
}
CLOSED = {TestState.COMPLETE, TestState.REFUSED, TestState.CANCELLED}


def derive(
    *,
    tests: Iterable[str],
    submission: str | None,
    cancelled: bool,
    runs: Iterable[str],
) -> RequestState:
    """Pure. `tests` are TestStates, `submission` a SubmissionState or None where nothing is sent,
    `runs` the current ResultStatus of each run.

    Complete counts the requested tests and nothing that a message says of itself; refused and
    cancelled tests let a request complete, but if no test gave a result a person must look. A
    request without tests (a matched result whose test is in no catalogue) goes by its runs.
    """
    run_states = {RUN_TO_TEST[ResultStatus(status)] for status in runs}
    states = {TestState(test) for test in tests} or run_states
    if cancelled:
        return RequestState.CANCELLED
    if states and states <= CLOSED:
        if TestState.COMPLETE in states:
            return RequestState.COMPLETE
        return (
            RequestState.NEEDS_ATTENTION if TestState.REFUSED in states else RequestState.CANCELLED
        )
    if TestState.COMPLETE in states:
        return RequestState.PARTIAL
    if TestState.RUNNING in states or run_states:
        return RequestState.RUNNING
    if submission is None:
        return RequestState.DRAFT
    return SENDING_STATES[SubmissionState(submission)]


BEST_FIRST = [TestState.COMPLETE, TestState.RUNNING, TestState.CANCELLED]


def test_state(test: RequestedTest, run_statuses: Iterable[str]) -> TestState:
    """Pure. Of several runs of one test (a repeat) the one that got furthest counts. Without a run
    a refusal stands; a test goes back to requested when its run was taken away by a person."""
    states = {RUN_TO_TEST[ResultStatus(status)] for status in run_statuses}
    for state in BEST_FIRST:
        if state in states:
            return state
    return TestState.REFUSED if test.refusal else TestState.REQUESTED


CURRENT = Compiled(
    TestRun.objects.filter(request=Given("request"), versions__current=True)
    .order_by()
    .values_list("requested_test", "versions__status", "review_state")
)
# A request's submission with each of its tests.
LOCKED = Compiled(
    LabRequest.objects.filter(pk=Given("pk"))
    .order_by("tests__position")
    .values_list(
        "submission__state",
        "submission__external_id",
        "tests__pk",
        "tests__test_request_id",
        "tests__state",
        "tests__refusal",
        "tests__withdrawn",
        "tests__panel_id",
        "tests__panel__code",
        "tests__panel__name",
        "patient__species",
    )
)
# While a request is in one of these, no run stands on it: `derive` gives them for no other reason,
# unless a test was run by hand and taken out of the order (see `nothing_came`).
NOTHING_CAME = {
    RequestState.DRAFT,
    RequestState.QUEUED,
    RequestState.SENT,
    RequestState.ACCEPTED,
}


@dataclass(frozen=True, kw_only=True)
class Locked:
    """What a request's state depends on besides its runs, as it is while the request is locked."""

    tests: list[RequestedTest]
    submission: str | None
    external_id: str
    species: str


def locked(request: LabRequest) -> Locked:
    """For a caller that has locked the request: a statement of its own, because one that waited
    for the lock shows what it joins as it was before. So is the patient's species."""
    rows = LOCKED.rows(pk=request.pk)
    tests = [
        RequestedTest(
            pk=pk,
            request=request,
            test_request_id=test_request_id,
            state=state,
            refusal=refusal,
            withdrawn=withdrawn,
            panel=Panel(pk=panel_pk, code=code, name=name),
        )
        for _, _, pk, test_request_id, state, refusal, withdrawn, panel_pk, code, name, _ in rows
        if pk is not None
    ]
    submission, external_id, *_, species = rows[0]
    return Locked(
        tests=tests, submission=submission, external_id=external_id or "", species=species
    )


def nothing_came(request: LabRequest, held: Locked) -> bool:
    """Whether surely no run stands on it yet."""
    return request.state in NOTHING_CAME and not any(test.withdrawn for test in held.tests)


def refresh(
    request: LabRequest,
    *,
    held: Locked | None = None,
    runs: Sequence[tuple[int | None, str, str]] | None = None,
    after: Sequence[LabEvent] = (),
) -> RequestState:
    """Recompute tests and request from what is stored, and write what changed. Call it inside the
    transaction that changed any of it.

    Locks the request first, unless the caller did: a worker that settles and a result that is filed
    at the same moment would else each derive a state from what the other has not committed yet, and
    the last to write would win ("Accepted" over "Running"). `runs` where the caller knows them all:
    requested test, status and review state of each. `after`: the events that changed it, where
    they are not recorded yet.
    """
    if held is None:
        request.refresh_from_db(
            fields=["state", "cancelled_at", "reviewed_at", "version"],
            from_queryset=LabRequest.objects.select_for_update(of=("self",)),
        )
        held = locked(request)
    if runs is None:
        runs = CURRENT.rows(request=request.pk)
    tests = held.tests
    for test in tests:
        reached = test_state(test, [status for test_pk, status, _ in runs if test_pk == test.pk])
        if reached != test.state:
            test.state = reached
            quick.update(test, "state")
    # An order from which tests were taken out, because they were run by hand, is as far as the
    # rest of it: their results say nothing of whether it was sent.
    out = {test.pk for test in tests if test.withdrawn}
    out = set() if len(out) == len(tests) else out
    state = derive(
        tests=[test.state for test in tests if test.pk not in out],
        submission=held.submission,
        cancelled=request.cancelled_at is not None,
        runs=[status for test_pk, status, _ in runs if test_pk not in out],
    )
    happened = list(after)
    if state != request.state:
        happened.append(
            events.event("request.state", clinic=request.clinic, request=request, to=state)
        )
        request.state = state
    events.save(happened)
    # A request counts as reviewed while it is complete and each of its runs is.
    signed = bool(runs) and all(review == ReviewState.REVIEWED for *_, review in runs)
    reviewed = state == RequestState.COMPLETE and signed
    request.reviewed_at = (request.reviewed_at or timezone.now()) if reviewed else None
    request.version += 1
    quick.update(request, "state", "reviewed_at", "version", "updated_at")
    return state


def show(request: LabRequest) -> None:
    """Let every page that shows the request look again, where something came for it that changed
    none of its rows. Nobody is waited for: who has it locked changes it."""
    with transaction.atomic():
        rows = LabRequest.objects.select_for_update(skip_locked=True).filter(pk=request.pk)
        keys = list(rows.values_list("pk", flat=True))
        LabRequest.objects.filter(pk__in=keys).update(
            version=F("version") + 1, updated_at=timezone.now()
        )


def touch(request: LabRequest, *fields: str) -> None:
    """Save those fields and let every page that shows the request know that it changed."""
    request.version = F("version") + 1
    request.save(update_fields=[*fields, "version", "updated_at"])
    request.refresh_from_db(fields=["version"])

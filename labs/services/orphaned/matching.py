"""What people decide about unmatched results. Each decision is reversible and stays on record; of
two people who act at once, one wins and the other is told (labs.errors.Stale)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput, Stale
from labs.models import (
    LabRequest,
    MatchDecision,
    Panel,
    Patient,
    RequestedTest,
    ReviewState,
    TestRun,
    UnmatchedResult,
    UnmatchedState,
)
from labs.queries.orphaned.witnesses import witnesses
from labs.services.events import record
from labs.services.intake import panels
from labs.services.orders import emergency_codes, outbox, states, submissions
from labs.services.orders.ordering import add_tests, create_request
from labs.services.orphaned.decisions import claim, decide
from labs.services.registry.patients import followed, require_animal
from labs.services.reviews import alarms, species

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Action = MatchDecision.Action


def match(
    *,
    acting_user: User | None,
    unmatched: UnmatchedResult,
    patient: Patient,
    expected_version: int,
    request: LabRequest | None = None,
    reason: str = "",
    evidence: dict[str, Any] | None = None,
    retrospective_tests: bool = False,
    source: str = "command",
    method: MatchDecision.Method = MatchDecision.Method.PERSON,
) -> LabRequest:
    """Put an orphan on a patient's record: onto an open request of that patient, or onto a
    retrospective one made in the same step. Its runs then wait for review like any others.
    `retrospective_tests`: a retrospective `request` gets the tests that it does not have yet.
    `source`: who acts where no person does; `method`: whether rule A decided it. A record that was
    merged away means the one that it was merged into.

    Raises Stale, NotAllowed, InvalidInput where patient or request are of another clinic or animal,
    or the orphan is already matched.
    """
    roles.require(acting_user, unmatched.clinic, "match")
    if patient.clinic_id != unmatched.clinic_id:
        raise InvalidInput("This patient is not in the clinic that the result came to.")
    require_animal(patient)
    patient = followed(patient)
    if request is not None and request.patient_id != patient.pk:
        raise InvalidInput("That request is for another patient.")
    with transaction.atomic():
        claim(
            unmatched,
            expected_version,
            from_states=[
                UnmatchedState.OPEN,
                UnmatchedState.HELD,
                UnmatchedState.DISMISSED,
            ],
            to_state=UnmatchedState.MATCHED,
        )
        if request is not None:
            # After the orphan, as filing locks them: the other way round the two could wait for
            # each other for ever.
            request = submissions.locked(request.pk)
            if request.patient_id != patient.pk:
                # Two people at one moment: it has just been moved to another animal.
                raise Stale(
                    f"{request} was moved to {request.patient.name} in the meantime. Look at the "
                    "result again before you decide."
                )
        runs = list(unmatched.runs.all())
        if request is None:
            request = _retrospective_request(acting_user, patient, runs)
        elif request.cancelled_at is not None:
            raise InvalidInput("That request was cancelled. Choose another one, or a new one.")
        elif retrospective_tests:
            add_tests(request, _panels(runs))
        _move(runs, request)
        species.assess(runs, species.of(patient.pk))
        _withdraw(runs, request)
        decide(
            unmatched,
            Action.MATCH,
            acting_user,
            reason,
            active=True,
            patient=patient,
            request=request,
            evidence=evidence or {},
            source=source,
            method=method,
        )
        states.refresh(request)
    return request


def unmatch(
    *,
    acting_user: User | None,
    unmatched: UnmatchedResult,
    expected_version: int,
    reason: str,
    evidence: dict[str, Any] | None = None,
) -> None:
    """Take a match back: the result leaves the patient's record and waits in the queue again. A
    request that was made for it alone is cancelled, never deleted. The decision keeps who may have
    acted on it meanwhile.

    Raises Stale, NotAllowed, InvalidInput without a reason or where it is not matched.
    """
    roles.require(acting_user, unmatched.clinic, "match")
    if not reason.strip():
        raise InvalidInput("Say why the match is taken back.")
    with transaction.atomic():
        emergency_codes.taken_back(acting_user=acting_user, unmatched=unmatched)
        claim(
            unmatched,
            expected_version,
            from_states=[UnmatchedState.MATCHED],
            to_state=UnmatchedState.OPEN,
        )
        decision = unmatched.decisions.select_related("patient").get(active=True)
        request = submissions.locked(decision.request_id)
        seen_by = witnesses(request, decision.at)
        RequestedTest.objects.filter(reported_run__unmatched=unmatched).update(reported_run=None)
        tests = list(request.tests.filter(runs__unmatched=unmatched).distinct())
        unmatched.runs.update(request=None, requested_test=None, review_state=ReviewState.WAITING)
        species.assess(unmatched.runs.all(), None)
        alarms.another_animals(unmatched.runs.all(), since=decision.at)
        outbox.reinstate(request, [test for test in tests if not test.runs.exists()])
        decision.active = False
        decision.save(update_fields=["active"])
        decide(
            unmatched,
            Action.UNMATCH,
            acting_user,
            reason,
            patient=decision.patient,
            request=request,
            evidence={"seen_by": [witness.as_json() for witness in seen_by], **(evidence or {})},
        )
        if request.retrospective and not request.runs.exists():
            request.cancelled_at = timezone.now()
            request.cancelled_reason = "The match that it was made for was taken back"
            request.save(update_fields=["cancelled_at", "cancelled_reason"])
            Patient.objects.not_heard_of(request.patient_id, request.requested_at)
        elif request.retrospective:
            # It stands for other results too: of what was taken back nobody ordered anything, and
            # it would wait for it for ever.
            request.tests.filter(pk__in=[test.pk for test in tests], runs=None).delete()
        states.refresh(request)


def move(
    *,
    acting_user: User | None,
    unmatched: UnmatchedResult,
    patient: Patient,
    expected_version: int,
    reason: str,
    request: LabRequest | None = None,
    evidence: dict[str, Any] | None = None,
) -> LabRequest:
    """From the record that it was matched to onto another animal's, in one step: the match is taken
    back with that reason, and made anew. Raises as `unmatch` and `match`, and then it stays."""
    with transaction.atomic():
        unmatch(
            acting_user=acting_user,
            unmatched=unmatched,
            expected_version=expected_version,
            reason=reason,
        )
        standing = unmatched.decisions.filter(action=Action.UNMATCH).last()
        patient = followed(patient)
        if standing is not None and standing.patient and standing.patient.now == patient:
            raise InvalidInput(f"It is on {patient.name}'s record already.")
        return match(
            acting_user=acting_user,
            unmatched=unmatched,
            patient=patient,
            expected_version=unmatched.version,
            request=request,
            reason=reason,
            evidence=evidence,
        )


def hold(
    *, acting_user: User, unmatched: UnmatchedResult, expected_version: int, reason: str
) -> None:
    """Keep it for a colleague or for later, with a name and a reason. Raises as `match`."""
    _put_aside(
        acting_user,
        unmatched,
        expected_version,
        reason,
        Action.HOLD,
        UnmatchedState.HELD,
    )


def dismiss(
    *, acting_user: User, unmatched: UnmatchedResult, expected_version: int, reason: str
) -> None:
    """It is nobody's: quality control, a test run. It stays stored and can be opened again."""
    _put_aside(
        acting_user,
        unmatched,
        expected_version,
        reason,
        Action.DISMISS,
        UnmatchedState.DISMISSED,
    )


def reopen(*, acting_user: User, unmatched: UnmatchedResult, expected_version: int) -> None:
    """Back into the queue, from held or dismissed. Raises as `match`."""
    roles.require(acting_user, unmatched.clinic, "match")
    with transaction.atomic():
        claim(
            unmatched,
            expected_version,
            from_states=[UnmatchedState.HELD, UnmatchedState.DISMISSED],
            to_state=UnmatchedState.OPEN,
        )
        UnmatchedResult.objects.filter(pk=unmatched.pk).update(held_by=None, state_reason="")
        decide(unmatched, Action.REOPEN, acting_user, "")


def _put_aside(
    acting_user: User,
    unmatched: UnmatchedResult,
    expected_version: int,
    reason: str,
    action: MatchDecision.Action,
    to_state: UnmatchedState,
) -> None:
    roles.require(acting_user, unmatched.clinic, "match")
    if not reason.strip():
        raise InvalidInput("Give a reason, so that the next person knows.")
    with transaction.atomic():
        claim(
            unmatched,
            expected_version,
            from_states=[UnmatchedState.OPEN, UnmatchedState.HELD],
            to_state=to_state,
        )
        UnmatchedResult.objects.filter(pk=unmatched.pk).update(
            held_by=acting_user if action == Action.HOLD else None,
            state_reason=reason[:200],
        )
        decide(unmatched, action, acting_user, reason)


def _retrospective_request(
    acting_user: User | None, patient: Patient, runs: list[TestRun]
) -> LabRequest:
    return create_request(
        acting_user=acting_user,
        patient=patient,
        panels=_panels(runs),
        retrospective=True,
    )


def _panels(runs: list[TestRun]) -> list[Panel]:
    known = list(Panel.objects.all())
    found = dict.fromkeys(
        panel for run in runs if (panel := panels.panel_of(run, known)) is not None
    )
    return list(found)


def _move(runs: list[TestRun], request: LabRequest) -> None:
    """Onto the request; each run closes only the test that it covers."""
    tests = list(request.tests.select_related("panel"))
    for run in runs:
        panel = panels.panel_of(run, [test.panel for test in tests])
        run.request = request
        run.requested_test = next((test for test in tests if test.panel == panel), None)
        run.review_state = ReviewState.WAITING
        run.save(update_fields=["request", "requested_test", "review_state"])


def _withdraw(runs: list[TestRun], request: LabRequest) -> None:
    """What was run by hand need not be ordered any more; what the laboratory has already is to be
    removed at the analyzer, and the request's page says which."""
    tests = [run.requested_test for run in runs if run.requested_test is not None]
    if request.retrospective or not tests:
        return
    taken_out = outbox.withdraw(request, tests)
    record(
        "request.withdrawn" if taken_out else "request.not_withdrawn",
        clinic=request.clinic,
        request=request,
        tests=[test.panel.code for test in tests],
    )

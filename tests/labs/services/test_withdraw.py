"""A test that was run by hand meanwhile, and cancelling: what has not left does not leave; what has
left is said to be there."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from labs.errors import InvalidInput
from labs.models import LabEvent, LabRequest, RequestedTest, Submission
from labs.report import Identity
from labs.services.orders import ordering, outbox, submissions
from labs.services.orphaned import matching
from tests.factories import (
    accept,
    make_patient,
    make_report,
    make_request,
    make_result,
    make_run,
    make_unmatched,
)

CBC, KIDNEY = "HHEM-1", "HDC-3"


@pytest.fixture
def patient() -> Any:
    return make_patient()


def placed(patient: Any, *codes: str) -> LabRequest:
    return make_request(patient, panels=codes or (CBC, KIDNEY))


def run_by_hand(request: LabRequest, code: str = CBC) -> Any:
    """Match an orphan of that test to the request."""
    model = "Element HT5" if code == CBC else "Element DCX"
    orphan = make_unmatched(
        request.clinic,
        make_report(
            [make_run(test_code=code, test_name=code, analyzer_model=model)],
            identity=Identity(patient_name="BISCUIT", species_code="dog"),
        ),
    )
    matching.match(
        acting_user=None,
        unmatched=orphan,
        patient=request.patient,
        request=request,
        expected_version=orphan.version,
    )
    orphan.refresh_from_db()
    return orphan


def take_back(orphan: Any) -> None:
    matching.unmatch(
        acting_user=None, unmatched=orphan, expected_version=orphan.version, reason="wrong"
    )


def look(request: LabRequest) -> tuple[str, str, list[str]]:
    """State of request and outbox, and the tests that the order would ask for."""
    request.refresh_from_db()
    row = Submission.objects.select_related("request__clinic", "request__patient__owner").get(
        request=request
    )
    return request.state, row.state, [test.code for test in submissions.order_of(row).tests]


def verbs(request: LabRequest) -> list[str]:
    return list(
        LabEvent.objects.filter(request=request, verb__contains="withdrawn").values_list(
            "verb", flat=True
        )
    )


@pytest.mark.django_db
def test_a_test_that_was_run_by_hand_is_not_ordered(patient):
    request = placed(patient)
    run_by_hand(request)
    assert look(request) == ("queued", "queued", [KIDNEY])
    assert verbs(request) == ["request.withdrawn"]
    # Its own result is there, and the rest goes its way.
    assert request.tests.get(panel__code=CBC).state == "complete"
    accept(request)
    assert look(request)[:2] == ("accepted", "accepted")


@pytest.mark.django_db
def test_if_all_were_run_by_hand_nothing_is_sent(patient):
    request = placed(patient)
    run_by_hand(request)
    run_by_hand(request, KIDNEY)
    assert look(request) == ("complete", "cancelled", [])
    assert submissions.claim(request.submission.pk) is None


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["sending", "unknown", "accepted"])
def test_what_has_left_is_said_to_be_there(patient, how):
    request = placed(patient)
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    if how == "unknown":
        submissions.settle_retry(claim, error="No answer.", outcome_unknown=True)
    elif how == "accepted":
        submissions.settle_accepted(claim, submissions.Receipt())
    run_by_hand(request)
    assert look(request)[1:] == (how, [CBC, KIDNEY])
    assert verbs(request) == ["request.not_withdrawn"]


@pytest.mark.django_db
def test_what_surely_did_not_arrive_has_not_left(patient):
    request = placed(patient)
    for settle in (
        lambda claim: submissions.settle_retry(claim, error="Busy.", outcome_unknown=False),
        lambda claim: submissions.settle_rejected(claim, error="Refused."),
    ):
        Submission.objects.update(not_before=timezone.now())
        claim = submissions.claim(request.submission.pk)
        settle(claim)
    run_by_hand(request)
    assert look(request)[2] == [KIDNEY]


@pytest.mark.django_db
def test_taken_back_in_time_it_is_ordered_after_all(patient):
    request = placed(patient)
    first, second = run_by_hand(request), run_by_hand(request, KIDNEY)
    take_back(first)
    assert look(request) == ("queued", "queued", [CBC])
    take_back(second)
    assert look(request) == ("queued", "queued", [CBC, KIDNEY])


@pytest.mark.django_db
def test_taken_back_too_late_it_is_not_ordered_in_silence(patient):
    request = placed(patient)
    orphan = run_by_hand(request)
    accept(request)
    take_back(orphan)
    assert look(request)[2] == [KIDNEY]
    assert request.tests.get(panel__code=CBC).withdrawn


@pytest.mark.django_db
def test_a_rest_that_is_refused_still_needs_a_person(patient):
    """Its other test being complete must not hide it."""
    request = placed(patient)
    run_by_hand(request)
    claim = submissions.claim(request.submission.pk)
    submissions.settle_rejected(claim, error="Refused.")
    assert look(request)[0] == "needs_attention"


@pytest.mark.django_db
def test_the_result_of_the_rest_forgets_nothing_of_what_was_run_by_hand(patient):
    """The request looks as if nothing had come yet, and a run stands on it."""
    request = placed(patient)
    run_by_hand(request)
    accept(request)
    make_result(request, make_report([make_run(test_code=KIDNEY, analyzer_model="Element DCX")]))
    assert look(request)[0] == "complete"
    assert set(request.tests.values_list("state", flat=True)) == {"complete"}
    assert request.runs.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["worker", "person"])
def test_against_a_worker_that_claims_at_the_same_moment(patient, first):
    """One of them is held between its statement and its commit; the other must not decide by what
    it sees meanwhile. What the order says and what the person is told always agree."""
    request = placed(patient)
    pk = request.submission.pk
    orphan = make_unmatched(
        request.clinic,
        make_report([make_run(test_code=CBC)], identity=Identity(patient_name="BISCUIT")),
    )
    between, go_on, failed = threading.Event(), threading.Event(), []
    ordered: list[list[str]] = []

    def person() -> None:
        with transaction.atomic():
            matching.match(
                acting_user=None,
                unmatched=orphan,
                patient=request.patient,
                request=request,
                expected_version=orphan.version,
            )
            if first == "person":
                between.set()
                go_on.wait(1)

    def worker() -> None:
        with transaction.atomic():
            claim = submissions.claim(pk)
            if first == "worker":
                between.set()
                go_on.wait(1)
        assert claim is not None
        ordered.append([test.code for test in submissions.order_of(claim.submission).tests])

    def run(act: Any) -> None:
        try:
            act()
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    acts = [person, worker] if first == "person" else [worker, person]
    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    threads[0].start()
    assert between.wait(10)
    threads[1].start()
    threads[0].join()
    threads[1].join()
    assert failed == []
    told = verbs(request)
    if first == "person":
        assert (ordered, told) == ([[KIDNEY]], ["request.withdrawn"])
    else:
        assert (ordered, told) == ([[CBC, KIDNEY]], ["request.not_withdrawn"])


# Cancelling.


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("how", "there"),
    [
        ("queued", False),
        ("busy", False),
        ("rejected", False),
        ("sending", True),
        ("unknown", True),
        ("accepted", True),
    ],
)
def test_cancelling_says_whether_it_is_to_be_removed_at_the_analyzer(patient, how, there):
    request = placed(patient)
    claim = None if how == "queued" else submissions.claim(request.submission.pk)
    if how == "busy":
        submissions.settle_retry(claim, error="Busy.", outcome_unknown=False)
    elif how == "unknown":
        submissions.settle_retry(claim, error="No answer.", outcome_unknown=True)
    elif how == "rejected":
        submissions.settle_rejected(claim, error="Refused.")
    elif how == "accepted":
        submissions.settle_accepted(claim, submissions.Receipt())
    said = ordering.cancel_request(acting_user=None, request=request, reason="wrong animal")
    assert ("remove it at the analyzer" in said) == there
    assert ("does not have it" in said) == (not there)
    assert request.state == "cancelled"
    Submission.objects.update(not_before=timezone.now())
    assert submissions.claim(request.submission.pk) is None


@pytest.mark.django_db
def test_cancelled_between_claim_and_call_it_is_not_sent(patient):
    request = placed(patient)
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    ordering.cancel_request(acting_user=None, request=request, reason="")
    assert not submissions.about_to_send(claim, "{}")
    assert look(request)[:2] == ("cancelled", "cancelled")


@pytest.mark.django_db
def test_what_may_have_arrived_is_sent_again_as_it_was(patient):
    request = placed(patient)
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    assert submissions.about_to_send(claim, "first")
    submissions.settle_retry(claim, error="No answer.", outcome_unknown=True)
    row = Submission.objects.get()
    assert (row.may_have_arrived, row.sent_body) == (True, "first")


def refused_after_silence(request: LabRequest, settle: Any) -> Submission:
    """The first attempt has no answer, the second one is refused."""
    for settled in (
        lambda claim: submissions.settle_retry(claim, error="No answer.", outcome_unknown=True),
        settle,
    ):
        Submission.objects.update(not_before=timezone.now())
        claim = submissions.claim(request.submission.pk)
        assert claim is not None
        submissions.about_to_send(claim, "first")
        settled(claim)
    return Submission.objects.get(request=request)


@pytest.mark.django_db
@pytest.mark.parametrize("settle", [submissions.settle_rejected, submissions.settle_unsendable])
def test_a_refusal_says_nothing_of_an_earlier_attempt(patient, settle):
    """A laboratory that took the first one and now refuses the second still has the first."""
    request = placed(patient)
    row = refused_after_silence(request, lambda claim: settle(claim, error="Refused."))
    assert (row.state, row.may_have_arrived, row.sent_body) == ("rejected", True, "first")
    run_by_hand(request)
    assert verbs(request) == ["request.not_withdrawn"]


@pytest.mark.django_db
def test_refused_after_silence_and_cancelled_it_is_to_be_removed_at_the_analyzer(patient):
    request = placed(patient)
    refused_after_silence(request, lambda claim: submissions.settle_rejected(claim, error="No."))
    said = ordering.cancel_request(acting_user=None, request=request, reason="wrong animal")
    assert "remove it at the analyzer" in said


@pytest.mark.django_db
def test_refused_alone_the_corrected_order_follows_under_the_same_id(patient):
    request = placed(patient)
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    submissions.about_to_send(claim, "first")
    submissions.settle_rejected(claim, error="Refused.")
    row = Submission.objects.get()
    assert (row.may_have_arrived, row.sent_body) == (False, "")
    outbox.resubmit(acting_user=None, submission=row)
    row.refresh_from_db()
    assert (row.state, row.sent_body) == ("queued", "")


@pytest.mark.django_db
def test_refused_after_silence_a_corrected_order_needs_somebody_who_has_looked(patient):
    request = placed(patient)
    row = refused_after_silence(
        request, lambda claim: submissions.settle_rejected(claim, error="No.")
    )
    with pytest.raises(InvalidInput, match="Look at the analyzer first"):
        outbox.resubmit(acting_user=None, submission=row)
    assert submissions.claim(row.pk) is None
    outbox.resubmit(acting_user=None, submission=row, not_there=True)
    row.refresh_from_db()
    # It may be there all the same: people err.
    assert (row.state, row.may_have_arrived, row.sent_body) == ("unknown", True, "")
    assert LabEvent.objects.get(verb="submission.resubmitted").data["not_there"] is True


@pytest.mark.django_db
def test_of_an_order_that_was_not_refused_nobody_says_that_it_is_not_there(patient):
    """What is sent again by itself is sent as it was, whatever a form says."""
    request = placed(patient)
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    submissions.about_to_send(claim, "first")
    submissions.settle_retry(claim, error="No answer.", outcome_unknown=True)
    row = Submission.objects.get()
    outbox.resubmit(acting_user=None, submission=row, not_there=True)
    row.refresh_from_db()
    assert (row.state, row.sent_body) == ("unknown", "first")


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite has one writer at a time, whatever is locked"
)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["call", "resubmit", "release"])
def test_who_is_cancelling_at_this_moment_is_waited_for(patient, what):
    """The cancelling has changed its rows and has not committed: whoever goes by the rows as they
    were sends an order of which a person was told that it is cancelled."""
    request = placed(patient)
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    if what == "resubmit":
        submissions.settle_rejected(claim, error="Refused.")
    elif what == "release":
        submissions.settle_blocked(claim, error="Refused.")
    changed, done = threading.Event(), threading.Event()
    told: list[Any] = []

    def cancel() -> None:
        try:
            with transaction.atomic():
                ordering.cancel_request(acting_user=None, request=request, reason="")
                changed.set()
                told.append(done.wait(1))
        finally:
            connections.close_all()

    def act() -> Any:
        row = Submission.objects.get()
        if what == "call":
            return submissions.about_to_send(claim, "{}")
        if what == "release":
            with transaction.atomic():
                return outbox.release(clinic=request.clinic, vendor=row.vendor)
        with pytest.raises(InvalidInput):
            outbox.resubmit(acting_user=None, submission=row)
        return None

    person = threading.Thread(target=cancel)
    person.start()
    assert changed.wait(10)
    try:
        assert not act()
    finally:
        done.set()
        person.join()
    assert told == [False]  # it was waited for
    assert look(request)[:2] == ("cancelled", "cancelled")


@pytest.mark.django_db
def test_a_frozen_worker_that_wakes_before_its_call_does_not_call(patient):
    request = placed(patient)
    frozen = submissions.claim(request.submission.pk)
    assert frozen is not None
    Submission.objects.update(lease_until=timezone.now(), lease=None, state="unknown")
    assert not submissions.about_to_send(frozen, "{}")
    assert RequestedTest.objects.filter(withdrawn=True).count() == 0

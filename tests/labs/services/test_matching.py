"""Matching: reversible, never on another clinic's or another animal's record, nothing lost."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from labs.errors import InvalidInput, NotAllowed, Stale
from labs.models import (
    LabEvent,
    LabRequest,
    MatchDecision,
    Role,
    TestRun,
    UnmatchedResult,
    Visit,
)
from labs.report import Identity
from labs.services.intake import orphans, results
from labs.services.orders import ordering
from labs.services.orphaned import matching
from labs.services.reviews import review
from tests.factories import (
    make_clinic,
    make_message,
    make_patient,
    make_report,
    make_request,
    make_row,
    make_run,
    make_staff,
    make_unmatched,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    return make_clinic()


@pytest.fixture
def alice(clinic):
    return make_staff(clinic=clinic, username="alice")


@pytest.fixture
def patient(clinic):
    return make_patient(clinic)


def orphan_report(version=1, *, external_id="94912", rows=None, key="run", **typed):
    return make_report(
        [make_run(rows, key=key)],
        external_id=external_id,
        version=version,
        identity=Identity(**typed) if typed else None,
    )


@pytest.fixture
def orphan(clinic):
    return make_unmatched(clinic, orphan_report(patient_id="1", patient_name="BISCUIT "))


def follow(orphan, report):
    message = make_message(orphan.clinic)
    results.file_report(message=message, report=report, result_key=None)
    message.refresh_from_db()
    orphan.refresh_from_db()
    return message.unmatched


def match(user, orphan, patient, **options):
    orphan.refresh_from_db()
    return matching.match(
        acting_user=user,
        unmatched=orphan,
        patient=patient,
        expected_version=orphan.version,
        **options,
    )


def unmatch(user, orphan):
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=user, unmatched=orphan, expected_version=orphan.version, reason="wrong dog"
    )


def places(orphan):
    """Where each run of the orphan stands: it must always be exactly one place more than the queue
    itself, the one that the active decision names."""
    active = orphan.decisions.filter(active=True).first()
    wanted = active.request_id if active else None
    return {run.request_id for run in orphan.runs.all()} == {wanted}


def test_failure_mode_02_what_was_typed_stays_byte_for_byte_whatever_is_decided(
    alice, orphan, patient
):
    typed = json.dumps(UnmatchedResult.objects.values("typed").get())
    values = list(orphan.runs.values_list("observations__value_text", "versions__digest"))
    other = make_patient(patient.clinic, name="Biscuit II")
    for target in (patient, other, patient):
        request = match(alice, orphan, target)
        assert request.patient == target
        assert (request.retrospective, request.state) == (True, "complete")
        assert places(orphan)
        unmatch(alice, orphan)
        request.refresh_from_db()
        assert request.state == "cancelled"
        assert places(orphan)
    assert json.dumps(UnmatchedResult.objects.values("typed").get()) == typed
    assert list(orphan.runs.values_list("observations__value_text", "versions__digest")) == values
    assert [d.action for d in orphan.decisions.all()] == ["match", "unmatch"] * 3
    verbs = LabEvent.objects.filter(unmatched=orphan).values_list("verb", flat=True)
    assert list(verbs) == ["unmatched.received"] + ["unmatched.match", "unmatched.unmatch"] * 3


def test_onto_an_open_request_and_back(alice, orphan, patient):
    request = make_request(patient, panels=("HHEM-1", "HDC-3"), accepted=True)
    match(alice, orphan, patient, request=request)
    request.refresh_from_db()
    assert request.state == "partial"
    assert {t.panel.code: t.state for t in request.tests.all()} == {
        "HHEM-1": "complete",
        "HDC-3": "requested",
    }
    unmatch(alice, orphan)
    request.refresh_from_db()
    assert (request.state, request.cancelled_at) == ("accepted", None)
    assert {t.state for t in request.tests.all()} == {"requested"}


def test_a_refused_test_is_refused_again_when_the_match_is_taken_back(alice, orphan, patient):
    from labs.order import TestOutcome
    from tests.factories import accept

    request = make_request(patient, panels=("HHEM-1",))
    test = request.tests.get()
    outcome = TestOutcome(test_request_id=test.test_request_id, accepted=False)
    accept(request, outcomes=(outcome,))
    assert request.state == "needs_attention"
    match(alice, orphan, patient, request=request)
    request.refresh_from_db()
    assert request.state == "complete"
    unmatch(alice, orphan)
    test.refresh_from_db()
    request.refresh_from_db()
    assert (test.state, request.state) == ("refused", "needs_attention")


def test_a_match_that_is_taken_back_leaves_no_trace_of_a_visit(alice, orphan, patient):
    """Else the next result of the day would be the likelier for the wrong animal: it was "here"."""
    seen = timezone.now() - timedelta(days=40)
    Visit.objects.create(clinic=patient.clinic, patient=patient, at=seen)
    match(alice, orphan, patient)
    patient.refresh_from_db()
    assert patient.latest_visit > seen
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=alice, unmatched=orphan, expected_version=orphan.version, reason="Not hers"
    )
    patient.refresh_from_db()
    assert patient.latest_visit == seen


def test_a_request_made_for_two_results_does_not_wait_for_the_one_that_was_taken_back(
    alice, clinic, orphan, patient
):
    """Nobody ordered it, so nothing will ever come; and put back, it is there as before."""
    other = make_unmatched(
        clinic,
        make_report([make_run(key="c", test_code="CHEM", test_name="Chemistry")], external_id="7"),
    )
    made = match(alice, orphan, patient)
    match(alice, other, patient, request=made, retrospective_tests=True)
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=alice, unmatched=orphan, expected_version=orphan.version, reason="Not hers"
    )
    made.refresh_from_db()
    assert made.state == "complete" and not LabRequest.objects.open().exists()
    assert made.runs.get().unmatched == other
    match(alice, orphan, patient, request=made, retrospective_tests=True)
    made.refresh_from_db()
    assert made.state == "complete" and made.runs.count() == 2
    assert not made.tests.filter(withdrawn=True).exists()


def test_a_signature_does_not_come_along_to_another_animal(clinic, orphan, patient):
    alice = make_staff(Role.VET, clinic=clinic)
    request = match(alice, orphan, patient)
    review.sign(acting_user=alice, request=request, expected_version=request.version)
    assert orphan.runs.get().review_state == "reviewed"
    unmatch(alice, orphan)
    assert orphan.runs.get().review_state == "waiting"
    match(alice, orphan, make_patient(clinic, name="Rex"))
    assert orphan.runs.get().review_state == "waiting"
    assert orphan.runs.get().reviews.count() == 1


def test_the_second_of_two_people_is_told(alice, orphan, patient):
    bob = make_staff(clinic=patient.clinic, username="bob")
    seen = orphan.version
    match(alice, orphan, patient)
    with pytest.raises(Stale, match="alice"):
        matching.match(acting_user=bob, unmatched=orphan, patient=patient, expected_version=seen)
    assert MatchDecision.objects.count() == 1
    with pytest.raises(InvalidInput, match="matched"):
        match(bob, orphan, patient)


def test_a_message_that_came_meanwhile_makes_the_decision_stale(alice, orphan, patient):
    seen = orphan.version
    follow(orphan, orphan_report(2, rows=[make_row(value="9")]))
    with pytest.raises(Stale):
        matching.match(acting_user=alice, unmatched=orphan, patient=patient, expected_version=seen)


def test_nothing_crosses_the_clinics_border(alice, orphan, patient):
    theirs = make_patient(make_clinic())
    charlie = make_staff(clinic=theirs.clinic, username="charlie")
    with pytest.raises(InvalidInput, match="not in the clinic"):
        match(alice, orphan, theirs)
    for action in (lambda: match(charlie, orphan, patient), lambda: match(charlie, orphan, theirs)):
        with pytest.raises(NotAllowed):
            action()
    with pytest.raises(InvalidInput, match="another patient"):
        match(alice, orphan, patient, request=make_request(theirs))
    with pytest.raises(InvalidInput, match="another patient"):
        match(alice, orphan, patient, request=make_request(make_patient(patient.clinic)))
    orphan.refresh_from_db()
    assert (orphan.state, MatchDecision.objects.count()) == ("open", 0)
    assert places(orphan)


def test_not_onto_a_cancelled_request(alice, orphan, patient):
    request = make_request(patient)
    ordering.cancel_request(acting_user=None, request=request, reason="")
    with pytest.raises(InvalidInput, match="cancelled"):
        match(alice, orphan, patient, request=request)
    orphan.refresh_from_db()
    assert orphan.state == "open"


def test_failure_mode_04_one_active_match_by_the_database_itself(alice, orphan, patient):
    request = match(alice, orphan, patient)
    with pytest.raises(IntegrityError), transaction.atomic():
        MatchDecision.objects.create(
            unmatched=orphan, action="match", active=True, patient=patient, request=request
        )


def test_what_follows_goes_where_the_match_went(alice, orphan, patient):
    request = match(alice, orphan, patient)
    before = request.version
    again = follow(orphan, orphan_report(2, rows=[make_row(value="9.9")]))
    assert again == orphan
    request.refresh_from_db()
    assert request.version > before
    (run,) = request.runs.all()
    assert [row.value_text for row in run.observations.filter(current=True)] == ["9.9"]
    follow(orphan, orphan_report(3, key="second run"))
    assert request.runs.count() == 2
    assert places(orphan)
    unmatch(alice, orphan)
    assert places(orphan)
    assert orphan.runs.count() == 2


def test_what_follows_of_another_animal_makes_an_orphan_of_its_own(alice, orphan, patient):
    match(alice, orphan, patient)
    other = follow(orphan, orphan_report(2, patient_id="1", patient_name="Rex"))
    assert other != orphan
    assert other.state == "open"
    assert not other.runs.filter(request__isnull=False).exists()


def test_what_follows_may_say_what_nobody_could_know_before(clinic, alice, patient):
    """Nothing was typed at first; the second message names another dog: it went on Biscuit's
    record without a word."""
    orphan = make_unmatched(clinic, orphan_report())
    request = match(alice, orphan, patient)
    other = follow(orphan, orphan_report(2, rows=[make_row(value="9.9")], patient_name="Rex"))
    assert other != orphan
    assert (other.state, other.reason) == ("open", "conflict")
    assert "Name Rex" in other.contradictions[0]
    (run,) = request.runs.all()
    assert [row.value_text for row in run.observations.filter(current=True)] == ["6.13"]
    same = follow(orphan, orphan_report(3, rows=[make_row(value="7")], patient_name="biscuit"))
    assert same == orphan


def test_two_animals_typed_alike_without_a_report_id_stay_two(clinic):
    for _ in range(2):
        make_unmatched(clinic, orphan_report(external_id="", patient_id="1"))
    assert UnmatchedResult.objects.count() == 2
    make_unmatched(make_clinic(), orphan_report(patient_id="1"))
    make_unmatched(clinic, orphan_report(patient_id="1"))
    assert UnmatchedResult.objects.count() == 4


def test_held_dismissed_reopened(alice, orphan):
    def decide(action, **options):
        orphan.refresh_from_db()
        action(acting_user=alice, unmatched=orphan, expected_version=orphan.version, **options)
        orphan.refresh_from_db()
        return orphan.state

    assert decide(matching.hold, reason="asks the owner") == "held"
    assert orphan.held_by == alice
    assert decide(matching.reopen) == "open"
    assert orphan.held_by is None
    assert decide(matching.dismiss, reason="quality control") == "dismissed"
    with pytest.raises(InvalidInput):
        decide(matching.dismiss, reason="again")
    follow(orphan, orphan_report(2, rows=[make_row(value="9")]))
    assert orphan.state == "open"
    for action in (matching.hold, matching.dismiss):
        with pytest.raises(InvalidInput, match="reason"):
            decide(action, reason=" ")


def test_a_match_that_fails_leaves_nothing_behind(alice, orphan, patient, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("labs.services.orders.states.refresh", broken)
    with pytest.raises(ZeroDivisionError):
        match(alice, orphan, patient)
    orphan.refresh_from_db()
    assert (orphan.state, MatchDecision.objects.count()) == ("open", 0)
    assert not patient.labrequest_set.exists()
    assert places(orphan)


def test_every_run_is_on_exactly_one_place(alice, clinic, patient):
    orphans = [
        make_unmatched(clinic, orphan_report(external_id=f"e{n}", key=f"r{n}")) for n in range(4)
    ]
    request = make_request(patient, panels=("HHEM-1",), accepted=True)
    match(alice, orphans[0], patient, request=request)
    match(alice, orphans[1], patient, request=request)
    match(alice, orphans[2], patient)
    unmatch(alice, orphans[1])
    for orphan in orphans:
        orphan.refresh_from_db()
        assert places(orphan)
    assert TestRun.objects.count() == 4
    assert request.runs.count() == 1
    assert [o.state for o in orphans] == ["matched", "open", "matched", "open"]


@pytest.mark.django_db(transaction=True)
def test_a_contradiction_and_what_follows_a_match_do_not_wait_for_each_other(
    clinic, alice, patient, monkeypatch
):
    """One is sent for a request, contradicts it and is filed as unmatched; the other continues an
    orphan that was matched to that request. Each held what the other wanted, until PostgreSQL threw
    one of them out."""
    request = make_request(patient, accepted=True)
    orphan = make_unmatched(clinic, orphan_report(patient_name=patient.name))
    matching.match(
        acting_user=alice,
        unmatched=orphan,
        patient=patient,
        request=request,
        expected_version=orphan.version,
    )
    file_unmatched, failed = orphans.file_unmatched, []

    def run(message, report, key):
        try:
            results.file_report(message=message, report=report, result_key=key)
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    other = threading.Thread(
        target=run, args=(make_message(clinic), orphan_report(2, patient_name=patient.name), None)
    )

    def while_another_comes(**arguments):
        if arguments["suggested"]:
            other.start()
            other.join(timeout=1)
        return file_unmatched(**arguments)

    monkeypatch.setattr(orphans, "file_unmatched", while_another_comes)
    message = make_message(clinic)
    run(message, orphan_report(patient_name="Somebody else"), request.result_key)
    other.join()
    assert failed == []
    message.refresh_from_db()
    assert (message.state, message.unmatched.reason) == ("unmatched", "conflict")
    assert TestRun.objects.get(unmatched=orphan).versions.count() == 2


@pytest.mark.django_db(transaction=True)
def test_matching_and_a_second_contradiction_do_not_wait_for_each_other(
    clinic, alice, patient, monkeypatch
):
    """Filing holds the orphan that it might continue and wants the request that it is sent for;
    matching wants both."""
    request = make_request(patient, accepted=True)
    first = make_message(clinic)
    report = orphan_report(patient_name="Somebody else")
    results.file_report(message=first, report=report, result_key=request.result_key)
    orphan = UnmatchedResult.objects.get()
    continued, failed = orphans._continued, []

    def match():
        try:
            matching.match(
                acting_user=alice,
                unmatched=orphan,
                patient=patient,
                request=LabRequest.objects.get(pk=request.pk),
                expected_version=orphan.version,
            )
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    matcher = threading.Thread(target=match)

    def while_somebody_matches(**arguments):
        found = continued(**arguments)
        matcher.start()
        matcher.join(timeout=1)
        return found

    monkeypatch.setattr(orphans, "_continued", while_somebody_matches)
    second = make_message(clinic)
    report = orphan_report(2, patient_name="A third one")
    results.file_report(message=second, report=report, result_key=request.result_key)
    matcher.join()
    assert failed == []
    second.refresh_from_db()
    orphan.refresh_from_db()
    assert (orphan.state, second.state) == ("matched", "unmatched")
    assert second.unmatched_id != orphan.pk

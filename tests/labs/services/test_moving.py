"""A request that was ordered for the wrong animal is moved, also while it runs."""

from __future__ import annotations

import threading

import pytest
from django.db import connections

from labs.errors import InvalidInput, NotAllowed, Stale
from labs.models import LabRequest, Message, Submission, UnmatchedResult
from labs.queries.orphaned.second_look import to_check
from labs.queries.readings.history import history
from labs.report import Identity
from labs.services.intake import results
from labs.services.orders import emergency, emergency_codes, moving, submissions
from labs.services.orphaned import matching
from labs.services.reviews import review
from tests import factories

pytestmark = pytest.mark.django_db
DOG = {"species": "Canine", "species_code": "dog"}


@pytest.fixture
def clinic():
    return factories.make_clinic()


@pytest.fixture
def bob(clinic):
    return factories.make_staff("vet", clinic=clinic, username="bob")


@pytest.fixture
def biscuit(clinic):
    return factories.make_patient(clinic, sex="M")


@pytest.fixture
def olive(clinic):
    return factories.make_patient(clinic, name="Olive", sex="F")


def move(user, request, patient, reason="Wrong cage card"):
    request.refresh_from_db()
    return moving.move_request(
        acting_user=user,
        request=request,
        patient=patient,
        expected_version=request.version,
        reason=reason,
    )


def send(request, key="run-1", **typed):
    message = factories.make_message(request.clinic)
    run = factories.make_run(key=key)
    results.file_report(
        message=message,
        report=factories.make_report([run], identity=Identity(**DOG, **typed)),
        result_key=request.result_key,
    )
    message.refresh_from_db()
    request.refresh_from_db()
    return message.state


def test_later_messages_under_the_old_name_follow(bob, biscuit, olive):
    request = factories.make_request(biscuit, accepted=True)
    said = move(bob, request, olive)
    assert said.startswith("Moved to Olive. The analyzer still shows Biscuit")
    assert (request.patient, request.sent_for) == (olive, biscuit)
    state = send(
        request, patient_name="BISCUIT", patient_id=biscuit.patient_id, sex="Male", sex_code="M"
    )
    assert (state, request.state) == ("filed", "complete")
    assert history(olive) and not history(biscuit)


def test_who_corrected_the_name_at_the_analyzer_is_right_too(bob, biscuit, olive):
    request = factories.make_request(biscuit, accepted=True)
    move(bob, request, olive)
    assert send(request, patient_name="Olive", sex="F", sex_code="F") == "filed"


@pytest.mark.parametrize(
    "typed",
    [
        {"patient_name": "Rex"},
        # Neither animal: one's name with the other's sex.
        {"patient_name": "Olive", "sex": "Male", "sex_code": "M"},
    ],
)
def test_what_fits_neither_animal_waits(bob, biscuit, olive, typed):
    request = factories.make_request(biscuit, accepted=True)
    move(bob, request, olive)
    assert send(request, **typed) == "unmatched"
    assert UnmatchedResult.objects.get().reason == "conflict"


def test_what_has_not_left_is_sent_for_the_new_animal(bob, biscuit, olive):
    request = factories.make_request(biscuit)
    assert move(bob, request, olive) == "Moved to Olive."
    assert request.sent_for is None
    claim = submissions.claim(Submission.objects.get(request=request).pk)
    assert submissions.order_of(claim.submission).patient_name == "Olive"
    assert send(request, patient_name="Biscuit") == "unmatched"


def test_what_is_being_sent_counts_as_sent(bob, biscuit, olive):
    request = factories.make_request(biscuit)
    submissions.claim(Submission.objects.get(request=request).pk)
    move(bob, request, olive)
    assert request.sent_for == biscuit


def test_moved_twice_the_analyzer_still_shows_the_first(bob, clinic, biscuit, olive):
    request = factories.make_request(biscuit, accepted=True)
    move(bob, request, olive)
    move(bob, request, factories.make_patient(clinic, name="Rex"))
    assert request.sent_for == biscuit
    move(bob, request, biscuit)
    assert request.sent_for is None


def test_results_come_along_and_signatures_do_not(bob, biscuit, olive):
    request = factories.make_request(biscuit, accepted=True)
    send(request, patient_name="Biscuit")
    review.sign(acting_user=bob, request=request, expected_version=request.version)
    assert history(biscuit)
    move(bob, request, olive)
    assert history(olive) and not history(biscuit)
    run = request.runs.get()
    assert (run.review_state, run.reviews.count(), request.reviewed_at) == ("waiting", 1, None)


def test_the_animal_that_it_was_not_was_not_seen(bob, biscuit, olive):
    request = factories.make_request(biscuit)
    move(bob, request, olive)
    for patient in (biscuit, olive):
        patient.refresh_from_db()
    assert (biscuit.latest_visit, olive.latest_visit) == (None, request.requested_at)


def test_it_stands_in_the_history_of_both_animals(bob, biscuit, olive):
    request = factories.make_request(biscuit, accepted=True)
    move(bob, request, olive)
    for patient in (biscuit, olive):
        event = patient.labevent_set.get(verb="request.moved")
        assert event.actor == bob
        assert event.words.text == "Wrong cage card"


def test_what_was_matched_to_it_comes_along_and_its_corrections_too(bob, clinic, biscuit, olive):
    sent = factories.make_report(
        [factories.make_run(key="hand")], external_id="94", identity=Identity(**DOG, patient_id="1")
    )
    orphan = factories.make_unmatched(clinic, sent)
    request = matching.match(
        acting_user=bob, unmatched=orphan, patient=biscuit, expected_version=orphan.version
    )
    move(bob, request, olive)
    decision = orphan.decisions.get(active=True)
    assert (decision.patient, decision.request) == (olive, request)
    again = factories.make_report(
        [factories.make_run([factories.make_row(value="9")], key="hand")],
        external_id="94",
        version=2,
        identity=Identity(**DOG, patient_id="1"),
    )
    results.file_report(message=factories.make_message(clinic), report=again, result_key=None)
    assert history(olive) and not history(biscuit)
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=bob, unmatched=orphan, expected_version=orphan.version, reason="Neither"
    )
    assert not history(olive)


@pytest.mark.parametrize(
    ("changed", "serious"),
    [
        ({}, []),
        ({"species": "cat"}, ["species"]),
        ({"sex": "M", "deceased": True}, ["sex", "deceased"]),
    ],
)
def test_what_contradicts_the_new_animal_is_looked_at_by_a_second_person(
    bob, clinic, biscuit, olive, changed, serious
):
    sent = factories.make_report(
        [factories.make_run()],
        identity=Identity(**(DOG | {"sex": "Female", "sex_code": "F"}), patient_name="Olive"),
    )
    orphan = factories.make_unmatched(clinic, sent)
    request = matching.match(
        acting_user=bob, unmatched=orphan, patient=biscuit, expected_version=orphan.version
    )
    type(olive).objects.filter(pk=olive.pk).update(**changed)
    olive.refresh_from_db()
    move(bob, request, olive)
    waits = to_check(clinic.pk).filter(unmatched=orphan)
    assert [decision.evidence["serious"] for decision in waits] == ([serious] if serious else [])


def test_an_emergency_code_ends_with_it(bob, clinic, biscuit, olive):
    code = emergency_codes.give(acting_user=bob, clinic=clinic)
    first = factories.make_unmatched(clinic, patient_name="", patient_id=code.code)
    emergency.choose(acting_user=bob, code=code, patient=biscuit)
    request = first.decisions.get(active=True).request
    move(bob, request, olive)
    factories.make_unmatched(clinic, patient_name="", patient_id=code.code)
    waiting = UnmatchedResult.objects.get(state="open")
    assert "was closed before it came" in waiting.contradictions[0]


def test_requests_beside_it_stay_with_their_animal(bob, biscuit, olive):
    first = factories.make_request(biscuit, accepted=True)
    second, third = (factories.make_request(biscuit, beside=first) for _ in range(2))
    move(bob, first, olive)
    for request in (second, third):
        request.refresh_from_db()
    assert (first.first, second.first, third.first) == (None, None, second)


def test_it_is_refused_with_a_sentence(bob, clinic, biscuit, olive):
    request = factories.make_request(biscuit, accepted=True)
    theirs = factories.make_patient()
    for patient, reason, words in (
        (olive, " ", "Say why"),
        (biscuit, "x", "already"),
        (theirs, "x", "not in the clinic"),
    ):
        with pytest.raises(InvalidInput, match=words):
            move(bob, request, patient, reason)
    with pytest.raises(Stale):
        moving.move_request(
            acting_user=bob, request=request, patient=olive, expected_version=0, reason="x"
        )
    charlie = factories.make_staff(clinic=theirs.clinic)
    with pytest.raises(NotAllowed):
        move(charlie, request, olive)
    request.refresh_from_db()
    assert request.patient == biscuit


@pytest.mark.django_db(transaction=True)
def test_a_result_that_comes_at_that_moment_is_filed(bob, biscuit, olive, monkeypatch):
    """It had joined the old patient when it waited for the request, and then found none: an orphan
    of an unknown address."""
    request = factories.make_request(biscuit, accepted=True)
    message, failed = factories.make_message(request.clinic), []
    run = factories.make_run()
    report = factories.make_report([run], identity=Identity(patient_name="Biscuit"))

    def file():
        try:
            results.file_report(message=message, report=report, result_key=request.result_key)
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    other, leave = threading.Thread(target=file), moving._leave_group

    def while_it_comes(moved):
        leave(moved)
        other.start()
        other.join(timeout=1)

    monkeypatch.setattr(moving, "_leave_group", while_it_comes)
    move(bob, LabRequest.objects.get(pk=request.pk), olive)
    other.join()
    assert failed == []
    assert Message.objects.get(pk=message.pk).state == "filed"
    request.refresh_from_db()
    assert (request.runs.count(), request.patient) == (1, olive)

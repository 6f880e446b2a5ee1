"""An order's way out: from the outbox through real HTTP to a settled row."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.heska.models import Connection
from integrations.heska.services import delivery
from labs.models import LabEvent, Message, Patient, Submission
from labs.order import Receipt
from labs.services.orders import ordering, outbox, submissions, sweeping
from tests.factories import make_clinic, make_owner, make_patient, make_request, make_staff
from tests.heska import examples
from tests.heska.conftest import TOKEN

pytestmark = pytest.mark.django_db
BUSY = (503, b"", {})


@pytest.fixture
def submission(connected):
    clinic = make_clinic(public_id="clinic-0042")
    connected(clinic)
    return Submission.objects.get(request=make_request(make_patient(clinic)))


def deliver(submission, *, now=True):
    if now:
        Submission.objects.filter(pk=submission.pk).update(not_before=timezone.now())
    delivery.deliver(submission.pk)
    submission.refresh_from_db()
    submission.request.refresh_from_db()
    return submission.state


def test_the_body_is_that_of_example_03(connected, fake_heska):
    from labs.models import Priority, Weight

    clinic = make_clinic(public_id="clinic-0042", timezone="America/Denver")
    connected(clinic)
    alice = make_staff(clinic=clinic, username="tech", first_name="T.", last_name="Tech")
    patient = make_patient(
        clinic,
        patient_id="P-10482",
        breed="Labrador Retriever",
        sex="M",
        neutered=True,
        birth_date="2019-04-02",
        owner=make_owner(clinic, owner_id="C-2207"),
    )
    Weight.objects.create(patient=patient, kg="31.4", measured_on="2026-03-02")
    request = make_request(
        patient,
        acting_user=alice,
        panels=("HHEM-1", "HDC-3"),
        doctor="Sample, Sam",
        notes="Vomiting 2 days; fasted 8 h",
        priority=Priority.ROUTINE,
    )
    fake_heska.on("/labreports", (200, b"", {}))
    delivery.deliver(request.submission.pk)
    (call,) = fake_heska.to("/labreports")
    sent, wanted = json.loads(call.body), examples.load("03")
    assert sent["LabResultEndPoint"] == f"https://pims.example/api/labresults/{request.result_key}"
    assert sent["RequestedAt"].endswith(("-07:00", "-06:00"))
    assert sent["LabReportId"] == request.lab_report_id
    assert [test["TestRequestId"] for test in sent["Tests"]] == [
        f"{request.lab_report_id}-1",
        f"{request.lab_report_id}-2",
    ]
    # Ids of doctors are not kept here; the rest is word for word that of the contract.
    del wanted["Doctor"]["DoctorId"]
    for name in ("LabReportId", "LabResultEndPoint", "RequestedAt"):
        assert type(sent.pop(name)) is type(wanted.pop(name))
    for mine, theirs in zip(sent["Tests"], wanted["Tests"], strict=True):
        del mine["TestRequestId"], theirs["TestRequestId"]
        mine["TestName"] = mine["TestName"].casefold()
        theirs["TestName"] = theirs["TestName"].casefold()
    assert sent == wanted


def test_accepted_with_a_test_refused_on_its_own(connected, fake_heska):
    clinic = make_clinic()
    connected(clinic)
    request = make_request(make_patient(clinic), panels=("HHEM-1", "HDC-3"))
    answer = examples.load("04") | {"LabReportId": request.lab_report_id}
    for number, test in enumerate(answer["Tests"], start=1):
        test["TestRequestId"] = f"{request.lab_report_id}-{number}"
    fake_heska.on("/labreports", (201, answer, {}))
    assert deliver(request.submission) == "accepted"
    assert request.submission.external_id == "94877"
    states = {test.panel.code: (test.state, test.refusal) for test in request.tests.all()}
    assert states == {
        "HHEM-1": ("requested", ""),
        "HDC-3": ("refused", "No analyzer at this clinic offers HDC-3"),
    }
    (message,) = Message.objects.filter(call="order")
    assert (message.status_code, message.request) == (201, request)
    assert json.loads(bytes(message.raw))["LabReportId"] == request.lab_report_id


def test_one_token_serves_many_orders(submission, fake_heska):
    assert deliver(submission) == "accepted"
    other = make_request(submission.request.patient)
    assert deliver(other.submission) == "accepted"
    assert len(fake_heska.to("/oauth/token")) == 1


def test_a_token_that_ends_within_a_minute_is_not_used(submission, fake_heska):
    deliver(submission)
    Connection.objects.update(token_expires_at=timezone.now() + timedelta(seconds=59))
    deliver(make_request(submission.request.patient).submission)
    assert len(fake_heska.to("/oauth/token")) == 2


def test_token_and_secret_are_encrypted_at_rest(submission):
    from django.db import connection

    deliver(submission)
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_secret, token FROM heska_connection")
        (row,) = cursor.fetchall()
    assert "c-secret" not in row[0]
    assert "jwt-1" not in row[1]
    assert Connection.objects.get().token == "jwt-1"


def test_a_401_is_answered_by_one_fresh_token_and_one_replay(submission, fake_heska):
    fake_heska.on("/oauth/token", (200, TOKEN, {}), (200, TOKEN | {"access_token": "jwt-2"}, {}))
    deliver(make_request(submission.request.patient).submission)  # the token is there now
    fake_heska.on("/labreports", (401, {"message": "Access token is missing."}, {}), (200, b"", {}))
    assert deliver(submission) == "accepted"
    calls = fake_heska.to("/labreports")[1:]
    assert [call.headers["Authorization"] for call in calls] == ["Bearer jwt-1", "Bearer jwt-2"]
    assert len({call.body for call in calls}) == 1
    assert len(fake_heska.to("/oauth/token")) == 2
    assert submission.attempts == 1


def test_a_token_that_was_just_given_is_not_asked_for_twice_in_one_attempt(submission, fake_heska):
    fake_heska.on("/labreports", (401, {"message": "Access token is missing."}, {}), (200, b"", {}))
    assert deliver(submission) == "queued"
    assert len(fake_heska.calls) == 2
    assert submission.provider_words == "Access token is missing."
    assert deliver(submission) == "accepted"
    assert len(fake_heska.to("/oauth/token")) == len(fake_heska.to("/labreports")) == 2
    assert Connection.objects.get().token_refusals == 0


def test_409_is_accepted(submission, fake_heska):
    fake_heska.on("/labreports", (409, {"HeskaReportId": "94877"}, {}))
    assert deliver(submission) == "accepted"
    assert submission.external_id == "94877"


def test_refused_in_heskas_words(submission, fake_heska):
    fake_heska.on("/labreports", (400, {"value": {"Message": "Invalid BreedId 370"}}, {}))
    assert deliver(submission) == "rejected"
    assert submission.provider_words == "Invalid BreedId 370"
    assert submission.request.state == "needs_attention"


def test_a_species_without_a_code_is_not_sent(connected, fake_heska):
    clinic = make_clinic()
    connected(clinic)
    request = make_request(make_patient(clinic))
    # Corrected after it was ordered: the form takes no such order.
    Patient.objects.update(species="other")
    assert deliver(request.submission) == "rejected"
    assert "species" in request.submission.last_error
    assert not fake_heska.calls


def test_a_clinic_that_is_not_connected(fake_heska):
    submission = make_request().submission
    assert deliver(submission) == "held"
    assert submission.request.state == "needs_attention"
    assert "not connected" in submission.last_error
    assert not fake_heska.calls


def test_an_unknown_outcome_is_sent_again_under_the_same_ids(submission, fake_heska):
    def hang_up(handler):
        handler.close_connection = True

    fake_heska.on("/labreports", hang_up, (200, b"<html>", {}), (200, b"", {}))
    assert deliver(submission) == "unknown"
    assert submission.request.state == "sent"
    assert deliver(submission) == "unknown"
    assert deliver(submission) == "accepted"
    calls = fake_heska.to("/labreports")
    assert len({call.body for call in calls}) == 1
    assert {call.headers["Idempotency-Key"] for call in calls} == {submission.request.lab_report_id}
    assert submission.attempts == 3


def test_what_may_have_arrived_is_not_changed_by_a_correction_of_the_record(submission, fake_heska):
    """A laboratory that has it would refuse another body under the same id, or take it for a second
    order; one that surely has not is sent the corrected one."""
    patient = submission.request.patient
    fake_heska.on("/labreports", (400, "No", {}), (500, b"", {}), (500, b"", {}), (200, b"", {}))
    names = []
    for name, state in [("A", "rejected"), ("B", "unknown"), ("C", "unknown"), ("D", "accepted")]:
        type(patient).objects.filter(pk=patient.pk).update(name=name)
        if submission.state == "rejected":
            outbox.resubmit(acting_user=None, submission=submission)
        assert deliver(submission) == state
        names.append(json.loads(fake_heska.to("/labreports")[-1].body)["Patient"]["Name"])
    assert names == ["A", "B", "B", "B"]
    assert len({call.body for call in fake_heska.to("/labreports")[1:]}) == 1
    assert submission.sent_body == ""


def test_refused_after_silence_the_corrected_order_goes_under_the_same_id(submission, fake_heska):
    """Only when somebody has looked that the first is not there; and again as it was from then on,
    if that gets no answer either."""
    patient = submission.request.patient
    fake_heska.on("/labreports", (500, b"", {}), (422, "No", {}), (500, b"", {}), (409, b"", {}))
    names = []
    for name, state in [("A", "unknown"), ("B", "rejected"), ("C", "unknown"), ("D", "accepted")]:
        type(patient).objects.filter(pk=patient.pk).update(name=name)
        if submission.state == "rejected":
            assert submission.may_have_arrived
            outbox.resubmit(acting_user=None, submission=submission, not_there=True)
        assert deliver(submission) == state
        names.append(json.loads(fake_heska.to("/labreports")[-1].body)["Patient"]["Name"])
    assert names == ["A", "A", "C", "C"]
    calls = fake_heska.to("/labreports")
    assert {call.headers["Idempotency-Key"] for call in calls} == {submission.request.lab_report_id}


def test_a_failed_token_call_is_no_unknown_outcome(submission, fake_heska):
    fake_heska.on("/oauth/token", BUSY)
    assert deliver(submission) == "queued"
    assert not fake_heska.to("/labreports")


def test_once_unknown_it_stays_so_until_heska_answers(submission, fake_heska):
    fake_heska.on("/labreports", BUSY)
    assert deliver(submission) == "unknown"
    Connection.objects.update(token="", token_expires_at=None)
    fake_heska.on("/oauth/token", BUSY)
    assert deliver(submission) == "unknown"


WANTED = [5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 86_400]


def later(submission, seconds):
    """As if so many seconds had passed since the first attempt."""
    Submission.objects.filter(pk=submission.pk).update(
        first_attempt_at=timezone.now() - timedelta(seconds=seconds)
    )


def test_the_schedule_of_retries(submission, fake_heska):
    fake_heska.on("/labreports", BUSY)
    for number, (moment, wanted) in enumerate(zip([0, *WANTED], WANTED, strict=False), start=1):
        if moment:
            later(submission, moment)
        assert deliver(submission) == "unknown"
        assert submission.attempts == number
        after = (submission.not_before - submission.first_attempt_at).total_seconds()
        assert wanted <= after < wanted + min((wanted - moment) / 10, 300) + 6
        assert deliver(submission, now=False) == "unknown"  # not due, nothing happens
        assert submission.attempts == number
    later(submission, 86_400)
    assert deliver(submission) == "needs_attention"
    assert submission.request.state == "needs_attention"
    assert len(fake_heska.to("/labreports")) == 11


def test_an_attempt_that_took_long_moves_nothing_but_itself():
    second = timedelta(seconds=1)
    # The first took 29 s, so that the second is late; the third is where it belongs.
    assert 5 * second <= submissions.next_wait(0 * second, 29 * second) < 6 * second
    assert 86 * second <= submissions.next_wait(34 * second, 34 * second) < 96 * second
    # Nothing ran for two hours; then the schedule goes on from there.
    assert submissions.next_wait(7200 * second, 7200 * second) >= 7200 * second


def test_a_laboratory_that_says_a_second_again_and_again_does_not_use_the_schedule_up(
    submission, fake_heska
):
    fake_heska.on("/labreports", (429, b"", {"Retry-After": "1"}))
    for _ in range(11):
        assert deliver(submission) == "queued"
        assert submission.not_before - timezone.now() <= timedelta(seconds=1)
    assert deliver(submission) == "queued"
    assert submission.not_before - timezone.now() > timedelta(seconds=590)
    later(submission, 86_400)
    assert deliver(submission) == "needs_attention"


def test_retry_after_wins_over_the_schedule(submission, fake_heska):
    fake_heska.on("/labreports", (429, b"", {"Retry-After": "1800"}))
    assert deliver(submission) == "queued"
    wait = submission.not_before - timezone.now()
    assert timedelta(seconds=1750) < wait <= timedelta(seconds=1800)


def test_resubmitting_starts_the_schedule_anew_under_the_same_id(submission, fake_heska):
    fake_heska.on("/labreports", (400, "no", {}), (200, b"", {}))
    assert deliver(submission) == "rejected"
    outbox.resubmit(acting_user=None, submission=submission)
    assert deliver(submission) == "accepted"
    assert submission.attempts == 1
    first, second = fake_heska.to("/labreports")
    assert first.body == second.body


@pytest.mark.parametrize(
    ("answer", "state"),
    [((503, b"", {}), "cancelled"), ((400, b"", {}), "cancelled"), ((200, b"", {}), "accepted")],
)
def test_cancelled_while_it_is_being_sent(submission, fake_heska, answer, state):
    """It must not be sent again, and the request stays cancelled whatever comes back."""
    claim = submissions.claim(submission.pk)
    ordering.cancel_request(acting_user=None, request=submission.request, reason="wrong animal")
    assert submission.request.state == "cancelled"
    if answer[0] == 200:
        submissions.settle_accepted(claim, Receipt(external_id="1"))
    elif answer[0] == 503:
        submissions.settle_retry(claim, error="busy", outcome_unknown=True)
    else:
        submissions.settle_rejected(claim, error="no")
    submission.refresh_from_db()
    submission.request.refresh_from_db()
    assert (submission.state, submission.request.state) == (state, "cancelled")
    assert deliver(submission) == state
    assert not fake_heska.calls


def test_cancelled_before_it_was_sent(submission, fake_heska):
    ordering.cancel_request(acting_user=None, request=submission.request, reason="")
    assert deliver(submission) == "cancelled"
    assert not fake_heska.calls
    assert LabEvent.objects.filter(verb="request.cancelled").count() == 1


def test_a_worker_that_lost_its_lease_changes_nothing(submission, fake_heska):
    frozen = submissions.claim(submission.pk)
    Submission.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    submission.refresh_from_db()
    assert submission.state == "unknown"
    assert deliver(submission) == "accepted"
    assert not submissions.settle_rejected(frozen, error="late")
    assert not submissions.settle_retry(frozen, error="late", outcome_unknown=True)
    submission.refresh_from_db()
    assert (submission.state, submission.last_error) == ("accepted", "")

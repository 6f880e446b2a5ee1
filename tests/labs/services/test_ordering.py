"""Placing and cancelling: one transaction, whatever the broker does."""

from __future__ import annotations

import shutil
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from kombu.exceptions import ChannelError, OperationalError

from labs import vendors
from labs.errors import InvalidInput, NotAllowed
from labs.models import LabEvent, LabRequest, Panel, RequestedTest, Specimen, Submission
from labs.services.orders import ordering, outbox, submissions, sweeping
from tests.factories import (
    make_clinic,
    make_patient,
    make_request,
    make_result,
    make_staff,
)


def place(patient, user=None, codes=("HHEM-1", "HDC-3")):
    panels = list(Panel.objects.filter(code__in=codes))
    return ordering.place_request(acting_user=user, patient=patient, panels=panels)


@pytest.mark.django_db
def test_request_outbox_row_and_audit():
    clinic = make_clinic()
    alice = make_staff(clinic=clinic)
    request = place(make_patient(clinic), alice)
    submission = Submission.objects.get()
    assert (submission.request, submission.state, submission.attempts) == (request, "queued", 0)
    assert request.state == "queued"
    event = LabEvent.objects.get(verb="request.placed")
    assert (event.request, event.actor, event.clinic) == (request, alice, clinic)
    assert len(request.lab_report_id) <= 20
    assert set(request.lab_report_id) <= set("-23456789ABCDEFGHJKMNPQRSTUVWXYZL")
    assert len(request.result_key) >= 22
    assert Specimen.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    "where", ["labs.services.orders.ordering.record", "labs.services.orders.states.refresh",
              "labs.models.Submission.objects.create"],
)  # fmt: skip
def test_all_of_it_or_nothing(where, monkeypatch):
    patient = make_patient()

    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(where, broken)
    with pytest.raises(ZeroDivisionError):
        place(patient)
    for model in (LabRequest, RequestedTest, Specimen, Submission, LabEvent):
        assert not model.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "error", [OperationalError("refused"), OSError(28, "No space left"), ChannelError("Cannot add")]
)
def test_with_the_broker_down_the_order_stands(monkeypatch, error):
    from celery.app.task import Task

    def down(*_, **__):
        raise error

    monkeypatch.setattr(Task, "apply_async", down)
    request = place(make_patient())
    assert Submission.objects.get(request=request).state == "queued"
    woken = []
    monkeypatch.setattr(vendors.get("heska"), "wake_all", woken.extend, raising=False)
    assert sweeping.sweep() == 0  # a worker may still come for it
    Submission.objects.update(woken_at=timezone.now() - sweeping.WOKEN)
    assert sweeping.sweep() == 1
    assert sweeping.sweep() == 0
    assert woken == [request.submission.pk]
    assert sweeping.sweep(hurry=True) == 1


@pytest.mark.django_db(transaction=True)
def test_with_the_brokers_folder_gone_the_order_stands(settings):
    from pims.celery_settings import BROKER, ensure_broker_folders

    if settings.REDIS_URL:
        pytest.skip("this leg's broker has no folder")
    shutil.rmtree(BROKER)
    try:
        place(make_patient())
    finally:
        ensure_broker_folders()
    assert Submission.objects.get().state == "queued"


@pytest.mark.django_db
def test_refused_before_anything_is_written():
    clinic = make_clinic()
    charlie = make_staff()
    patient = make_patient(clinic)
    with pytest.raises(NotAllowed):
        place(patient, charlie)
    with pytest.raises(InvalidInput, match="at least one"):
        place(patient, codes=())
    with pytest.raises(InvalidInput, match="deceased"):
        place(make_patient(clinic, deceased=True))
    clinic.analyzer_set.create(model="Element HT5")
    with pytest.raises(InvalidInput, match="Element DCX"):
        place(patient)
    assert not LabRequest.objects.exists()


@pytest.mark.django_db
def test_the_same_panel_twice_is_ordered_once():
    (panel,) = Panel.objects.filter(code="HHEM-1")
    request = ordering.place_request(
        acting_user=None, patient=make_patient(), panels=[panel, panel]
    )
    assert request.tests.count() == 1


@pytest.mark.django_db
def test_a_request_with_results_is_not_cancelled():
    request = make_request(accepted=True)
    make_result(request)
    with pytest.raises(InvalidInput, match="already come"):
        ordering.cancel_request(acting_user=None, request=request, reason="")
    request.refresh_from_db()
    assert (request.state, request.cancelled_at) == ("complete", None)
    assert Submission.objects.get().state == "accepted"


@pytest.mark.django_db
def test_cancelling_twice_is_once():
    request = make_request()
    for _ in range(2):
        ordering.cancel_request(acting_user=None, request=request, reason="once")
    assert (request.state, request.cancelled_reason) == ("cancelled", "once")
    assert LabEvent.objects.filter(verb="request.cancelled").count() == 1
    with pytest.raises(InvalidInput):
        outbox.resubmit(acting_user=None, submission=request.submission)


@pytest.mark.django_db
def test_a_claim_is_refused_before_its_time_and_after_its_end():
    submission = make_request().submission
    Submission.objects.update(not_before=timezone.now() + timedelta(seconds=30))
    assert submissions.claim(submission.pk) is None
    Submission.objects.update(not_before=timezone.now())
    assert submissions.claim(submission.pk) is not None
    assert submissions.claim(submission.pk) is None
    for state in ("accepted", "rejected", "needs_attention", "cancelled"):
        Submission.objects.update(state=state)
        assert submissions.claim(submission.pk) is None
    assert Submission.objects.get().attempts == 1
    assert submissions.claim(-1) is None


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_at_once_one_has_the_claim():
    submission = make_request().submission
    start, claims, errors = threading.Barrier(6), [], []

    def worker():
        try:
            start.wait()
            claims.append(submissions.claim(submission.pk))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len([claim for claim in claims if claim is not None]) == 1
    assert Submission.objects.get().attempts == 1


@pytest.mark.django_db
def test_an_order_that_kills_its_worker_is_not_sent_for_ever():
    submission = make_request().submission
    for attempt in range(1, 6):
        Submission.objects.update(not_before=timezone.now())
        assert submissions.claim(submission.pk) is not None
        Submission.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        sweeping.sweep()
        submission.refresh_from_db()
        assert (submission.attempts, submission.crashes) == (attempt, attempt)
        assert submission.state == ("unknown" if attempt < 5 else "needs_attention")
    assert "failed 5 times" in submission.last_error
    # A person may try again; whether it arrived is still not known.
    outbox.resubmit(acting_user=None, submission=submission)
    submission.refresh_from_db()
    assert (submission.state, submission.crashes, submission.attempts) == ("unknown", 0, 0)


@pytest.mark.django_db
def test_what_is_due_again_is_woken_again_however_lately_it_was_woken(monkeypatch):
    woken = []
    monkeypatch.setattr(vendors.get("heska"), "wake_all", woken.extend, raising=False)
    submission = make_request().submission
    now = timezone.now()
    Submission.objects.update(
        woken_at=now - timedelta(seconds=6), not_before=now - timedelta(seconds=1)
    )
    assert sweeping.wake_due() == 1
    assert sweeping.wake_due() == 0
    assert woken == [submission.pk]

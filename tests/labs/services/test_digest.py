"""One mail a day to a clinic's administrators, by its own clock."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connections

from labs.models import LabEvent, Role
from labs.services.orphaned import digest
from labs.services.reviews import review
from tests import factories

pytestmark = pytest.mark.django_db
SEVEN_IN_DENVER = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


@pytest.fixture
def clinic():
    return factories.make_clinic(timezone="America/Denver")


@pytest.fixture
def ada(clinic):
    return factories.make_staff(Role.ADMIN, clinic=clinic, username="ada", email="ada@example.org")


def waiting(clinic, since=SEVEN_IN_DENVER - timedelta(hours=25)):
    return factories.make_unmatched(clinic, patient_name="BELLA", received_at=since)


def send(at):
    with time_machine.travel(at, tick=False):
        return digest.send_due()


def test_it_says_how_many_wait_and_for_how_long_and_names_nobody(clinic, ada):
    waiting(clinic)
    assert send(SEVEN_IN_DENVER) == 1
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.org"]
    assert sent.subject == "Elm Street Veterinary Clinic: 1 unmatched result, the oldest for 1 day"
    assert "/unmatched/" in sent.body and "BELLA" not in sent.body
    assert LabEvent.objects.get(verb="digest.sent").data == {
        "waiting": 1,
        "critical": 0,
        "missing": 0,
        "unreviewed": 0,
        "uncharged": 0,
    }


def test_by_the_clinics_own_clock_and_once_a_day(clinic, ada):
    waiting(clinic)
    tokyo = factories.make_clinic("Harbour", timezone="Asia/Tokyo")
    factories.make_staff(Role.ADMIN, clinic=tokyo, email="toku@example.org")
    waiting(tokyo)
    # 06:59 and 07:00 of 3 March in Tokyo, while it is still 2 March in Denver.
    seven_in_tokyo = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
    assert send(SEVEN_IN_DENVER - timedelta(minutes=1)) == 1, "Tokyo's of 2 March"
    assert send(SEVEN_IN_DENVER) == 1, "Denver's"
    assert send(SEVEN_IN_DENVER + timedelta(minutes=10)) == 0
    assert send(seven_in_tokyo - timedelta(minutes=1)) == 0
    assert send(seven_in_tokyo) == 1, "Tokyo's of 3 March"
    assert send(SEVEN_IN_DENVER + timedelta(days=1)) == 1


def test_the_day_on_which_clocks_change_has_one_too(clinic, ada):
    waiting(clinic)
    # 8 March 2026: 02:00 becomes 03:00 in Denver.
    for day, hour in ((7, 14), (8, 13), (9, 13)):
        assert send(datetime(2026, 3, day, hour, 0, tzinfo=UTC) - timedelta(minutes=1)) == 0
        assert send(datetime(2026, 3, day, hour, 0, tzinfo=UTC)) == 1


@pytest.mark.parametrize("why", ["nothing waits", "nobody to write to", "turned off"])
def test_no_mail(clinic, why):
    if why != "nobody to write to":
        factories.make_staff(Role.ADMIN, clinic=clinic, email="ada@example.org")
    factories.make_staff(Role.TECHNICIAN, clinic=clinic, email="tech@example.org")
    left = factories.make_staff(Role.ADMIN, clinic=clinic, email="left@example.org")
    left.is_active = False
    left.save()
    if why != "nothing waits":
        waiting(clinic)
    if why == "turned off":
        clinic.digest_at = None
        clinic.save()
    assert send(SEVEN_IN_DENVER) == 0
    assert ["ada@example.org"] not in [sent.to for sent in mail.outbox]


def test_critical_values_stand_in_the_subject(clinic, ada):
    row = factories.make_row("K+", "7.9", flag="HH")
    factories.make_unmatched(clinic, factories.make_report([factories.make_run([row])]))
    assert send(datetime.now(UTC).replace(hour=23) + timedelta(days=1)) == 1
    assert "1 critical" in mail.outbox[0].subject


def test_a_mail_server_that_takes_nothing_is_asked_again_and_keeps_no_other_clinic(
    clinic, ada, monkeypatch
):
    waiting(clinic)
    other = factories.make_clinic("Oak", timezone="America/Denver")
    factories.make_staff(Role.ADMIN, clinic=other, email="oak@example.org")
    waiting(other)
    send_mail = digest.send_mail

    def refuse(subject, *rest):
        if subject.startswith("Elm"):
            raise OSError("no route")
        return send_mail(subject, *rest)

    monkeypatch.setattr(digest, "send_mail", refuse)
    assert send(SEVEN_IN_DENVER) == 1
    monkeypatch.setattr(digest, "send_mail", send_mail)
    assert send(SEVEN_IN_DENVER + timedelta(minutes=10)) == 1
    assert [sent.to for sent in mail.outbox] == [["oak@example.org"], ["ada@example.org"]]


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_send_it_once(clinic, ada):
    waiting(clinic)
    both, sent = threading.Barrier(2), []

    def run():
        try:
            both.wait()
            sent.append(digest.send_due())
        finally:
            connections.close_all()

    with time_machine.travel(SEVEN_IN_DENVER, tick=False):
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(sent) == [0, 1]
    assert len(mail.outbox) == 1


def test_what_fell_through_since_before_today_is_in_it(clinic, ada):
    bob = factories.make_staff("vet", clinic=clinic)
    with time_machine.travel(SEVEN_IN_DENVER - timedelta(hours=12), tick=False):
        for _ in range(2):
            factories.make_request(factories.make_patient(clinic, name="BELLA"), accepted=True)
        factories.make_result(factories.make_request(factories.make_patient(clinic), accepted=True))
        signed = factories.make_request(factories.make_patient(clinic), accepted=True)
        factories.make_result(signed)
        review.sign(acting_user=bob, request=signed, expected_version=signed.version)
    with time_machine.travel(SEVEN_IN_DENVER - timedelta(minutes=5), tick=False):
        # Of this morning: not in it yet.
        factories.make_request(factories.make_patient(clinic), accepted=True)
    oak = factories.make_clinic("Oak", timezone="America/Denver")
    with time_machine.travel(SEVEN_IN_DENVER - timedelta(hours=12), tick=False):
        factories.make_request(factories.make_patient(oak), accepted=True)
    assert send(SEVEN_IN_DENVER) == 1
    (sent,) = mail.outbox
    assert sent.subject == f"{clinic}: 1 not reviewed, 2 without a result"
    assert "    2  requested, and not all of it has come" in sent.body
    assert "    1  come, and not reviewed by a veterinarian" in sent.body
    assert "    1  reviewed, and not marked as charged" in sent.body
    assert "/reconciliation/" in sent.body and "BELLA" not in sent.body


def test_bills_alone_are_no_reason_for_a_mail(clinic, ada):
    bob = factories.make_staff("vet", clinic=clinic)
    with time_machine.travel(SEVEN_IN_DENVER - timedelta(hours=12), tick=False):
        signed = factories.make_request(factories.make_patient(clinic), accepted=True)
        factories.make_result(signed)
        review.sign(acting_user=bob, request=signed, expected_version=signed.version)
    assert send(SEVEN_IN_DENVER) == 0


def test_whom_the_administrators_named_gets_it_in_their_place(clinic, ada):
    waiting(clinic)
    clinic.digest_to = "lab@example.org, boss@example.org,lab@example.org"
    clinic.full_clean()
    clinic.save()
    assert send(SEVEN_IN_DENVER) == 1
    assert mail.outbox[0].to == ["boss@example.org", "lab@example.org"]


@pytest.mark.parametrize("text", ["nobody", "a@example.org b@example.org", "a@example.org; b"])
def test_what_is_no_address_is_refused_in_the_form(clinic, text):
    clinic.digest_to = text
    with pytest.raises(ValidationError, match="is no e-mail address"):
        clinic.full_clean()

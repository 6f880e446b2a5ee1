"""What is kept of a message when its body goes, and which bodies never go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.errors import InvalidInput
from labs.models import (
    Blanked,
    Clinic,
    LabResult,
    Message,
    Role,
    UnmatchedResult,
    UnmatchedState,
)
from labs.models import kept_bodies as guard
from labs.services.intake import journal, replaying, rereading
from labs.services.orphaned import matching
from labs.services.privacy import blanking
from tests import factories

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=200)


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic(keep_messages_days=90)


def filed(clinic: Clinic) -> Message:
    """All that was ordered has come: the request is complete."""
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    return aged(factories.make_result(request))


def aged(message: Message) -> Message:
    Message.objects.filter(pk=message.pk).update(received_at=timezone.now() - LONG_AGO)
    message.refresh_from_db()
    return message


def orphan(clinic: Clinic) -> tuple[UnmatchedResult, Message]:
    unmatched = factories.make_unmatched(clinic)
    return unmatched, aged(unmatched.messages.get())


def test_a_filed_body_goes_and_all_else_stays(clinic: Clinic) -> None:
    message = filed(clinic)
    before = Message.objects.filter(pk=message.pk).values().get()
    rows = list(LabResult.objects.filter(message=message).values())

    assert blanking.forget_old_bodies() == 1

    after = Message.objects.filter(pk=message.pk).values().get()
    assert bytes(after["raw"]) == b""
    assert after["blanked_at"] is not None and after["blanked"] == Blanked.TIME
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"raw", "reply", "extra", "blanked", "blanked_at"}
    assert list(LabResult.objects.filter(message=message).values()) == rows
    assert blanking.forget_old_bodies() == 0


def test_by_default_everything_is_kept_for_ever() -> None:
    message = filed(factories.make_clinic())
    assert blanking.forget_old_bodies() == 0
    message.refresh_from_db()
    assert bytes(message.raw)


def test_only_after_its_time_and_of_that_clinic_alone(clinic: Clinic) -> None:
    other = filed(factories.make_clinic("Oak Street"))
    young = filed(clinic)
    Message.objects.filter(pk=young.pk).update(received_at=timezone.now() - timedelta(days=89))
    assert blanking.forget_old_bodies() == 0
    for message in (other, young):
        message.refresh_from_db()
        assert bytes(message.raw) and message.blanked_at is None


def received(clinic: Clinic) -> Message:
    return aged(factories.make_message(clinic))


def quarantined(clinic: Clinic) -> Message:
    message = factories.make_message(clinic)
    journal.quarantine(message=message, cause="Not understood")
    return aged(message)


def unmatched(clinic: Clinic) -> Message:
    return orphan(clinic)[1]


def held(clinic: Clinic) -> Message:
    row, message = orphan(clinic)
    UnmatchedResult.objects.filter(pk=row.pk).update(state=UnmatchedState.HELD)
    return message


def dismissed(clinic: Clinic) -> Message:
    row, message = orphan(clinic)
    UnmatchedResult.objects.filter(pk=row.pk).update(state=UnmatchedState.DISMISSED)
    return message


def taken_back(clinic: Clinic) -> Message:
    row, message = orphan(clinic)
    patient = factories.make_patient(clinic)
    matching.match(acting_user=None, unmatched=row, patient=patient, expected_version=row.version)
    matching.unmatch(
        acting_user=None, unmatched=row, expected_version=row.version, reason="Another dog"
    )
    return message


def half_matched(clinic: Clinic) -> Message:
    """Split between two animals, of which one is found."""
    row, message = orphan(clinic)
    part = UnmatchedResult.objects.get(pk=row.pk)
    part.pk, part.uuid, part.split_from = None, uuid4(), row
    part.save()
    patient = factories.make_patient(clinic)
    matching.match(acting_user=None, unmatched=row, patient=patient, expected_version=row.version)
    return message


def partial(clinic: Clinic) -> Message:
    """The second panel is still to come."""
    request = factories.make_request(
        factories.make_patient(clinic), panels=("HHEM-1", "HDC-3"), accepted=True
    )
    return aged(factories.make_result(request, factories.make_report()))


def queued_order(clinic: Clinic) -> Message:
    """A first attempt that failed: the order may go out again, as it was."""
    request = factories.make_request(factories.make_patient(clinic))
    return aged(
        Message.objects.create(
            direction=Message.Direction.OUT,
            vendor=factories.VENDOR,
            clinic=clinic,
            state="sent",
            target="/labreports",
            raw=b"{}",
            sha256=hashlib.sha256(b"{}").hexdigest(),
            received_at=timezone.now(),
            last_seen_at=timezone.now(),
            submission=request.submission,
        )
    )


@pytest.mark.parametrize(
    "make",
    [
        *(received, quarantined, unmatched, held, dismissed, taken_back, half_matched),
        *(partial, queued_order),
    ],
)
def test_what_is_not_settled_is_never_emptied(
    clinic: Clinic, make: Callable[[Clinic], Message]
) -> None:
    """I1: however old it is, and by neither way."""
    message = make(clinic)
    body = bytes(message.raw)
    assert body
    assert blanking.forget_old_bodies() == 0
    assert blanking.blank(Message.objects.all(), Blanked.ERASED) == 0
    message.refresh_from_db()
    assert bytes(message.raw) == body and message.blanked_at is None


def test_a_matched_one_goes(clinic: Clinic) -> None:
    row, message = orphan(clinic)
    patient = factories.make_patient(clinic)
    matching.match(acting_user=None, unmatched=row, patient=patient, expected_version=row.version)
    assert blanking.forget_old_bodies() == 1
    message.refresh_from_db()
    assert bytes(message.raw) == b""


def test_an_array_goes_when_each_of_its_parts_may(clinic: Clinic) -> None:
    parent = factories.make_message(clinic, raw=b'[{"a": 1}, {"b": 2}]')
    one, two = journal.split(message=parent, parts=[b'{"a": 1}', b'{"b": 2}'])
    Message.objects.filter(pk=parent.pk).update(state="filed")
    request = filed(clinic).request
    Message.objects.filter(pk=one.pk).update(state="filed", request=request)
    for each in (parent, one, two):
        aged(each)
    blanking.forget_old_bodies()
    kept = Message.objects.filter(pk__in=[parent.pk, one.pk, two.pk], blanked_at=None)
    assert set(kept) == {parent, two}
    Message.objects.filter(pk=two.pk).update(state="filed", request=request)
    assert blanking.forget_old_bodies() == 2


def test_the_same_message_again_is_known_by_its_hash(clinic: Clinic) -> None:
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    body = b'{"the": "body"}'
    message = aged(factories.make_result(request, message=factories.make_message(clinic, raw=body)))
    assert blanking.forget_old_bodies() == 1
    again = factories.make_message(clinic, raw=body)
    assert again.pk == message.pk and again.redeliveries == 1 and bytes(again.raw) == b""


def test_reading_it_again_is_refused_in_words(clinic: Clinic) -> None:
    message = filed(clinic)
    blanking.forget_old_bodies()
    message.refresh_from_db()
    admin = factories.make_staff(Role.ADMIN, clinic=clinic)
    with pytest.raises(InvalidInput, match="not there to be read any more"):
        replaying.replay_one(acting_user=admin, clinic=clinic, message=message)
    difference = rereading.compare(message.pk)
    assert difference is not None and "not there any more" in difference.unreadable
    assert not rereading.apply(message.pk, although=True)[1]
    assert list(rereading.each(rereading.filed(Message.objects.all()))) == []


def test_its_page_says_so(clinic: Clinic, client: Client) -> None:
    message = filed(clinic)
    client.force_login(factories.make_staff(Role.ADMIN, clinic=clinic))
    address = reverse("labs:message", args=[message.receipt_id])
    assert "Body kept until" in client.get(address).content.decode()
    blanking.forget_old_bodies()
    page = client.get(address).content.decode()
    assert "The clinic keeps the bodies of messages no longer than this." in page
    assert message.sha256 in page and "Download the body" not in page
    for name in ("message_body", "replay", "reread"):
        ask = client.get if name == "message_body" else client.post
        answer = ask(reverse(f"labs:{name}", args=[message.receipt_id]))
        assert answer.status_code == 302, name
        assert "not there to be read any more" in client.get(address).content.decode(), name


@pytest.mark.parametrize("days", [0, 1, 89])
def test_less_than_90_days_is_refused(days: int) -> None:
    clinic = factories.make_clinic()
    clinic.keep_messages_days = days
    with pytest.raises(ValidationError, match="90"):
        clinic.full_clean()


@pytest.mark.parametrize(
    "change",
    [
        "raw = {other}",
        "raw = {empty}",  # not without saying when
        "sha256 = 'another'",
        "raw = {other}, blanked_at = {now}",
        "raw = {empty}, blanked_at = {now}, sha256 = 'another'",
    ],
)
def test_the_database_refuses_any_other_change_of_a_body(clinic: Clinic, change: str) -> None:
    message = filed(clinic)
    assert guard.installed(connection)
    bytes_ = "'\\x41'::bytea" if connection.vendor == "postgresql" else "x'41'"
    empty = "''::bytea" if connection.vendor == "postgresql" else "x''"
    sql = change.format(other=bytes_, empty=empty, now="CURRENT_TIMESTAMP")
    with pytest.raises(IntegrityError, match="keeps its body"), transaction.atomic():
        connection.cursor().execute(f"UPDATE labs_message SET {sql} WHERE id = {message.pk}")


@pytest.mark.parametrize("make", [received, quarantined])
def test_the_database_keeps_what_nobody_filed(
    clinic: Clinic, make: Callable[[Clinic], Message]
) -> None:
    message = make(clinic)
    with pytest.raises(IntegrityError, match="keeps its body"), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(raw=b"", blanked_at=timezone.now())

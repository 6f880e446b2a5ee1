"""The page on which a clinic's administrators read who did what."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabEvent
from labs.services.events import record
from tests import factories

SignIn = Callable[[User], Client]
PAGE, EXPORT = "/audit/", "/audit/export.csv"


@pytest.fixture
def reader(ada: User, signed_in: SignIn) -> Client:
    return signed_in(ada)


def shown(client: Client, **query: Any) -> str:
    response = client.get(PAGE, query)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    body: str = response.content.decode()
    return body.partition("<tbody>")[2]


def test_sought_by_patient_by_person_by_kind_and_by_day(
    clinic: Clinic, alice: User, bob: User, reader: Client
) -> None:
    rex = factories.make_patient(clinic, patient_id="P-REX")
    record("patient.changed", clinic=clinic, acting_user=alice, patient=rex)
    record("staff.role", clinic=clinic, acting_user=bob, user=alice.pk)
    record("unmatched.hold", clinic=clinic, acting_user=bob)
    everything = shown(reader)
    assert all(word in everything for word in ("P-REX", "held the result", "role"))
    assert "P-REX" in shown(reader, patient="p-rex")
    assert "held the result" not in shown(reader, patient="P-REX")
    # What a person did, and what was done to their login.
    assert "P-REX" in shown(reader, person="alice") and "role" in shown(reader, person="alice")
    assert "held the result" not in shown(reader, person="alice")
    assert "P-REX" not in shown(reader, kind="unmatched")
    tomorrow = timezone.localdate() + timedelta(days=1)
    assert shown(reader, first=str(tomorrow + timedelta(days=1))) == ""
    assert "P-REX" in shown(reader, last=str(tomorrow))
    assert "No patient of this clinic" in reader.get(PAGE, {"patient": "P-0"}).content.decode()


@pytest.mark.parametrize(
    "query",
    [
        {"first": "9999-12-31", "last": "0001-01-01"},
        {"first": "soon"},
        {"page": "99999999999999999999"},
        {"patient": "\0", "person": "nobody", "kind": "x"},
    ],
)
def test_whatever_is_asked_is_answered(query: dict[str, str], reader: Client) -> None:
    assert reader.get(PAGE, query).status_code == 200
    assert reader.get(EXPORT, query).status_code == 200


def test_costs_the_same_however_much_there_is(
    clinic: Clinic, alice: User, reader: Client, django_assert_num_queries: Any
) -> None:
    def fill(times: int) -> None:
        for _ in range(times):
            patient = factories.make_patient(clinic)
            factories.make_result(factories.make_request(patient, acting_user=alice, accepted=True))
            factories.make_unmatched(clinic)

    fill(2)
    with django_assert_num_queries(6):
        reader.get(PAGE)
    fill(20)
    with django_assert_num_queries(6):
        page = reader.get(PAGE)
    assert "1 to 50" in page.content.decode()


def test_export_is_safe_to_open_and_on_record(clinic: Clinic, ada: User, reader: Client) -> None:
    evil = factories.make_patient(clinic, patient_id="=HYPERLINK(1)", name="Nameless", owner=None)
    record("patient.changed", clinic=clinic, patient=evil, source="@cmd")
    response = reader.get(EXPORT)
    rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    (line,) = [row for row in rows if row[2] == "patient.changed"]
    assert line[1] == "'@cmd" and line[3] == "'=HYPERLINK(1)"
    assert "Nameless" not in response.content.decode()
    assert response["Content-Disposition"].startswith("attachment")
    assert LabEvent.objects.get(verb="audit.exported").actor == ada


def test_looking_at_a_patient_is_on_record(
    clinic: Clinic, alice: User, signed_in: SignIn, reader: Client
) -> None:
    patient = factories.make_patient(clinic, patient_id="P-SEEN")
    address = reverse("labs:patient", args=[patient.uuid])
    page = signed_in(alice).get(address)
    event = LabEvent.objects.get(verb="patient.viewed")
    assert (event.actor, event.patient) == (alice, patient)
    assert "P-SEEN" in shown(reader, person="alice")
    assert "opened the patient" not in page.content.decode()  # not in the record's own history


def test_signing_in_and_out_is_on_record(clinic: Clinic, reader: Client, client: Client) -> None:
    dana = factories.make_staff(clinic=clinic, username="dana", password="correct horse battery")
    wrong = {"username": "dana", "password": "wrong"}
    client.post("/login/", wrong)
    client.post("/login/", {"username": "hunter2", "password": "hunter2"})
    client.post("/login/", {**wrong, "password": "correct horse battery"})
    client.post("/logout/")
    events = LabEvent.objects.filter(verb__startswith="staff.").order_by("pk")
    assert [(e.verb, e.actor, e.clinic) for e in events] == [
        ("staff.sign_in_failed", None, clinic),
        ("staff.signed_in", dana, clinic),
        ("staff.signed_out", dana, clinic),
    ]
    assert "hunter2" not in str(list(events.values()))
    assert shown(reader, person="dana").count("<tr") == 3


def test_reading_a_message_and_each_export_is_on_record(
    clinic: Clinic, ada: User, reader: Client
) -> None:
    """Where the body of a message can be read, and what leaves in a file."""
    message = factories.make_message(clinic)
    reader.get(reverse("labs:message", args=[message.receipt_id]))
    reader.get(reverse("labs:message_body", args=[message.receipt_id]))
    reader.get(reverse("heska_pages:missing", args=[clinic.public_id]))
    events = LabEvent.objects.filter(actor=ada).order_by("pk")
    assert [(event.verb, event.message) for event in events] == [
        ("message.viewed", message),
        ("message.exported", message),
        ("request.missing_exported", None),
    ]
    page = shown(reader, person="ada")
    assert "downloaded a message" in page and "results that never came" in page

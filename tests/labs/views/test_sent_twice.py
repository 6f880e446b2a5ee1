"""A form that is sent twice orders once: a double click, an answer that was lost on the way."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.urls import reverse

from labs.models import Clinic, LabRequest, Patient, Submission
from tests import factories

SignIn = Callable[[User], Client]
PARALLEL = 20


def key_in(page: str) -> str:
    found = re.search(r'name="form_key" value="([0-9a-f-]{36})"', page)
    assert found, page
    return found[1]


def opened(client: Client, patient: Patient, **query: str) -> dict[str, Any]:
    """The order form as it is filled in with a CBC."""
    query["patient"] = str(patient.uuid)
    page = client.get(reverse("labs:new_request"), query).content.decode()
    return {**query, "form_key": key_in(page), "panels": "HHEM-1", "priority": "routine"}


def send(client: Client, fields: dict[str, Any]) -> Any:
    return client.post(reverse("labs:new_request"), fields)


def ordered() -> tuple[int, int]:
    return LabRequest.objects.count(), Submission.objects.count()


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return factories.make_patient(clinic)


def test_sent_again_it_leads_to_the_request_that_is_there(
    patient: Patient, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    fields = opened(client, patient)
    first, second = send(client, fields), send(client, fields)
    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"]
    assert ordered() == (1, 1)
    # Another form orders again, also the very same.
    send(client, opened(client, patient))
    assert ordered() == (2, 2)


def test_an_added_test_likewise(patient: Patient, alice: User, signed_in: SignIn) -> None:
    first = factories.make_request(patient, acting_user=alice, accepted=True)
    client = signed_in(alice)
    fields = opened(client, patient, beside=first.lab_report_id)
    assert len({send(client, fields)["Location"] for _ in range(3)}) == 1
    assert ordered() == (2, 2)


def test_run_again_likewise(patient: Patient, bob: User, signed_in: SignIn) -> None:
    first = factories.make_request(patient, accepted=True)
    factories.make_result(first)
    client = signed_in(bob)
    page = client.get(reverse("labs:request", args=[first.lab_report_id])).content.decode()
    address = reverse("labs:again", args=[first.lab_report_id])
    fields = {"form_key": key_in(page)}
    answers = [client.post(address, fields) for _ in range(3)]
    again = LabRequest.objects.exclude(pk=first.pk).get()
    assert {answer["Location"] for answer in answers} == {
        reverse("labs:request", args=[again.lab_report_id])
    }
    # Another page's button is another person, who is told.
    told = client.post(address, {"form_key": str(uuid4())}, follow=True).content.decode()
    assert "on order again already" in told
    assert ordered() == (2, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"panels": "HTR-1"},
        {"notes": "from the ear"},
        {"priority": "stat"},
        {"doctor": "Dr. Else"},
        {"label": "post"},
    ],
)
def test_a_form_that_was_gone_back_to_is_neither_lost_nor_ordered_unasked(
    patient: Patient, alice: User, signed_in: SignIn, change: dict[str, str]
) -> None:
    client = signed_in(alice)
    fields = opened(client, patient)
    send(client, fields)
    answer = send(client, fields | change)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Nothing was ordered now" in page
    assert ordered() == (1, 1)
    # Pressed once more, it is meant.
    assert send(client, fields | change | {"form_key": key_in(page)}).status_code == 302
    assert ordered() == (2, 2)


def test_after_a_mistake_it_is_still_the_same_form(
    patient: Patient, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    fields = opened(client, patient)
    refused = send(client, {**fields, "panels": []})
    assert refused.status_code == 422
    assert key_in(refused.content.decode()) == fields["form_key"]


@pytest.mark.parametrize("garbled", ["", "1", "x" * 5000, "00000000-0000-0000-0000-00000000000g"])
def test_what_is_no_key_is_none(
    patient: Patient, alice: User, signed_in: SignIn, garbled: str
) -> None:
    client = signed_in(alice)
    assert send(client, opened(client, patient) | {"form_key": garbled}).status_code == 302
    assert ordered() == (1, 1)


def test_the_key_of_another_clinic_reveals_nothing(
    patient: Patient, alice: User, charlie: User, signed_in: SignIn
) -> None:
    theirs = opened(signed_in(alice), patient)
    client = signed_in(charlie)
    own = factories.make_patient(charlie.membership_set.get().clinic)
    fields = opened(client, own) | {"form_key": theirs["form_key"]}
    answers = [send(client, fields)]
    send(signed_in(alice), theirs)
    answers.append(send(client, fields))
    made = LabRequest.objects.get(patient=own)
    address = reverse("labs:request", args=[made.lab_report_id])
    assert [answer["Location"] for answer in answers] == [address] * 2
    assert ordered() == (2, 2)


def test_the_key_of_a_colleague_reveals_nothing(
    patient: Patient, alice: User, bob: User, signed_in: SignIn
) -> None:
    fields = opened(signed_in(alice), patient)
    send(signed_in(alice), fields)
    made = LabRequest.objects.get()
    answer = send(signed_in(bob), fields)
    assert answer.status_code == 422
    assert made.lab_report_id not in answer.content.decode()
    # Nor for another animal.
    other = factories.make_patient(patient.clinic, name="Rex")
    answer = send(signed_in(alice), fields | {"patient": str(other.uuid)})
    assert answer.status_code == 422
    assert made.lab_report_id not in answer.content.decode()
    assert ordered() == (1, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["new", "again"])
def test_twenty_at_one_moment_order_once(what: str) -> None:
    alice = factories.make_staff()
    patient = factories.make_patient(alice.membership_set.get().clinic)
    client = Client()
    client.force_login(alice)
    before = ordered()[0]
    address, fields = reverse("labs:new_request"), opened(client, patient)
    if what == "again":
        first = factories.make_request(patient, accepted=True)
        factories.make_result(first)
        before = ordered()[0]
        address = reverse("labs:again", args=[first.lab_report_id])
        fields = {"form_key": str(uuid4())}
    start = threading.Barrier(PARALLEL)
    answers: list[Any] = []

    def post() -> None:
        own = Client()
        own.cookies = client.cookies
        start.wait(30)
        try:
            answers.append(own.post(address, fields))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ordered() == (before + 1, before + 1)
    made = LabRequest.objects.order_by("-pk").first()
    assert made is not None
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [
        (302, reverse("labs:request", args=[made.lab_report_id]))
    ] * PARALLEL

"""“Add a test” and “Run again” on the page of a request."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabRequest
from labs.services.orders.ordering import Collection
from tests import factories

SignIn = Callable[[User], Client]


@pytest.fixture
def first(clinic: Clinic, alice: User) -> LabRequest:
    return factories.make_request(
        factories.make_patient(clinic),
        acting_user=alice,
        accepted=True,
        collection=Collection(
            collected_at=timezone.now(), collected_by="T. Tech", label="pre", fasting=True
        ),
    )


def page(client: Client, request: LabRequest) -> str:
    answer = client.get(reverse("labs:request", args=[request.lab_report_id]))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def form_address(request: LabRequest) -> str:
    return (
        f"{reverse('labs:new_request')}?patient={request.patient.uuid}"
        f"&beside={request.lab_report_id}"
    )


def test_a_test_is_added_from_the_page_and_shown_on_both(
    first: LabRequest, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    assert form_address(first).replace("&", "&amp;") in page(client, first)
    form = client.get(form_address(first)).content.decode()
    assert f"Add tests to {first.lab_report_id}" in form
    assert 'value="T. Tech"' in form and 'value="pre"' in form  # the same specimen
    fields = {"patient": str(first.patient.uuid), "beside": first.lab_report_id}
    fields |= {"panels": "HTR-1", "priority": "routine"}
    client.post(reverse("labs:new_request"), fields)
    added = LabRequest.objects.exclude(pk=first.pk).get()
    assert (added.first, added.link) == (first, "add_on")
    theirs, ours = page(client, first), page(client, added)
    assert added.lab_report_id in theirs and "added tests, " in theirs
    assert re.search(rf"alice</b> added tests *<small>as {added.lab_report_id}</small>", theirs)
    assert f"added to {first.lab_report_id}" in ours and "first request" in ours


def test_run_again_leads_to_the_new_request(
    first: LabRequest, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    assert "Run again</button>" not in page(client, first)  # nothing has come yet
    factories.make_result(first)
    assert "Run again</button>" in page(client, first)
    address = reverse("labs:again", args=[first.lab_report_id])
    answer = client.post(address)
    again = LabRequest.objects.exclude(pk=first.pk).get()
    assert answer["Location"] == reverse("labs:request", args=[again.lab_report_id])
    assert f"run again after {first.lab_report_id}" in page(client, again)
    assert "run again, " in page(client, first)
    told = client.post(address, follow=True).content.decode()
    assert "on order again already" in told
    assert LabRequest.objects.count() == 2


def test_a_stranger_links_nothing(first: LabRequest, charlie: User, signed_in: SignIn) -> None:
    client = signed_in(charlie)
    assert client.post(reverse("labs:again", args=[first.lab_report_id])).status_code == 404
    assert client.get(form_address(first)).status_code == 404
    own = factories.make_patient(charlie.membership_set.get().clinic)
    address = f"{reverse('labs:new_request')}?patient={own.uuid}&beside={first.lab_report_id}"
    assert client.get(address).status_code == 404
    assert LabRequest.objects.count() == 1


def test_another_animals_request_is_none_to_add_to(
    first: LabRequest, clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    other = factories.make_patient(clinic)
    fields = {"patient": str(other.uuid), "beside": first.lab_report_id, "panels": "HTR-1"}
    assert signed_in(alice).post(reverse("labs:new_request"), fields).status_code == 404


def test_for_a_dead_animal_nothing_is_added(
    first: LabRequest, alice: User, signed_in: SignIn
) -> None:
    first.patient.deceased = True
    first.patient.save()
    shown = page(signed_in(alice), first)
    assert "Add a test" not in shown and "Run again" not in shown

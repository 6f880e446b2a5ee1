"""An owner's page, a litter in one step, and that an animal has died."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabEvent, Owner, Patient
from labs.queries.orphaned.vocabulary import differences
from labs.services.registry import merging
from tests import factories
from tests.labs.views.test_sent_twice import key_in

SignIn = Callable[[User], Client]


@pytest.fixture
def owner(clinic: Clinic) -> Owner:
    return factories.make_owner(clinic, owner_id="C-1", last_name="Ferri", phone="555 0100")


def test_the_page_has_the_owners_animals_and_no_others(
    clinic: Clinic, owner: Owner, alice: User, signed_in: SignIn
) -> None:
    nala = factories.make_patient(clinic, name="Nala", owner=owner)
    double = factories.make_patient(clinic, name="Nalla", owner=owner)
    gone = factories.make_patient(clinic, name="Rex", owner=owner, deceased=True)
    factories.make_patient(clinic, name="Biscuit")
    merging.merge(acting_user=None, survivor=nala, merged=double)
    client = signed_in(alice)
    page = client.get(reverse("labs:owner", args=[owner.uuid])).content.decode()
    assert page.count("data-row") == 2 and "Biscuit" not in page
    assert f"merged from Nalla {double.patient_id}" in page
    order = reverse("labs:new_request") + "?patient="
    assert f"{order}{nala.uuid}" in page and f"{order}{gone.uuid}" not in page
    assert owner.phone in page
    patient = client.get(reverse("labs:patient", args=[nala.uuid])).content.decode()
    assert reverse("labs:owner", args=[owner.uuid]) in patient


def test_an_owner_is_edited_and_the_animals_are_found_by_the_new_name(
    clinic: Clinic, owner: Owner, alice: User, signed_in: SignIn
) -> None:
    nala = factories.make_patient(clinic, name="Nala", owner=owner)
    client = signed_in(alice)
    edit = reverse("labs:edit_owner", args=[owner.uuid])
    assert "Ferri" in client.get(edit).content.decode()
    fields = {"first_name": "Lea", "last_name": "Moser", "phone": "555 0199", "email": ""}
    assert client.post(edit, fields).status_code == 302
    nala.refresh_from_db()
    assert (nala.surname_key, Owner.objects.get().phone) == ("moser", "555 0199")
    event = LabEvent.objects.get(verb="owner.changed")
    assert event.data == {"owner": "C-1", "fields": ["first_name", "last_name", "phone"]}
    assert "Moser" not in str(event.data)
    assert differences(clinic) == []
    for wrong in ({"last_name": "", "first_name": ""}, {"email": "nobody"}):
        assert client.post(edit, fields | wrong).status_code == 422
    assert Owner.objects.get().last_name == "Moser"


def test_a_litter_in_one_step_and_only_once(
    clinic: Clinic, owner: Owner, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    add = reverse("labs:litter", args=[owner.uuid])
    fields = {
        "form_key": key_in(client.get(add).content.decode()),
        "stem": "Luna pup",
        "species": "dog",
        "birth_date": "2026-01-05",
        "marks": "red, blue\n  left ear \n\n",
    }
    for _ in range(2):
        answer = client.post(add, fields, follow=True)
    page = answer.content.decode()
    pups = Patient.objects.order_by("pk")
    assert [pup.name for pup in pups] == ["Luna pup red", "Luna pup blue", "Luna pup left ear"]
    assert len({pup.patient_id for pup in pups}) == 3
    for pup in pups:
        assert (pup.owner, pup.birth_date) == (owner, date(2026, 1, 5))
        assert f"{reverse('labs:new_request')}?patient={pup.uuid}" in page
    again = client.post(add, fields | {"marks": "red, green"})
    assert again.status_code == 422 and "this form was sent before" in again.content.decode()
    assert Patient.objects.count() == 3
    assert differences(clinic) == []


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ("red, Red", "stands there twice"),
        (",".join(map(str, range(21))), "At most 20"),
        ("x" * 31, "a word or two"),
        (" , ", "Give a collar"),
    ],
)
def test_a_litter_that_cannot_be_told_apart_is_refused_whole(
    owner: Owner, alice: User, signed_in: SignIn, marks: str, words: str
) -> None:
    add = reverse("labs:litter", args=[owner.uuid])
    answer = signed_in(alice).post(add, {"stem": "Pup", "species": "dog", "marks": marks})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Patient.objects.exists()


def test_deceased_with_its_date_and_taken_back(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    nala = factories.make_patient(clinic, name="Nala", birth_date=date(2020, 5, 1))
    client = signed_in(alice)
    url = reverse("labs:deceased", args=[nala.uuid])
    page = client.post(url, {"deceased_on": "2026-03-02"}, follow=True).content.decode()
    nala.refresh_from_db()
    assert (nala.deceased, nala.deceased_on) == (True, date(2026, 3, 2))
    assert "Take back that Nala" in page
    assert "No tests for Nala." in page and "Order some" not in page
    client.post(url, {"alive": "1"})
    nala.refresh_from_db()
    assert (nala.deceased, nala.deceased_on) == (False, None)
    assert LabEvent.objects.filter(patient=nala, verb="patient.changed").count() == 2
    tomorrow = (timezone.localdate() + timedelta(days=2)).isoformat()
    for wrong in ("2019-01-01", tomorrow, "soon"):
        client.post(url, {"deceased_on": wrong})
        nala.refresh_from_db()
        assert not nala.deceased


def test_another_clinics_owner_is_missing(owner: Owner, charlie: User, signed_in: SignIn) -> None:
    client = signed_in(charlie)
    for name in ("owner", "edit_owner", "litter"):
        url = reverse(f"labs:{name}", args=[owner.uuid])
        assert client.get(url).status_code == 404
    assert client.post(reverse("labs:edit_owner", args=[owner.uuid]), {}).status_code == 404

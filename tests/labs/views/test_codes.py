"""The screen of codes, and what the order form says of them before anything is sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labs.models import Clinic, ClinicCode, LabRequest
from labs.services.orders.codes import set_code
from tests import factories

SignIn = Callable[[User], Client]


def test_an_administrator_gives_a_breed_a_code(
    clinic: Clinic, ada: User, signed_in: SignIn
) -> None:
    factories.make_patient(clinic, breed="Street <Dog>")
    client = signed_in(ada)
    page = client.get(reverse("labs:codes")).content.decode()
    assert "Street &lt;Dog&gt;" in page
    fields = {"kind": "breed", "word": "Street <Dog>", "species": "dog", "code": "MIX"}
    page = client.post(reverse("labs:assign_code"), fields, follow=True).content.decode()
    assert "“Street &lt;Dog&gt;” is MIX." in page
    own = ClinicCode.objects.get()
    assert (own.clinic, own.set_by, own.code) == (clinic, ada, "MIX")
    page = client.post(reverse("labs:remove_code", args=[own.pk]), follow=True).content.decode()
    assert "no longer MIX" in page
    assert not ClinicCode.objects.exists()


def test_a_code_that_cannot_be_is_said_on_the_page(ada: User, signed_in: SignIn) -> None:
    fields = {"kind": "analyte", "word": "Creat", "code": "NOPE"}
    page = signed_in(ada).post(reverse("labs:assign_code"), fields, follow=True).content.decode()
    assert "There is no value “NOPE” in the catalogue." in page


def test_a_mapped_value_says_that_earlier_ones_stay(ada: User, signed_in: SignIn) -> None:
    fields = {"kind": "analyte", "word": "Creat", "code": "CREA"}
    page = signed_in(ada).post(reverse("labs:assign_code"), fields, follow=True).content.decode()
    assert "until they are read again" in page


def test_codes_are_for_administrators_of_that_clinic(
    clinic: Clinic, bob: User, charlie: User, signed_in: SignIn
) -> None:
    own = set_code(acting_user=None, clinic=clinic, kind="sex", word="male", code="X")
    fields = {"kind": "sex", "word": "female", "code": "Y"}
    assert signed_in(bob).get(reverse("labs:codes")).status_code == 403
    assert signed_in(bob).post(reverse("labs:assign_code"), fields).status_code == 403
    assert signed_in(bob).post(reverse("labs:remove_code", args=[own.pk])).status_code == 403
    their_admin = factories.make_staff("admin", clinic=factories.make_clinic("Oak"))
    for stranger in (charlie, their_admin):
        answer = signed_in(stranger).post(reverse("labs:remove_code", args=[own.pk]))
        assert answer.status_code == 404
    page = signed_in(their_admin).get(reverse("labs:codes")).content.decode()
    assert "Take away" not in page
    assert list(ClinicCode.objects.all()) == [own]


def order_form(client: Client, patient: object) -> str:
    address = f"{reverse('labs:new_request')}?patient={patient.uuid}"  # type: ignore[attr-defined]
    return client.get(address).content.decode()


@pytest.mark.parametrize(
    ("animal", "words"),
    [
        (
            {"breed": "Akbash Mix"},
            "the breed “Akbash Mix”: it goes as MIX, mixed breed.",
        ),
        ({"breed": "Akbash"}, "it goes as UNK, breed not known."),
        (
            {"breed": "Elm Dog"},
            "the breed “Elm Dog” that we know: it goes in these words.",
        ),
    ],
)
def test_a_substitution_is_said_before_anything_is_sent(
    clinic: Clinic, alice: User, signed_in: SignIn, animal: dict[str, str], words: str
) -> None:
    page = order_form(signed_in(alice), factories.make_patient(clinic, **animal))
    assert words in page
    assert "Order for Biscuit" in page


def test_what_goes_as_it_is_says_only_how(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    patient = factories.make_patient(clinic, breed="Labrador Retriever", sex="F", neutered=True)
    page = order_form(signed_in(alice), patient)
    assert "no code for" not in page
    for code in ("CANINE", "LABRE", "SF"):
        assert f">{code}<" in page


def test_a_species_without_a_code_can_not_be_ordered_for(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    ferret = factories.make_patient(clinic, species="other", name="Fritz")
    client = signed_in(alice)
    page = order_form(client, ferret)
    assert "has no code for the species of Fritz" in page
    assert "Order for Fritz" not in page
    fields = {"patient": str(ferret.uuid), "panels": ["HHEM-1"], "priority": "routine"}
    answer = client.post(reverse("labs:new_request"), fields)
    assert answer.status_code == 422
    assert not LabRequest.objects.exists()

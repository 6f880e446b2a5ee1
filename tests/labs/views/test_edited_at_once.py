"""Two colleagues have the same record open: each changes what they changed, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labs.models import Clinic, LabEvent
from tests import factories

SignIn = Callable[[User], Client]


def shown(client: Client, address: str) -> dict[str, str]:
    """What a browser would send back of that page, untouched."""
    return fields_of(client.get(address).content.decode())


def fields_of(page: str) -> dict[str, str]:
    (form,) = re.findall(r'(?s)<form method="post" class="sheetform".*?</form>', page)
    sent = {}
    for tag in re.findall(r"<input[^>]*>", form):
        said = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if said.get("type") != "checkbox" or " checked" in tag:
            sent[said["name"]] = said.get("value", "on" if said["type"] == "checkbox" else "")
    for name, options in re.findall(r'(?s)<select name="(\w+)".*?>(.*?)</select>', form):
        sent[name] = next(iter(re.findall(r'value="([^"]*)" selected', options)), "")
    return sent


def save(client: Client, address: str, sent: dict[str, str], **changed: Any) -> None:
    answer = client.post(address, sent | changed)
    assert answer.status_code == 302, answer.context["form"].errors


def test_of_a_patient(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    patient = factories.make_patient(
        clinic, name="Mia", species="dog", breed="Pug", birth_date=date(2020, 5, 1)
    )
    factories.make_result(factories.make_request(patient, accepted=True))
    client, address = signed_in(alice), reverse("labs:edit_patient", args=[patient.uuid])
    save(client, address, shown(client, address), weight_kg="4")
    early = shown(client, address)
    save(client, address, early, species="cat", weight_kg="5", breed="", deceased_on="2026-01-02")
    save(client, address, early, microchip="985112001234567", birth_date="")
    patient.refresh_from_db()
    assert (patient.species, patient.breed, patient.microchip) == ("cat", "", "985112001234567")
    assert (patient.deceased, patient.deceased_on) == (True, date(2026, 1, 2))
    assert patient.birth_date is None
    # The weight that the second one had before them is no weighing of today.
    assert [weight.kg for weight in patient.weight_set.order_by("pk")] == [Decimal(4), Decimal(5)]
    changes = LabEvent.objects.filter(verb="patient.changed").order_by("pk")
    assert [each.data["fields"] for each in changes] == [
        ["breed", "deceased", "deceased_on", "species"],
        ["birth_date", "microchip"],
    ]


def test_an_owner_who_was_given_a_new_phone_meanwhile_is_no_reason_to_refuse(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    owner = factories.make_owner(clinic, phone="555 1", email="ana@example.org")
    patient = factories.make_patient(clinic, owner=owner)
    client, address = signed_in(alice), reverse("labs:edit_patient", args=[patient.uuid])
    hers, early = reverse("labs:edit_owner", args=[owner.uuid]), shown(client, address)
    before = shown(client, hers)
    save(client, hers, before, phone="555 2")
    save(client, hers, before, email="")
    save(client, address, early, name="Biskit")
    owner.refresh_from_db()
    patient.refresh_from_db()
    assert (owner.phone, owner.email) == ("555 2", "")
    assert (patient.name, patient.owner) == ("Biskit", owner)


def test_what_was_refused_is_still_told_from_what_was_shown(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    patient = factories.make_patient(clinic, name="Mia", breed="Pug")
    client, address = signed_in(alice), reverse("labs:edit_patient", args=[patient.uuid])
    early = shown(client, address)
    save(client, address, early, breed="Boxer")
    refused = client.post(address, early | {"name": "Mila", "birth_date": "2999-01-01"})
    assert refused.status_code == 422
    assert 'name="initial-breed" value="Pug"' in refused.content.decode()


def test_a_corrected_species_is_said_with_what_it_means(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    patient = factories.make_patient(clinic, name="Mia", species="dog")
    client, address = signed_in(alice), reverse("labs:edit_patient", args=[patient.uuid])
    said = client.post(address, shown(client, address) | {"species": "cat"}, follow=True)
    assert "limits for its species" not in said.content.decode()
    factories.make_result(factories.make_request(patient, accepted=True))
    said = client.post(address, shown(client, address) | {"species": "dog"}, follow=True)
    assert "held against the limits for its species now" in said.content.decode()


def test_an_animal_that_lives_after_all_is_not_dead_again_by_an_older_form(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    patient = factories.make_patient(clinic, deceased=True, deceased_on=date(2026, 1, 1))
    client, address = signed_in(alice), reverse("labs:edit_patient", args=[patient.uuid])
    unticked = {k: v for k, v in shown(client, address).items() if k != "deceased"}
    for sent in (unticked, unticked | {"deceased_on": ""}, unticked):
        save(client, address, sent)
        patient.refresh_from_db()
        assert (patient.deceased, patient.deceased_on) == (False, None)


def test_a_form_that_says_not_with_what_it_was_opened_is_held_against_the_record(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    patient = factories.make_patient(
        clinic, species="dog", breed="Pug", deceased=True, deceased_on=date(2026, 1, 1)
    )
    client, address = signed_in(alice), reverse("labs:edit_patient", args=[patient.uuid])
    bare = {k: v for k, v in shown(client, address).items() if not k.startswith("initial-")}
    changed = bare | {"species": "cat", "breed": "Siamese", "birth_date": "2999-01-01"}
    refused = client.post(address, changed)
    assert refused.status_code == 422
    save(client, address, fields_of(refused.content.decode()), birth_date="2020-05-01")
    patient.refresh_from_db()
    assert (patient.species, patient.breed) == ("cat", "Siamese")
    del bare["deceased"]
    save(client, address, bare, breed="", birth_date="", species="cat", deceased_on="")
    patient.refresh_from_db()
    assert (patient.breed, patient.birth_date, patient.deceased) == ("", None, False)


def test_nothing_changed_is_said_so(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    patient = factories.make_patient(clinic, name="Mia", birth_date=date(2020, 2, 29))
    client, address = signed_in(alice), reverse("labs:edit_patient", args=[patient.uuid])
    answer = client.post(address, shown(client, address), follow=True)
    assert "Nothing was changed on Mia" in answer.content.decode()
    assert not LabEvent.objects.filter(verb="patient.changed").exists()

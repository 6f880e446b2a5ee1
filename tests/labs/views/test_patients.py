from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabEvent, Owner, Patient, Weight
from labs.services.orders import emergency_codes
from tests import factories

SignIn = Callable[[User], Client]
NEW = {
    "name": "Nala",
    "species": "dog",
    "sex": "F",
    "neutered": "yes",
    "birth_date": "2020-05-01",
    "weight_kg": "12.5",
    "owner_first_name": "Lea",
    "owner_last_name": "Ferri",
}


def test_search_and_pages(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    for number in range(52):
        factories.make_patient(clinic, name=f"Rex {number:02}", owner=None)
    factories.make_patient(clinic, name="Biscuit", microchip="985112001234567")
    client = signed_in(alice)
    first = client.get(reverse("labs:patients")).content.decode()
    assert first.count("data-row") - first.count("data-rows") == 50 and 'rel="next"' in first
    second = client.get(reverse("labs:patients"), {"page": "2"}).content.decode()
    assert "Rex 51" in second and 'rel="next"' not in second
    assert "Biscuit" in client.get(reverse("labs:patients"), {"q": "98511200123"}).content.decode()
    none = client.get(reverse("labs:patients"), {"q": "zzz"}).content.decode()
    assert "No patient fits “zzz”" in none


def test_the_search_field_opens_a_request_by_its_code(
    clinic: Clinic, alice: User, charlie: User, signed_in: SignIn
) -> None:
    request = factories.make_request(factories.make_patient(clinic))
    code = request.lab_report_id
    find = reverse("labs:find")
    found = signed_in(alice).get(find, {"q": code.lower()})
    assert found["Location"] == reverse("labs:request", args=[code])
    stranger = signed_in(charlie).get(find, {"q": code})
    assert stranger["Location"] == f"{reverse('labs:patients')}?q={code}"


def test_the_banner_cannot_be_mistaken(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    patient = factories.make_patient(
        clinic,
        patient_id="P-10482",
        breed="Labrador Retriever",
        sex="M",
        neutered=True,
        birth_date=date(2019, 4, 2),
        deceased=True,
        deceased_on=date(2024, 4, 3),
    )
    Weight.objects.create(patient=patient, kg=Decimal("31.400"), measured_on=date(2024, 1, 2))
    Weight.objects.create(patient=patient, kg=Decimal("29"), measured_on=date(2023, 1, 2))
    page = signed_in(alice).get(reverse("labs:patient", args=[patient.uuid])).content.decode()
    for part in (
        "Biscuit",
        "Example, Ana",
        "P-10482",
        "Labrador Retriever",
        "male neutered",
        "5 y 0 m",
        "31.4 kg",
        "Deceased 3 Apr 2024",
        "#sp-dog",
    ):
        assert part in page, part
    assert "Order for Biscuit" not in page


def test_trends_are_of_one_unit_and_analyzer(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    patient = factories.make_patient(clinic)
    now = timezone.now()
    for days, unit, value in ((3, "10^3/uL", "5"), (2, "10^9/L", "6"), (1, "10^3/uL", "7")):
        request = factories.make_request(patient, accepted=True)
        run = factories.make_run(
            [factories.make_row("WBC", value, unit=unit)], run_at=now - timedelta(days=days)
        )
        factories.make_result(request, factories.make_report([run]))
    page = signed_in(alice).get(reverse("labs:patient", args=[patient.uuid])).content.decode()
    assert page.count('class="trend"') == 1
    assert "last 2 values: 5, 7" in page


def test_a_patient_is_added_with_its_owner(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    response = signed_in(alice).post(reverse("labs:new_patient"), NEW)
    nala = Patient.objects.get()
    assert response["Location"] == reverse("labs:patient", args=[nala.uuid])
    assert str(nala.owner) == "Ferri, Lea" and nala.neutered is True
    assert nala.weight_set.get().kg == Decimal("12.5")
    assert LabEvent.objects.filter(patient=nala, actor=alice, verb="patient.created").exists()


def test_a_known_owner_id_names_that_owner(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    owner = factories.make_owner(clinic, owner_id="C-1")
    client = signed_in(alice)
    bare = {key: value for key, value in NEW.items() if not key.startswith("owner")}
    client.post(reverse("labs:new_patient"), {**bare, "owner_id": "C-1"})
    assert Patient.objects.get().owner == owner
    second = {"name": "Zorro", "owner_id": "C-1"}
    other = client.post(reverse("labs:new_patient"), {**NEW, **second})
    assert other.status_code == 422 and "with other details" in other.content.decode()
    second["owner_id"] = "C-9"
    missing = client.post(reverse("labs:new_patient"), {**bare, **second})
    assert missing.status_code == 422 and "No owner has the id C-9" in missing.content.decode()


def test_one_that_is_on_file_is_shown_before_another_is_added(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    ferri = factories.make_owner(clinic, last_name="Ferri", owner_id="C-1")
    known = factories.make_patient(clinic, name="Nala", owner=ferri, patient_id="P-1")
    theirs = factories.make_owner(factories.make_clinic(), last_name="Ferri")
    factories.make_patient(theirs.clinic, name="Nala", owner=theirs, patient_id="P-77")
    client, address = signed_in(alice), reverse("labs:new_patient")
    asked = client.post(address, NEW)
    page = asked.content.decode()
    assert asked.status_code == 422 and Patient.objects.filter(clinic=clinic).count() == 1
    assert "Is it one of these?" in page and "same name and owner" in page
    assert f'href="{reverse("labs:patient", args=[known.uuid])}"' in page
    assert "None of these: add Nala" in page and "P-77" not in page
    assert 'value="Ferri"' in page, "what was typed stands there"

    another = factories.make_patient(clinic, name="Nala", owner=None, patient_id="P-2")
    again = client.post(address, {**NEW, "ruled_out": str(known.uuid)})
    assert again.status_code == 422 and "P-2" in again.content.decode(), "it came meanwhile"
    by_id = {key: value for key, value in NEW.items() if not key.startswith("owner")}
    assert client.post(address, {**by_id, "owner_id": "C-1"}).status_code == 422
    shown = [str(known.uuid), str(another.uuid)]
    assert client.post(address, {**NEW, "ruled_out": shown}).status_code == 302
    assert Patient.objects.filter(clinic=clinic).count() == 3


def test_a_form_that_is_sent_twice_is_not_asked_about_the_animal_that_it_added(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    client, address = signed_in(alice), reverse("labs:new_patient")
    sent = {**NEW, "form_key": "0b1c7c1e-66a5-4c5b-9d39-6f0f6a1b2c3d"}
    first, second = client.post(address, sent), client.post(address, sent)
    assert first["Location"] == second["Location"]
    assert Patient.objects.count() == 1


def test_the_one_on_file_is_taken_for_an_emergency_code_as_a_new_one_would_be(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    known = factories.make_patient(clinic, name="Nala", owner=None, patient_id="P-1")
    code = emergency_codes.give(acting_user=alice, clinic=clinic).code
    client = signed_in(alice)
    page = client.post(f"{reverse('labs:new_patient')}?emergency={code}", NEW).content.decode()
    back = f"{reverse('labs:emergency', args=[code])}?q={known.patient_id}"
    assert f'href="{back}"' in page


def test_an_id_that_is_taken_is_said_in_words(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    factories.make_patient(clinic, patient_id="P-1")
    response = signed_in(alice).post(reverse("labs:new_patient"), {**NEW, "patient_id": "P-1"})
    assert response.status_code == 422
    assert Patient.objects.count() == 1


def test_edit_changes_the_record_and_leaves_a_trace(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    patient = factories.make_patient(clinic)
    owner = patient.owner
    assert owner is not None
    client = signed_in(alice)
    address = reverse("labs:edit_patient", args=[patient.uuid])
    form = client.get(address).context["form"]
    data = {name: value for name, value in form.initial.items() if value not in (None, False)}
    response = client.post(address, {**data, "name": "Biskit", "weight_kg": "30.2"})
    assert response.status_code == 302
    patient.refresh_from_db()
    assert patient.name == "Biskit" and patient.owner == owner
    assert patient.weight_set.get().kg == Decimal("30.2")
    assert Owner.objects.count() == 1
    page = client.get(response["Location"]).content.decode()
    assert "changed the patient&#x27;s record" in page
    bad = client.post(address, {**data, "birth_date": "2999-01-01"})
    assert bad.status_code == 422 and "lies in the future" in bad.content.decode()

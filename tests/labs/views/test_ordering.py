from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Analyzer, Clinic, LabRequest, Patient, Specimen
from tests import factories

SignIn = Callable[[User], Client]


@pytest.fixture
def biscuit(clinic: Clinic) -> Patient:
    return factories.make_patient(clinic, patient_id="P-10482")


def test_an_order_lands_on_its_own_page_at_once(
    biscuit: Patient, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    local = timezone.now().astimezone(biscuit.clinic.zone)
    response = client.post(
        reverse("labs:new_request"),
        {
            "patient": str(biscuit.uuid),
            "panels": ["HHEM-1", "HDC-3"],
            "priority": "stat",
            "doctor": "Reyes",
            "notes": "Off food",
            "collected_at": f"{local:%Y-%m-%dT%H:%M}",
            "collected_by": "Moss",
            "label": "pre",
            "fasting": "yes",
        },
    )
    request = LabRequest.objects.get()
    assert response.status_code == 302
    assert response["Location"] == reverse("labs:request", args=[request.lab_report_id])
    assert (request.patient, request.priority, request.doctor) == (biscuit, "stat", "Reyes")
    assert request.requested_by == alice and request.state == "queued"
    assert sorted(test.panel.code for test in request.tests.all()) == ["HDC-3", "HHEM-1"]
    specimen = Specimen.objects.filter(request=request).first()
    assert specimen is not None and specimen.fasting is True and specimen.label == "pre"
    assert specimen.collected_at == local.replace(second=0, microsecond=0)
    assert client.get(response["Location"]).status_code == 200


def test_no_test_chosen_is_said_in_words(biscuit: Patient, alice: User, signed_in: SignIn) -> None:
    response = signed_in(alice).post(
        reverse("labs:new_request"), {"patient": str(biscuit.uuid), "priority": "routine"}
    )
    assert response.status_code == 422
    assert "Choose at least one test." in response.content.decode()
    assert not LabRequest.objects.exists()


def test_what_was_typed_survives_an_error(biscuit: Patient, alice: User, signed_in: SignIn) -> None:
    later = timezone.now() + timedelta(days=2)
    response = signed_in(alice).post(
        reverse("labs:new_request"),
        {
            "patient": str(biscuit.uuid),
            "panels": ["HHEM-1"],
            "priority": "stat",
            "notes": "Keep me",
            "collected_at": f"{later:%Y-%m-%dT%H:%M}",
        },
    )
    page = response.content.decode()
    assert "collected in the future" in page and "Keep me" in page
    assert 'value="HHEM-1" checked' in page and 'value="stat" checked' in page


def test_only_panels_of_the_clinics_analyzers_are_offered(
    biscuit: Patient, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    address = f"{reverse('labs:new_request')}?patient={biscuit.uuid}"
    assert "Heartworm" in client.get(address).content.decode()
    Analyzer.objects.create(clinic=biscuit.clinic, model="Element HT5")
    page = client.get(address).content.decode()
    assert "CBC" in page and "Heartworm" not in page
    refused = client.post(
        reverse("labs:new_request"),
        {"patient": str(biscuit.uuid), "panels": ["HTR-1"], "priority": "routine"},
    )
    assert refused.status_code == 422 and "be ordered here" in refused.content.decode()


def test_what_is_already_on_order_is_marked(
    biscuit: Patient, alice: User, signed_in: SignIn
) -> None:
    factories.make_request(biscuit, acting_user=alice)
    page = signed_in(alice).get(f"{reverse('labs:new_request')}?patient={biscuit.uuid}")
    assert page.content.decode().count("on order since") == 1


def test_a_deceased_patient_cannot_be_ordered_for(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    dead = factories.make_patient(clinic, name="Hoover", deceased=True)
    response = signed_in(alice).post(
        reverse("labs:new_request"),
        {"patient": str(dead.uuid), "panels": ["HHEM-1"], "priority": "routine"},
    )
    assert response.status_code == 422 and "recorded as deceased" in response.content.decode()


@pytest.mark.parametrize("typed", ["bisc", "example", "P-10482", "biscuit ana"])
def test_typeahead_finds_by_animal_owner_and_id(
    typed: str, biscuit: Patient, alice: User, signed_in: SignIn
) -> None:
    factories.make_patient(biscuit.clinic, name="Rex", owner=None)
    page = signed_in(alice).get(reverse("labs:typeahead"), {"q": typed}).content.decode()
    assert str(biscuit.uuid) in page and "Rex" not in page


@pytest.mark.parametrize("patient", ["nonsense", "00000000-0000-0000-0000-000000000001"])
def test_a_patient_that_is_none_is_404(patient: str, alice: User, signed_in: SignIn) -> None:
    response = signed_in(alice).get(f"{reverse('labs:new_request')}?patient={patient}")
    assert response.status_code == 404

"""What the order page offers first, asks for and warns of."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.errors import InvalidInput
from labs.models import Analyzer, Clinic, LabRequest, OwnPanel, Panel, Patient, Weight
from labs.services.orders import orderable, ordering
from labs.services.orders.ordering import Collection
from tests import factories

SignIn = Callable[[User], Client]


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return factories.make_patient(clinic)


def page(client: Client, patient: Patient) -> str:
    answer = client.get(reverse("labs:new_request") + f"?patient={patient.uuid}")
    assert answer.status_code == 200
    return answer.content.decode()


def offered(text: str) -> list[str]:
    return re.findall(r'name="panels" value="([^"]+)"', text)


def test_favourites_come_first_then_what_was_used_last(
    clinic: Clinic, bob: User, patient: Patient, signed_in: SignIn
) -> None:
    elsewhere = factories.make_patient(factories.make_clinic("Oak"))
    factories.make_request(elsewhere, panels=["HTR-1"])
    factories.make_request(factories.make_patient(clinic), panels=["HAIM-1"])
    factories.make_request(factories.make_patient(clinic), panels=["HIP-1"])
    OwnPanel.objects.create(clinic=clinic, panel=Panel.objects.get(code="HCOAG-1"), favourite=True)
    codes = offered(page(signed_in(bob), patient))
    assert codes[:3] == ["HCOAG-1", "HIP-1", "HAIM-1"]
    assert codes.index("HTR-1") > 3  # another clinic's order says nothing here
    assert len(codes) == len(set(codes)) == Panel.objects.count()


def test_the_same_test_from_another_specimen_is_no_duplicate(
    bob: User, patient: Patient, signed_in: SignIn
) -> None:
    def chips(query: str = "") -> list[str]:
        url = reverse("labs:new_request") + f"?patient={patient.uuid}{query}"
        return re.findall(
            r'<span class="chip (\w+)" data-label="(.*?)">',
            signed_in(bob).get(url).content.decode(),
        )

    panels = [Panel.objects.get(code="HHEM-1")]
    pre = ordering.place_request(
        acting_user=bob, patient=patient, panels=panels, collection=Collection(label="Pre")
    )
    # Beside nothing the label is empty: the other specimen is said, and not warned of.
    assert chips() == [("off", "pre")]
    assert chips(f"&beside={pre}") == [("warn", "pre")]
    ordering.place_request(acting_user=bob, patient=patient, panels=panels)
    assert chips() == [("warn", ""), ("off", "pre")]


def test_what_is_down_is_not_ordered_and_the_page_says_the_way_round(
    clinic: Clinic, bob: User, patient: Patient, signed_in: SignIn
) -> None:
    for model in ("Element DCX", "Element POC"):
        Analyzer.objects.create(clinic=clinic, model=model, serial_number="1")
    dcx = Analyzer.objects.get(model="Element DCX")
    client = signed_in(bob)
    assert "HDC-1" in offered(page(client, patient))
    orderable.mark_down(acting_user=bob, analyzer=dcx, reason="lamp broken")
    text = page(client, patient)
    assert offered(text) == ["HPOC-1"]
    assert "lamp broken" in text and "metabolic measures creatinine, glucose, sodium" in text
    sent = {"patient": patient.uuid, "panels": "HDC-1", "priority": "routine"}
    assert client.post(reverse("labs:new_request"), sent).status_code == 422
    panels = [Panel.objects.get(code="HDC-1")]
    with pytest.raises(InvalidInput, match="marked as down"):
        ordering.place_request(acting_user=bob, patient=patient, panels=panels)
    assert not LabRequest.objects.exists()
    # A second one of that model takes the orders.
    Analyzer.objects.create(clinic=clinic, model="Element DCX", serial_number="2")
    assert "HDC-1" in offered(page(client, patient))
    ordering.place_request(acting_user=bob, patient=patient, panels=panels)


def test_nothing_is_ordered_from_an_analyzer_that_is_not_connected(
    clinic: Clinic, bob: User, patient: Patient
) -> None:
    Analyzer.objects.create(clinic=clinic, model="Element DCX", connected=False)
    with pytest.raises(InvalidInput, match="type the result in"):
        ordering.place_request(
            acting_user=bob, patient=patient, panels=[Panel.objects.get(code="HDC-1")]
        )


def test_an_old_weight_is_asked_for_and_kept(
    bob: User, patient: Patient, signed_in: SignIn
) -> None:
    client, today = signed_in(bob), timezone.localdate(timezone=patient.clinic.zone)
    assert 'name="weight_kg"' in page(client, patient)
    Weight.objects.create(patient=patient, kg=Decimal("4.2"), measured_on=today - timedelta(91))
    assert 'name="weight_kg"' in page(client, patient)
    sent = {"patient": patient.uuid, "panels": "HHEM-1", "priority": "routine", "weight_kg": "4.2"}
    assert client.post(reverse("labs:new_request"), sent).status_code == 302
    # The same weight again: it stood on the scales today.
    assert Weight.objects.filter(patient=patient, measured_on=today).get().kg == Decimal("4.2")
    assert 'name="weight_kg"' not in page(client, patient)


def test_a_puppys_weight_is_old_sooner(bob: User, clinic: Clinic, signed_in: SignIn) -> None:
    today = timezone.localdate(timezone=clinic.zone)
    puppy = factories.make_patient(clinic, birth_date=today - timedelta(60))
    Weight.objects.create(patient=puppy, kg=Decimal(2), measured_on=today - timedelta(15))
    assert 'name="weight_kg"' in page(signed_in(bob), puppy)


def test_a_weight_that_cannot_be_orders_nothing(
    bob: User, patient: Patient, signed_in: SignIn
) -> None:
    sent = {"patient": patient.uuid, "panels": "HHEM-1", "priority": "routine", "weight_kg": "x"}
    answer = signed_in(bob).post(reverse("labs:new_request"), sent)
    assert answer.status_code == 422 and "such as 4.2" in answer.content.decode()
    assert not LabRequest.objects.exists()


def test_labels_come_in_the_size_that_was_last_asked_for(
    bob: User, patient: Patient, signed_in: SignIn
) -> None:
    request = factories.make_request(patient, acting_user=bob, panels=["HHEM-1", "HDC-1"])
    client, url = signed_in(bob), reverse("labs:tube_labels", args=[request.lab_report_id])
    first = client.get(url + "?size=38x13")
    assert first["Content-Type"] == "application/pdf" and first.content.startswith(b"%PDF")
    assert first.content.count(b"/MediaBox") == 2  # EDTA and heparin: two tubes
    assert b"[ 0 0 107.7165 36.85039 ]" in client.get(url).content
    assert client.get(url + "?size=1x1").status_code == 200

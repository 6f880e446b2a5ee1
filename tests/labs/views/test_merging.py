"""Two records side by side, merged and separated, as a veterinarian sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labs.models import Clinic, LabRequest, Merge, Patient, Role
from labs.services.registry import merging
from tests import factories

SignIn = Callable[[User], Client]


@pytest.fixture
def vet(clinic: Clinic) -> User:
    return factories.make_staff(Role.VET, clinic=clinic, first_name="Ida", last_name="Vale")


@pytest.fixture
def pair(clinic: Clinic) -> tuple[Patient, Patient]:
    bella = factories.make_patient(clinic, name="Bella", patient_id="P-1", sex="F")
    double = factories.make_patient(clinic, name="Bela", patient_id="P-2", sex="F")
    return bella, double


def url(patient: Patient) -> str:
    return reverse("labs:merge_patient", args=[patient.uuid])


def fields(one: Patient, other: Patient, **more: str) -> dict[str, str]:
    return {
        "with": str(other.uuid),
        "survivor": str(one.uuid),
        "seen": merging.seen_key(*Patient.objects.filter(pk__in=[one.pk, other.pk]).order_by("pk")),
        **more,
    }


def test_merge_from_the_patients_page_and_separate_again(
    pair: tuple[Patient, Patient], vet: User, signed_in: SignIn
) -> None:
    bella, double = pair
    request = factories.make_request(double)
    client = signed_in(vet)
    page = client.get(reverse("labs:patient", args=[bella.uuid])).content.decode()
    assert url(bella) in page
    found = client.get(url(bella), {"q": "Bela"}).content.decode()
    assert f"?with={double.uuid}" in found and f"?with={bella.uuid}" not in found
    shown = client.get(url(bella), {"with": str(double.uuid)}).content.decode()
    assert "Bella, P-1 stays" in shown and "Bela, P-2 stays" in shown
    assert 'name="typed_name"' not in shown
    answer = client.post(url(bella), fields(bella, double), follow=True)
    after = answer.content.decode()
    assert "Bela (P-2) was merged into Bella (P-1)" in after
    assert "Merged from Bela P-2" in after
    assert request.lab_report_id in after
    old = client.get(reverse("labs:patient", args=[double.uuid])).content.decode()
    assert "This record was merged into" in old and "Order for" not in old
    for name in ("edit_patient", "merge_patient"):
        there = client.get(reverse(f"labs:{name}", args=[double.uuid]))
        assert there["Location"] == reverse("labs:patient", args=[double.uuid])
    listed = client.get(reverse("labs:patients"), {"q": "P-2"}).content.decode()
    assert "merged from Bela P-2" in listed
    made = Merge.objects.get()
    back = reverse("labs:merge", args=[made.uuid])
    fresh = factories.make_request(bella)
    page = client.get(back).content.decode()
    assert "Would stay with Bella (P-1)" in page and fresh.lab_report_id in page
    assert client.post(back, {"reason": " "}).status_code == 422
    done = client.post(back, {"reason": "two sisters"}, follow=True).content.decode()
    assert "are two records again" in done and "Stays with Bella (P-1)" in done
    assert fresh.lab_report_id in done and "two sisters" in done
    assert LabRequest.objects.get(pk=request.pk).patient == double
    assert client.post(back, {"reason": "again"}).status_code == 409


@pytest.mark.parametrize(
    ("one", "other", "label"),
    [
        ({"species": "dog"}, {"species": "cat"}, "Species"),
        ({"sex": "F"}, {"sex": "M"}, "Sex"),
        ({"birth_date": date(2020, 5, 1)}, {"birth_date": date(2021, 5, 1)}, "Born"),
        ({}, {"deceased": True}, "Deceased"),
    ],
)
def test_a_conflict_asks_for_the_animals_name(
    pair: tuple[Patient, Patient],
    vet: User,
    signed_in: SignIn,
    one: dict[str, object],
    other: dict[str, object],
    label: str,
) -> None:
    bella, double = pair
    Patient.objects.filter(pk=bella.pk).update(**one)
    Patient.objects.filter(pk=double.pk).update(**other)
    client = signed_in(vet)
    shown = client.get(url(bella), {"with": str(double.uuid)}).content.decode()
    assert f"{label}: the records contradict each other" in shown
    for typed in ("", "Bela"):
        refused = client.post(url(bella), fields(bella, double, typed_name=typed))
        assert refused.status_code == 422
        assert "Type the animal" in refused.content.decode()
    assert not Merge.objects.exists()
    assert client.post(url(bella), fields(bella, double, typed_name=" bella ")).status_code == 302
    assert Merge.objects.get().into == bella


def test_either_of_the_two_may_stay(
    pair: tuple[Patient, Patient], vet: User, signed_in: SignIn
) -> None:
    bella, double = pair
    given = fields(bella, double) | {"survivor": str(double.uuid)}
    answer = signed_in(vet).post(url(bella), given)
    assert answer["Location"] == reverse("labs:patient", args=[double.uuid])
    assert Merge.objects.get().merged == bella


def test_what_changed_since_it_was_shown_is_shown_again(
    pair: tuple[Patient, Patient], vet: User, signed_in: SignIn
) -> None:
    bella, double = pair
    given = fields(bella, double)
    Patient.objects.filter(pk=double.pk).update(name="Rex")
    answer = signed_in(vet).post(url(bella), given)
    assert answer.status_code == 422
    assert "changed since you saw it" in answer.content.decode()
    assert not Merge.objects.exists()


def test_another_clinics_patient_is_missing(
    pair: tuple[Patient, Patient], vet: User, signed_in: SignIn
) -> None:
    bella, _ = pair
    oak = factories.make_clinic("Oak")
    stranger = factories.make_patient(oak, name="Bella")
    client = signed_in(vet)
    assert client.get(url(stranger)).status_code == 404
    assert client.get(url(bella), {"with": str(stranger.uuid)}).status_code == 404
    assert client.post(url(bella), {"with": str(stranger.uuid)}).status_code == 404
    assert str(stranger.uuid) not in client.get(url(bella)).content.decode()
    # Nor does who works at both clinics merge across them.
    Clinic.objects.get(pk=oak.pk).membership_set.create(user=vet, role=Role.VET)
    assert client.post(url(bella), {"with": str(stranger.uuid)}).status_code == 404


def test_a_technician_sees_no_button_and_is_told_whom_to_ask(
    pair: tuple[Patient, Patient], alice: User, signed_in: SignIn
) -> None:
    bella, _ = pair
    client = signed_in(alice)
    assert url(bella) not in client.get(reverse("labs:patient", args=[bella.uuid])).content.decode()
    refused = client.get(url(bella))
    assert refused.status_code == 403
    assert "ask a veterinarian or a clinic administrator" in refused.content.decode()

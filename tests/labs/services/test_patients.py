from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from labs.errors import InvalidInput, NotAllowed
from labs.models import LabEvent, Owner, Patient
from labs.services.registry import patients
from tests.factories import make_clinic, make_owner, make_patient, make_staff

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 2)


def test_create_patient_with_its_weight() -> None:
    clinic = make_clinic()
    alice = make_staff(clinic=clinic)
    patient = patients.create_patient(
        acting_user=alice,
        clinic=clinic,
        name=" Biscuit ",
        species="dog",
        owner=make_owner(clinic),
        weight_kg=Decimal("31.4"),
        weighed_on=DAY,
        breed="Beagle",
    )
    assert (patient.name, patient.breed) == ("Biscuit", "Beagle")
    assert patient.patient_id.startswith("P-")
    assert patient.weight_set.get().measured_on == DAY
    event = LabEvent.objects.get()
    assert (event.verb, event.actor, event.patient) == ("patient.created", alice, patient)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"patient_id": "P-1"}, "already exists"),
        ({"name": " "}, "Name"),
        ({"species": "dragon"}, "Species"),
        ({"breed": "x" * 101}, "Breed"),
        ({"weight_kg": Decimal(0)}, "cannot be right"),
        ({"weight_kg": Decimal(10000)}, "cannot be right"),
    ],
)
def test_what_does_not_fit_is_refused_whole(fields: dict[str, Any], words: str) -> None:
    clinic = make_clinic()
    make_patient(clinic, patient_id="P-1")
    given = {"name": "Biscuit", "species": "dog"} | fields
    with pytest.raises(InvalidInput, match=words):
        patients.create_patient(acting_user=None, clinic=clinic, **given)
    assert Patient.objects.count() == 1
    assert not LabEvent.objects.exists()


def test_an_owner_of_another_clinic_is_refused() -> None:
    clinic = make_clinic()
    stranger = make_owner(make_clinic("Oak"))
    with pytest.raises(InvalidInput, match="not in the clinic"):
        patients.create_patient(
            acting_user=None, clinic=clinic, name="A", species="dog", owner=stranger
        )
    patient = make_patient(clinic)
    with pytest.raises(InvalidInput, match="not in the clinic"):
        patients.update_patient(acting_user=None, patient=patient, owner=stranger)


def test_update_patient_says_which_columns_changed() -> None:
    patient = make_patient()
    patients.update_patient(
        acting_user=None, patient=patient, deceased=True, deceased_on=DAY, breed="Pug"
    )
    patient.refresh_from_db()
    assert (patient.deceased, patient.deceased_on, patient.breed) == (True, DAY, "Pug")
    assert LabEvent.objects.get().data == {"fields": ["breed", "deceased", "deceased_on"]}


def test_create_owner() -> None:
    clinic = make_clinic()
    owner = patients.create_owner(acting_user=None, clinic=clinic, last_name="Example")
    assert owner.owner_id.startswith("C-")
    with pytest.raises(InvalidInput, match="Email"):
        patients.create_owner(acting_user=None, clinic=clinic, email="nobody")
    assert Owner.objects.count() == 1


def test_a_weight_that_repeats_the_latest_is_not_stored() -> None:
    patient = make_patient()
    for kg in ("4.2", "4.200", "4.3"):
        patients.record_weight(acting_user=None, patient=patient, kg=Decimal(kg), measured_on=DAY)
    assert patient.weight_set.count() == 2


def test_a_visit_at_the_same_moment_only_changes_the_doctor() -> None:
    patient = make_patient()
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    first = patients.record_visit(acting_user=None, patient=patient, at=at)
    again = patients.record_visit(acting_user=None, patient=patient, at=at, doctor="Vale")
    assert (first.pk, again.doctor) == (again.pk, "Vale")


def test_a_stranger_writes_nothing() -> None:
    patient = make_patient()
    charlie = make_staff(clinic=make_clinic("Oak"))
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    with pytest.raises(NotAllowed):
        patients.update_patient(acting_user=charlie, patient=patient, name="Mine")
    with pytest.raises(NotAllowed):
        patients.record_visit(acting_user=charlie, patient=patient, at=at)
    with pytest.raises(NotAllowed):
        patients.record_weight(acting_user=charlie, patient=patient, kg=Decimal(4), measured_on=DAY)
    with pytest.raises(NotAllowed):
        patients.create_owner(acting_user=charlie, clinic=patient.clinic, last_name="X")

"""Whether an animal that is about to be added is on file already, in a clinic of any size."""

from __future__ import annotations

import pytest

from labs.models import Clinic, Patient
from labs.queries.registry.duplicates import LOOKED_AT, duplicates
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


def add(clinic: Clinic, name: str, surname: str, **fields: object) -> Patient:
    owner = factories.make_owner(clinic, last_name=surname) if surname else None
    return factories.make_patient(clinic, name=name, owner=owner, **fields)


def told(clinic: Clinic, **given: str) -> list[tuple[str, str]]:
    found = duplicates(clinic, **({"name": "", "surname": ""} | given))  # type: ignore[arg-type]
    return [(each.patient.patient_id, each.why) for each in found]


def test_a_thousand_of_the_same_name_do_not_hide_the_one_of_that_owner(clinic: Clinic) -> None:
    others = factories.make_owner(clinic, last_name="Zimmermann")
    for number in range(LOOKED_AT + 5):
        factories.make_patient(clinic, name="Bella", owner=others, patient_id=f"Z-{number}")
    add(clinic, "Bella", "Smith", patient_id="P-1")
    assert told(clinic, name="bella", surname="SMITH") == [("P-1", "same name and owner")]


@pytest.mark.parametrize(
    ("name", "surname", "why"),
    [
        ("Bella", "Müller", "same name and owner"),
        ("Bella", "muller", "same name and owner"),
        ("Bella", "Nuller", "same name, similar owner"),
        ("Vella", "Müller", "similar name, same owner"),
        ("Bela", "Müller", "similar name, same owner"),
        ("Bella", "", "same name, no owner to compare"),
        ("Vella", "Nuller", ""),
        ("Bella", "Fischer", ""),
        ("Max", "Müller", ""),
    ],
)
def test_what_is_told(clinic: Clinic, name: str, surname: str, why: str) -> None:
    add(clinic, "Bella", "Müller", patient_id="P-1")
    assert told(clinic, name=name, surname=surname) == ([("P-1", why)] if why else [])


def test_one_without_an_owner_is_told_by_its_name(clinic: Clinic) -> None:
    add(clinic, "Bella", "", patient_id="P-1")
    expected = [("P-1", "same name, no owner to compare")]
    assert told(clinic, name="Bella", surname="Smith") == expected


def test_an_id_and_a_chip_count_alone_however_they_are_typed(clinic: Clinic) -> None:
    add(clinic, "Bella", "Smith", patient_id="P-00123", microchip="985112001234567")
    assert told(clinic, patient_id="p-00123") == [("P-00123", "same id")]
    assert told(clinic, microchip="985 112-001 234 567") == [("P-00123", "same microchip")]
    other = factories.make_clinic()
    assert told(other, patient_id="P-00123", microchip="985112001234567", name="Bella") == []

"""Which animals are looked at at all: each way that one is found by its own."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from labs.models import Clinic, Patient, UnmatchedResult, Visit
from labs.queries.orphaned import candidates
from labs.queries.orphaned.candidate_ranges import HERE
from labs.queries.orphaned.candidate_search import NAMESAKES
from labs.queries.orphaned.orphans import runs_of
from labs.services.orphaned import matching
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def alice(clinic: Clinic) -> User:
    return factories.make_staff(clinic=clinic, username="alice")


def ranked(unmatched: UnmatchedResult) -> candidates.Ranked:
    return candidates.rank(unmatched, runs=runs_of(unmatched))


def crowd(clinic: Clinic, count: int, **fields: Any) -> list[Patient]:
    """So many animals of nobody's, at once."""
    fields = {"name": "Bella", "species": "dog", **fields}
    return Patient.objects.bulk_create(
        Patient(clinic=clinic, patient_id=f"X-{fields['species']}-{number}", **fields)
        for number in range(count)
    )


def visit(patient: Patient, hours: float, doctor: str = "") -> None:
    at = timezone.now() + timedelta(hours=hours)
    Visit.objects.create(clinic=patient.clinic, patient=patient, at=at, doctor=doctor)


def test_of_many_namesakes_the_one_that_nothing_contradicts_is_looked_at(clinic: Clinic) -> None:
    """Nobody enters visits here, so all of them were last seen at the same time: never."""
    crowd(clinic, NAMESAKES + 10, sex="M", birth_date=date(2024, 5, 5))
    old = factories.make_patient(
        clinic, name="Bella", sex="F", birth_date=date(2014, 6, 1), owner=None
    )
    crowd(clinic, NAMESAKES + 10, species="cat", sex="F", birth_date=date(2014, 6, 1))
    years = (timezone.now().date() - old.birth_date).days // 365
    orphan = factories.make_unmatched(
        clinic, patient_name="BELLA", sex="F", sex_code="F", age=f"{years} y"
    )
    assert ranked(orphan).found[0].patient == old


def test_a_wrong_digit_in_an_id_typed_as_the_name_finds_who_is_here(clinic: Clinic) -> None:
    factories.make_patient(clinic, name="Luna", patient_id="P-008627")
    here = factories.make_patient(clinic, name="Ziggy", patient_id="P-008621")
    visit(here, hours=-2)
    for typed in ({"patient_name": "P-008623"}, {"patient_name": "", "patient_id": "8612"}):
        best = ranked(factories.make_unmatched(clinic, **typed)).found[0]
        assert best.patient == here
        judged = best.scored.of("patient_id")
        assert (judged.sign, judged.level) == ("close", "near")
        assert judged.bits <= 7


def test_where_nothing_names_it_those_who_were_here_come_before_tomorrows(clinic: Clinic) -> None:
    here = factories.make_patient(clinic, name="Bruno", species="cat", owner=None)
    visit(here, hours=-1)
    at = timezone.now()
    Visit.objects.bulk_create(
        Visit(clinic=clinic, patient=patient, at=at + timedelta(hours=20))
        for patient in crowd(clinic, HERE + 10, name="Otto", species="cat")
    )
    orphan = factories.make_unmatched(clinic, patient_name="", species="cat", species_code="cat")
    assert [each.patient for each in ranked(orphan).found] == [here]


def doctor_of(unmatched: UnmatchedResult, patient: Patient) -> Any:
    found = next(each for each in ranked(unmatched).found if each.patient == patient)
    return found.scored.of("doctor")


def matched(clinic: Clinic, alice: User, doctor: str, patient: Patient) -> None:
    """A person attaches a result on which the doctor was called so."""
    orphan = factories.make_unmatched(clinic, patient_name=patient.name, doctor=doctor)
    best = next(each for each in ranked(orphan).found if each.patient == patient)
    matching.match(
        acting_user=alice,
        unmatched=orphan,
        patient=patient,
        expected_version=orphan.version,
        evidence=best.evidence,
        retrospective_tests=True,
    )


def test_what_a_doctor_is_called_at_the_analyzers_is_learned_from_matches(
    clinic: Clinic, alice: User
) -> None:
    """KDO agrees with Dr Okonkwo once two matches said so: not before, not against most of them,
    and not for another clinic."""
    biscuit = factories.make_patient(clinic)
    visit(biscuit, hours=-1, doctor="Dr Okonkwo")
    luna = factories.make_patient(clinic, name="Luna")
    visit(luna, hours=-1, doctor="Dr Lind")

    def judged() -> tuple[str, str]:
        orphan = factories.make_unmatched(clinic, patient_name="Biscuit", doctor="KDO")
        found = doctor_of(orphan, biscuit)
        return found.sign, found.note

    assert judged() == ("conflict", "another")
    matched(clinic, alice, "KDO", biscuit)
    assert judged() == ("conflict", "another")
    matched(clinic, alice, "kdo", biscuit)
    assert judged() == ("agree", "so called at the analyzer")

    other = factories.make_clinic("Harbor Animal Hospital")
    theirs = factories.make_patient(other)
    visit(theirs, hours=-1, doctor="Dr Okonkwo")
    elsewhere = factories.make_unmatched(other, patient_name="Biscuit", doctor="KDO")
    assert doctor_of(elsewhere, theirs).sign == "conflict"

    for patient in (luna, luna, luna, biscuit):  # as often the one as the other
        matched(clinic, alice, "KDO", patient)
    assert judged() == ("conflict", "another")

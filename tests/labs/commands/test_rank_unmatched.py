"""`rank_unmatched`, over what `import_patients` and `import_visits` brought in."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from labs.models import Clinic, LabRequest, UnmatchedResult, Visit
from labs.services.orphaned import matching
from labs.services.registry.imports import import_patients, import_visits
from tests import factories
from tests.shell import lines, said

pytestmark = pytest.mark.django_db
CSV = """patient_id,name,species,sex,owner_id,owner_first_name,owner_last_name,microchip,deceased
P-10001,Bella,dog,F,C-1,Ana,Smith,985112000000001,
P-10002,Bella,cat,F,C-2,Ben,Smith,,
P-10003,Max,dog,M,C-3,Eva,Lind,,
P-10004,Rocky,dog,M,C-4,Lou,Hart,,yes
"""


@pytest.fixture
def clinic() -> Clinic:
    clinic = factories.make_clinic()
    import_patients(acting_user=None, clinic=clinic, content=CSV.encode())
    now = timezone.now().astimezone(clinic.zone)
    visits = f"patient_id,at,doctor\nP-10003,{now:%Y-%m-%dT%H:%M},Hart\n"
    import_visits(acting_user=None, clinic=clinic, content=visits.encode())
    return clinic


def rank(clinic: Clinic, **typed: str) -> dict[str, Any]:
    orphan = factories.make_unmatched(
        clinic, **{"patient_name": "", "species": "", "species_code": "", **typed}
    )
    found = lines("rank_unmatched", "--clinic", clinic.public_id)
    return next(each for each in found if each["message_id"] == orphan.message_id)


def ids(answer: dict[str, Any]) -> list[str]:
    return [each["patient_id"] for each in answer["candidates"]]


def test_it_says_who_and_why(clinic: Clinic) -> None:
    answer = rank(clinic, patient_name="MAX", owner_last_name="LIND", doctor="Hart")
    assert set(answer) >= {"message_id", "nobody", "automatic", "candidates"}
    first = answer["candidates"][0]
    assert (first["patient_id"], first["grade"]) == ("P-10003", "certain")
    assert first["probability"] > 0.99 > answer["nobody"]
    assert first["evidence"]["weights"] == "weights-2"
    assert first["evidence"]["why"].startswith("Name exact (+")
    assert "Here that day" in first["evidence"]["why"]
    assert answer["automatic"] is False  # by names alone never
    assert "P-10003" in said("rank_unmatched", "--clinic", clinic.public_id)


def test_rule_a_and_what_keeps_it_back(clinic: Clinic) -> None:
    known = {"patient_name": "Max", "owner_last_name": "Lind", "patient_id": "10003"}
    answer = rank(clinic, **known, species="Canine", species_code="dog")
    assert (answer["automatic"], answer["against_automatic"]) == (True, [])
    assert rank(clinic, **known, sex="F", sex_code="F")["automatic"] is False
    bella = {"patient_name": "Bella", "owner_last_name": "Smith", "patient_id": "P-10001"}
    answer = rank(clinic, **bella, microchip="985112000000001")
    assert (answer["automatic"], ids(answer)[0]) == (False, "P-10001")
    assert any("nearly the same name and owner" in each for each in answer["against_automatic"])


def test_critical_values_a_match_taken_back_and_a_conflict_keep_it_back(clinic: Clinic) -> None:
    known = {"patient_name": "Max", "owner_last_name": "Lind", "patient_id": "10003"}
    row = factories.make_row("K+", "7.9", flag="HH")
    report = factories.make_report(
        [factories.make_run([row])], identity=factories.Identity(**known), external_id="UM-x"
    )
    orphan = factories.make_unmatched(clinic, report)
    (answer,) = lines("rank_unmatched", "--clinic", clinic.public_id)
    assert answer["against_automatic"] == ["Never with a critical value."]

    orphan = factories.make_unmatched(clinic, **known)
    user = factories.make_staff("admin", clinic=clinic)
    patient = factories.Patient.objects.get(patient_id="P-10003")
    matching.match(
        acting_user=user, unmatched=orphan, patient=patient, expected_version=orphan.version
    )
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=user, unmatched=orphan, expected_version=orphan.version, reason="wrong dog"
    )
    answer = next(
        each
        for each in lines("rank_unmatched", "--clinic", clinic.public_id)
        if each["message_id"] == orphan.message_id
    )
    assert answer["automatic"] is False
    assert "P-10003" not in ids(answer)  # a refused pair is not proposed again
    assert "Never where a match of this result was taken back." in answer["against_automatic"]


def test_a_requests_number_names_its_animal(clinic: Clinic) -> None:
    rocky = factories.make_patient(clinic, name="Rocky", patient_id="P-20001")
    request = factories.make_request(rocky, accepted=True)
    answer = rank(clinic, patient_id=request.lab_report_id, patient_name="Rocky")
    assert ids(answer)[0] == "P-20001"
    assert LabRequest.objects.count() == 1


def test_deceased_before_the_run_is_blocked(clinic: Clinic) -> None:
    answer = rank(clinic, patient_name="Rocky", owner_last_name="Hart", patient_id="P-10004")
    first = answer["candidates"][0]
    assert (first["patient_id"], first["grade"] != "certain") == ("P-10004", True)
    assert answer["automatic"] is False


def test_an_id_under_which_many_animals_came_says_nothing(clinic: Clinic) -> None:
    for name in ("Ace", "Bo", "Cleo", "Duke"):
        factories.make_unmatched(clinic, patient_name=name, patient_id="P-10003")
    answer = rank(clinic, patient_name="Bella", patient_id="10003")
    assert "P-10003" not in ids(answer)[:1]
    notes = [
        line["note"]
        for each in answer["candidates"]
        for line in each["evidence"]["fields"]
        if line["key"] == "patient_id"
    ]
    assert not any("without its letters" in note for note in notes)


def test_two_patients_of_one_number_are_told_apart_or_not_at_all(clinic: Clinic) -> None:
    factories.make_patient(clinic, name="Zoe", patient_id="D-10003")
    by_number = rank(clinic, patient_id="10003")
    assert {each["grade"] for each in by_number["candidates"]} <= {"unlikely", "possible"}
    exact = rank(clinic, patient_id="D-10003")
    assert ids(exact)[0] == "D-10003"


def test_a_doctors_name_at_the_analyzer_is_learned(clinic: Clinic) -> None:
    user = factories.make_staff("admin", clinic=clinic)
    max_ = factories.Patient.objects.get(patient_id="P-10003")

    def doctor_line() -> dict[str, Any]:
        answer = rank(clinic, patient_name="Max", doctor="LH2")
        assert ids(answer)[0] == "P-10003"
        fields = answer["candidates"][0]["evidence"]["fields"]
        return next(line for line in fields if line["key"] == "doctor")

    assert doctor_line()["sign"] == "conflict"
    for _ in range(2):
        orphan = UnmatchedResult.objects.filter(clinic=clinic, state="open").latest("pk")
        evidence = {"fields": [{"key": "doctor", "typed": "LH2", "on_file": "Hart"}]}
        matching.match(
            acting_user=user,
            unmatched=orphan,
            patient=max_,
            expected_version=orphan.version,
            evidence=evidence,
        )
        rank(clinic, patient_name="Max", doctor="LH2")
    assert (doctor_line()["sign"], doctor_line()["note"]) == ("agree", "so called at the analyzer")


def test_visits_of_another_day_or_clinic_are_none(clinic: Clinic) -> None:
    other = factories.make_patient(name="Max")
    Visit.objects.create(clinic=other.clinic, patient=other, at=timezone.now())
    answer = rank(clinic, patient_name="Max")
    assert ids(answer) == ["P-10003"]


def test_statements_do_not_grow_with_the_registry(
    clinic: Clinic, django_assert_num_queries: Any
) -> None:
    factories.make_unmatched(clinic, patient_name="Bella", owner_last_name="Smith")
    count = 19 if connection.vendor == "postgresql" else 18
    with django_assert_num_queries(count):
        said("rank_unmatched", "--clinic", clinic.public_id)
    for _ in range(40):
        factories.make_patient(clinic, name="Bella")
    with django_assert_num_queries(count):
        said("rank_unmatched", "--clinic", clinic.public_id)

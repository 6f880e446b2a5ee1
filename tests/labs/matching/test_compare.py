from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest

from labs.matching.compare import AGREE, CLOSE, CONFLICT, NOT_GIVEN, Comparison, OnFile, compare
from labs.matching.sides import Orphan, Surroundings
from tests.labs.matching.animals import registry

AT = datetime(2026, 3, 2, 20, 10, tzinfo=UTC)
BISCUIT: dict[str, Any] = {
    "name": "Biscuit",
    "patient_id": "P-10482",
    "species": "dog",
    "species_words": "Dog",
    "sex": "M",
    "sex_words": "male neutered",
    "breed": "Labrador Retriever",
    "birth_date": date(2019, 4, 2),
    "age_words": "6 y 11 m",
    "weight_kg": Decimal("31.400"),
    "microchip": "985112000000001",
    "owner_id": "C-2207",
    "owner_first_name": "Ana",
    "owner_last_name": "Example",
    "last_seen": AT - timedelta(minutes=18),
    "doctors": ("Sample, Sam",),
    "tests": 1.0,
    "tests_words": "CBC",
}
TYPED = {
    "patient_name": "BISCUIT ",
    "owner_last_name": "EXAMPLE",
    "patient_id": "10482",
    "microchip": "985112000000001",
    "owner_id": "2207",
    "species": "Canine",
    "species_code": "dog",
    "sex": "CM",
    "sex_code": "M",
    "breed": "Labrador",
    "age": "7 y",
    "weight": "31",
    "weight_unit": "kg",
    "doctor": "SAMPLE",
}


def signs(comparison: Comparison) -> dict[str, str]:
    return {field.key: field.sign for field in comparison.fields}


def against(typed: dict[str, Any], **on_file: Any) -> Comparison:
    animal = OnFile(**{**BISCUIT, **on_file})
    around = Surroundings(at=AT, visits_known=True, seen_share=0.01)
    return compare(Orphan(typed, registry([animal]), around), animal)


def test_everything_agrees() -> None:
    comparison = against(TYPED)
    assert CONFLICT not in signs(comparison).values()
    assert NOT_GIVEN not in signs(comparison).values()
    assert comparison.serious == []


def test_what_is_absent_is_never_evidence() -> None:
    """Every combination of missing fields compares, and lacks only what is missing."""
    optional = ("owner_last_name", "patient_id", "species_code", "sex_code", "age", "weight")
    for count in range(len(optional) + 1):
        for missing in combinations(optional, count):
            typed = {key: value for key, value in TYPED.items() if key not in missing}
            assert CONFLICT not in signs(against(typed)).values(), missing


def test_nothing_typed_says_nothing_but_that_it_was_here() -> None:
    comparison = against({})
    assert comparison.labels(AGREE) == ["Seen here", "Open tests"]
    assert comparison.labels(CONFLICT) == comparison.labels(CLOSE) == []
    assert {field.bits for field in comparison.fields if field.sign == NOT_GIVEN} == {0}


@pytest.mark.parametrize("placeholder", ["1", "0000", "NA", "TEST"])
def test_a_placeholder_agrees_with_nothing_not_even_with_itself(placeholder: str) -> None:
    comparison = against({"patient_id": placeholder}, patient_id=placeholder)
    assert signs(comparison)["patient_id"] == NOT_GIVEN
    assert "placeholder" in next(f.note for f in comparison.fields if f.key == "patient_id")


@pytest.mark.parametrize(
    ("typed", "sign"),
    [
        ("Biscuit", AGREE),
        ("BISCUTI", CLOSE),
        ("Bisc", CLOSE),
        ("Biscuit Example", CLOSE),
        ("Rocky", CONFLICT),
        ("", NOT_GIVEN),
    ],
)
def test_names(typed: str, sign: str) -> None:
    assert signs(against({"patient_name": typed}))["patient_name"] == sign


@pytest.mark.parametrize(
    ("typed", "on_file", "sign"),
    [
        ("Smith Jones", "Smith-Jones", AGREE),
        ("Jones", "Smith-Jones", CLOSE),
        ("VAN DER BERG", "van der Berg", AGREE),
        ("Muller", "Müller", AGREE),
        ("Okafor", "Example", CONFLICT),
        ("Example", "", NOT_GIVEN),
    ],
)
def test_surnames(typed: str, on_file: str, sign: str) -> None:
    comparison = against({"owner_last_name": typed}, owner_last_name=on_file)
    assert signs(comparison)["owner"] == sign


def test_a_surname_typed_into_the_animals_name_counts() -> None:
    assert signs(against({"patient_name": "Biscuit Example"}))["owner"] == CLOSE


@pytest.mark.parametrize(
    ("typed", "sign"),
    [
        ("P-10482", AGREE),
        ("p10482", AGREE),
        ("10482", CLOSE),
        ("10483", CLOSE),  # one digit off
        ("10438", CONFLICT),
        ("20999", CONFLICT),
    ],
)
def test_patient_ids(typed: str, sign: str) -> None:
    assert signs(against({"patient_id": typed}))["patient_id"] == sign


def test_species_and_sex_that_contradict_are_serious() -> None:
    typed = {"species": "Feline", "species_code": "cat", "sex": "F", "sex_code": "F"}
    comparison = against(typed)
    assert comparison.serious == ["species", "sex"]
    assert comparison.serious_words == "Species and sex differ."


def test_a_species_that_no_table_knows_says_so_and_counts_nothing() -> None:
    field = next(f for f in against({"species": "Unicorn"}).fields if f.key == "species")
    assert (field.sign, field.note) == (NOT_GIVEN, "not understood")


def test_unknown_sex_never_contradicts() -> None:
    assert signs(against({"sex": "F", "sex_code": "F"}, sex="U"))["sex"] == NOT_GIVEN


@pytest.mark.parametrize(
    ("deceased_on", "serious"),
    [(date(2024, 3, 2), True), (None, True), (date(2026, 3, 2), False), (date(2026, 3, 9), False)],
)
def test_deceased_before_the_result_came(deceased_on: date | None, serious: bool) -> None:
    comparison = against(TYPED, deceased=True, deceased_on=deceased_on)
    assert ("deceased" in comparison.serious) is serious


@pytest.mark.parametrize(
    ("weight", "unit", "sign"),
    [
        ("31.4", "kg", AGREE),
        ("69", "lb", AGREE),
        ("25", "kg", CLOSE),
        ("69", "", NOT_GIVEN),
        ("69", "kg", CONFLICT),
        ("4", "", CONFLICT),
    ],
)
def test_weights(weight: str, unit: str, sign: str) -> None:
    assert signs(against({"weight": weight, "weight_unit": unit}))["weight"] == sign


@pytest.mark.parametrize(
    ("typed", "sign"),
    [
        ({"birth_date": "2019-04-02"}, AGREE),
        ({"birth_date": "2019-01-01"}, CLOSE),
        ({"birth_date": "2009-04-02"}, CONFLICT),
        ({"birth_date": "spring"}, NOT_GIVEN),
        ({"age": "7 y"}, AGREE),
        ({"age": "8y 6m"}, AGREE),
        ({"age": "9 y"}, CLOSE),
        ({"age": "2 y"}, CONFLICT),
        ({"age": "7"}, NOT_GIVEN),
    ],
)
def test_ages(typed: dict[str, str], sign: str) -> None:
    assert signs(against(typed))["age"] == sign


def test_breeds() -> None:
    assert signs(against({"breed": "Labrador"}))["breed"] == CLOSE
    assert signs(against({"breed": "Beagle"}))["breed"] == CONFLICT
    assert signs(against({"breed": "Labrador mix"}))["breed"] == NOT_GIVEN


def test_more_agreement_is_more_points() -> None:
    other = against(TYPED, name="Brisket", owner_last_name="Lind", patient_id="P-1", sex="F")
    assert against(TYPED).points > other.points


def test_the_json_of_a_message_may_hold_more_than_texts() -> None:
    assert against({"patient_name": "Biscuit", "animal": True}).labels(CONFLICT) == []


def test_evidence_is_plain_json() -> None:
    stored = against(TYPED).as_json()
    assert (stored["comparison"], stored["weights"]) == ("compare-2", "weights-2")
    assert json.loads(json.dumps(stored)) == stored
    bits = stored["fields"][0].pop("bits")
    assert bits > 5
    assert stored["fields"][0] == {
        "key": "patient_name",
        "label": "Name",
        "typed": "BISCUIT",
        "on_file": "Biscuit",
        "sign": "agree",
        "note": "",
    }

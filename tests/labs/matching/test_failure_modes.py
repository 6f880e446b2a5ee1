"""Ways in which other systems lost or misplaced a result, each by its number in the study: those
that are a matter of evidence."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest

from labs.keys import stored_id
from labs.matching import words
from labs.matching.compare import compare
from labs.matching.rule import NEVER, REQUIRED, sentences
from labs.matching.score import Scored
from labs.matching.sides import CONFLICT, Orphan, Surroundings
from tests.labs.matching.animals import AT, animal, keys, ranked, registry

PLACEHOLDERS = ["", "  ", "0", "00", "1", "9999", "NA", "n/a", "NONE", "TEST", "-"]


def test_failure_mode_07_an_id_in_any_field_is_tried_as_the_patients() -> None:
    bella, luna = animal(1, "Bella"), animal(2, "Luna", "Okafor")
    for field in ("patient_id", "patient_name", "owner_id", "owner_last_name", "microchip"):
        ranking = ranked({field: "P-10002"}, [bella, luna])
        first = ranking.found[0]
        assert first.animal is luna, field
        assert first.of("patient_id").bits > 10, field
        if field != "patient_id":
            assert "typed as" in first.of("patient_id").note, field
    chipped = animal(3, "Milo", microchip="985112000000001")
    assert keys(ranked({"patient_id": "985112000000001"}, [bella, chipped]))[0] == 3


def test_failure_mode_10_two_animals_both_typed_1_are_told_apart_by_the_rest() -> None:
    bella, luna = animal(1, "Bella", patient_id="1"), animal(2, "Luna", "Okafor")
    assert keys(ranked({"patient_id": "1", "patient_name": "Luna"}, [bella, luna]))[0] == 2
    assert keys(ranked({"patient_id": "1", "patient_name": "Bella"}, [bella, luna]))[0] == 1


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_failure_mode_11_an_empty_id_never_matches_an_empty_id(text: str) -> None:
    same = animal(1, "Bella", patient_id=text, microchip=text, owner_id=text)
    typed = {"patient_id": text, "microchip": text, "owner_id": text, "patient_name": "Luna"}
    first = ranked(typed, [same]).found[0]
    for key in ("patient_id", "microchip", "owner_id"):
        assert (first.of(key).bits, first.of(key).sign) == (0, "none"), key


def test_failure_mode_11_the_clinics_own_name_and_a_shared_id_are_no_evidence() -> None:
    street = animal(1, "Elm Street Clinic", "Elm Street Clinic")
    ignored = frozenset({"elm street clinic"})
    typed = {"patient_name": "Elm Street Clinic", "owner_last_name": "ELM STREET CLINIC"}
    first = ranked(typed, [street], ignored=ignored).found[0]
    assert first.of("patient_name").bits == first.of("owner").bits == 0
    for why in ("shared by 2 patients, ignored", "typed for 5 animals within 30 days, ignored"):
        first = ranked({"patient_id": "P-10001"}, [animal(1, "Bella")], shared_ids={"p10001": why})
        assert (first.found[0].of("patient_id").bits, first.found[0].of("patient_id").note) == (
            0,
            why,
        )


@pytest.mark.parametrize("text", ["00427", "P-00427", "427 ", "p 427", "P00427"])
def test_failure_mode_12_an_id_is_one_id_however_it_is_typed(text: str) -> None:
    assert stored_id(text) == "427"
    first = ranked({"patient_id": text}, [animal(1, "Bella", patient_id="P-00427")]).found[0]
    assert first.of("patient_id").bits > 10


def test_failure_mode_12_but_never_by_its_number_alone() -> None:
    """Order 123-45 is not patient 12345, and D-123 is not P-123."""
    for text in ("123-45B", "D-123", "123A", "1230"):
        first = ranked({"patient_id": text}, [animal(1, "Bella", patient_id="P-123")]).found[0]
        assert first.of("patient_id").level != "exact", text


@pytest.mark.parametrize(
    ("typed", "on_file"),
    [
        ("Smith Jones", "Smith-Jones"),
        ("SMITH-JONES", "Smith Jones"),
        ("Smithjones", "Smith-Jones"),
        ("Van Der Berg", "van der Berg"),
        ("VANDERBERG", "van der Berg"),
        ("OBrien", "O'Brien"),
        ("O’BRIEN", "O'Brien"),
        ("D Arcy", "D'Arcy"),
        ("Muller", "Müller"),
        ("Nguyen Van", "Nguyễn Văn"),
    ],
)
def test_failure_mode_13_double_and_accented_surnames_are_the_same(
    typed: str, on_file: str
) -> None:
    animals = [animal(1, "Bella", on_file), animal(2, "Bella", "Okafor")]
    ranking = ranked({"patient_name": "Bella", "owner_last_name": typed}, animals)
    assert keys(ranking) == [1, 2]
    assert ranking.found[0].of("owner").level == "exact"


def test_failure_mode_13_one_part_of_a_double_surname_is_found() -> None:
    animals = [animal(1, "Bella", "Smith-Jones"), animal(2, "Bella", "Okafor")]
    for part in ("Smith", "JONES"):
        ranking = ranked({"patient_name": "Bella", "owner_last_name": part}, animals)
        assert ranking.found[0].animal.key == 1
        assert ranking.found[0].of("owner").level == "part"


FULL: dict[str, dict[str, Any]] = {
    "name": {"patient_name": "Biscuit"},
    "owner": {"owner_last_name": "Example"},
    "id": {"patient_id": "P-10001"},
    "species": {"species": "Canine", "species_code": "dog"},
    "sex": {"sex": "M", "sex_code": "M"},
    "age": {"age": "7 y"},
    "weight": {"weight": "31", "weight_unit": "kg"},
    "chip": {"microchip": "985112000000001"},
}


def test_failure_mode_14_with_any_fields_missing_it_still_ranks() -> None:
    """All 256: on either side what is missing is worth nothing and contradicts nothing."""
    record: dict[str, Any] = {
        "sex": "M",
        "birth_date": date(2019, 4, 2),
        "weight_kg": Decimal("31.4"),
        "microchip": "985112000000001",
    }
    bare = {"species": "", "sex": "U", "microchip": "", "patient_id": ""}
    others = [animal(2, "Luna", "Okafor"), animal(3, "Milo", "Lind", species="cat")]
    for count in range(len(FULL) + 1):
        for given in combinations(FULL, count):
            typed = {key: value for name in given for key, value in FULL[name].items()}
            for fields in (record, bare):
                ranking = ranked(typed, [animal(1, "Biscuit", **fields), *others])
                right = next(each for each in ranking.found if each.animal.key == 1)
                assert not right.conflicts, given
                if {"name", "owner"} & set(given) or (fields is record and given):
                    assert ranking.found[0].animal.key == 1 or not (
                        {"name", "owner", "id", "chip"} & set(given)
                    ), given
                assert 0 < ranking.nobody <= 1


def test_failure_mode_14_an_unknown_sex_is_no_conflict() -> None:
    first = ranked({"patient_name": "Bella", "sex_code": "F"}, [animal(1, "Bella", sex="U")])
    assert first.found[0].of("sex").bits == 0


def test_failure_mode_20_what_is_said_of_the_rule_is_the_rule() -> None:
    required, never = sentences()
    assert required == tuple(clause.sentence for clause in REQUIRED)
    assert never == tuple(clause.sentence for clause in NEVER)
    assert len({*required, *never}) == len(REQUIRED) + len(NEVER)


def test_failure_mode_21_equals_are_a_tie_in_no_order_and_never_certain() -> None:
    animals = [animal(key, "Bella", "Smith") for key in (1, 2)]
    typed = {"patient_name": "Bella", "owner_last_name": "Smith", "species_code": "dog"}
    ranking = ranked(typed, animals)
    assert [each.tied for each in ranking.found] == [True, True]
    assert "certain" not in {each.grade for each in ranking.found}
    assert ranking.margin == 0


def test_failure_mode_21_a_lone_candidate_must_beat_not_in_our_records() -> None:
    lone = ranked({"patient_name": "Bella", "owner_last_name": "Okafor"}, [animal(1, "Bella")])
    assert lone.nobody > lone.found[0].probability
    assert lone.found[0].grade != "certain"
    assert lone.margin < 10


def test_failure_mode_27_namesakes_are_told_apart_in_words() -> None:
    one = animal(1, "Bella", "Smith", species="dog", last_seen=AT - timedelta(hours=1))
    other = animal(2, "Bella", "Smith", species="cat", last_seen=AT - timedelta(days=40))
    typed = {"patient_name": "Bella", "owner_last_name": "Smith", "species_code": "dog"}
    ranking = ranked(typed, [other, one], visits_known=True, seen_share=0.005)
    first, second = ranking.found
    assert first.animal.key == 1
    said = words.apart(first, second)
    assert said.startswith("Both Bella Smith. Differ in: ")
    assert "species" in said and "last visit" in said
    assert "owner" not in said


def test_failure_mode_27_where_nothing_separates_them_that_is_said() -> None:
    first, second = ranked(
        {"patient_name": "Bella"}, [animal(1, "Bella", "Smith"), animal(2, "Bella", "Smith")]
    ).found
    assert words.apart(first, second) == "Both Bella Smith. Nothing typed separates it from 1."


@pytest.mark.parametrize("typed", ["CHANEL", "chanel", "Chànel", "  Cha-nel", "CHANEL."])
def test_failure_mode_28_capitals_accents_and_blanks_make_no_other_name(typed: str) -> None:
    first = ranked({"patient_name": typed}, [animal(1, "Chanel")]).found[0]
    assert first.of("patient_name").level == "exact"


def test_an_analyzers_clock_that_is_years_off_is_no_evidence() -> None:
    from labs.matching.sides import believed

    assert believed(AT - timedelta(days=4000), AT) == AT
    assert believed(AT + timedelta(days=400), AT) == AT
    assert believed(AT - timedelta(hours=5), AT) == AT - timedelta(hours=5)
    assert believed(None, AT) == AT


def test_deceased_before_the_run_is_never_certain() -> None:
    """Eight bits are not enough: an exact id, name and owner weigh more."""
    typed = {"patient_name": "Rex", "owner_last_name": "Example", "patient_id": "P-10001"}
    alive = ranked(typed, [animal(1, "Rex")]).found[0]
    dead = ranked(typed, [animal(1, "Rex", deceased=True, deceased_on=date(2025, 1, 1))]).found[0]
    assert (alive.grade, dead.grade) == ("certain", "probable")
    assert dead.probability == 0.98
    assert dead.blocked == ("deceased before the run",)


def test_a_name_or_id_that_differs_is_never_certain() -> None:
    """Chip, owner and birth date of one animal, name and id of another: somebody has to look."""
    milo = animal(1, "Milo", "Horvat", microchip="985112000000112", last_seen=AT)
    smokey = animal(2, "Smokey", "Silva", last_seen=AT)
    typed = {
        "patient_name": "Smokey",
        "owner_last_name": "Horvat",
        "patient_id": "P-10002",
        "microchip": "985112000000112",
    }
    ranking = ranked(typed, [milo, smokey], visits_known=True, seen_share=0.005)
    assert ranking.found[0].animal is milo
    assert "certain" not in {each.grade for each in ranking.found}
    assert "patient_name differs" in ranking.found[0].blocked


def test_of_two_namesakes_a_visit_makes_none_certain_but_an_id_does() -> None:
    here, away = animal(1, "Bella", "Smith", last_seen=AT), animal(2, "Bella", "Smith")
    typed = {"patient_name": "Bella", "owner_last_name": "Smith", "doctor": "Hart"}
    around: dict[str, Any] = {"visits_known": True, "seen_share": 0.005}
    first = ranked(typed, [here, away], **around).found[0]
    assert first.probability == 0.98
    assert (first.animal.key, first.grade) == (1, "probable")
    assert first.blocked == ("another one has the same name and owner",)
    by_id = ranked(typed | {"patient_id": "P-10001"}, [here, away], **around).found[0]
    assert by_id.grade == "certain"


def test_one_identifier_alone_is_never_certain() -> None:
    rex = animal(1, "Rex", last_seen=AT)
    typed = {"patient_id": "P-10001", "species_code": "dog"}
    found: Scored = ranked(typed, [rex], visits_known=True, seen_share=0.005).found[0]
    assert found.probability == 0.98
    assert (found.grade, found.blocked) == ("probable", ("one identifier alone",))


@pytest.mark.parametrize(
    ("typed", "reading"),
    [
        ({"patient_name": "Example", "owner_last_name": "Biscuit"}, "name and surname exchanged"),
        ({"patient_name": "Biscuit Example"}, "surname typed with the name"),
        ({"patient_name": "EXAMPLE, BISCUIT"}, "surname typed before the name"),
        ({"patient_name": "Biscuit Exa"}, "surname typed with the name"),
        ({"patient_name": "P-10001", "owner_last_name": "Example"}, "patient id typed as the name"),
        ({"patient_id": "Biscuit", "owner_last_name": "Example"}, "name typed as the patient id"),
        ({"owner_last_name": "Biscuit Example"}, "surname typed with the name"),
    ],
)
def test_names_typed_otherwise_are_understood_and_that_is_shown(
    typed: dict[str, str], reading: str
) -> None:
    biscuit = animal(1, "Biscuit")
    others = [animal(2, "Luna", "Okafor"), animal(3, "Biscuit", "Lind")]
    ranking = ranked(typed, [*others, biscuit])
    assert ranking.found[0].animal is biscuit
    assert ranking.found[0].way.words == reading
    comparison = compare(ranking.orphan, biscuit)
    assert comparison.reading == reading
    assert reading in comparison.fields[0].note
    assert CONFLICT not in {field.sign for field in comparison.fields[:2]}


def test_breeds_agree_by_the_laboratorys_code() -> None:
    lab = animal(1, "Rex", breed="Labrador Retriever")
    around = Surroundings(at=AT, breeds={"labrador retriever": "LAB", "lab": "LAB"})
    orphan = Orphan({"breed": "LAB"}, registry([lab]), around)
    field = next(f for f in compare(orphan, lab).fields if f.key == "breed")
    assert (field.sign, field.bits > 3) == ("agree", True)
    plain = Orphan({"breed": "LAB"}, registry([lab]), Surroundings(at=AT))
    assert next(f for f in compare(plain, lab).fields if f.key == "breed").sign == "conflict"


def test_an_animal_nobody_looked_at_counts_in_the_sum() -> None:
    """761 further Bellas make one of them improbable, though only one was looked at."""
    one = ranked({"patient_name": "Bella"}, [animal(1, "Bella")])
    many = ranked({"patient_name": "Bella"}, [animal(1, "Bella")], more={"bella": 761})
    assert one.found[0].probability > 0.5
    assert many.found[0].probability < 0.01
    assert many.rest > 0.8

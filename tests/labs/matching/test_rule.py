"""Rule A, clause by clause: each alone keeps a result from being matched by itself."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from labs.matching.rule import NEVER, REQUIRED, Case, automatic, namesakes_of
from labs.matching.sides import OnFile
from tests.labs.matching.animals import AT, animal, ranked

TYPED = {
    "patient_name": "Biscuit",
    "owner_last_name": "Example",
    "patient_id": "P-10001",
    "species_code": "dog",
    "sex_code": "M",
}
BISCUIT: dict[str, Any] = {"sex": "M", "last_seen": AT, "microchip": "985112000000001"}
OTHER = animal(2, "Luna", "Okafor")


def case(
    typed: dict[str, str] | None = None,
    on_file: dict[str, Any] | None = None,
    others: tuple[OnFile, ...] = (OTHER,),
    shared_ids: dict[str, str] | None = None,
    of_request: frozenset[int] = frozenset(),
    **known: Any,
) -> Case:
    record = {**BISCUIT, **(on_file or {})}
    biscuit = animal(1, record.pop("name", "Biscuit"), **record)
    ranking = ranked(
        TYPED | (typed or {}),
        [biscuit, *others],
        visits_known=True,
        seen_share=0.005,
        shared_ids=shared_ids or {},
        of_request=of_request,
    )
    return Case(ranking=ranking, **known)


def test_where_all_holds_it_may() -> None:
    assert automatic(case()) == (True, ())


def test_without_a_candidate_it_may_not() -> None:
    empty = ranked({"patient_name": "Zorro"}, [])
    assert automatic(Case(ranking=empty)) == (False, ("Nobody was found.",))


# Of each clause, by its key: a case that breaks it.
BROKEN: dict[str, dict[str, Any]] = {
    "number": {"typed": {"patient_id": ""}},
    "name": {"typed": {"patient_name": ""}},
    "probable": {
        "typed": {"owner_last_name": "Lind", "patient_name": "Bisc", "sex_code": "F"},
        "on_file": {"species": "cat"},
    },
    "id": {"typed": {"patient_id": "0000"}},
    "id_of_another": {
        "typed": {"microchip": "985112000000009"},
        "others": (animal(2, "Biscuit", "Okafor", microchip="985112000000009"),),
    },
    "conflict": {"typed": {"sex_code": "F"}},
    "deceased": {"on_file": {"deceased": True, "deceased_on": date(2026, 3, 9)}},
    "merged": {"merged": frozenset({1})},
    "location": {"other_location": True},
    "namesake": {"namesakes": (animal(3, "Biscuit"),)},
    "another_here": {
        "typed": {"owner_last_name": ""},
        "others": (animal(2, "Biscuit", "Okafor", species="cat", last_seen=AT),),
    },
    "tie": {"others": (animal(7, "Biscuit", **{**BISCUIT, "patient_id": "P-10001"}),)},
    "margin": {
        "others": (animal(4, "Biscuit", patient_id="P-90001", last_seen=AT, sex="M"),),
        "typed": {"patient_id": "P-10002"},
    },
    "reading": {"typed": {"patient_name": "Example", "owner_last_name": "Biscuit"}},
    "critical": {"critical": True},
    "text": {"categories": ("Microbiology",)},
    "controlled": {"categories": ("", "Drug screen")},
    "herd": {"typed": {"species_code": "horse"}, "on_file": {"species": "horse"}},
    "refused": {"refused": frozenset({1})},
    "unmatched": {"unmatched_before": True},
    "changed": {"identity_changed": True},
    "contradicts": {"contradicts_request": True},
    "several": {"several_animals": True},
    "request": {"open_requests": 2},
    "new": {"made_for_this": frozenset({1})},
    "import": {"import_running": True},
    "model": {"model_changed_today": True},
    "control": {"typed": {"owner_last_name": "QC"}},
}


def test_each_clause_has_its_case() -> None:
    assert set(BROKEN) == {clause.key for clause in (*REQUIRED, *NEVER)}


@pytest.mark.parametrize("clause", [*REQUIRED, *NEVER], ids=lambda clause: clause.key)
def test_each_clause_alone_keeps_it_back_and_says_so(clause: Any) -> None:
    may, against = automatic(case(**BROKEN[clause.key]))
    assert not may
    assert clause.sentence in against


@pytest.mark.parametrize(
    ("typed", "on_file"),
    [
        ({"species_code": "cat"}, {}),
        ({"age": "12 y"}, {"birth_date": date(2024, 1, 1)}),
        ({"birth_date": "2012-05-05"}, {"birth_date": date(2024, 1, 1)}),
        ({"microchip": "985112000000777"}, {}),
        ({"owner_last_name": "Okafor"}, {}),
        ({}, {"deceased": True}),
    ],
)
def test_any_contradiction_keeps_it_back(typed: dict[str, str], on_file: dict[str, Any]) -> None:
    assert automatic(case(typed, on_file))[0] is False


def test_an_id_left_over_from_the_animal_before_keeps_it_back() -> None:
    """The names are right and the id is another's: neither may have it by itself."""
    assert automatic(case({"patient_id": "P-10002"}))[0] is False
    assert automatic(case({"patient_id": "P-10002", "patient_name": "Luna"}))[0] is False


def test_an_id_left_over_from_a_namesake_in_the_house_keeps_it_back() -> None:
    """The name is right and so is the id: for the other Biscuit, whose sample ran before."""
    here = (animal(2, "Biscuit", "Okafor", species="cat", last_seen=AT),)
    away = (animal(2, "Biscuit", "Okafor", species="cat"),)
    unsaid = {"owner_last_name": ""}
    assert automatic(case(unsaid, others=here))[0] is False
    assert automatic(case(unsaid, others=away)) == (True, ())
    assert automatic(case(others=here)) == (True, ())
    chip = {"microchip": "985112000000001"}
    assert automatic(case(unsaid | chip, others=here)) == (True, ())


def test_a_shared_id_keeps_it_back() -> None:
    assert automatic(case(shared_ids={"p10001": "shared by 2 patients, ignored"}))[0] is False


def test_a_requests_number_does_as_well_as_the_animals_own() -> None:
    typed = {"patient_id": "VL-3F7K2M9Q"}
    assert automatic(case(typed))[0] is False
    assert automatic(case(typed, of_request=frozenset({1}))) == (True, ())
    assert automatic(case(typed, of_request=frozenset({2})))[0] is False


@pytest.mark.parametrize(
    ("other", "is_one"),
    [
        (animal(9, "Biscuit", "Example"), True),
        (animal(9, "Biscut", "Exampel"), True),
        (animal(9, "Biscuit", "Example", deceased=True), True),
        (animal(9, "Biscuit", "Okafor", household=1), True),
        (animal(9, "Biscuit", "", household=None), True),
        (animal(9, "Biscuit", "Example-Jones"), True),
        (animal(9, "Biscuit", "Van Example"), True),
        (animal(9, "Lady Biscuit", "Example"), True),
        (animal(9, "Biscuit", "Exam Ple Jones"), True),
        (animal(9, "Biscuit", "Van Okafor"), False),
        (animal(9, "Biscuit", "Okafor"), False),
        (animal(9, "Luna", "Example"), False),
        (animal(9, "Luna", "Example", household=1), False),
    ],
)
def test_who_is_a_namesake(other: OnFile, is_one: bool) -> None:
    assert bool(namesakes_of(animal(1, "Biscuit"), {9: other})) is is_one

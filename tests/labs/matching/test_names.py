from __future__ import annotations

import pytest

from labs.matching.names import (
    CUT,
    DIFFERS,
    EXACT,
    NEAR,
    NICKNAME,
    PART,
    WEAK,
    Vocabulary,
    surname_levels,
)
from labs.matching.weights import NAME, SURNAME, VARIANTS

NAMES = {
    "bella": 761,
    "bela": 2,
    "luna": 500,
    "soapy": 1,
    "max": 400,
    "maximilian": 3,
    "mr whiskers": 4,
    "charlie": 700,
    "william": 5,
    "rosalita": 2,
    "smith jones": 6,
    "zzyyxx": 90_000,
}


@pytest.fixture(scope="module")
def names() -> Vocabulary:
    return Vocabulary(NAMES)


@pytest.mark.parametrize(
    ("typed", "name", "level"),
    [
        ("bella", "bella", EXACT),
        ("belle", "bella", NEAR),
        ("blela", "bella", NEAR),
        ("chralei", "charlie", NEAR),  # two edits, where there are more than six letters
        ("lnau", "luna", DIFFERS),  # but not where there are four
        ("maximil", "maximilian", CUT),
        ("max", "maximilian", CUT),
        ("maximilian", "max", CUT),
        ("whiskers", "mr whiskers", PART),
        ("mrwhiskers", "mr whiskers", EXACT),
        ("jones", "smith jones", PART),
        ("bill", "william", NICKNAME),
        ("rosalina", "rosalita", NEAR),
        ("rosalittle", "rosalita", WEAK),
        ("rocky", "bella", DIFFERS),
        ("", "bella", DIFFERS),
    ],
)
def test_levels(names: Vocabulary, typed: str, name: str, level: str) -> None:
    assert names.classify(typed).level(name) == level


def test_u_is_the_exact_share_of_the_registry(names: Vocabulary) -> None:
    common, rare = names.classify("bella").weigh(NAME), names.classify("soapy").weigh(NAME)
    assert common.counts[EXACT] == 761
    assert 6 < common.bits(EXACT) < 7
    assert 15 < rare.bits(EXACT) < 16


def test_a_slip_next_to_a_common_name_is_worth_little(names: Vocabulary) -> None:
    """ "Bellla" may be any of 761 Bellas; "soapi" is Soapy."""
    assert names.classify("bellla").weigh(NAME).bits(NEAR) < 6
    assert names.classify("soapi").weigh(NAME).bits(NEAR) > 12


def test_a_name_that_animals_bear_is_hardly_the_slip_of_another(names: Vocabulary) -> None:
    levels = names.classify("bella").weigh(NAME)
    assert levels.counts[NEAR] == 2  # bela
    assert levels.bits(NEAR) < levels.bits(EXACT) - 4
    assert VARIANTS[NEAR] > 1


def test_what_differs_is_worth_what_the_table_says(names: Vocabulary) -> None:
    assert names.classify("soapy").weigh(NAME).bits(DIFFERS) == pytest.approx(-4.06, abs=0.1)
    assert surname_levels(names.classify("soapy"), SURNAME).bits(DIFFERS) == pytest.approx(
        -4.84, abs=0.1
    )


def test_one_part_of_a_double_name_is_capped(names: Vocabulary) -> None:
    levels = surname_levels(names.classify("jones"), SURNAME)
    assert levels.bits(levels.level("smith jones")) == 4


def test_kept_in_step_by_put() -> None:
    names = Vocabulary({"bella": 2})
    names.put("belle", 1)
    assert names.classify("bell").counts == {CUT: 3} or names.classify("bell").counts[NEAR] == 3
    names.put("bella", 0)
    assert (names.total, len(names)) == (1, 1)
    assert "bella" not in names.classify("bella").of
    names.put("bella", 5)
    assert names.classify("bella").counts[EXACT] == 5


def test_a_small_clinic_is_no_measure_of_the_world() -> None:
    """With two animals on file, both called Bella, the name still says something."""
    assert Vocabulary({"bella": 2}).classify("bella").weigh(NAME).bits(EXACT) > 4


@pytest.mark.parametrize(
    ("typed", "name", "is_one"),
    [
        ("josie", "josephine", True),
        ("barney", "barnaby", True),
        ("sammy", "samson", True),
        ("maxie", "maximus", True),
        ("bells", "bella", False),  # one letter off, which is nearer than a pet form
        ("ty", "tyson", False),
        ("sammy", "sally", False),
    ],
)
def test_a_pet_form_is_made_of_the_beginning(typed: str, name: str, is_one: bool) -> None:
    found = Vocabulary({name: 3, "otto": 2}).classify(typed, weak=False)
    assert (found.level(name) == NICKNAME) is is_one


def test_names_of_one_level_come_in_one_order_in_every_process() -> None:
    many = [f"smith {first}{last}" for first in "abcdefgh" for last in ("ova", "ski", "sen")]
    assert Vocabulary(dict.fromkeys(many, 1)).classify("smith", weak=False).keys(PART) == many
    assert Vocabulary(dict.fromkeys(many, 1)).with_word("smith") == many

from __future__ import annotations

from decimal import Decimal

import pytest

from labs.matching import reading


@pytest.mark.parametrize(
    "text",
    ["", " ", "0", "00", "000000", "1", "9999", "1234", "NA", "n/a", "None", "TEST", "--", "QC"],
)
def test_what_is_typed_out_of_habit_is_no_evidence(text: str) -> None:
    assert reading.is_placeholder(text)


@pytest.mark.parametrize("text", ["42", "P-1", "10482", "Bella", "VL-3F7K2M9Q", "985112000000001"])
def test_what_says_something_is_evidence(text: str) -> None:
    assert not reading.is_placeholder(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CHANEL", "Chanel"),
        ("Smith-Jones", "smith  jones"),
        ("O'Brien", "OBrien"),
        ("D’Arcy", "D'ARCY"),
        ("MÜLLER", "Muller"),
    ],
)
def test_case_accents_and_punctuation_make_no_difference(one: str, other: str) -> None:
    assert reading.plain(one) == reading.plain(other)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("00123", "123 ", True),
        ("P-00123", "p123", True),
        ("P-123", "Q-123", False),
        ("1230", "123", False),
        ("order-control", "ordercontrol2", False),
    ],
)
def test_ids_are_compared_without_case_punctuation_and_leading_zeros(
    one: str, other: str, same: bool
) -> None:
    assert (reading.id_key(one) == reading.id_key(other)) is same


@pytest.mark.parametrize(
    ("text", "digits"),
    [("P-10482", "10482"), ("00123", "123"), ("A12B34", ""), ("Bella", ""), ("12-34", "")],
)
def test_the_number_of_an_id(text: str, digits: str) -> None:
    assert reading.digits_of(text) == digits


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("bella", "belle", True),
        ("bella", "bela", True),
        ("bella", "beella", True),
        ("bella", "blela", True),
        ("bella", "bella", False),
        ("bella", "stella", False),
        ("bo", "bob", False),
        ("max", "mia", False),
    ],
)
def test_one_edit_apart(one: str, other: str, near: bool) -> None:
    assert reading.one_edit_apart(one, other) is near
    assert reading.one_edit_apart(other, one) is near


@pytest.mark.parametrize(
    ("text", "months"), [("7 y", 84), ("6y 11m", 83), ("18 months", 18), ("7", None), ("", None)]
)
def test_ages(text: str, months: float | None) -> None:
    assert reading.age_months(text) == months


def test_weights_say_their_unit_or_are_taken_for_kilograms() -> None:
    assert reading.weight_kg("31.4", "kg") == (Decimal("31.4"), True)
    assert reading.weight_kg("31.4") == (Decimal("31.4"), False)
    assert reading.weight_kg("350", "g") == (Decimal("0.35"), True)
    pounds = reading.weight_kg("10 lb")
    assert pounds is not None
    assert round(pounds[0], 2) == Decimal("4.54")
    assert [reading.weight_kg(text) for text in ("", "0", "heavy", "1,5")] == [None] * 4

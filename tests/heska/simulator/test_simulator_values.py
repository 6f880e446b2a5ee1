"""Values are believable, agree with each other, and are the same for the same seed."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from integrations.heska.simulator.catalogue import SPECIES, TESTS, read_range
from integrations.heska.simulator.draw import Draw
from integrations.heska.simulator.panels import panel_values
from integrations.heska.simulator.readings import Reading, readings
from integrations.heska.simulator.rows import flag_of, row


def run(code: str, species: str = "CANINE", number: int = 0) -> list[Reading]:
    test = TESTS[code]
    draw = Draw(seed=1, animal=f"animal-{number}", run=f"run-{number}")
    return readings(test, species, panel_values(test, species, draw), draw)


def numbers(code: str, number: int = 0) -> dict[str, Decimal]:
    draw = Draw(seed=1, animal=f"animal-{number}", run=f"run-{number}")
    values = panel_values(TESTS[code], "CANINE", draw)
    return {name: each for name, each in values.items() if isinstance(each, Decimal)}


@pytest.mark.parametrize("species", SPECIES)
@pytest.mark.parametrize("code", TESTS)
def test_every_test_of_every_species_can_be_run(code: str, species: str) -> None:
    for number in range(20):
        assert run(code, species, number)


@pytest.mark.parametrize(
    ("code", "count"),
    [("HHEM-1", 23), ("HDC-1", 33), ("HDC-3", 11), ("HPOC-1", 17), ("HIP-1", 2), ("HCOAG-1", 2),
     ("HAIM-1", 19), ("HTR-1", 1)],
)  # fmt: skip
def test_a_test_holds_its_panel(code: str, count: int) -> None:
    assert len(run(code)) == count


def test_canine_thyrotropin_is_for_dogs() -> None:
    assert [each.analyte.code for each in run("HIP-1", "FELINE")] == ["TT4"]


def test_the_same_seed_gives_the_same_values_and_another_run_does_not() -> None:
    assert run("HDC-1", number=3) == run("HDC-1", number=3)
    assert run("HDC-1", number=3) != run("HDC-1", number=4)


@pytest.mark.parametrize("number", range(30))
def test_a_blood_count_adds_up(number: int) -> None:
    got = numbers("HHEM-1", number)
    kinds = ("NEU", "LYM", "MON", "EOS", "BAS")
    assert sum(got[f"{kind}%"] for kind in kinds) == 100
    assert sum(got[f"{kind}#"] for kind in kinds) == got["WBC"]
    assert abs(got["HGB"] * 10 / got["RBC"] - got["MCH"]) < Decimal("0.3")
    assert all(value >= 0 for value in got.values())


@pytest.mark.parametrize("number", range(30))
def test_chemistry_agrees_with_itself(number: int) -> None:
    got = numbers("HDC-1", number)
    assert got["TP"] == got["ALB"] + got["GLOB"]
    assert abs(got["A/G"] - got["ALB"] / got["GLOB"]) < Decimal("0.006")
    assert got["DBIL"] <= got["TBIL"]
    assert all(value >= 0 for value in got.values())


def test_about_an_eighth_is_abnormal_and_a_little_is_not_reported() -> None:
    kinds: Counter[str] = Counter()
    flagged = 0
    for number in range(200):
        draw = Draw(seed=1, animal=f"animal-{number}", run=f"run-{number}")
        values = panel_values(TESTS["HDC-1"], "CANINE", draw)
        for sequence, each in enumerate(readings(TESTS["HDC-1"], "CANINE", values, draw), 1):
            built = row(each, sequence, "CANINE", draw)
            kinds[built["ValueType"]] += 1
            flagged += built["AbnormalFlag"] is not None
    total = sum(kinds.values())
    assert 0.07 < flagged / total < 0.17
    assert 0.01 < kinds["NotReported"] / total < 0.06
    assert kinds["Qualified"] > 0


def test_a_calculated_value_falls_with_what_it_is_calculated_from() -> None:
    for number in range(300):
        got = {each.analyte.code: each for each in run("HDC-1", number=number)}
        if got["K"].kind != "Numeric":
            assert got["Na/K"].text == "*****"
            return
    raise AssertionError("potassium was always reported")


def test_blood_gas_delivers_the_measuring_range_and_no_flag() -> None:
    draw = Draw(seed=1, animal="a", run="r")
    built = row(run("HPOC-1")[0], 1, "CANINE", draw)
    assert (built["ReferenceLow"], built["ReferenceHigh"]) == ("6.500", "8.000")
    assert built["ReferenceType"] == "Reportable"
    assert "AbnormalFlag" not in built


def test_a_row_keeps_the_decimals_of_the_analyzer() -> None:
    draw = Draw(seed=1, animal="a", run="r")
    white = row(next(each for each in run("HHEM-1") if each.kind == "Numeric"), 1, "CANINE", draw)
    assert white["Value"].partition(".")[2].isdigit()
    assert len(white["Value"].partition(".")[2]) == 2
    assert white["ReferenceText"] == "4.00-16.53"


@pytest.mark.parametrize(
    ("value", "sign", "flag"),
    [(5, None, None), (3, None, "L"), (17, None, "H"), (1, None, "LL"), (30, None, "HH"),
     (4, "<", "L"), (10, "<", None), (17, ">", "H"), (None, None, None)],
)  # fmt: skip
def test_flags(value: int | None, sign: str | None, flag: str | None) -> None:
    built = {"NumericValue": value, "Qualifier": sign, "ReferenceType": "Reference"}
    built |= {"ReferenceLow": "4", "ReferenceHigh": "16", "CriticalLow": "1", "CriticalHigh": "30"}
    assert flag_of(built) == flag


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("4.00-16.53", "4.00", "16.53"), ("-30 to 30", "-30", "30"), ("<14.0", None, "14.0"),
     ("NEGATIVE", None, None), ("Hyaline 0-3", None, None)],
)  # fmt: skip
def test_ranges(text: str, low: str | None, high: str | None) -> None:
    got = read_range(text)
    assert (got.low, got.high, got.text) == (low, high, text)

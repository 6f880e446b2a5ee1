from __future__ import annotations

import pytest

from labs import interference
from labs.models import Analyte


def test_hemolysis_index_marks_what_it_affects_and_nothing_else() -> None:
    found = interference.doubts([("HEM", "2+"), ("K", "5.9"), ("GLU", "101")], [])
    assert found["K"] == ["Hemolysis may change this value."]
    assert "GLU" not in found


@pytest.mark.parametrize("grade", ["0", "NEG", "none", "", "-", " 0 "])
def test_index_that_found_nothing_marks_nothing(grade: str) -> None:
    assert interference.doubts([("HEM", grade), ("LIP", grade), ("ICT", grade)], []) == {}


def test_platelet_clumps_mark_the_count_as_the_contract_s_example_says_it() -> None:
    found = interference.doubts([("PLT", "< 2")], ["Platelet clumps suspected"])
    assert found == {
        "PLT": ["Platelet clumps: the true count may be higher."],
        "MPV": ["Platelet clumps: the true count may be higher."],
    }


def test_remark_that_denies_it_marks_nothing() -> None:
    assert interference.doubts([("PLT", "301")], ["No platelet clumps seen", "no clots"]) == {}


def test_index_and_remark_say_it_once() -> None:
    found = interference.doubts([("HEM", "3+")], ["Hemolyzed sample"])
    assert found["K"] == ["Hemolysis may change this value."]


@pytest.mark.django_db
def test_every_affected_code_is_in_the_catalogue() -> None:
    known = set(Analyte.objects.values_list("code", flat=True))
    affected = {code for rule in interference.rules() for code in rule.affects}
    assert affected <= known

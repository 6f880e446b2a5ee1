from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs import charts

NUMBERS = st.decimals(-(10**12), 10**12, places=4).map(str)


@pytest.mark.parametrize(
    ("number", "low", "high"),
    [("", "1", "2"), ("5", "", "")],
)
def test_no_bar_without_a_number_or_a_range(number: str, low: str, high: str) -> None:
    assert charts.range_bar(number, "", low, high, "reference", "") == ""


def test_a_measuring_range_is_never_drawn_as_a_healthy_one() -> None:
    reference = charts.range_bar("5", "", "1", "9", "reference", "H")
    measuring = charts.range_bar("5", "", "1", "9", "measuring", "H")
    assert 'class="band"' in reference and "bracket" not in reference
    assert 'class="bracket"' in measuring and 'class="band"' not in measuring
    assert "mark high" in reference and "mark high" not in measuring
    assert "measuring range 1 to 9" in measuring


@pytest.mark.parametrize(
    ("number", "low", "high", "inside"),
    [
        ("5", "1", "9", True),
        ("0.5", "1", "9", False),
        ("9.5", "1", "9", False),
        ("5", "", "9", True),
        ("10", "", "9", False),
        ("10", "9", "", True),
        ("5", "9", "", False),
        ("-2", "-3", "-1", True),
        ("0", "", "0", True),
        ("3", "3", "3", True),
    ],
)
def test_the_mark_stands_on_the_right_side(number: str, low: str, high: str, inside: bool) -> None:
    bar = charts.range_bar(number, "", low, high, "reference", "")
    stem = re.search(r'class="stem[^"]*" d="M([\d.]+) ', bar)
    left = charts.BAND_LEFT if low else 0
    right = charts.BAND_RIGHT if high else charts.WIDTH
    assert (stem is not None and left <= float(stem[1]) <= right) is inside


@given(
    number=NUMBERS,
    low=st.one_of(st.just(""), NUMBERS),
    high=st.one_of(st.just(""), NUMBERS),
    qualifier=st.sampled_from(["", "<", "<=", ">", ">="]),
)
def test_any_number_and_range_can_be_drawn(
    number: str, low: str, high: str, qualifier: str
) -> None:
    bar = charts.range_bar(number, qualifier, low, high, "reference", "")
    assert "nan" not in bar and "inf" not in bar
    assert "style=" not in bar


@given(st.lists(NUMBERS, max_size=9), st.booleans())
def test_any_row_of_values_can_be_drawn(values: list[str], ended: bool) -> None:
    line = charts.sparkline(values, "", "", ended=ended)
    assert bool(line) is (len(values) > 1)
    assert "nan" not in line and "inf" not in line


def test_huge_numbers_do_not_break_a_page() -> None:
    assert charts.range_bar("1e300", "", "1e-300", "2e-300", "reference", "H")
    line = charts.sparkline(["1e400", "-1e400", "1e-400"], "", "1e400")
    assert line and "nan" not in line and "inf" not in line
    assert charts.range_bar("-1e400", "", "1", "2", "reference", "L")


def test_a_sign_before_a_value_is_no_markup() -> None:
    bar = charts.range_bar("5", "<", "1", "9", "reference", "")
    assert 'aria-label="&lt;5, range 1 to 9"' in bar

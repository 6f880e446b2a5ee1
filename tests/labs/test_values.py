"""The contract's table "Reading values", row by row, and what must hold for any text at all."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labs.templatetags.lab import places
from labs.values import (
    Range,
    Value,
    canonical,
    compute_flag,
    read_flag,
    read_number,
    read_range,
    read_value,
)

NUMBERS = {
    "9.0": "9.0",
    "6.13": "6.13",
    " 6.13 ": "6.13",
    "+6": "6",
    "-3": "-3",
    "1e3": "1000",
    "0": "0",
    "0.00": "0.00",
    "1e-400": None,
    "1e400": None,
    "1e308": "1E+308",
    "0e99999": None,
    "1" * 64: "1" * 64,
    "1" * 65: None,
    "１２": None,
    "١٢": None,
    "1_000": None,
    "0x10": None,
    "1e9999999": None,
    "1.2.3": None,
    "+-3": None,
}


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_numbers(text, number):
    value = read_value(text)
    assert value.text == text
    assert value.number == (number or "")
    assert value.kind == ("text" if number is None else "number")


@pytest.mark.parametrize(
    ("text", "qualifier", "number"),
    [
        ("<0.5", "<", "0.5"),
        ("< -30.0", "<", "-30.0"),
        (">=10", ">=", "10"),
        ("<= 10", "<=", "10"),
        ("≤5", "<=", "5"),
        ("≥5", ">=", "5"),
        ("&gt;50", ">", "50"),
        ("&lt; 2", "<", "2"),
    ],
)
def test_qualified(text, qualifier, number):
    value = read_value(text)
    assert (value.kind, value.qualifier, value.number) == ("qualified", qualifier, number)
    assert value.text == text
    assert not value.warnings


@pytest.mark.parametrize("text", ["&amp;gt;50", "<", "<<5", "<6,62", "< NEG", "5<", "=5", "~5"])
def test_what_only_looks_qualified_has_no_number(text):
    value = read_value(text)
    assert (value.kind, value.number, value.qualifier, value.text) == ("text", "", "", text)


@pytest.mark.parametrize("text", ["6,62", "1,234", "1,234.5", "<1,2", "-6,62"])
def test_a_comma_is_never_guessed(text):
    value = read_value(text)
    assert (value.kind, value.number) == ("text", "")
    assert value.warnings == ("A comma may mean a decimal point or thousands.",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("*****", "not_calculable"),
        ("----", "not_calculable"),
        ("cnc", "not_calculable"),
        ("CNC", "not_calculable"),
        ("Failed iQC", "quality_control"),
        ("failed  IQC", "quality_control"),
        ("", "missing"),
        ("  ", "missing"),
        (None, "missing"),
    ],
)
def test_not_reported(text, reason):
    value = read_value(text)
    assert (value.kind, value.number, value.not_reported) == ("missing", "", reason)
    assert value.text == (text or "")


@pytest.mark.parametrize("text", ["1+", "4+", "NEG", "NONE SEEN", "Trace", "+++", "+/-"])
def test_categories_are_text_without_a_warning(text):
    value = read_value(text)
    assert (value.kind, value.number, value.not_reported, value.warnings) == ("text", "", "", ())


@pytest.mark.parametrize("text", ["4-10", "11-20", "0.5 - 1.5", "0-2"])
def test_an_interval_is_no_negative_number(text):
    value = read_value(text)
    assert (value.kind, value.number, value.text) == ("interval", "", text)


@pytest.mark.parametrize(
    "text",
    ["15.9 (Mild Inc.)", "2026-03-02", "NaN", "nan", "Infinity", "-Infinity", "1e400", "7 mg/dL"],
)
def test_odd_literals_are_text_with_a_warning(text):
    value = read_value(text)
    assert (value.kind, value.number, value.text) == ("text", "", text)
    assert value.warnings


@pytest.mark.parametrize("text", ["true", "false", '{"a": 1}', "[1, 2]", "[]", "5"])
def test_what_came_as_no_string_or_number_is_text_with_a_warning(text):
    value = read_value(text, literal=False)
    assert (value.kind, value.number, value.text) == ("text", "", text)
    assert value.warnings


@pytest.mark.parametrize("text", ["0", "0.00", "5.1", "<2"])
def test_a_number_that_the_sender_says_was_not_reported_is_none(text):
    value = read_value(text, reason="quality_control")
    assert (value.kind, value.number, value.qualifier) == ("missing", "", "")
    assert (value.text, value.not_reported) == (text, "quality_control")
    assert compute_flag(value, Range(low="6", high="17"), "reference") == ""


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("4.00-16.53", "4.00", "16.53"),
        ("0 - 0.60", "0", "0.60"),
        ("-30 - 30", "-30", "30"),
        ("-10--2", "-10", "-2"),
        ("<15.0", "", "15.0"),
        ("&lt;15.0", "", "15.0"),
        ("≤15.0", "", "15.0"),
        (">5", "5", ""),
        (">=5", "5", ""),
        ("5-5", "5", "5"),
    ],
)
def test_ranges(text, low, high):
    read = read_range("", "", text)
    assert (read.low, read.high, read.warnings) == (low, high, ())
    assert read.text == (text if "&" not in text else "<15.0")


@pytest.mark.parametrize(
    "text", ["NEGATIVE", "Hyaline 0-3", "6,54 - 12,20", "16.53-4.00", "-2--10", "4-", "1e500-2"]
)
def test_unsure_ranges_are_text_with_a_warning(text):
    read = read_range("", "", text)
    assert (read.low, read.high, read.text) == ("", "", text)
    assert read.warnings


def test_no_range_at_all_needs_no_warning():
    assert read_range("", " ", "") == Range()


@pytest.mark.parametrize(
    ("low", "high"), [("16", "4"), ("x", "4"), ("4", "6,5"), ("", "<15"), ("NEG", "")]
)
def test_ends_that_cannot_be_read_are_used_for_nothing(low, high):
    read = read_range(low, high, "")
    assert (read.low, read.high) == ("", "")
    assert read.warnings
    assert read.text


def test_one_end_alone_is_a_range():
    assert read_range("4.0", "", "") == Range(low="4.0", high="", text="4.0 - ")
    assert read_range("", " 9 ", "").high == "9"


@pytest.mark.parametrize("flag", ["N", "L", "H", "LL", "HH", "A", "P", ""])
def test_flags_of_the_table(flag):
    assert read_flag(flag) == flag
    assert read_flag(flag.lower()) == flag


def test_a_star_is_abnormal_and_the_rest_unknown():
    assert read_flag("*") == "A"
    for text in ("normal", "LO", "HI", "0", "**", "U", "?", "N/A", "NN"):
        assert read_flag(text) == "?"


def test_a_bare_value_far_below_is_flagged_by_us():
    assert compute_flag(read_value("0.07"), Range(low="6", high="17"), "reference") == "L"


@pytest.mark.parametrize("kind", ["measuring", "unknown", ""])
def test_only_a_reference_interval_calls_a_value_normal_or_not(kind):
    for text in ("7", "1", "99", "<1"):
        assert compute_flag(read_value(text), Range(low="6", high="17"), kind) == ""


@pytest.mark.parametrize("text", ["NEG", "4-10", "*****", "6,62", "", "15.9 (Mild Inc.)"])
def test_what_is_no_number_is_never_flagged(text):
    assert compute_flag(read_value(text), Range(low="6", high="17"), "reference", "1", "90") == ""


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("4", "N"),
        ("16", "N"),
        ("3.99", "L"),
        ("16.01", "H"),
        ("2", "L"),
        ("1.99", "LL"),
        ("30", "H"),
        ("30.1", "HH"),
        ("<4", "L"),
        ("<=4", ""),
        ("<2", "LL"),
        ("<10", ""),
        ("<99", ""),
        (">16", "H"),
        (">=16", ""),
        (">30", "HH"),
        (">10", ""),
        (">1", ""),
    ],
)
def test_computed_flags(text, flag):
    read = read_value(text)
    assert compute_flag(read, Range(low="4", high="16"), "reference", "2", "30") == flag


def test_a_qualifier_against_an_open_range():
    assert compute_flag(read_value("<0.5"), Range(high="15"), "reference") == "N"
    assert compute_flag(read_value("<15"), Range(high="15"), "reference") == "N"
    assert compute_flag(read_value("<16"), Range(high="15"), "reference") == ""
    assert compute_flag(read_value(">20"), Range(low="5"), "reference") == "N"
    assert compute_flag(read_value(">4"), Range(low="5"), "reference") == ""
    # Within the range for sure, but perhaps under the critical limit.
    assert compute_flag(read_value("<10"), Range(high="30"), "reference", "2") == ""
    assert compute_flag(read_value(">10"), Range(low="3"), "reference", "", "20") == ""


texts = st.one_of(
    st.text(),
    st.text(alphabet="0123456789+-.,eE<>=≤≥*() &;gtl", max_size=12),
    st.from_regex(r"[<>]?=? ?-?\d{1,6}(\.\d{1,4})?", fullmatch=True),
)


@given(texts, st.booleans())
def test_any_text_is_kept_and_never_raises(text, literal):
    value = read_value(text, literal=literal)
    assert value.text == text
    assert value.kind in ("number", "qualified", "interval", "text", "missing")
    assert bool(value.number) == (value.kind in ("number", "qualified"))
    assert bool(value.qualifier) == (value.kind == "qualified")
    assert bool(value.not_reported) == (value.kind == "missing")


@given(texts)
def test_a_number_is_only_what_surely_is_one(text):
    value = read_value(text)
    if value.kind == "number":
        bare = text.strip()
        # The same number by another reader, and only the plain ASCII spelling of one.
        if "&" not in bare:
            assert Decimal(value.number) == Decimal(bare)
        assert Decimal(value.number).is_finite()
        assert "," not in bare
        assert "_" not in bare
        assert value.number.isascii()


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9)))
def test_a_decimal_survives_digit_by_digit(number):
    text = f"{number:f}"
    if len(text) <= 64:
        assert read_value(text).number.lstrip("+") == text


@given(st.from_regex(r"[+-]?\d{1,20}(\.\d{0,20})?([eE][+-]?\d{1,3})?", fullmatch=True))
def test_canonical_text_is_the_same_number(text):
    number = read_number(text)
    if number is not None:
        assert Decimal(canonical(number)) == number


@given(texts, texts, texts)
def test_any_range_is_read_or_kept_as_text(low, high, text):
    read = read_range(low, high, text)
    if read.low and read.high:
        assert Decimal(read.low) <= Decimal(read.high)
    if (low.strip() or high.strip() or text.strip()) and not (read.low or read.high):
        assert read.warnings
        assert read.text


@given(st.text())
def test_an_unknown_flag_is_never_normal(text):
    assert (read_flag(text) == "N") == (text.strip().upper() == "N")


small = st.integers(min_value=-6, max_value=6)
limits = st.one_of(st.just(""), small.map(str))


@given(
    number=small,
    qualifier=st.sampled_from(["", "<", "<=", ">", ">="]),
    low=limits,
    high=limits,
    critical_low=limits,
    critical_high=limits,
)
def test_a_qualified_flag_holds_for_every_value_that_it_stands_for(
    number, qualifier, low, high, critical_low, critical_high
):
    given_limits = [Decimal(n) for n in (critical_low, low, high, critical_high) if n]
    assume(given_limits == sorted(given_limits))
    bounds = Range(low=low, high=high)
    value = Value(text="", kind="qualified", number=str(number), qualifier=qualifier)
    said = compute_flag(value, bounds, "reference", critical_low, critical_high)
    if not said:
        return
    step = Decimal("0.25")
    candidates = {
        "": [Decimal(number)],
        "<": [number - step * n for n in range(1, 60)],
        "<=": [number - step * n for n in range(60)],
        ">": [number + step * n for n in range(1, 60)],
        ">=": [number + step * n for n in range(60)],
    }[qualifier]
    allowed = {"N": {"N"}, "L": {"L", "LL"}, "H": {"H", "HH"}, "LL": {"LL"}, "HH": {"HH"}}[said]
    for exact in candidates:
        one = Value(text="", kind="number", number=str(exact))
        assert compute_flag(one, bounds, "reference", critical_low, critical_high) in allowed


@given(small, limits, limits)
def test_a_plain_number_is_flagged_by_comparison_alone(number, low, high):
    if not (low or high) or (low and high and Decimal(low) > Decimal(high)):
        return
    flag = compute_flag(read_value(str(number)), Range(low=low, high=high), "reference")
    below = bool(low) and number < Decimal(low)
    above = bool(high) and number > Decimal(high)
    assert flag == ("L" if below else "H" if above else "N")


def test_decimal_itself_would_have_taken_what_we_refuse():
    """Why NUMBER is checked before Decimal is called."""
    for text in ("١٢", "1_000", "NaN", "Infinity"):
        try:
            Decimal(text)
        except InvalidOperation:
            pytest.fail(f"{text}: the guard is no longer needed")
        assert read_number(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("421", "d0"),
        ("51.2", "d1"),
        ("11.57", "d2"),
        ("0.1234", "d3"),
        ("< 0.25", "d2"),
        (">=9.0", "d1"),
        ("-1.5", "d1"),
        ("6,62", ""),
        ("*****", ""),
        ("Negative", ""),
        ("1+", ""),
        ("", ""),
    ],
)
def test_decimal_points_stand_under_each_other(text: str, found: str) -> None:
    """Of numbers alone: what is a word or has a comma is set as it is."""
    assert places(text) == found

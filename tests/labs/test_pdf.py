"""What stands on the paper that the owner gets, read back from the PDF."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from labs import pdf
from labs.paper import OwnerReport, Panel, Reading
from tests import factories

EVIL = '<b>x</b><img src="http://127.0.0.1:1/x"/><script>alert(1)</script>&lt;a href="javascript:'


def reading(**fields: Any) -> Reading:
    fields = {
        "code": "WBC",
        "name": "White blood cells",
        "value": "6.13",
        "unit": "10^3/uL",
        "flag": "within",
        "tone": "",
        "range": "4.00-16.53",
        "number": "6.13",
        "low": "4.00",
        "high": "16.53",
        "range_kind": "reference",
        "flag_code": "N",
        **fields,
    }
    return Reading(**fields)


def made(**fields: Any) -> OwnerReport:
    fields = {
        "clinic": "Elm Street Veterinary Clinic",
        "address": ["1 Elm Street", "Springfield"],
        "logo": None,
        "letter": True,
        "patient": "Biscuit",
        "patient_id": "P-10482",
        "facts": [("Owner", "Example, Ana (C-1)")],
        "report_id": "VL-3F7K2M9Q",
        "version": 7,
        "status": "final",
        "reviewed": "reviewed by Bob, 2026-03-02",
        "is_reviewed": True,
        "printed": "Made 2026-03-02 12:00 by Bob",
        "panels": [Panel(title="CBC", facts="Element HT5", lines=[reading()])],
        **fields,
    }
    return OwnerReport(**fields)


def pages(report: OwnerReport) -> list[str]:
    reader = PdfReader(io.BytesIO(pdf.owner_report(report)))
    return [" ".join(page.extract_text().split()) for page in reader.pages]


def test_every_page_says_whose_it_is_and_which_version() -> None:
    many = [reading(code=f"A{number}") for number in range(120)]
    found = pages(made(panels=[Panel(title="CBC", facts="", lines=many)]))
    assert len(found) > 2
    for number, page in enumerate(found, start=1):
        assert "Biscuit, P-10482" in page
        assert "VL-3F7K2M9Q · version 7 · final · reviewed by Bob, 2026-03-02" in page
        assert f"page {number} of {len(found)}" in page


def test_unsigned_says_so_on_every_page() -> None:
    many = [reading(code=f"A{number}") for number in range(120)]
    report = made(
        panels=[Panel(title="CBC", facts="", lines=many)],
        reviewed="Not reviewed",
        is_reviewed=False,
    )
    assert all("Not reviewed" in page for page in pages(report))
    assert "A veterinarian has still to read it" in pages(report)[0]


def test_values_ranges_flags_and_the_value_before() -> None:
    line = reading(
        value="76", flag="high", tone="high", flag_code="H", number="76", previous="71 (2026-02-01)"
    )
    page = pages(made(panels=[Panel(title="CBC", facts="", lines=[line])], notes=["Eats less."]))[0]
    for text in ("76", "high", "4.00-16.53", "71 (2026-02-01)", "Eats less.", "1 Elm Street"):
        assert text in page


@pytest.mark.parametrize("field", ["clinic", "patient", "patient_id", "status", "printed", "stamp"])
def test_markup_in_a_field_is_text(field: str) -> None:
    found = " ".join(pages(made(**{field: EVIL})))
    assert "<b>x</b>" in found or "<b>x</b" in found


def test_markup_in_a_value_or_note_is_text() -> None:
    line = reading(
        code=EVIL, name=EVIL, value=EVIL, unit=EVIL, flag=EVIL, range=EVIL, previous=EVIL,
        remarks=[EVIL],
    )  # fmt: skip
    panel = Panel(title=EVIL, facts=EVIL, lines=[line], remarks=[EVIL])
    report = made(panels=[panel], notes=[EVIL], facts=[(EVIL, EVIL)], address=[EVIL])
    content = pdf.owner_report(report)
    assert b"/URI" not in content and b"/JavaScript" not in content
    assert "".join(pages(report)).replace(" ", "").count("alert(1)") >= 8


def test_names_in_other_letters_are_replaced_visibly_and_said() -> None:
    found = " ".join(pages(made(patient="小白 Žofie Őri Рекс")))
    assert f"{pdf.MISSING}{pdf.MISSING} Žofie Ori {pdf.MISSING * 4}" in found
    assert "Letters that this report cannot print" in found
    assert "Letters that" not in " ".join(pages(made(patient="Žofie Ångström")))


@pytest.mark.parametrize("text", ["x" * 9000, "word " * 4000, "W" * 120, "\n" * 500 + "end"])
def test_long_texts_do_not_break_it(text: str) -> None:
    line = reading(code=text, name=text, value=text, unit=text, range=text, remarks=[text])
    report = made(
        patient=text, clinic=text, status=text, notes=[text], address=[text],
        panels=[Panel(title=text, facts=text, lines=[line], remarks=[text])],
    )  # fmt: skip
    found = pages(report)
    assert all(f"of {len(found)}" in page for page in found)
    if len(text) == 20000:
        assert " ".join(found).count("word") > 4 * 3000


TEXT = st.text(max_size=60)


@settings(max_examples=40, deadline=None)
@given(
    text=TEXT,
    number=st.decimals(-(10**9), 10**9, places=3).map(str),
    low=st.sampled_from(["", "0", "-5", "3"]),
    high=st.sampled_from(["", "3", "1e300"]),
    kind=st.sampled_from(["reference", "measuring", ""]),
    flag=st.sampled_from(["", "N", "L", "HH", "?"]),
)
def test_any_text_and_value_can_be_printed(
    text: str, number: str, low: str, high: str, kind: str, flag: str
) -> None:
    line = reading(
        code=text, value=text, number=number, low=low, high=high, range_kind=kind, flag_code=flag
    )
    panel = Panel(title=text, facts=text, lines=[line], remarks=[text])
    assert pages(made(patient=text, notes=[text], panels=[panel]))


def test_a_logo_and_both_papers() -> None:
    report = made(logo=factories.make_picture().content)
    sizes = {
        PdfReader(io.BytesIO(pdf.owner_report(replace(report, letter=letter)))).pages[0].mediabox[3]
        for letter in (True, False)
    }
    assert len(sizes) == 2
    assert b"/Image" in pdf.owner_report(report)

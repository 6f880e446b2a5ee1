"""Nothing that a file of ours holds runs in whoever's spreadsheet it is opened."""

from __future__ import annotations

import csv
import io

import pytest

from labs.spreadsheet import cell, csv_file


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "\0"])
def test_a_formula_is_a_text(sign: str) -> None:
    assert cell(f"{sign}cmd|' /C calc'!A0") == f"'{sign}cmd|' /C calc'!A0"


def test_everything_else_stays_as_it_is() -> None:
    for text in ("", "VL-3F7K2M9Q", "CBC = count", "'quoted'", "é"):
        assert cell(text) == text


def test_a_file_that_excel_opens() -> None:
    body = csv_file(["One", "Two"], [["a,b", 'say "x"'], ["=1+1", "line\nbreak"]])
    assert body.startswith(b"\xef\xbb\xbf") and b"\r\n" in body
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))
    assert rows == [["One", "Two"], ["a,b", 'say "x"'], ["'=1+1", "line\nbreak"]]

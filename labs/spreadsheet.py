"""Files that are opened in a spreadsheet. Pure functions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

# What makes Excel and its like take a text for a formula, or hide one behind it (OWASP ASVS
# 1.2.10).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def cell(text: str) -> str:
    """With an apostrophe before what a spreadsheet would run: `=HYPERLINK(…)` in a test's code must
    do nothing at the laboratory's support desk."""
    return f"'{text}" if text.startswith(FORMULA) else text


def csv_file(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """RFC 4180, in UTF-8 with the mark by which Excel knows it. Every cell is a text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([cell(text) for text in row] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()

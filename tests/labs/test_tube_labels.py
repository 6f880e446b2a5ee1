"""The label on a tube. Its bars are read back here by the standard's table, not by the library that
drew them."""

from __future__ import annotations

import io
import re
from itertools import pairwise

import pytest
from pypdf import PdfReader

from labs.tube_labels import LEAST, SIZES, TubeLabel, sheet

MM = 72 / 25.4
# ISO/IEC 15417: bar and space widths of the values 0 to 105, and of the stop sign.
PATTERNS = (  # noqa: SIM905 - as a table it is a hundred lines
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 "
    "122132 122231 113222 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 "
    "321221 312212 322112 322211 212123 212321 232121 111323 131123 131321 112313 132113 132311 "
    "211313 231113 231311 112133 112331 132131 113123 113321 133121 313121 211331 231131 213113 "
    "213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 111422 "
    "121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 "
    "241112 134111 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 "
    "412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141 411131 211412 "
    "211214 211232 "
).split()


def label(**fields: str) -> TubeLabel:
    given = {
        "code": "VL-3F7K2M9Q",
        "animal": "Biscuit",
        "patient_id": "P-1042",
        "owner": "Example, Lea",
        "what": "pre · EDTA whole blood · 2026-01-01 09:30",
        **fields,
    }
    return TubeLabel(**given)


def bars(content: bytes) -> list[tuple[float, float]]:
    """Left edge and width of each bar of the first page, from the left."""
    page = PdfReader(io.BytesIO(content)).pages[0].get_contents()
    assert page is not None
    text = page.get_data().decode("latin-1")
    number = r"(-?[\d.]+)"
    shift = re.search(
        rf"1 0 0 1 {number} {number} cm\s[^B]*?{number} {number} {number} {number} re", text
    )
    assert shift, text
    offset = float(shift[1])
    found = re.findall(rf"{number} {number} {number} {number} re f", text)
    return sorted((offset + float(x), float(width)) for x, _, width, _ in found)


def decoded(found: list[tuple[float, float]]) -> str:
    module = min(width for _, width in found)
    widths = []
    for (x, width), (following, _) in pairwise(found):
        widths += [round(width / module), round((following - x - width) / module)]
    widths.append(round(found[-1][1] / module))
    signs = ["".join(map(str, widths[at : at + 6])) for at in range(0, len(widths) - 7, 6)]
    assert "".join(map(str, widths[-7:])) == "2331112"
    values = [PATTERNS.index(sign) for sign in signs]
    start, *data, check = values
    assert (start + sum(place * each for place, each in enumerate(data, 1))) % 103 == check
    code_set, text = {103: "A", 104: "B", 105: "C"}[start], ""
    for value in data:
        if value in (99, 100, 101):
            code_set = {99: "C", 100: "B", 101: "A"}[value]
        else:
            text += f"{value:02}" if code_set == "C" else chr(value + 32)
    return text


@pytest.mark.parametrize("size", SIZES)
def test_the_bars_say_the_request_and_fit_with_white_beside_them(size: str) -> None:
    content = sheet([label()], size)
    found = bars(content)
    assert decoded(found) == "VL-3F7K2M9Q"
    width = SIZES[size][0] * MM
    module = min(each for _, each in found)
    assert module >= LEAST - 0.001
    # A scanner needs ten modules of white at each side.
    assert found[0][0] >= 9.9 * module
    assert found[-1][0] + found[-1][1] <= width - 9.9 * module


@pytest.mark.parametrize("size", SIZES)
def test_whose_it_is_stands_on_it_in_full(size: str) -> None:
    reader = PdfReader(io.BytesIO(sheet([label(), label(what="post")], size)))
    assert len(reader.pages) == 2
    box = reader.pages[0].mediabox
    assert (round(box.width / MM), round(box.height / MM)) == SIZES[size]
    text = reader.pages[0].extract_text()
    assert "Biscuit" in text and "P-1042" in text and "VL-3F7K2M9Q" in text
    assert "pre" in text and "post" in reader.pages[1].extract_text()


def test_a_long_name_never_takes_the_id_away() -> None:
    long = label(animal="Archibald of the far northern meadows " * 3)
    text = PdfReader(io.BytesIO(sheet([long], "38x13"))).pages[0].extract_text()
    assert ("P-1042" in text and "Archibald…" in text.replace(" ", "")) or "…" in text

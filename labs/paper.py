"""What stands on the report for the owner, from its head to the last row: the middle of a page that
labs.pdf puts its edges around. Pure."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Line, Polygon, Rect
from reportlab.lib import colors
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import CondPageBreak, Flowable, Image, Paragraph, Spacer, Table

from labs import charts

PLAIN, BOLD, ITALIC = "Vera", "VeraBd", "VeraIt"
for _name in (PLAIN, BOLD, ITALIC):
    pdfmetrics.registerFont(TTFont(_name, f"{_name}.ttf"))
INK, SOFT, RULE = colors.HexColor("#172022"), colors.HexColor("#55626a"), colors.HexColor("#c9d1cd")
BAND, TRACK = colors.HexColor("#bfe0d6"), colors.HexColor("#e6ebe8")
TONES = {
    "": INK,
    "low": colors.HexColor("#1a56b0"),
    "high": colors.HexColor("#b3261e"),
    "crit": colors.HexColor("#a3160f"),
    "warn": colors.HexColor("#7d5200"),
}
MARGIN = 16 * mm
LONGEST = 120  # of a cell; more of it stands in full below the table
BODY = ParagraphStyle("body", fontName=PLAIN, fontSize=9, leading=12, textColor=INK)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=7.5, leading=10, textColor=SOFT)
VALUE = ParagraphStyle("value", parent=BODY, fontName=BOLD, alignment=2)
HEAD = ParagraphStyle("head", parent=BODY, fontName=BOLD, fontSize=11.5, leading=15)
ANIMAL = ParagraphStyle("animal", parent=HEAD, fontSize=16, leading=20)
WARNING = ParagraphStyle(
    "warning", parent=BODY, fontName=BOLD, borderColor=TONES["warn"], borderWidth=1, borderPadding=5
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One value. `remark`: why there is none, or what the analyzer said to it."""

    code: str
    name: str
    value: str
    unit: str
    flag: str
    tone: str
    range: str
    number: str = ""
    qualifier: str = ""
    low: str = ""
    high: str = ""
    range_kind: str = ""
    flag_code: str = ""
    previous: str = ""
    remarks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Panel:
    title: str
    facts: str
    lines: Sequence[Reading]
    remarks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class OwnerReport:
    """All that stands on it. `status` and `reviewed` are sentences; `stamp`: said on every page
    where this is no laboratory for patients."""

    clinic: str
    address: Sequence[str]
    logo: bytes | None
    letter: bool
    patient: str
    patient_id: str
    facts: Sequence[tuple[str, str]]
    report_id: str
    version: int
    status: str
    reviewed: str
    is_reviewed: bool
    printed: str
    notes: Sequence[str] = ()
    panels: Sequence[Panel] = ()
    stamp: str = ""
    pending: Sequence[str] = field(default=())


def story(report: OwnerReport, read: Callable[[str], str], width: float) -> list[Flowable]:
    def words(text: str, style: ParagraphStyle = BODY) -> Paragraph:
        return Paragraph(escape(read(text)), style)

    found: list[Flowable] = []
    address = [words(line, SMALL) for line in report.address]
    name: list[Flowable] = [words(report.clinic, HEAD), *address]
    if report.logo:
        logo = Image(io.BytesIO(report.logo), 45 * mm, 18 * mm, kind="proportional")
        logo.hAlign = "RIGHT"
        found.append(Table([[name, logo]], [width - 50 * mm, 50 * mm], style=_flat()))
    else:
        found += name
    found += [Spacer(1, 5 * mm), words(report.patient, ANIMAL)]
    found += [words(f"{label}: {value}") for label, value in report.facts]
    found += [Spacer(1, 3 * mm)]
    if not report.is_reviewed:
        found += [words(f"{report.reviewed}. A veterinarian has still to read it.", WARNING)]
        found += [Spacer(1, 3 * mm)]
    if report.notes:
        found += [words("The veterinarian's note", HEAD)]
        found += [words(part) for note in report.notes for part in note.splitlines() if part]
        found += [Spacer(1, 3 * mm)]
    for panel in report.panels:
        found += _panel(panel, words, width)
    if report.pending:
        found += [words("Still to come: " + ", ".join(report.pending) + ".")]
    if report.panels:
        found += [
            Spacer(1, 3 * mm),
            words(
                "The filled band is the reference range that came with the value; a dashed bracket "
                "is only what the analyzer can measure, and says nothing of health. Values are as "
                "the analyzer sent them.",
                SMALL,
            ),
        ]
    return found


def _panel(panel: Panel, words: Any, width: float) -> list[Flowable]:
    found: list[Flowable] = [CondPageBreak(45 * mm), words(panel.title, HEAD)]
    found += [words(panel.facts, SMALL)]
    found += [words(remark) for remark in panel.remarks]
    remarks: list[Flowable] = []
    rows: list[list[Any]] = [
        [words(head, SMALL) for head in ("Test", "Result", "", "", "Range", "", "Before")]
    ]
    for line in panel.lines:
        cells = {
            "name": f"{line.code} {line.name}".strip(),
            "value": line.value,
            "unit": line.unit,
            "flag": line.flag,
            "range": line.range,
            "previous": line.previous,
        }
        for what, text in cells.items():
            if len(text) > LONGEST:
                remarks.append(words(f"{line.code[:40]}, {what}: {text}"))
                cells[what] = f"{text[:LONGEST]}… (below)"
        remarks += [words(f"{line.code[:40]}: {remark}") for remark in line.remarks]
        rows.append(
            [
                words(cells["name"]),
                words(cells["value"], VALUE),
                words(cells["unit"], SMALL),
                words(cells["flag"], _toned(line.tone)),
                words(cells["range"], SMALL),
                _bar(line),
                words(cells["previous"], SMALL),
            ]
        )
    share = (0.25, 0.13, 0.11, 0.14, 0.12, 0.13, 0.12)
    if panel.lines:
        found.append(Table(rows, [width * each for each in share], repeatRows=1, style=_ruled()))
    return [*found, *remarks, Spacer(1, 4 * mm)]


def _flat() -> list[Any]:
    return [("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("VALIGN", (0, 0), (-1, -1), "TOP")]  # fmt: skip


def _ruled() -> list[Any]:
    return [
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ]


def _toned(tone: str) -> ParagraphStyle:
    name = BOLD if tone else PLAIN
    return ParagraphStyle(f"flag{tone}", parent=BODY, fontName=name, textColor=TONES[tone])


def _bar(line: Reading) -> Any:
    """As labs.charts.range_bar, on paper."""
    if not line.number or not (line.low or line.high):
        return ""
    scale = 0.4
    drawing = Drawing(charts.WIDTH * scale, 9)
    low, high = (Decimal(end) if end else None for end in (line.low, line.high))
    left = charts.BAND_LEFT * scale if low is not None else 0
    right = (charts.BAND_RIGHT if high is not None else charts.WIDTH) * scale
    if line.range_kind == "measuring":
        dashed = {"strokeColor": SOFT, "strokeWidth": 0.7, "strokeDashArray": [1.5, 1.2]}
        drawing.add(Line(left, 3, right, 3, **dashed))
        for end in (left, right):
            drawing.add(Line(end, 0.5, end, 5.5, strokeColor=SOFT, strokeWidth=0.7))
        tone = INK
    else:
        drawing.add(Rect(0, 2, charts.WIDTH * scale, 2.4, fillColor=TRACK, strokeColor=None))
        drawing.add(Rect(left, 2, right - left, 2.4, fillColor=BAND, strokeColor=None))
        tone = TONES[charts.TONES.get(line.flag_code, "")]
    x = charts.position(Decimal(line.number), low, high) * scale
    x = min(max(x, 2), charts.WIDTH * scale - 2)
    drawing.add(Polygon([x - 2, 9, x + 2, 9, x, 5], fillColor=tone, strokeColor=None))
    drawing.add(Line(x, 6, x, 1, strokeColor=tone, strokeWidth=0.8))
    return drawing

"""The report for the owner as a PDF. Pure: knows no rows and no request.

Text of others only ever becomes text: whatever goes into a Paragraph is escaped here, since
reportlab reads its own markup there (`<img src="http://…">` would be fetched). The fonts are those
that reportlab ships; they know Latin letters only, and what they don't know is replaced visibly
and said at the end of the report.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Line, Polygon, Rect
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from labs import charts

PLAIN, BOLD, ITALIC = "Vera", "VeraBd", "VeraIt"
for _name in (PLAIN, BOLD, ITALIC):
    pdfmetrics.registerFont(TTFont(_name, f"{_name}.ttf"))
KNOWN = frozenset(pdfmetrics.getFont(PLAIN).face.charToGlyph)
MISSING = "¿"
LONG_WORD = re.compile(r"\S{40}(?=\S)")
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


class _Reader:
    """Makes any text printable, and remembers whether anything had to be replaced."""

    def __init__(self) -> None:
        self.replaced = False

    def __call__(self, text: str) -> str:
        out = []
        for char in unicodedata.normalize("NFC", text):
            if ord(char) in KNOWN and char.isprintable():
                out.append(char)
            elif char.isspace():
                out.append(" ")
            elif unicodedata.category(char) in ("Cc", "Cf", "Mn"):
                self.replaced |= unicodedata.category(char) == "Mn"
            else:
                self.replaced = True
                plain = unicodedata.normalize("NFKD", char)[0]
                out.append(plain if ord(plain) in KNOWN else MISSING)
        # Measured: reportlab takes minutes to break a word of thousands of letters.
        return LONG_WORD.sub(r"\g<0> ", "".join(out))


def owner_report(report: OwnerReport) -> bytes:
    """A4 or Letter. Every page names the animal and its id, the report's id and version, its
    status, and which page of how many it is."""
    read = _Reader()
    size = LETTER if report.letter else A4
    out = io.BytesIO()
    document = BaseDocTemplate(
        out,
        pagesize=size,
        title=read(f"Laboratory report {report.report_id}, {report.patient}"),
        author=read(report.clinic),
        pageCompression=1,
    )
    width, height = size
    frame = Frame(MARGIN, 20 * mm, width - 2 * MARGIN, height - 42 * mm, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate(frames=[frame]))
    story = _story(report, read, width - 2 * MARGIN)
    if read.replaced:
        story += [
            Spacer(1, 4 * mm),
            Paragraph(
                f"Letters that this report cannot print are shown without their accents or as "
                f"{MISSING}. The ids above name the animal and the report.",
                SMALL,
            ),
        ]
    head = [
        read(text)
        for text in (
            report.clinic,
            f"{report.patient}, {report.patient_id}",
            f"{report.report_id} · version {report.version} · {report.status} · {report.reviewed}",
            report.printed,
            report.stamp,
        )
    ]

    class Numbered(Canvas):  # type: ignore[misc]
        """Knows how many pages there are before it writes the first."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.pages: list[dict[str, Any]] = []

        def showPage(self) -> None:
            self.pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self.pages, start=1):
                self.__dict__.update(page)
                _edges(self, head, size, number, len(self.pages))
                super().showPage()
            super().save()

    document.build(story, canvasmaker=Numbered)
    return out.getvalue()


def _edges(
    canvas: Any, head: Sequence[str], size: tuple[float, float], number: int, of: int
) -> None:
    clinic, patient, version, printed, stamp = head
    width, height = size
    room = width - 2 * MARGIN
    canvas.setStrokeColor(RULE)
    canvas.line(MARGIN, height - 17 * mm, width - MARGIN, height - 17 * mm)
    canvas.line(MARGIN, 17 * mm, width - MARGIN, 17 * mm)
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 10)
    canvas.drawString(MARGIN, height - 14 * mm, fitted(patient, BOLD, 10, room * 0.6))
    canvas.setFont(PLAIN, 8)
    canvas.setFillColor(SOFT)
    canvas.drawRightString(width - MARGIN, height - 14 * mm, fitted(clinic, PLAIN, 8, room * 0.38))
    canvas.setFillColor(INK)
    canvas.drawString(MARGIN, 13 * mm, fitted(version, PLAIN, 8, room - 30 * mm))
    canvas.drawRightString(width - MARGIN, 13 * mm, f"page {number} of {of}")
    canvas.setFillColor(SOFT)
    canvas.drawString(MARGIN, 9 * mm, fitted(printed, PLAIN, 8, room * 0.6))
    if stamp:
        canvas.setFillColor(TONES["crit"])
        canvas.setFont(BOLD, 8)
        canvas.drawRightString(width - MARGIN, 9 * mm, fitted(stamp, BOLD, 8, room * 0.38))


def fitted(text: str, font: str, size: float, width: float) -> str:
    """Cut to that width, with an ellipsis where it was."""
    if pdfmetrics.stringWidth(text, font, size) <= width:
        return text
    text = text[:300]
    while text and pdfmetrics.stringWidth(f"{text}…", font, size) > width:
        text = text[:-1]
    return f"{text}…"


def _story(report: OwnerReport, read: _Reader, width: float) -> list[Flowable]:
    def words(text: str, style: ParagraphStyle = BODY) -> Paragraph:
        return Paragraph(escape(read(text)), style)

    story: list[Flowable] = []
    address = [words(line, SMALL) for line in report.address]
    name: list[Flowable] = [words(report.clinic, HEAD), *address]
    if report.logo:
        logo = Image(io.BytesIO(report.logo), 45 * mm, 18 * mm, kind="proportional")
        logo.hAlign = "RIGHT"
        story.append(Table([[name, logo]], [width - 50 * mm, 50 * mm], style=_flat()))
    else:
        story += name
    story += [Spacer(1, 5 * mm), words(report.patient, ANIMAL)]
    story += [words(f"{label}: {value}") for label, value in report.facts]
    story += [Spacer(1, 3 * mm)]
    if not report.is_reviewed:
        story += [words(f"{report.reviewed}. A veterinarian has still to read it.", WARNING)]
        story += [Spacer(1, 3 * mm)]
    if report.notes:
        story += [words("The veterinarian's note", HEAD)]
        story += [words(part) for note in report.notes for part in note.splitlines() if part]
        story += [Spacer(1, 3 * mm)]
    for panel in report.panels:
        story += _panel(panel, words, width)
    if report.pending:
        story += [words("Still to come: " + ", ".join(report.pending) + ".")]
    if report.panels:
        story += [
            Spacer(1, 3 * mm),
            words(
                "The filled band is the reference range that came with the value; a dashed bracket "
                "is only what the analyzer can measure, and says nothing of health. Values are as "
                "the analyzer sent them.",
                SMALL,
            ),
        ]
    return story


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

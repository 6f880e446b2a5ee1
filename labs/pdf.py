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
from typing import Any

from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph, Spacer

from labs.paper import BOLD, INK, MARGIN, PLAIN, RULE, SMALL, SOFT, TONES, OwnerReport, story

KNOWN = frozenset(pdfmetrics.getFont(PLAIN).face.charToGlyph)
MISSING = "¿"
LONG_WORD = re.compile(r"\S{40}(?=\S)")


class Reader:
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
    read = Reader()
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
    lines = story(report, read, width - 2 * MARGIN)
    if read.replaced:
        lines += [
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

    document.build(lines, canvasmaker=Numbered)
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

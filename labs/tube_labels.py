"""Labels for the tubes of a request, as a PDF with one page for each. Pure: knows no rows.

The barcode is the request's own code as Code 128, which every scanner of a practice reads: what it
types is searched for.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from labs.paper import BOLD, PLAIN
from labs.pdf import Reader, fitted

# Width and height in mm, as label printers of practices take them.
SIZES = {"57x32": (57, 32), "50x25": (50, 25), "38x13": (38, 13)}
USUAL = "50x25"
EDGE = 1.5 * mm
# Of one bar. Below the least a scanner of 7.5 mil misreads it; wider than the most is of no use.
LEAST, MOST = 0.19 * mm, 0.38 * mm
QUIET = 10  # modules left white at each side, by the standard


@dataclass(frozen=True, kw_only=True)
class TubeLabel:
    """`code`: ASCII, of the barcode. `animal` and `patient_id` tell whose it is, `owner` may be
    empty; `what`: specimen, its label and when it was drawn."""

    code: str
    animal: str
    patient_id: str
    owner: str
    what: str


def sheet(labels: Sequence[TubeLabel], size: str) -> bytes:
    """A page for each. `size`: a key of SIZES."""
    width, height = (side * mm for side in SIZES[size])
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(width, height))
    canvas.setTitle(f"Tube labels {labels[0].code}" if labels else "Tube labels")
    for label in labels:
        _draw(canvas, label, width, height)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _draw(canvas: Canvas, label: TubeLabel, width: float, height: float) -> None:
    small = height < 20 * mm
    head, rest = (6.5, 5.0) if small else (10.0, 7.0)
    inner = width - 2 * EDGE
    y = height - EDGE - head * 0.8
    # The id is never cut: of two animals with one name it is all that tells them apart.
    patient_id = _fitting(label.patient_id, BOLD, head, inner * 0.6)
    taken = pdfmetrics.stringWidth(patient_id, BOLD, head)
    canvas.setFont(BOLD, head)
    canvas.drawRightString(width - EDGE, y, patient_id)
    canvas.drawString(EDGE, y, _fitting(label.animal, BOLD, head, inner - taken - 2 * mm))
    lines = [" · ".join(part for part in (label.owner, label.what) if part)] if small else []
    lines = lines or [line for line in (label.owner, label.what) if line]
    canvas.setFont(PLAIN, rest)
    for line in lines:
        y -= rest * 1.2
        canvas.drawString(EDGE, y, _fitting(line, PLAIN, rest, inner))
    below = EDGE + rest
    _barcode(canvas, label.code, width, below, y - 1.5 - below)
    canvas.setFont(BOLD, rest)
    canvas.drawCentredString(width / 2, EDGE, label.code)


def _barcode(canvas: Canvas, code: str, width: float, y: float, height: float) -> None:
    modules = Code128(code, barWidth=1, quiet=0).width + 2 * QUIET
    bar = min(MOST, max(LEAST, width / modules))
    drawn = Code128(code, barWidth=bar, barHeight=max(height, 3 * mm), quiet=0)
    drawn.drawOn(canvas, (width - drawn.width) / 2, y)


def _fitting(text: str, font: str, size: float, width: float) -> str:
    """As much of it as goes on a line."""
    return fitted(" ".join(Reader()(text).split()), font, size, width)

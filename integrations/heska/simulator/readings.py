"""From a drawn value to what an analyzer delivers: a number, a limit, words, or nothing and why."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .catalogue import Analyte, LabTest
from .draw import Draw
from .panels import CALCULATED_FROM, Values

NOT_REPORTED = 0.02
LIMITED = 0.03

# Where an analyzer stops measuring: believable, from no data sheet. The catalogue has blood gas.
_LIMITS = {
    "PLT": ("<", "2"), "GGT": ("<", "5"), "CREA": ("<", "0.2"), "BUN": ("<", "5"),
    "ALT": ("<", "10"), "ALP": ("<", "14"), "AMYL": (">", "2500"), "LIPA": (">", "1000"),
    "CK": (">", "2036"), "GLU": (">", "600"), "TRIG": (">", "500"), "CHOL": ("<", "50"),
    "NH3": ("<", "10"), "TT4": ("<", "0.5"), "cTSH": ("<", "0.05"), "PT": (">", "35"),
    "aPTT": (">", "200"),
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """`kind` is Numeric, Qualified, NotReported, Text or Attachment; `text` is as printed."""

    analyte: Analyte
    kind: str
    text: str | None = None
    number: Decimal | None = None
    qualifier: str | None = None
    reason: str | None = None


def readings(test: LabTest, species: str, values: Values, draw: Draw) -> list[Reading]:
    """What the analyzer prints for a test, in its own order."""
    delivered = [_read(analyte, values, draw) for analyte in test.analytes(species)]
    exact = {each.analyte.code for each in delivered if each.kind == "Numeric"}
    present = {each.analyte.code for each in delivered}
    while True:  # what is calculated from a calculated analyte falls with it
        fallen = {
            each.analyte.code
            for each in delivered
            if each.analyte.code in exact
            and any(
                source in present and source not in exact
                for source in CALCULATED_FROM.get(each.analyte.code, ())
            )
        }
        if not fallen:
            return delivered
        exact -= fallen
        delivered = [
            _blank(each.analyte) if each.analyte.code in fallen else each for each in delivered
        ]


def _read(analyte: Analyte, values: Values, draw: Draw) -> Reading:
    if analyte.kind == "image":
        return Reading(analyte, "Attachment")
    value = values[analyte.code]
    if isinstance(value, str):
        return Reading(analyte, "Text", value)
    if draw.often(NOT_REPORTED):
        if analyte.panel == "Blood gas" and analyte.code not in CALCULATED_FROM:
            return Reading(analyte, "NotReported", "Failed iQC", reason="QualityControl")
        return _blank(analyte)
    return _limit(analyte, value, draw) or Reading(analyte, "Numeric", str(value), value)


def _limit(analyte: Analyte, value: Decimal, draw: Draw) -> Reading | None:
    measurable = analyte.reportable()
    if measurable:
        low, high = measurable.low or "", measurable.high or ""
        if value < Decimal(low):
            return Reading(analyte, "Qualified", f"< {low}", Decimal(low), "<")
        if value > Decimal(high):
            return Reading(analyte, "Qualified", f"> {high}", Decimal(high), ">")
    elif analyte.code in _LIMITS and draw.often(LIMITED):
        sign, limit = _LIMITS[analyte.code]
        return Reading(analyte, "Qualified", f"{sign} {limit}", Decimal(limit), sign)
    return None


def _blank(analyte: Analyte) -> Reading:
    mark = "cnc" if analyte.panel == "Blood gas" else "*****"
    return Reading(analyte, "NotReported", mark, reason="NotCalculable")

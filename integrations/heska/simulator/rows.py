"""Rows of a result message in the contract's field layout (examples 06 to 08)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .draw import Draw
from .panels import is_abnormal_text
from .readings import Reading

Json = dict[str, Any]

UNFLAGGED = 0.04  # analyzers do omit a flag now and then

# Where a clinician must be told at once (demo values, as the catalogue's ranges are).
_CRITICAL: dict[str, tuple[str | None, str | None]] = {
    "PLT": ("30", None), "HCT": ("15", None), "GLU": ("40", "400"), "K": ("2.5", "7.5"),
    "Na": ("125", "175"), "CREA": (None, "8.0"),
}  # fmt: skip


def row(reading: Reading, sequence: int, species: str, draw: Draw) -> Json:
    """One row of `Results`, as final."""
    analyte = reading.analyte
    built: Json = {
        "Sequence": sequence,
        "AnalyteCode": analyte.code,
        "AnalyteName": analyte.name,
        "ValueType": reading.kind,
        "Value": reading.text,
    }
    if reading.kind == "Attachment":
        return built | {"AttachmentIds": [attachment_id(sequence)], "Status": "Final"}
    if reading.qualifier:
        built["Qualifier"] = reading.qualifier
    if reading.number is not None:
        built["NumericValue"] = number(reading.number)
    if reading.reason:
        built["NotReportedReason"] = reading.reason
    built["Units"] = analyte.unit
    built |= _range(reading, species)
    if reading.kind == "Text":
        abnormal = is_abnormal_text(analyte.code, analyte.kind, reading.text or "")
        built["AbnormalFlag"] = text_flag(analyte.code) if abnormal else None
    elif not analyte.reportable():
        low, high = _CRITICAL.get(analyte.code, (None, None))
        built |= {"CriticalLow": low, "CriticalHigh": high} if low or high else {}
        flag = flag_of(built)
        built["AbnormalFlag"] = None if flag and draw.often(UNFLAGGED) else flag
    built["Status"] = "Final"
    if analyte.code == "PLT" and reading.qualifier:
        built["Comments"] = ["Platelet clumps suspected"]
    return built


def attachment_id(sequence: int) -> str:
    """The id of the picture that belongs to this row (A1 is the printed report)."""
    return f"A{sequence + 1}"


def number(value: Decimal) -> int | float:
    """A JSON number; six digits at most, so that a float shows the same."""
    return int(value) if value == value.to_integral_value() else float(value)


def text_flag(code: str) -> str:
    """The flag of abnormal words: P for a test that is positive or not, else A."""
    return "P" if code == "HWAG" else "A"


def flag_of(built: Json) -> str | None:
    """The flag an analyzer sets for a row's number against its reference interval."""
    if built.get("ReferenceType") != "Reference" or built.get("NumericValue") is None:
        return None
    value = Decimal(str(built["NumericValue"]))
    low, high = _decimal(built.get("ReferenceLow")), _decimal(built.get("ReferenceHigh"))
    below, above = _decimal(built.get("CriticalLow")), _decimal(built.get("CriticalHigh"))
    sign = built.get("Qualifier")
    if sign == "<":
        return "L" if low is not None and value <= low else None
    if sign == ">":
        return "H" if high is not None and value >= high else None
    if below is not None and value <= below:
        return "LL"
    if above is not None and value >= above:
        return "HH"
    if low is not None and value < low:
        return "L"
    return "H" if high is not None and value > high else None


def _range(reading: Reading, species: str) -> Json:
    measurable = reading.analyte.reportable()
    if measurable:
        return {
            "ReferenceLow": measurable.low,
            "ReferenceHigh": measurable.high,
            "ReferenceType": "Reportable",
        }
    usual = reading.analyte.reference(species)
    if usual is None:
        return {}
    if usual.bounds() is None:
        return {"ReferenceText": usual.text, "ReferenceType": "Reference"}
    return {
        "ReferenceLow": usual.low,
        "ReferenceHigh": usual.high,
        "ReferenceText": usual.text,
        "ReferenceType": "Reference",
    }


def _decimal(text: Any) -> Decimal | None:
    return None if text is None else Decimal(text)

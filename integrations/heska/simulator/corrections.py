"""A correction of a sent message: one changed value under a new message id (example 07)."""

from __future__ import annotations

import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from .bodies import utc
from .catalogue import load_catalogue
from .draw import fixed
from .panels import is_abnormal_text, other_text
from .rows import flag_of, number, text_flag

Json = dict[str, Any]


class NothingToCorrect(ValueError):
    """The message has no row, or not the row, that could change."""


def correction(
    sent: Json,
    *,
    message_id: str,
    version: int,
    now: datetime.datetime,
    analyte: str | None = None,
    value: str | None = None,
) -> Json:
    """The correction of `sent`; `analyte` and `value` choose what changes, else the first number.

    Raises NothingToCorrect.
    """
    block, old = _find(sent, analyte)
    named = ("LabReportId", "HeskaReportId")
    built: Json = {"MessageId": message_id} | {name: sent[name] for name in named}
    built |= {
        "ReportVersion": version,
        "Status": "Corrected",
        "ClinicId": sent["ClinicId"],
        "ReportedAt": utc(now),
        "CorrectionReason": "Sample re-run after dilution",
    }
    if sent["LabReportId"] is None:  # an orphan stays under the identity that was typed
        built |= {k: sent[k] for k in ("Patient", "Client", "Doctor") if k in sent}
    left_out = ("Status", "Results", "Attachments", "Comments")
    test = {name: each for name, each in block.items() if name not in left_out}
    test |= {"Status": "Corrected", "Results": [_changed(old, value)]}
    return built | {"Tests": [test]}


def _find(sent: Json, analyte: str | None) -> tuple[Json, Json]:
    rows = [
        (block, each)
        for block in sent["Tests"]
        for each in block["Results"]
        if each["ValueType"] != "Attachment" and analyte in (None, each["AnalyteCode"])
    ]
    if not rows:
        raise NothingToCorrect(
            f"The message has no value for {analyte}." if analyte else "The message has no value."
        )
    return next((pair for pair in rows if pair[1]["ValueType"] == "Numeric"), rows[0])


def _changed(old: Json, value: str | None) -> Json:
    left_out = ("Qualifier", "NumericValue", "NotReportedReason", "Comments", "AbnormalFlag")
    new: Json = {}
    text = _other(old) if value is None else value
    for name, each in old.items():
        if name == "Value":
            new |= _value(text)
        elif name not in left_out:
            new[name] = each
    new["ValueType"] = _value_type(text)
    if "AbnormalFlag" in old:
        kind = next((a.kind for a in load_catalogue() if a.code == old["AnalyteCode"]), "")
        wrong = new["ValueType"] == "Text" and is_abnormal_text(old["AnalyteCode"], kind, text)
        new["AbnormalFlag"] = text_flag(old["AnalyteCode"]) if wrong else flag_of(new)
    return new | {"Status": "Corrected"}


def _other(old: Json) -> str:
    """Another believable value, with as many decimals."""
    if old["ValueType"] == "Text":
        kind = next((a.kind for a in load_catalogue() if a.code == old["AnalyteCode"]), "")
        return other_text(old["AnalyteCode"], kind, old["Value"])
    low, high = old.get("ReferenceLow") or "0", old.get("ReferenceHigh")
    middle = (Decimal(low) + Decimal(high)) / 2 if high else Decimal(10)
    was = _decimal(old["Value"])
    digits = was if was is not None else Decimal(high or "1.0")
    decimals = max(0, -int(digits.as_tuple().exponent))
    new = fixed(middle, decimals)
    if (
        was is not None
        and high
        and flag_of(old) is None
        and old.get("ReferenceType") == "Reference"
    ):
        new = fixed(Decimal(high) + middle / 4, decimals)
    return str(new if new != was else new + Decimal(1).scaleb(-decimals))


def _value_type(text: str) -> str:
    if _decimal(text) is not None:
        return "Numeric"
    if text[:1] in ("<", ">") and _decimal(text[1:].strip()) is not None:
        return "Qualified"
    return "NotReported" if text in ("*****", "cnc", "Failed iQC") else "Text"


def _value(text: str) -> Json:
    kind = _value_type(text)
    if kind == "Numeric":
        return {"Value": text, "NumericValue": number(Decimal(text))}
    if kind == "Qualified":
        limit = Decimal(text[1:].strip())
        return {"Value": text, "Qualifier": text[0], "NumericValue": number(limit)}
    if kind == "NotReported":
        reason = "QualityControl" if text == "Failed iQC" else "NotCalculable"
        return {"Value": text, "NotReportedReason": reason}
    return {"Value": text}


def _decimal(text: Any) -> Decimal | None:
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value.adjusted()) < 30 else None

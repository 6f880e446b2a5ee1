"""What can follow a sent message under a new message id (example 07): a correction of one value, a
cancellation, or the same tests run once more."""

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
    built = _head(sent, "Corrected", message_id=message_id, version=version, now=now)
    built["CorrectionReason"] = "Sample re-run after dilution"
    left_out = ("Status", "Results", "Attachments", "Comments")
    test = {name: each for name, each in block.items() if name not in left_out}
    test |= {"Status": "Corrected", "Results": [_changed(old, value)]}
    return built | {"Tests": [test]}


def cancellation(sent: Json, *, message_id: str, version: int, now: datetime.datetime) -> Json:
    """The cancellation of every test of `sent`."""
    left_out = ("Status", "Results", "Attachments", "Comments")
    tests = [
        {name: each for name, each in block.items() if name not in left_out}
        | {"Status": "Cancelled", "Comments": ["Insufficient sample"], "Results": []}
        for block in sent["Tests"]
    ]
    built = _head(sent, "Cancelled", message_id=message_id, version=version, now=now)
    return built | {"Tests": tests}


def another_run(sent: Json, *, message_id: str, version: int, now: datetime.datetime) -> Json:
    """The tests of `sent` run once more, under run ids of their own, with other values."""
    tests = []
    for block in sent["Tests"]:
        rows = [
            each
            if each["ValueType"] == "Attachment"
            else _changed(each, None) | {"Status": "Final"}
            for each in block["Results"]
        ]
        started = datetime.datetime.fromisoformat(block["RunAt"])
        tests.append(
            block
            | {
                "TestRunId": f"{block['TestRunId']}-{version}",
                "Status": "Final",
                "RunAt": now.astimezone(started.tzinfo).isoformat(timespec="seconds")
                if started.tzinfo
                else block["RunAt"],  # the analyzer's own clock, whose zone we do not know
                "Results": rows,
            }
        )
    built = _head(sent, "Final", message_id=message_id, version=version, now=now)
    people = {name: sent[name] for name in ("Patient", "Client", "Doctor") if name in sent}
    return built | people | {"Tests": tests}


def _head(
    sent: Json, status: str, *, message_id: str, version: int, now: datetime.datetime
) -> Json:
    built: Json = {
        "MessageId": message_id,
        "LabReportId": sent["LabReportId"],
        "HeskaReportId": sent["HeskaReportId"],
        "ReportVersion": version,
        "Status": status,
        "ClinicId": sent["ClinicId"],
        "ReportedAt": utc(now),
    }
    if sent["LabReportId"] is None:  # an orphan stays under the identity that was typed
        built |= {k: sent[k] for k in ("Patient", "Client", "Doctor") if k in sent}
    return built


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

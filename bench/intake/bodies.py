"""What is posted: one result of 40 analytes, shaped as the contract's example 06, and its kin.

Each message is the same bytes but for its number, which stands in the address and in every id.
"""

from __future__ import annotations

import json
from typing import Any

NUMBER = "0123456789"  # stands for the ten digits of a message's number
CLINICS = 4
KINDS = ("new", "correction", "orphan", "duplicate")

# Code, unit, low, high, value. The first are in the catalogue, the last two are not.
ANALYTES = [
    ("WBC", "10^3/uL", "4.00", "16.53", "6.13"),
    ("NEU#", "10^3/uL", "3.00", "10.82", "2.31"),
    ("LYM#", "10^3/uL", "0.72", "4.71", "1.90"),
    ("MON#", "10^3/uL", "0.14", "1.02", "0.04"),
    ("EOS#", "10^3/uL", "0.04", "1.90", "0.35"),
    ("BAS#", "10^3/uL", "0.00", "0.12", "0.01"),
    ("NEU%", "%", "45.0", "80.0", "61.2"),
    ("LYM%", "%", "9.0", "40.0", "28.8"),
    ("MON%", "%", "1.0", "8.0", "4.1"),
    ("EOS%", "%", "0.0", "14.0", "5.6"),
    ("BAS%", "%", "0.0", "1.2", "0.3"),
    ("RBC", "10^6/uL", "5.50", "8.50", "6.92"),
    ("HGB", "g/dL", "11.0", "19.0", "15.8"),
    ("HCT", "%", "35.0", "55.0", "46.9"),
    ("MCV", "fL", "60.0", "77.0", "67.8"),
    ("MCH", "pg", "19.0", "26.0", "22.8"),
    ("MCHC", "g/dL", "30.0", "38.0", "33.7"),
    ("RDW-CV", "%", "11.9", "18.1", "13.9"),
    ("RDW-SD", "fL", "33.2", "46.5", "37.4"),
    ("PLT", "10^3/uL", "126", "660", "< 2"),
    ("MPV", "fL", "8.0", "14.1", "*****"),
    ("PDW", "fL", "12.0", "18.0", "15.4"),
    ("PCT", "%", "0.080", "0.580", "0.312"),
    ("P-LCC", "10^3/uL", "20", "170", "63"),
    ("P-LCR", "%", "13.0", "50.0", "31.1"),
    ("RET#", "10^3/uL", "10.0", "110.0", "41.2"),
    ("RET%", "%", "0.0", "1.5", "0.6"),
    ("RHE", "pg", "22.3", "29.6", "25.1"),
    ("IRF", "%", "10.6", "61.3", "33.0"),
    ("NRBC#", "10^3/uL", "0.00", "0.10", "0.00"),
    ("NRBC%", "%", "0.0", "1.0", "0.0"),
    ("ALY#", "10^3/uL", "0.00", "0.20", "0.03"),
    ("ALY%", "%", "0.0", "2.0", "0.5"),
    ("LIC#", "10^3/uL", "0.00", "0.20", "0.02"),
    ("LIC%", "%", "0.0", "2.0", "0.3"),
    ("NLR", "", "1.0", "8.0", "2.1"),
    ("PLR", "", "30", "400", "120"),
    ("HFR", "%", "0.0", "8.0", "1.2"),
    ("XSCORE", "", "", "", "NEG"),
    ("XNOTE", "", "", "", ""),
]


def rows(*, only: int | None = None, status: str = "Final") -> list[dict[str, Any]]:
    made = []
    for sequence, (code, unit, low, high, value) in enumerate(ANALYTES[:only], start=1):
        numeric = value.replace(".", "", 1).isdecimal()
        below = numeric and low and float(value) < float(low)
        made.append(
            {
                "Sequence": sequence,
                "AnalyteCode": code,
                "AnalyteName": code,
                "ValueType": "Numeric" if numeric else "Text",
                "Value": value,
                "NumericValue": json.loads(value) if numeric else None,
                "Units": unit,
                "ReferenceLow": low,
                "ReferenceHigh": high,
                "ReferenceText": f"{low}-{high}" if low else "",
                "ReferenceType": "Reference",
                "AbnormalFlag": "L" if below else None,
                "Status": status,
            }
        )
    return made


def message(kind: str) -> bytes:
    """The body of that kind, with NUMBER where the message's own number goes."""
    corrected = kind == "correction"
    report: dict[str, Any] = {
        "MessageId": f"bench-{kind}-{NUMBER}",
        "LabReportId": f"BN-{NUMBER}",
        "HeskaReportId": f"9{NUMBER}",
        "ReportVersion": 2 if corrected else 1,
        "Status": "Corrected" if corrected else "Final",
        "ReportedAt": "2026-03-02T17:02:00Z" if corrected else "2026-03-02T16:31:40Z",
        "Patient": {
            "PatientId": "P-10482",
            "Name": "Biscuit",
            "Species": "CANINE",
            "Breed": "LABRE",
            "Sex": "CM",
            "DateOfBirth": "2019-04-02",
            "DateOfBirthEstimated": False,
            "Weight": "31.40",
            "WeightUnit": "kg",
        },
        "Client": {"ClientId": "C-2207", "FirstName": "Ana", "LastName": "Example"},
        "Doctor": {"DoctorId": "V-07", "FirstName": "Sam", "LastName": "Sample"},
        "Tests": [
            {
                "TestRunId": f"Hematology-{NUMBER}-2026-03-02T09:29:11",
                "TestRequestId": f"BN-{NUMBER}-1",
                "TestCode": "HHEM-1",
                "TestName": "CBC",
                "Category": "Hematology",
                "Status": "Corrected" if corrected else "Final",
                "RunAt": "2026-03-02T09:29:11-07:00",
                "SampleType": "EDTA whole blood",
                "SampleId": "S-771",
                "Comments": ["#: check for clots"],
                "Analyzer": {
                    "Type": "Hematology",
                    "Model": "Element HT5",
                    "SerialNumber": "HT5-001234",
                    "SoftwareVersion": "3.1",
                    "Name": "Lab bench 1",
                },
                # A correction lists only what changed.
                "Results": rows(only=3, status="Corrected") if corrected else rows(),
            }
        ],
        "Comments": ["Second panel still running"],
    }
    if corrected:
        report["Tests"][0]["Results"][0]["Value"] = "6.14"
    if kind == "orphan":
        del report["LabReportId"], report["Tests"][0]["TestRequestId"]
    return json.dumps(report).encode()


def result_key(number: int) -> str:
    return f"bench-{number:010d}"


def clinic_id(connection: int) -> str:
    return f"clinic-bench-{connection}"


def path(kind: str, connection: int) -> str:
    if kind == "orphan":
        return f"/api/unmatchedlabresults/{clinic_id(connection)}"
    return f"/api/labresults/bench-{NUMBER}"


def request(kind: str, connection: int, token: str) -> bytes:
    """A whole HTTP/1.1 request, with NUMBER where the message's own number goes."""
    body = message("new" if kind == "duplicate" else kind)
    head = (
        f"POST {path(kind, connection)} HTTP/1.1\r\n"
        "Host: localhost\r\n"
        f"Authorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\n"
        "User-Agent: bench\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body

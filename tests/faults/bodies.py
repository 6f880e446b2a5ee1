"""What Heska would post, small enough to be sent by the thousand."""

from __future__ import annotations

import json
from typing import Any

ANALYTES = ("WBC", "RBC", "HGB", "HCT", "MCV", "MCH", "MCHC", "PLT")


def result(
    clinic: dict[str, Any],
    request: dict[str, Any] | None,
    run: str,
    *,
    version: int = 1,
    value: str = "",
    claims: str = "",
    status: str = "",
    external_id: str = "",
) -> bytes:
    """One message with one CBC run. `claims`: the clinic that the body itself names. Without a
    request it is an orphan with the report id `external_id`."""
    return json.dumps(
        {
            "MessageId": f"{run}-{version}",
            "LabReportId": request["lab_report_id"] if request else None,
            "HeskaReportId": external_id or None,
            "ReportVersion": version,
            "Status": status or ("Final" if version == 1 else "Corrected"),
            "ClinicId": claims or clinic["public_id"],
            "ReportedAt": f"2026-03-02T16:{version:02}:40Z",
            "Patient": clinic["patient"] | {"Species": "CANINE"},
            "Tests": [
                {
                    "TestRunId": run,
                    "TestCode": "HHEM-1",
                    "TestName": "CBC",
                    "RunAt": "2026-03-02T09:29:11-07:00",
                    "Analyzer": {"Model": "Element HT5", "SerialNumber": "HT5-001234"},
                    "Results": [
                        {
                            "Sequence": place,
                            "AnalyteCode": code,
                            "Value": value or f"{place}.{version:02}",
                            "Units": "10^3/uL",
                            "ReferenceLow": "1.00",
                            "ReferenceHigh": "16.53",
                            "ReferenceType": "Reference",
                        }
                        for place, code in enumerate(ANALYTES, start=1)
                    ],
                }
            ],
        }
    ).encode()

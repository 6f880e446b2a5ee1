"""Result messages as Heska posts them (contract, examples 06 and 08), as pure functions."""

from __future__ import annotations

import datetime
import json
import zlib
from typing import Any

from .catalogue import LabTest
from .draw import Draw
from .panels import panel_values
from .pictures import attachment, histogram, pdf, scattergram
from .readings import readings
from .rows import attachment_id, row

Json = dict[str, Any]

PDF_PROBABILITY = 0.3


def encode(message: Json) -> bytes:
    """The bytes on the wire; ASCII, so that any text which came in as JSON can go out again."""
    return json.dumps(message, separators=(",", ":")).encode("ascii")


def serial_number(clinic_id: str, test: LabTest) -> str:
    """Each clinic has one analyzer of a model, always the same one."""
    return f"{test.serial}-{100000 + zlib.crc32(f'{clinic_id}|{test.model}'.encode()) % 900000}"


def run_id(test: LabTest, report: str, sequence: int, run_at: datetime.datetime) -> str:
    """As the contract's examples form it: category, report and running number, local time."""
    return f"{test.category}-{report}{sequence:03d}-{run_at:%Y-%m-%dT%H:%M:%S}"


def test_block(
    *,
    test: LabTest,
    species: str,
    draw: Draw,
    clinic_id: str,
    ident: str,
    run_at: str,
    ordered: Json | None = None,
) -> Json:
    """One finished test run; `ordered` is the request's entry for it, None if nobody ordered."""
    printed = readings(test, species, panel_values(test, species, draw), draw)
    results = [row(each, sequence, species, draw) for sequence, each in enumerate(printed, 1)]
    analyzer = {
        "Type": test.category,
        "Model": test.model,
        "SerialNumber": serial_number(clinic_id, test),
    }
    if ordered is None:
        block: Json = {"TestRunId": ident, "TestCode": None, "TestName": test.name}
    else:
        block = {
            "TestRunId": ident,
            "TestRequestId": ordered.get("TestRequestId"),
            "TestCode": test.code,
            "TestName": ordered.get("TestName") or test.name,
        }
    block |= {"Category": test.category, "Status": "Final", "RunAt": run_at}
    if ordered is not None:
        block |= {
            "SampleType": ordered.get("SampleType") or test.sample,
            "SampleId": f"S-{draw.chance.randrange(100, 1000)}",
        }
        analyzer |= {"SoftwareVersion": "3.1", "Name": "Lab bench 1"}
    block |= {"Analyzer": analyzer, "Results": results}
    pictures = [_picture(each, draw) for each in results if each["ValueType"] == "Attachment"]
    return block | ({"Attachments": pictures} if pictures else {})


def preliminary(block: Json) -> Json:
    """The same run while it goes on: its first rows, without what is attached in the end."""
    done = block["Results"][: max(1, len(block["Results"]) * 3 // 5)]
    first = {name: value for name, value in block.items() if name != "Attachments"}
    rows = [each | {"Status": "Preliminary"} for each in done]
    return first | {"Status": "Preliminary", "Results": rows}


def message(
    *,
    message_id: str,
    lab_report_id: str | None,
    heska_report_id: str,
    version: int,
    status: str,
    clinic_id: str,
    reported_at: datetime.datetime,
    people: Json,
    tests: list[Json],
    comments: list[str] | None = None,
) -> Json:
    """One message; `people` are the blocks Patient, Client and Doctor as they were given."""
    built: Json = {
        "MessageId": message_id,
        "LabReportId": lab_report_id,
        "HeskaReportId": heska_report_id,
        "ReportVersion": version,
        "Status": status,
        "ClinicId": clinic_id,
        "ReportedAt": utc(reported_at),
    }
    built |= {name: people[name] for name in ("Patient", "Client", "Doctor") if name in people}
    built["Tests"] = tests
    return built | ({"Comments": comments} if comments else {})


def orphan_people(
    *, name: str, patient_id: str, species: str, sex: str, owner: str, doctor: str
) -> Json:
    """Identity as typed at the analyzer, blanks and all."""
    return {
        "Patient": {
            "PatientId": patient_id,
            "Name": name,
            "Species": species,
            "Sex": sex,
            "Weight": None,
        },
        "Client": {"LastName": owner},
        "Doctor": {"Name": doctor},
    }


def with_printed_report(built: Json, draw: Draw) -> Json:
    """Now and then the message carries the printed report."""
    if not draw.often(PDF_PROBABILITY):
        return built
    patient = built.get("Patient") or {}
    lines = [
        "SIMULATED REPORT - NOT A CLINICAL RESULT",
        "",
        f"Patient: {patient.get('Name') or ''}",
    ]
    lines.append(f"Report:  {built['HeskaReportId']}   {built['ReportedAt']}")
    for block in built["Tests"]:
        lines += ["", f"{block['TestName']} ({block['Analyzer']['Model']})"]
        for each in block["Results"]:
            flag, limits = each.get("AbnormalFlag") or "", each.get("ReferenceText") or ""
            value = f"{each['Value'] or '':>10} {each.get('Units') or '':<8}"
            lines.append(f"  {each['AnalyteCode']:<10} {value} {flag:<2} {limits}")
    printed = attachment(
        ident="A1",
        name="report.pdf",
        kind="application/pdf",
        data=pdf(lines),
        description="Printed report",
    )
    return built | {"Attachments": [printed]}


def utc(moment: datetime.datetime) -> str:
    """`2026-03-02T16:31:40Z`."""
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _picture(each: Json, draw: Draw) -> Json:
    code = each["AnalyteCode"]
    paint = scattergram if code.endswith("SCAT") else histogram
    return attachment(
        ident=attachment_id(each["Sequence"]),
        name=f"{code.lower()}.png",
        kind="image/png",
        data=paint(draw.chance),
        description=each["AnalyteName"],
        analyte=code,
    )

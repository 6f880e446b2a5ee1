"""The whole round, by a script that knows only the management commands and the wire contract."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.blackbox.installation import Installation, get_token, installation, post_or_get, until
from tests.blackbox.stand_in import Heska

Json = dict[str, Any]
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "contract" / "examples"
CLINIC = "clinic-0042"
PATIENTS = """\
patient_id,name,species,breed,sex,birth_date,weight_kg,owner_id,owner_first_name,owner_last_name
P-10482,Biscuit,dog,Labrador Retriever,CM,2019-04-02,31.40,C-2207,Ana,Example
P-10483,Smokey,cat,,MN,2015,5.6,C-2208,Sam,Sample
"""
VISITS = 'patient_id,at,doctor\nP-10482,2026-03-02T09:00,"Sample, Sam"\n'


@pytest.fixture
def heska() -> Iterator[Heska]:
    heska = Heska()
    yield heska
    heska.close()


@pytest.fixture
def pims(tmp_path: Path, heska: Heska) -> Iterator[Installation]:
    settings = {"HESKA_BASE_URL": heska.base_url, "HESKA_SUBSCRIPTION_KEY": heska.subscription_key}
    with installation(tmp_path, **settings) as running:
        yield running


def example(name: str, **changed: Any) -> Json:
    body: Json = json.loads((EXAMPLES / name).read_text())
    return body | changed


def post(url: str, body: Json, token: str) -> tuple[int, Json]:
    return post_or_get(url, json.dumps(body).encode(), token=token)


def set_up(pims: Installation, heska: Heska, folder: Path) -> Json:
    """A clinic with staff, patients and both directions of credentials; what Heska is given."""
    made = pims.answer(
        *("create_clinic", "--name", "Elm Street", "--timezone", "America/Denver"),
        *("--public-id", CLINIC),
    )
    assert made["public_id"] == CLINIC
    who = ["--clinic", CLINIC, "--username", "alice", "--role", "technician", "--password-stdin"]
    assert pims.answer("create_staff", *who, stdin="a long enough password\n")["role"] == who[5]
    (folder / "patients.csv").write_text(PATIENTS)
    (folder / "visits.csv").write_text(VISITS)
    brought = pims.answer("import_patients", "--clinic", CLINIC, str(folder / "patients.csv"))
    assert (brought["created"], brought["updated"]) == (2, 0)
    pims.answer("import_visits", "--clinic", CLINIC, str(folder / "visits.csv"))
    access = pims.answer(
        *("connect_heska", "--clinic", CLINIC, "--client-id", heska.client_id),
        "--client-secret-stdin",
        stdin=heska.client_secret,
    )
    assert access["token_url"] == f"{pims.url}/api/oauth/token"
    assert access["unmatched_url"] == made["unmatched_url"]
    return access


def order(pims: Installation, heska: Heska) -> Json:
    """Place a request and wait until it has come out at Heska, as example 03 has it."""
    placed = pims.answer(
        *("place_request", "--clinic", CLINIC, "--patient", "P-10482"),
        *("--test", "HHEM-1", "HDC-3", "--doctor", "Sample, Sam"),
    )
    lab_report_id = placed["lab_report_id"]
    assert placed["result_endpoint"].startswith(f"{pims.url}/api/labresults/")
    until(lambda: heska.orders or heska.refused, "the order at Heska")
    assert heska.refused == []
    ((headers, sent),) = heska.orders
    assert headers["idempotency-key"] == lab_report_id
    assert headers["content-type"].startswith("application/json")
    wanted = example("03-submit-lab-report-request.json")
    assert sent.keys() >= wanted.keys()
    assert (sent["LabReportId"], sent["LabResultEndPoint"], sent["ClinicId"]) == (
        lab_report_id,
        placed["result_endpoint"],
        CLINIC,
    )
    assert sent["Patient"] == wanted["Patient"]
    assert sent["Client"] == wanted["Client"]
    assert (sent["Doctor"]["FirstName"], sent["Doctor"]["LastName"]) == ("Sam", "Sample")
    assert [test["TestCode"] for test in sent["Tests"]] == ["HHEM-1", "HDC-3"]
    assert [test["AnalyzerModel"] for test in sent["Tests"]] == ["Element HT5", "Element DCX"]
    until(lambda: state(pims, lab_report_id) == "Accepted", "the request to be accepted")
    return placed | {"tests": [test["TestRequestId"] for test in sent["Tests"]]}


def state(pims: Installation, lab_report_id: str) -> str:
    shown: str = pims.answer("show_request", lab_report_id)["state"]
    return shown


def results_of(placed: Json) -> tuple[Json, Json, Json]:
    """Example 06 and what follows it, for this request: count, kidney panel, a correction."""
    count = example("06-result-callback-matched.json", LabReportId=placed["lab_report_id"])
    count["Tests"][0]["TestRequestId"] = placed["tests"][0]
    kidney = copy.deepcopy(count) | {
        "MessageId": "b0a0f8a2-2f0e-4a5f-9b0c-6d2f5f1c9a02",
        "ReportVersion": 2,
        "Status": "Final",
        "Attachments": [],
    }
    kidney["Tests"] = [
        {
            "TestRunId": "Chemistry-94877003-2026-03-02T09:33:02",
            "TestRequestId": placed["tests"][1],
            "TestCode": "HDC-3",
            "TestName": "Kidney Panel",
            "Status": "Final",
            "Results": [
                {
                    "Sequence": 1,
                    "AnalyteCode": "CREA",
                    "Value": "1.10",
                    "Units": "mg/dL",
                    "ReferenceLow": "0.5",
                    "ReferenceHigh": "1.8",
                    "ReferenceType": "Reference",
                    "AbnormalFlag": None,
                    "Status": "Final",
                }
            ],
        }
    ]
    corrected = example("07-result-callback-corrected.json", LabReportId=placed["lab_report_id"])
    corrected["Tests"] = [corrected["Tests"][0] | {"TestRequestId": placed["tests"][0]}]
    return count, kidney, corrected


def observed(pims: Installation, lab_report_id: str) -> dict[str, Json]:
    rows = pims.answer("show_request", lab_report_id)["observations"]
    return {row["code"]: row for row in rows}


def test_the_whole_round(pims: Installation, heska: Heska, tmp_path: Path) -> None:
    access = set_up(pims, heska, tmp_path)
    placed = order(pims, heska)
    ordered, endpoint = placed["lab_report_id"], placed["result_endpoint"]
    token = get_token(access)
    count, kidney, corrected = results_of(placed)

    assert post_or_get(endpoint, json.dumps(count).encode())[0] == 401
    status, receipt = post(endpoint, count, token)
    assert (status, receipt["Status"]) == (201, "Stored")
    assert state(pims, ordered) == "Partial"
    status, again = post(endpoint + "/", count, token)
    assert (status, again) == (200, {"ReceiptId": receipt["ReceiptId"], "Status": "Duplicate"})
    assert post(endpoint, kidney, token)[0] == 201
    shown = pims.answer("show_request", ordered)
    assert (shown["state"], shown["attempts"], shown["last_error"]) == ("Complete", 1, None)
    assert [test["code"] for test in shown["tests"]] == ["HHEM-1", "HDC-3"]
    rows = {row["code"]: row for row in shown["observations"]}
    assert rows["WBC"] == {
        "test_code": "HHEM-1",
        "code": "WBC",
        "value_text": "6.13",
        "value": 6.13,
        "qualifier": None,
        "unit": "10^3/uL",
        "low": 4.00,
        "high": 16.53,
        "flag_delivered": None,
        "flag_computed": "N",
        "not_reported_reason": None,
    }
    platelets = rows["PLT"]
    assert (platelets["value_text"], platelets["value"], platelets["qualifier"]) == ("< 2", 2, "<")
    assert (rows["MPV"]["value"], rows["MPV"]["not_reported_reason"]) == (None, "not_calculable")
    assert (rows["CREA"]["test_code"], rows["CREA"]["value"]) == ("HDC-3", 1.1)

    assert post(endpoint, corrected, token)[0] == 201
    shown = pims.answer("show_request", ordered)
    after = {row["code"]: row for row in shown["observations"]}
    assert (after["PLT"]["value_text"], after["PLT"]["value"]) == ("143", 143)
    assert after["WBC"] == rows["WBC"]
    assert shown["state"] == "Complete"

    orphan(pims, access, token)
    balance(pims)
    refusals(pims, tmp_path)


def orphan(pims: Installation, access: Json, token: str) -> None:
    """Example 08 comes, is matched by a person, and the match is taken back."""
    body = example("08-unmatched-callback.json")
    status, receipt = post(access["unmatched_url"], body, token)
    assert (status, receipt["Status"]) == (201, "Stored")
    (waiting,) = pims.lines("list_unmatched", "--clinic", CLINIC)
    assert (waiting["message_id"], waiting["external_id"]) == (body["MessageId"], "94912")
    assert (waiting["state"], waiting["typed"]["patient_name"]) == ("Open", "BISCUIT ")
    values = {row["code"]: row["value_text"] for row in waiting["observations"]}
    assert values == {"pH": "7.352", "Ca++": "< 0.25", "K+": "Failed iQC", "AGapK": "cnc"}

    who = ["--clinic", CLINIC, "--as", "alice"]
    matched = pims.answer("match_unmatched", body["MessageId"], *who, "--patient", "P-10482")
    assert pims.lines("list_unmatched", "--clinic", CLINIC) == []
    on_record = observed(pims, matched["lab_report_id"])
    assert (on_record["pH"]["value"], on_record["pH"]["flag_computed"]) == (7.352, None)
    pims.answer("unmatch", body["MessageId"], *who, "--reason", "The other dog")
    assert observed(pims, matched["lab_report_id"]) == {}
    (waiting,) = pims.lines("list_unmatched", "--clinic", CLINIC)
    assert waiting["state"] == "Open"


def balance(pims: Installation) -> None:
    """Nothing was lost: four messages, one of them sent twice."""
    counted = pims.answer("journal", "--clinic", CLINIC)
    assert counted["states"] == {"received": 0, "filed": 3, "unmatched": 1, "quarantined": 0}
    assert (counted["received"], counted["filed"], counted["unmatched"]) == (4, 3, 1)
    assert counted["holds"] is True
    assert pims.answer("reconcile")["holds"] is True


def refusals(pims: Installation, folder: Path) -> None:
    """Errors are one sentence on standard error: status 1, and 2 for usage."""
    done = pims.run("journal", "--clinic", "nobody", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no clinic “nobody”" in done.stderr
    assert "Traceback" not in done.stderr
    (folder / "bad.csv").write_text("name,species\nA,dog\n,cat\nB,\n")
    done = pims.run("import_patients", "--clinic", CLINIC, str(folder / "bad.csv"))
    assert done.returncode == 1
    assert "line 3: name is empty." in done.stderr
    assert "line 4: species is empty." in done.stderr
    assert pims.run("place_request", "--clinic", CLINIC).returncode == 2

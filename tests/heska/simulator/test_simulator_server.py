"""The whole round over real sockets: order, token, results, and what a person can make happen."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

MISSING = (
    "Access denied due to missing subscription key. "
    "Make sure to include subscription key when making requests to an API."
)
INVALID = (
    "Access denied due to invalid subscription key. "
    "Make sure to provide a valid key for an active subscription."
)
ROOT = Path(__file__).resolve().parents[3]
Wait = Callable[[Callable[[], Any]], Any]
ORPHAN = {"clinic_id": "clinic-0042", "test_code": "HPOC-1", "patient_name": "BISCUIT "}
ORPHAN |= {"patient_id": "1", "species": "Canine", "sex": "", "owner_last_name": ""}


def settled(heska: Any, count: int) -> Callable[[], Any]:
    def check() -> Any:
        sent = heska.state()["deliveries"]
        return sent if [each["status"] for each in sent].count("delivered") >= count else None

    return check


@pytest.mark.parametrize("path", ["/oauth/token", "/labreports"])
@pytest.mark.parametrize(("key", "words"), [("", MISSING), ("wrong", INVALID), ("é", INVALID)])
def test_the_gateway_checks_the_subscription_key(
    heska: Any, path: str, key: str, words: str
) -> None:
    headers = {"Ocp-Apim-Subscription-Key": key.encode()}
    answer = heska.post(path, data={}, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"statusCode": 401, "message": words}


def test_a_token_is_a_jwt_and_needs_the_right_secret(heska: Any) -> None:
    form = {"grant_type": "client_credentials", "client_id": "out-42"}
    good = heska.post("/oauth/token", data=form | {"client_secret": "out-secret"})
    assert good.json()["token_type"] == "Bearer"
    payload = good.json()["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["exp"] - claims["iat"] == good.json()["expires_in"] == 3600
    bad = heska.post("/oauth/token", data=form | {"client_secret": "wrong"})
    assert (bad.status_code, bad.text) == (401, "Invalid User or Password")
    assert bad.headers["Content-Type"] == "text/plain"
    pascal = {"GrantType": "client_credentials", "ClientId": "out-42"}
    named = heska.post("/oauth/token", json=pascal | {"ClientSecret": "out-secret"})
    assert named.status_code == 200


def test_an_order_needs_a_token(heska: Any, lab_report: dict[str, Any]) -> None:
    for value in ("", "Bearer", "Bearer nonsense", f"Basic {heska.token()}"):
        answer = heska.post("/labreports", json=lab_report, headers={"Authorization": value})
        assert answer.status_code == 401
        assert answer.json()["message"] == "Access token is missing."
    assert heska.state()["worklist"] == []


def test_an_order_is_run_and_comes_back_from_each_analyzer(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    answer = heska.order(lab_report)
    assert answer.status_code == 200
    report = answer.json()["HeskaReportId"]
    assert answer.json()["Status"] == "Accepted"
    assert [each["Status"] for each in answer.json()["Tests"]] == ["Accepted", "Accepted"]
    wait_for(settled(heska, 3))
    assert {path for path, _ in pims.received} == {"/api/labresults/k9d2c7e1f0a84bX5mQ2rTz"}
    assert pims.tokens == 1
    by_model: dict[str, list[dict[str, Any]]] = {}
    for each in pims.messages():
        assert (each["LabReportId"], each["HeskaReportId"]) == ("VL-3F7K2M9Q", report)
        assert each["Patient"] == lab_report["Patient"]
        assert len(each["Tests"]) == 1
        assert each["Tests"][0]["RunAt"].endswith("-07:00")
        by_model.setdefault(each["Tests"][0]["Analyzer"]["Model"], []).append(each)
    assert [each["Status"] for each in by_model["Element HT5"]] == ["Final"]
    assert [each["Status"] for each in by_model["Element DCX"]] == ["Preliminary", "Final"]
    assert sorted(each["ReportVersion"] for each in pims.messages()) == [1, 2, 3]
    early, final = by_model["Element DCX"]
    assert early["ReportVersion"] < final["ReportVersion"]
    assert early["Tests"][0]["TestRunId"] == final["Tests"][0]["TestRunId"]
    (line,) = heska.state()["worklist"]
    assert [each["state"] for each in line["tests"]] == ["done", "done"]
    assert {each["receipt_status"] for each in heska.state()["deliveries"]} == {"Stored"}


def test_two_tests_of_one_analyzer_come_in_one_message(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    lab_report["Tests"][0]["TestCode"] = "HDC-1"
    heska.order(lab_report)
    wait_for(settled(heska, 2))
    final = pims.messages()[-1]
    assert [each["TestCode"] for each in final["Tests"]] == ["HDC-1", "HDC-3"]


def test_an_unknown_test_is_refused_on_its_own(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    lab_report["Tests"][1]["TestCode"] = "ZZZ"
    answer = heska.order(lab_report)
    assert answer.status_code == 200
    assert answer.json()["Tests"][1] == {
        "TestRequestId": "VL-3F7K2M9Q-2",
        "Status": "Rejected",
        "Code": "TEST_NOT_AVAILABLE",
        "Message": "No analyzer at this clinic offers ZZZ",
    }
    wait_for(settled(heska, 1))
    assert [each["state"] for each in heska.state()["worklist"][0]["tests"]] == ["done", "rejected"]


def test_the_same_report_id_again_is_a_conflict(heska: Any, lab_report: dict[str, Any]) -> None:
    first = heska.order(lab_report).json()
    again = heska.order(lab_report)
    assert again.status_code == 409
    assert again.json() == {
        "Code": "DUPLICATE_LAB_REPORT",
        "Message": "LabReportId VL-3F7K2M9Q already exists",
        "HeskaReportId": first["HeskaReportId"],
    }
    assert len(heska.state()["worklist"]) == 1


def test_of_many_at_once_one_is_taken(heska: Any, lab_report: dict[str, Any]) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: heska.order(lab_report).status_code, range(16)))
    assert sorted(got) == [200] + [409] * 15
    assert heska.state()["counts"]["orders"] == 1
    assert heska.state()["counts"]["duplicate_orders"] == 15


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"Patient": {"Name": "Biscuit"}}, "Patient.Species"),
        ({"Patient": {"Name": "Biscuit", "Species": "dog"}}, "Patient.Species"),
        ({"Patient": None}, "Patient.Name"),
        ({"LabReportId": "lower"}, "LabReportId"),
        ({"LabReportId": "A" * 21}, "LabReportId"),
        ({"LabResultEndPoint": None}, "LabResultEndPoint"),
        ({"LabResultEndPoint": "file:///etc/passwd"}, "LabResultEndPoint"),
        ({"Tests": []}, "Tests"),
        ({"Tests": [{}]}, "Tests[0].TestCode"),
    ],
)
def test_a_wrong_order_is_refused_by_field(
    heska: Any, lab_report: dict[str, Any], change: dict[str, Any], name: str
) -> None:
    answer = heska.order(lab_report | change)
    assert answer.status_code == 400
    assert answer.json()["title"] == "One or more validation errors occurred."
    assert name in answer.json()["errors"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"NaN", b"\xff", b"[" * 100_000])
def test_what_is_no_order_is_refused(heska: Any, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {heska.token()}"}
    assert heska.post("/labreports", data=body, headers=headers).status_code == 400


def test_a_delivery_is_tried_again_and_waits_as_asked(
    heska: Any, pims: Any, wait_for: Wait
) -> None:
    pims.answers = [(503, {"Retry-After": "0"}), (429, {"Retry-After": "0"})]
    heska.simulate("orphan", **ORPHAN)
    (sent,) = wait_for(settled(heska, 1))
    assert sent["attempts"] == 3
    assert len(pims.received) == 1


def test_a_redirect_is_not_followed(heska: Any, pims: Any) -> None:
    pims.answers = [(307, {"Location": f"{pims.url}/elsewhere"})]
    got = heska.simulate("orphan", **ORPHAN).json()
    assert (got["status"], got["http_status"]) == ("retrying", 307)
    assert pims.received == []


def test_a_refused_token_is_replaced_at_once(heska: Any, pims: Any) -> None:
    heska.simulate("orphan", **ORPHAN)
    pims.good_token = "revoked"
    got = heska.simulate("orphan", **ORPHAN).json()
    assert got["status"] == "delivered"
    assert pims.tokens == 2
    assert len(pims.received) == 2


def test_a_pims_that_is_not_there_is_tried_again(heska: Any, pims: Any) -> None:
    pims.server.shutdown()
    pims.server.server_close()
    got = heska.simulate("orphan", **ORPHAN).json()
    assert got["status"] == "retrying"
    assert got["error"] == "ConnectionError"


def test_an_orphan_goes_to_the_unmatched_url(heska: Any, pims: Any) -> None:
    got = heska.simulate("orphan", **ORPHAN).json()
    assert (got["status"], got["http_status"], got["receipt_id"]) == ("delivered", 201, "rcpt_1")
    (path, body) = pims.received[0]
    assert path == "/api/unmatchedlabresults/clinic-0042"
    message = json.loads(body)
    assert message["MessageId"] == got["message_id"]
    assert message["LabReportId"] is None
    assert message["Patient"]["Name"] == "BISCUIT "
    assert message["Tests"][0]["Analyzer"]["Model"] == "Element POC"


def test_resend_sends_identical_bytes(heska: Any, pims: Any) -> None:
    ident = heska.simulate("orphan", **ORPHAN).json()["message_id"]
    assert heska.simulate("resend", message_id=ident).json()["status"] == "delivered"
    assert pims.received[0] == pims.received[1]
    assert heska.get(f"/messages/{ident}").content == pims.received[0][1]


def test_a_correction_is_a_new_message_of_a_higher_version(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    heska.order(lab_report)
    sent = wait_for(settled(heska, 3))
    got = heska.simulate("correction", message_id=sent[0]["message_id"]).json()
    assert got["status"] == "delivered"
    path, body = pims.received[-1]
    message = json.loads(body)
    assert path == "/api/labresults/k9d2c7e1f0a84bX5mQ2rTz"
    assert message["MessageId"] == got["message_id"]
    assert (message["ReportVersion"], message["Status"]) == (4, "Corrected")
    again = heska.simulate(
        "correction", message_id=got["message_id"], analyte_code="", value="777"
    ).json()
    assert again["status"] == "delivered"
    assert pims.messages()[-1]["ReportVersion"] == 5
    assert pims.messages()[-1]["Tests"][0]["Results"][0]["Value"] == "777"


@pytest.mark.parametrize(
    ("what", "form", "words"),
    [
        ("orphan", {"clinic_id": "nobody"}, "There is no clinic 'nobody' here."),
        ("orphan", ORPHAN | {"test_code": "X"}, "There is no test 'X'."),
        ("orphan", ORPHAN | {"species": "newt"}, "not 'newt'"),
        ("orphan", ORPHAN | {"patient_name": "x" * 201}, "patient_name is longer"),
        ("resend", {"message_id": "x"}, "There is no message 'x'"),
        ("correction", {}, "There is no message ''"),
        ("clinic", {}, "In the form, client_id is missing."),
    ],
)
def test_what_cannot_be_done_is_said(
    heska: Any, what: str, form: dict[str, str], words: str
) -> None:
    answer = heska.simulate(what, **form)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    page = heska.post(f"/simulate/{what}", data=form)
    assert page.status_code == 400
    assert 'role="alert"' in page.text


def test_a_form_leads_back_to_the_page(heska: Any) -> None:
    answer = heska.post("/simulate/orphan", data=ORPHAN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    page = heska.get("/")
    assert "Run a test without a request" in page.text
    assert "HTTP 201" in page.text
    assert "in-secret" not in page.text + heska.get("/state").text
    assert "key-1" not in page.text + heska.get("/state").text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert 'http-equiv="refresh"' not in page.text
    assert 'http-equiv="refresh"' in heska.get("/?watch=1").text


def test_another_site_cannot_send_a_form(heska: Any) -> None:
    for origin in ("https://elsewhere.example", "null"):
        answer = heska.post("/simulate/orphan", data=ORPHAN, headers={"Origin": origin})
        assert answer.status_code == 403
    same = heska.post("/simulate/orphan", data=ORPHAN, headers={"Origin": heska.url})
    assert same.status_code == 303


def test_a_clinic_can_be_added_by_form(heska: Any, pims: Any) -> None:
    form = {"clinic_id": "clinic-0077", "client_id": "out-77", "client_secret": "s"}
    form |= {"pims_token_url": f"{pims.url}/api/oauth/token", "pims_client_id": "in-42"}
    form |= {"pims_client_secret": "in-secret", "timezone": "America/Denver"}
    form |= {"pims_unmatched_url": f"{pims.url}/api/unmatchedlabresults/clinic-0077"}
    assert heska.simulate("clinic", **form).json() == {"clinic_id": "clinic-0077"}
    assert "already there" in heska.simulate("clinic", **form).json()["error"]
    heska.simulate("orphan", **(ORPHAN | {"clinic_id": "clinic-0077"}))
    message = pims.messages()[0]
    assert message["ClinicId"] == "clinic-0077"
    assert len(message["Tests"][0]["RunAt"]) == len("2026-03-02T20:10:55")


@pytest.mark.parametrize("path", ["/nothing", "/labreports", "/messages/x", "/style.css/../x"])
def test_what_is_not_there_is_the_gateways_404(heska: Any, path: str) -> None:
    answer = heska.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"statusCode": 404, "message": "Resource not found"}


def test_a_body_without_a_length_or_too_long_is_refused(heska: Any) -> None:
    assert heska.post("/labreports", data=iter([b"{}"])).status_code == 411
    assert heska.post("/labreports", data=b" " * (256 * 1024 + 1)).status_code == 413


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "integrations.heska.simulator", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": ""},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_alone_it_prints_its_key_and_ends_when_told(number: signal.Signals) -> None:
    process = start("--port", "0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Heska simulator: http://127.0.0.1:")
    assert process.stdout.readline().startswith("Subscription key: ")
    began = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=5)
    assert process.returncode == 0
    assert time.monotonic() - began < 2


def test_a_taken_port_is_said_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = start("--port", port)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    expected = f"Port {port} on 127.0.0.1 is already in use; choose another with --port.\n"
    assert said == expected


def test_a_wrong_script_is_said_in_one_sentence(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"subscription_key": "k", "clinic": []}')
    process = start("--port", "0", "--script", str(script))
    _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (2, "In the script, clinic is not a known name.\n")
    process = start("--port", "0", "--script", str(tmp_path / "none.json"))
    _, said = process.communicate(timeout=10)
    assert process.returncode == 2
    assert said.endswith("none.json: No such file or directory.\n")

"""Every fault over real HTTP, as a PIMS meets it; which of the rules acts; and what is said of a
rule that cannot be."""

from __future__ import annotations

import datetime
import json
import re
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from integrations.heska.simulator.entries import ScriptError
from integrations.heska.simulator.rules import FAULTS, Event, Rule, from_form, read_rule
from integrations.heska.simulator.script import load_script
from tests.simulator import running

Wait = Callable[[Callable[[], Any]], Any]
DOCUMENT = Path(__file__).parents[3] / "docs" / "simulator.md"


def orders(heska: Any) -> int:
    return len(heska.state()["worklist"])


def set_fault(heska: Any, **fields: Any) -> int:
    answer = heska.simulate("fault", **{name: str(value) for name, value in fields.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()["number"]


def statuses(heska: Any, lab_report: dict[str, Any], count: int) -> list[int]:
    return [
        heska.order(lab_report | {"LabReportId": f"VL-{number}"}).status_code
        for number in range(1, count + 1)
    ]


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "words", "taken"),
    [
        ({"do": "missing_key", "on": "order"}, 401, "due to missing subscription key", False),
        ({"do": "invalid_key", "on": "order"}, 401, "due to invalid subscription key", False),
        ({"do": "stale_token"}, 401, "Access token is missing.", False),
        ({"do": "wrong_credentials", "on": "order"}, 401, "Invalid User or Password", False),
        ({"do": "quota"}, 403, "Out of call volume quota", False),
        ({"do": "not_found"}, 404, "Resource not found", False),
        ({"do": "refused"}, 400, "The Species field is required.", False),
        ({"do": "refused", "status": 422, "shape": "wrapped"}, 422, "Invalid BreedId 370", False),
        ({"do": "refused", "shape": "text"}, 400, '"TestCode:ZZZ is not valid"', False),
        ({"do": "refused", "shape": "plain"}, 400, "VL-3F7K2M9Q: not accepted", False),
        ({"do": "already_there"}, 409, "DUPLICATE_LAB_REPORT", False),
        ({"do": "already_there", "taken": "yes"}, 409, "DUPLICATE_LAB_REPORT", True),
        ({"do": "busy"}, 429, "Rate limit is exceeded", False),
        ({"do": "unavailable"}, 503, "Internal server error", False),
        ({"do": "unavailable", "status": 500, "taken": "yes"}, 500, "Internal server error", True),
        ({"do": "html"}, 200, "<html>", False),
        ({"do": "html", "status": 502}, 502, "<html>", False),
        ({"do": "empty"}, 200, "", True),
        ({"do": "garbled"}, 200, '"Sta', True),
        ({"do": "wrong_id"}, 200, "VL-OTHER", True),
        ({"do": "huge", "megabytes": 3}, 200, "x" * 3 * 1024 * 1024, True),
    ],
)
def test_an_answer_is_replaced(
    heska: Any, lab_report: dict[str, Any], fault: dict[str, Any], status: int, words: str,
    taken: bool,
) -> None:  # fmt: skip
    set_fault(heska, **fault, first=1)
    answer = heska.order(lab_report)
    assert answer.status_code == status
    assert words in answer.text
    assert (answer.text == "") == (fault["do"] == "empty")
    assert orders(heska) == int(taken)
    # Only the first: the same order once more is taken, or is there already.
    assert heska.order(lab_report).status_code == (409 if taken else 200)
    (rule,) = heska.state()["faults"]
    assert (rule["acted"], rule["met"]) == (1, 2)
    (deed,) = heska.state()["fault_log"]
    assert (deed["do"], deed["lab_report_id"]) == (fault["do"], "VL-3F7K2M9Q")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("11", "11"),
        ("99999999999999999999", "99999999999999999999"),
        ("soon", "soon"),
        ("-5", "-5"),
    ],
)
@pytest.mark.parametrize("do", ["busy", "unavailable", "quota"])
def test_retry_after_is_sent_as_it_is_given(
    heska: Any, lab_report: dict[str, Any], do: str, given: str, sent: str
) -> None:
    set_fault(heska, do=do, retry_after=given)
    assert heska.order(lab_report).headers["Retry-After"] == sent


def test_retry_after_can_be_a_date_ahead(heska: Any, lab_report: dict[str, Any]) -> None:
    set_fault(heska, do="busy", retry_after="date+90")
    date = parsedate_to_datetime(heska.order(lab_report).headers["Retry-After"])
    ahead = (date - datetime.datetime.now(datetime.UTC)).total_seconds()
    assert 85 < ahead <= 90


def test_a_redirect_leads_where_the_rule_says(heska: Any, lab_report: dict[str, Any]) -> None:
    set_fault(heska, do="redirect", to="https://elsewhere.example/x", status=308)
    answer = heska.order(lab_report)
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://elsewhere.example/x")
    assert orders(heska) == 0


# --- the connection ----------------------------------------------------------------------------


def test_slow_is_late_and_right(heska: Any, lab_report: dict[str, Any]) -> None:
    token = heska.token()
    set_fault(heska, do="slow", seconds="0.4")
    began = time.monotonic()
    answer = heska.post(
        "/labreports", json=lab_report, headers={"Authorization": f"Bearer {token}"}
    )
    assert time.monotonic() - began >= 0.4
    assert answer.json()["Status"] == "Accepted"


def test_cut_breaks_off_in_the_middle(heska: Any, lab_report: dict[str, Any]) -> None:
    set_fault(heska, do="cut")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        heska.order(lab_report)
    assert orders(heska) == 1  # nobody can know it from here


@pytest.mark.parametrize(("taken", "count"), [("yes", 1), ("no", 0)])
def test_reset_is_a_reset_whether_taken_or_not(
    heska: Any, lab_report: dict[str, Any], taken: str, count: int
) -> None:
    token = heska.token()
    set_fault(heska, do="reset", taken=taken)
    body = json.dumps(lab_report).encode()
    head = "POST /labreports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Ocp-Apim-Subscription-Key: key-1\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", heska.server.server_port), 5) as call:
        call.sendall(head.encode() + body)
        with pytest.raises(ConnectionResetError):
            call.recv(1)
    assert orders(heska) == count


def test_silent_keeps_the_line_and_says_nothing(heska: Any, lab_report: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {heska.token()}", "Ocp-Apim-Subscription-Key": "key-1"}
    set_fault(heska, do="silent")
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{heska.url}/labreports", json=lab_report, headers=headers, timeout=(1, 0.4))
    assert orders(heska) == 1


def test_drip_comes_byte_by_byte_and_whole(heska: Any) -> None:
    set_fault(heska, do="drip", on="token", seconds="0.001")
    form = {"grant_type": "client_credentials", "client_id": "out-42"}
    began = time.monotonic()
    answer = heska.post("/oauth/token", data=form | {"client_secret": "out-secret"})
    assert answer.json()["token_type"] == "Bearer"
    size = len(answer.content)
    assert time.monotonic() - began > size * 0.001


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("self-signed", "self.signed certificate"),
        ("expired", "certificate has expired"),
        ("wrong-host", "doesn't match|mismatch|not valid for"),
    ],
)
def test_a_bad_certificate_is_bad_for_one_reason(
    heska: Any, tmp_path: Path, kind: str, reason: str
) -> None:
    """With the simulator's authority trusted, so that nothing else is wrong."""
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(heska.get("/authority.pem").content)
    url = heska.server.tls_url
    assert requests.get(f"{url}/state", verify=trusted, timeout=5).status_code == 200
    set_fault(heska, do="bad_certificate", kind=kind, first=1)
    with pytest.raises(requests.exceptions.SSLError, match=reason):
        requests.get(f"{url}/state", verify=trusted, timeout=5)
    assert requests.get(f"{url}/state", verify=trusted, timeout=5).status_code == 200


def test_whoever_trusts_no_simulator_meets_an_unknown_authority(heska: Any) -> None:
    context = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", heska.server.server_port), 5) as call,
        pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"),
    ):
        context.wrap_socket(call, server_hostname="localhost")


# --- messages ----------------------------------------------------------------------------------


def arrived(pims: Any, count: int) -> Callable[[], Any]:
    return lambda: pims.messages() if len(pims.received) >= count else None


def one_test(lab_report: dict[str, Any]) -> dict[str, Any]:
    return lab_report | {"Tests": lab_report["Tests"][:1]}


def test_lost_is_never_sent(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    set_fault(heska, do="lost", test_code="HHEM-*")
    heska.order(lab_report)
    wait_for(arrived(pims, 2))
    assert {each["Tests"][0]["TestCode"] for each in pims.messages()} == {"HDC-3"}
    assert "lost" in [each["status"] for each in heska.state()["deliveries"]]


def test_late_comes_later(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    set_fault(heska, do="late", seconds="0.5")
    began = time.monotonic()
    heska.order(one_test(lab_report))
    wait_for(arrived(pims, 1))
    assert time.monotonic() - began >= 0.5


def test_twice_is_the_same_bytes(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    set_fault(heska, do="twice", times=3)
    heska.order(one_test(lab_report))
    wait_for(arrived(pims, 3))
    assert len(set(pims.received)) == 1


def test_swapped_lets_the_next_go_first(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    set_fault(heska, do="swapped", first=1, test_code="HDC-3", seconds=60)
    heska.order(lab_report | {"Tests": lab_report["Tests"][1:]})
    wait_for(arrived(pims, 2))
    assert [each["Status"] for each in pims.messages()] == ["Final", "Preliminary"]
    assert [each["ReportVersion"] for each in pims.messages()] == [2, 1]


def test_broken_off_is_tried_again(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    set_fault(heska, do="broken_off", first=1)
    heska.order(one_test(lab_report))
    wait_for(arrived(pims, 1))
    (sent,) = heska.state()["deliveries"]
    assert sent["attempts"] == 2
    assert len(pims.received) == 1


def test_misdirected_goes_to_another_clinics_key_under_the_own_token(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    form = {"clinic_id": "clinic-0077", "client_id": "out-77", "client_secret": "s"}
    form |= {"pims_token_url": f"{pims.url}/api/oauth/token", "pims_client_id": "in-42"}
    form |= {"pims_client_secret": "in-secret"}
    form |= {"pims_unmatched_url": f"{pims.url}/api/unmatchedlabresults/clinic-0077"}
    heska.simulate("clinic", **form)
    set_fault(heska, do="misdirected", to="clinic-0077")
    heska.order(one_test(lab_report))
    wait_for(arrived(pims, 1))
    assert pims.received[0][0] == "/api/unmatchedlabresults/clinic-0077"
    token = {"grant_type": "client_credentials", "client_id": "out-77", "client_secret": "s"}
    theirs = heska.post("/oauth/token", data=token).json()["access_token"]
    endpoint = f"{pims.url}/api/labresults/keyofanotherclinic"
    heska.post(
        "/labreports",
        json=one_test(lab_report) | {"LabReportId": "VL-77", "LabResultEndPoint": endpoint},
        headers={"Authorization": f"Bearer {theirs}"},
    )
    heska.order(one_test(lab_report) | {"LabReportId": "VL-42"})
    wait_for(arrived(pims, 3))
    to = {json.loads(body)["LabReportId"]: path for path, body in pims.received}
    assert to["VL-42"] == "/api/labresults/keyofanotherclinic"


@pytest.mark.parametrize(
    ("do", "status"),
    [("corrected", "Corrected"), ("cancelled", "Cancelled"), ("run_again", "Final")],
)
def test_a_second_message_follows(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait, do: str, status: str
) -> None:
    set_fault(heska, do=do, seconds="0.1")
    heska.order(one_test(lab_report))
    first, second = wait_for(arrived(pims, 2))
    assert (first["Status"], second["Status"]) == ("Final", status)
    assert second["ReportVersion"] == first["ReportVersion"] + 1
    assert second["MessageId"] != first["MessageId"]
    mine, other = first["Tests"][0], second["Tests"][0]
    assert (mine["TestRunId"] == other["TestRunId"]) == (do != "run_again")
    assert other["TestRequestId"] == mine["TestRequestId"]
    if do == "cancelled":
        assert (other["Results"], other["Status"]) == ([], "Cancelled")
    elif do == "run_again":
        values = [[row.get("Value") for row in each["Results"]] for each in (mine, other)]
        assert values[0] != values[1]
        assert len(values[0]) == len(values[1])


def test_the_page_can_cancel_and_run_again_what_was_sent(
    heska: Any, pims: Any, lab_report: dict[str, Any], wait_for: Wait
) -> None:
    heska.order(one_test(lab_report))
    (first,) = wait_for(arrived(pims, 1))
    for what, status in (("rerun", "Final"), ("cancellation", "Cancelled")):
        got = heska.simulate(what, message_id=first["MessageId"]).json()
        assert got["status"] == "delivered"
        assert pims.messages()[-1]["Status"] == status
    refused = heska.simulate("rerun", message_id=got["message_id"])
    assert (refused.status_code, "Only a message with final" in refused.text) == (400, True)


# --- which rule acts ---------------------------------------------------------------------------


def test_the_first_the_every_and_the_order_of_rules(heska: Any, lab_report: dict[str, Any]) -> None:
    set_fault(heska, do="unavailable", first=2)
    set_fault(heska, do="busy", first=3)
    set_fault(heska, do="quota", every=5)
    assert statuses(heska, lab_report, 7) == [503, 503, 429, 200, 403, 200, 200]
    assert [(e["acted"], e["met"]) for e in heska.state()["faults"]] == [(2, 7), (1, 7), (1, 7)]


def test_a_rule_is_for_a_patient_a_request_a_clinic_or_a_test(
    heska: Any, lab_report: dict[str, Any]
) -> None:
    for fields in (
        {"patient": "rex*"},
        {"lab_report_id": "VL-9*"},
        {"clinic_id": "clinic-0043"},
        {"test_code": "HTR-1"},
    ):
        set_fault(heska, do="unavailable", **fields)
    assert statuses(heska, lab_report, 1) == [200]
    rex = lab_report | {"LabReportId": "VL-R", "Patient": lab_report["Patient"] | {"Name": " REX "}}
    assert heska.order(rex).status_code == 503
    assert heska.order(lab_report | {"LabReportId": "VL-99"}).status_code == 503
    tests = [{"TestRequestId": "x", "TestCode": "HTR-1"}]
    assert heska.order(lab_report | {"LabReportId": "VL-T", "Tests": tests}).status_code == 503


def test_a_rule_begins_and_ends_by_the_clock() -> None:
    rule = read_rule({"do": "busy", "from_seconds": 10, "to_seconds": 20}, "x")
    fits = [rule.fits(Event("order"), age) for age in (0, 9.9, 10, 19.9, 20)]
    assert fits == [False, False, True, True, False]
    assert rule.when() == "from 10 s on, until 20 s"


def test_a_fault_is_taken_away_again(heska: Any, lab_report: dict[str, Any]) -> None:
    number = set_fault(heska, do="unavailable")
    set_fault(heska, do="busy")
    assert heska.simulate("mend", number="77").status_code == 400
    assert heska.simulate("mend", number=str(number)).status_code == 200
    assert heska.order(lab_report).status_code == 429
    heska.simulate("mend", number="all")
    assert heska.order(lab_report).status_code == 200


def test_the_page_shows_the_faults_and_their_form(heska: Any, lab_report: dict[str, Any]) -> None:
    set_fault(heska, do="unavailable", first=3, retry_after="soon")
    heska.order(lab_report)
    page = heska.get("/").text
    assert "unavailable · status 503, retry_after soon" in page
    assert "the first 3" in page
    assert "1 of 1" in page
    refused = heska.post("/simulate/fault", data={"do": "redirect", "first": "2"})
    assert refused.status_code == 400
    assert "In the form, to is missing." in refused.text
    assert 'name="first" value="2"' in refused.text


# --- what cannot be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (5, "Faults[0] must be a JSON object."),
        ({}, "In faults[0], do is missing."),
        ({"do": "explode"}, "In faults[0], do must be one of slow, cut,"),
        ({"do": ["slow"]}, "In faults[0], do must be one of slow, cut,"),
        ({"do": "slow", "retry_after": 1}, "In faults[0], retry_after is not a known name."),
        ({"do": "redirect"}, "In faults[0], to is missing."),
        ({"do": "redirect", "to": "//x"}, "In faults[0], to must be an http or https URL"),
        ({"do": "slow", "on": "result"}, "slow can be on token or order or call; it is 'result'."),
        ({"do": "lost", "on": "order"}, "lost can be on result or unmatched or message;"),
        ({"do": "bad_certificate", "kind": "x"}, "kind must be one of private, self-signed,"),
        ({"do": "busy", "first": 0}, "first must be a whole number from 1 to 1000000; it is 0."),
        ({"do": "busy", "every": True}, "every must be a whole number"),
        ({"do": "busy", "retry_after": "é"}, "retry_after must be a number of seconds,"),
        ({"do": "busy", "retry_after": "date+x"}, "retry_after must be a number of seconds,"),
        ({"do": "busy", "from_seconds": -1}, "from_seconds must be a number from 0 to 86400"),
        ({"do": "slow", "seconds": float("nan")}, "seconds must be a number from 0 to 86400"),
        ({"do": "slow", "taken": "yes"}, "taken must be true or false; it is 'yes'."),
        ({"do": "busy", "patient": " "}, "patient must be a text that is not empty"),
        ({"do": "html", "status": 99}, "status must be a whole number from 200 to 599"),
    ],
)
def test_a_rule_that_cannot_be_is_named(rule: Any, words: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(words)):
        read_rule(rule, "faults[0]")


def test_a_script_that_is_no_json_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text('{\n  "faults": [\n    {"do": "slow"}\n    {"do": "cut"}\n  ]\n}\n')
    with pytest.raises(ScriptError, match="line 4, column 5: Expecting ',' delimiter"):
        load_script(path)


def test_a_form_is_read_as_a_script_would_be() -> None:
    form = {"do": "slow", "first": "3", "seconds": "0.5", "taken": "no", "patient": "", "on": ""}
    assert read_rule(from_form(form), "the form") == Rule(
        on="order", do="slow", options={"seconds": 0.5}, taken=False, first=3
    )
    with pytest.raises(ScriptError, match="first must be a whole number"):
        read_rule(from_form({"do": "slow", "first": "many"}), "the form")


def test_the_documentation_names_every_fault_and_option() -> None:
    text = DOCUMENT.read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert set(FAULTS) <= set(rows)
    for do, fault in FAULTS.items():
        assert fault.says in rows[do], do
    for example in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        json.loads(example)


# --- a process of its own ----------------------------------------------------------------------


def test_it_runs_without_a_project_and_tells_what_it_made(tmp_path: Path) -> None:
    began = time.monotonic()
    with running(tmp_path, faults=[{"do": "invalid_key", "on": "token", "first": 1}]) as simulator:
        started = time.monotonic() - began
        assert simulator.told["clinics"] == []
        assert simulator.told["faults"] == 1
        key = {"Ocp-Apim-Subscription-Key": simulator.told["subscription_key"]}
        url = simulator.url + simulator.told["token_path"]
        first = requests.post(url, data={}, headers=key, timeout=5)
        assert (first.status_code, "invalid subscription key" in first.text) == (401, True)
        assert requests.post(url, data={}, headers=key, timeout=5).status_code == 400
        assert simulator.state()["faults"][0]["acted"] == 1
    assert started < 5
    assert sorted(each.name for each in tmp_path.iterdir()) == ["simulator.json"]

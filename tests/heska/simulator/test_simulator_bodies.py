"""Messages have the contract's layout; corrections, attachments, tokens and scripts hold."""

from __future__ import annotations

import base64
import datetime
import hashlib
import random
import zlib
from typing import Any

import pytest

from integrations.heska.simulator import tokens
from integrations.heska.simulator.bodies import (
    encode,
    message,
    orphan_people,
    preliminary,
    test_block,
)
from integrations.heska.simulator.catalogue import TESTS
from integrations.heska.simulator.corrections import NothingToCorrect, correction
from integrations.heska.simulator.courier import read_retry_after, receipt
from integrations.heska.simulator.draw import Draw
from integrations.heska.simulator.page import render
from integrations.heska.simulator.pictures import pdf, scattergram
from integrations.heska.simulator.script import ScriptError, read_script

make_block = test_block
del test_block  # not a test, whatever its name
NOW = datetime.datetime(2026, 3, 2, 16, 31, 40, tzinfo=datetime.UTC)


def block(code: str = "HHEM-1", *, ordered: bool = True) -> dict[str, Any]:
    return make_block(
        test=TESTS[code],
        species="CANINE",
        draw=Draw(seed=1, animal="a", run="r"),
        clinic_id="clinic-0042",
        ident="run-1",
        run_at="2026-03-02T09:29:11-07:00",
        ordered={"TestRequestId": "VL-1-1", "TestCode": code} if ordered else None,
    )


def sent(*blocks: dict[str, Any], lab_report_id: str | None = "VL-1") -> dict[str, Any]:
    return message(
        message_id="m-1",
        lab_report_id=lab_report_id,
        heska_report_id="94877",
        version=1,
        status="Final",
        clinic_id="clinic-0042",
        reported_at=NOW,
        people=orphan_people(
            name="BISCUIT ", patient_id="1", species="Canine", sex="", owner="", doctor="Sample"
        ),
        tests=list(blocks),
    )


def test_a_message_has_the_names_of_the_example() -> None:
    built = sent(block())
    assert list(built) == [
        "MessageId", "LabReportId", "HeskaReportId", "ReportVersion", "Status", "ClinicId",
        "ReportedAt", "Patient", "Client", "Doctor", "Tests",
    ]  # fmt: skip
    assert built["ReportedAt"] == "2026-03-02T16:31:40Z"
    test = built["Tests"][0]
    assert test["Analyzer"]["Model"] == "Element HT5"
    assert {"TestRunId", "TestRequestId", "TestCode", "Category", "Status", "RunAt"} <= set(test)
    assert [each["Sequence"] for each in test["Results"]] == list(range(1, 24))


def test_an_orphan_has_no_test_code_and_keeps_what_was_typed() -> None:
    built = sent(block("HPOC-1", ordered=False), lab_report_id=None)
    assert built["LabReportId"] is None
    assert built["Patient"]["Name"] == "BISCUIT "
    assert built["Tests"][0]["TestCode"] is None
    assert built["Tests"][0]["TestName"] == "Blood gas, electrolytes, metabolic"
    assert "TestRequestId" not in built["Tests"][0]


def test_pictures_belong_to_their_rows() -> None:
    built = block()
    wanted = [each["AttachmentIds"][0] for each in built["Results"] if "AttachmentIds" in each]
    assert wanted == [each["AttachmentId"] for each in built["Attachments"]]
    for each in built["Attachments"]:
        data = base64.b64decode(each["Data"])
        assert data.startswith(b"\x89PNG\r\n")
        assert each["SizeBytes"] == len(data)
        assert each["Sha256"] == hashlib.sha256(data).hexdigest()


def test_a_preliminary_block_is_the_beginning_of_the_final_one() -> None:
    final = block("HDC-1")
    early = preliminary(final)
    assert early["TestRunId"] == final["TestRunId"]
    assert {each["Status"] for each in early["Results"]} == {"Preliminary"}
    assert 0 < len(early["Results"]) < len(final["Results"])
    assert early["Results"][0]["Value"] == final["Results"][0]["Value"]
    assert final["Results"][0]["Status"] == "Final"


def test_a_correction_changes_one_value_of_the_same_run() -> None:
    original = sent(block())
    built = correction(original, message_id="m-2", version=2, now=NOW)
    assert (built["MessageId"], built["ReportVersion"], built["Status"]) == ("m-2", 2, "Corrected")
    assert "Patient" not in built
    test = built["Tests"][0]
    assert test["TestRunId"] == "run-1"
    (changed,) = test["Results"]
    old = original["Tests"][0]["Results"][changed["Sequence"] - 1]
    assert changed["Value"] != old["Value"]
    assert changed["NumericValue"] == float(changed["Value"])
    assert changed["Status"] == "Corrected"


def test_a_corrected_orphan_stays_under_its_typed_identity() -> None:
    original = sent(block("HTR-1", ordered=False), lab_report_id=None)
    built = correction(original, message_id="m-2", version=2, now=NOW)
    assert built["Patient"] == original["Patient"]
    assert built["Tests"][0]["Results"][0]["Value"] == "POSITIVE"
    assert built["Tests"][0]["Results"][0]["AbnormalFlag"] == "P"


@pytest.mark.parametrize(
    ("value", "kind"),
    [("143", "Numeric"), ("< 2", "Qualified"), ("*****", "NotReported"), ("NaN", "Text"),
     ("1+", "Text")],
)  # fmt: skip
def test_a_correction_can_be_chosen(value: str, kind: str) -> None:
    built = correction(
        sent(block()), message_id="m-2", version=2, now=NOW, analyte="PLT", value=value
    )
    (changed,) = built["Tests"][0]["Results"]
    assert (changed["AnalyteCode"], changed["Value"]) == ("PLT", value)
    assert changed["ValueType"] == kind


def test_what_is_not_there_cannot_be_corrected() -> None:
    with pytest.raises(NothingToCorrect, match="no value for XYZ"):
        correction(sent(block()), message_id="m-2", version=2, now=NOW, analyte="XYZ")


@pytest.mark.parametrize("code", TESTS)
def test_every_kind_of_message_can_be_corrected(code: str) -> None:
    original = sent(block(code))
    built = correction(original, message_id="m-2", version=2, now=NOW)
    assert len(built["Tests"][0]["Results"]) == 1


def test_any_text_can_go_out() -> None:
    built = sent(block())
    built["Patient"]["Name"] = "\ud800 \x00 é"
    assert b"\\ud800" in encode(built)


def test_a_pdf_has_a_true_table_of_offsets() -> None:
    document = pdf(["one (1)", "back\\slash", "é ☃"])
    start = int(document.split(b"startxref\n")[1].split()[0])
    assert document[start : start + 4] == b"xref"
    for number, line in enumerate(document[start:].split(b"\n")[3:8], 1):
        assert document[int(line[:10]) :].startswith(b"%d 0 obj" % number)


def test_a_png_has_whole_lines() -> None:
    data = scattergram(random.Random(1))
    assert len(zlib.decompress(data[41:-16])) == 96 * 97


def test_tokens_are_ours_unchanged_and_not_too_old() -> None:
    token = tokens.issue(b"secret", "out-42", 1000)
    assert token.count(".") == 2
    assert tokens.subject(b"secret", token, 1001) == "out-42"
    assert tokens.subject(b"secret", token, 1000 + tokens.LIFETIME) is None
    assert tokens.subject(b"other", token, 1001) is None
    for wrong in ("", "a.b.c", token[:-1], "é" + token):
        assert tokens.subject(b"secret", wrong, 1001) is None


def test_retry_after_is_seconds_or_a_date() -> None:
    assert read_retry_after("11", NOW) == 11
    assert read_retry_after("Mon, 02 Mar 2026 16:31:50 GMT", NOW) == 10
    assert read_retry_after("Mon, 02 Mar 2026 16:31:30 GMT", NOW) == 0
    assert read_retry_after("soon", NOW) is None
    assert read_retry_after(None, NOW) is None


def test_a_receipt_is_read_where_there_is_one() -> None:
    assert receipt(b'{"ReceiptId": "r", "Status": "Stored"}') == ("r", "Stored")
    for body in (b"", b"<html>", b"[]", b'{"ReceiptId": 5}', b"[" * 100_000):
        assert receipt(body) == (None, None)


def test_the_page_escapes_everything() -> None:
    evil = "<script>\"'"
    order = {"lab_report_id": evil, "heska_report_id": evil, "received_at": evil}
    order |= {"patient_id": evil, "patient_name": evil, "species": evil, "clinic_id": evil}
    order["tests"] = [{"test_code": evil, "analyzer": evil, "state": evil}]
    names = ("message_id", "clinic_id", "url", "lab_report_id", "heska_report_id", "summary")
    delivery = dict.fromkeys((*names, "status", "receipt_id", "error", "created_at"), evil)
    delivery |= {"kind": "result", "attempts": 2, "http_status": 500, "next_at": evil}
    delivery["receipt_status"] = evil
    rule = {"number": 1, "acted": 1, "met": 1} | dict.fromkeys(("do", "on", "what", "when"), evil)
    shown = {"clinics": [evil], "worklist": [order], "deliveries": [delivery], "faults": [rule]}
    page = render(shown, watch=False, error=evil, form={"patient_name": evil, "species": evil})
    assert "<script" not in page
    assert "style=" not in page
    assert f'value="{evil}' not in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subscription_key": ""}, "subscription_key must be a text"),
        ({"seed": "1"}, "seed must be a whole number"),
        ({"delay_seconds": [5, 3]}, "delay_seconds must be"),
        ({"delay_seconds": [0, float("inf")]}, "delay_seconds must be"),
        ({"clinics": {}}, "clinics must be a list"),
        ({"clinics": [5]}, r"Clinics\[0\] must be a JSON object"),
        ({"clinics": [{"clinic_id": "c"}]}, r"clinics\[0\], client_id is missing"),
        ({"typo": 1}, "typo is not a known name"),
    ],
)
def test_a_wrong_script_is_named_in_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ScriptError, match=words):
        read_script({"subscription_key": "k"} | change)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("token_url", "ftp://x/", "token_url must be an http or https URL"),
        ("unmatched_url", "https://u:p@x/", "unmatched_url must be an http or https URL"),
        ("client_secret", None, "client_secret must be a text"),
    ],
)
def test_wrong_urls_and_secrets_are_named(name: str, value: Any, words: str) -> None:
    pims = {"token_url": "http://x/t", "client_id": "i", "client_secret": "s"}
    pims |= {"unmatched_url": "http://x/u"} | {name: value}
    clinic = {"clinic_id": "c", "client_id": "i", "client_secret": "s", "pims": pims}
    with pytest.raises(ScriptError, match=words):
        read_script({"subscription_key": "k", "clinics": [clinic]})


def test_two_clinics_are_two() -> None:
    pims = {"token_url": "http://x/t", "client_id": "i", "client_secret": "s"}
    pims |= {"unmatched_url": "http://x/u"}
    clinic = {"clinic_id": "c", "client_id": "i", "client_secret": "s", "pims": pims}
    with pytest.raises(ScriptError, match="two clinics have the clinic_id c"):
        read_script({"subscription_key": "k", "clinics": [clinic, clinic]})

"""Heska's way in over Django's test client: the contract's table "Inbound", row by row."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from integrations.heska.connections import connect, create_client
from integrations.heska.models import InboundClient
from integrations.heska.services import filing
from labs.models import LabResult, Message, TestRun, UnmatchedResult
from labs.services.intake import journal, replaying, results
from tests.factories import make_clinic, make_owner, make_patient, make_request
from tests.heska import examples

pytestmark = pytest.mark.django_db
PROBLEM = "application/problem+json"


@pytest.fixture
def clinic():
    return make_clinic(public_id="clinic-0042")


@pytest.fixture
def lab_request(clinic):
    """The request of the contract's examples."""
    owner = make_owner(clinic, owner_id="C-2207")
    patient = make_patient(clinic, patient_id="P-10482", name="Biscuit", sex="M", owner=owner)
    request = make_request(patient, panels=("HHEM-1", "HDC-3"))
    request.lab_report_id = "VL-3F7K2M9Q"
    request.save()
    for test in request.tests.all():
        test.test_request_id = f"VL-3F7K2M9Q-{test.position}"
        test.save()
    return request


def token_for(client, access):
    answer = client.post(
        "/api/oauth/token",
        {
            "grant_type": "client_credentials",
            "client_id": access.client_id,
            "client_secret": access.client_secret,
        },
        content_type="application/json",
    )
    return answer.json()["access_token"]


class Heska:
    """One client of Heska's, with its token."""

    def __init__(self, client, clinic):
        self.client = client
        self.token = token_for(client, create_client(acting_user=None, clinic=clinic))

    def post(self, url, body, content_type="application/json", **headers):
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        headers = {"authorization": f"Bearer {self.token}", **headers}
        return self.client.generic("POST", url, body, content_type=content_type, headers=headers)


@pytest.fixture
def heska(client, clinic):
    return Heska(client, clinic)


def result_url(request):
    return f"/api/labresults/{request.result_key}"


def message_of(answer):
    return Message.objects.get(receipt_id=answer.json()["ReceiptId"])


# The table, from the top.


@pytest.mark.parametrize("slash", ["", "/"])
def test_stored_and_filed(heska, lab_request, slash):
    answer = heska.post(result_url(lab_request) + slash, examples.raw("06"))
    assert answer.status_code == 201
    assert set(answer.json()) == {"ReceiptId", "Status"}
    assert answer.json()["Status"] == "Stored"
    message = message_of(answer)
    assert (message.state, message.request) == ("filed", lab_request)
    assert bytes(message.raw) == examples.raw("06")
    assert message.sha256 == hashlib.sha256(examples.raw("06")).hexdigest()
    assert "authorization" not in json.dumps(message.headers).lower()


def test_the_examples_in_their_order(heska, lab_request, clinic):
    assert heska.post(result_url(lab_request), examples.raw("06")).status_code == 201
    lab_request.refresh_from_db()
    assert lab_request.state == "partial"
    assert heska.post(result_url(lab_request), examples.raw("07")).status_code == 201
    lab_request.refresh_from_db()
    assert lab_request.state == "complete"
    run = lab_request.runs.get(test_code="HHEM-1")
    rows = {row.code: row.value_text for row in run.observations.filter(current=True)}
    assert rows["PLT"] == "143"
    assert rows["WBC"] == "6.13"
    answer = heska.post(f"/api/unmatchedlabresults/{clinic.public_id}", examples.raw("08"))
    assert (answer.status_code, answer.json()["Status"]) == (201, "Stored")
    orphan = UnmatchedResult.objects.get()
    assert (orphan.external_id, orphan.typed["patient_name"]) == ("94912", "BISCUIT ")


def test_the_same_message_again_is_a_duplicate_in_either_form(heska, lab_request):
    first = heska.post(result_url(lab_request), examples.raw("06"))
    for slash in ("", "/", ""):
        again = heska.post(result_url(lab_request) + slash, examples.raw("06"))
        assert again.status_code == 200
        assert again.json() == {"ReceiptId": first.json()["ReceiptId"], "Status": "Duplicate"}
    message = message_of(first)
    assert message.redeliveries == 3
    assert message.last_seen_at >= message.received_at
    assert Message.objects.filter(direction="in").count() == 1
    assert LabResult.objects.count() == 1


def test_the_same_message_id_with_another_body_is_no_duplicate(heska, lab_request):
    body = examples.load("06")
    heska.post(result_url(lab_request), body)
    body["ReportVersion"], body["Tests"][0]["Results"][0]["Value"] = 2, "7.00"
    answer = heska.post(result_url(lab_request), body)
    assert (answer.status_code, answer.json()["Status"]) == (201, "Stored")
    assert LabResult.objects.count() == 2


@pytest.mark.parametrize(
    "body", [b"{}", b"null", b"5", b'"x"', b"[]", b'{"Tests": []}', b'{"a": 1, "a": 2}']
)
def test_not_understood_is_quarantined(heska, lab_request, body):
    for url in (result_url(lab_request), "/api/unmatchedlabresults/clinic-0042"):
        answer = heska.post(url, body)
        assert answer.status_code == 202
        assert answer.json()["Status"] == "Quarantined"
        message = message_of(answer)
        assert (message.state, bytes(message.raw)) == ("quarantined", body)
        assert message.cause
        again = heska.post(url, body)
        assert (again.status_code, again.json()["Status"]) == (200, "Duplicate")


def test_a_conflict_is_held(heska, lab_request):
    body = examples.load("06")
    body["Patient"]["Name"] = "Rex"
    answer = heska.post(result_url(lab_request), body)
    assert (answer.status_code, answer.json()["Status"]) == (202, "Held")
    orphan = UnmatchedResult.objects.get()
    assert (orphan.reason, orphan.suggested_request) == ("conflict", lab_request)
    assert orphan.contradictions == ["Name Rex; the request is for Biscuit."]
    assert not lab_request.runs.exists()


def test_an_array_is_answered_part_by_part(heska, lab_request):
    good, odd = examples.load("06"), {"Hello": 1}
    answer = heska.post(result_url(lab_request), [good, odd, examples.load("07")])
    assert answer.status_code == 202
    receipts = answer.json()["Receipts"]
    assert [receipt["Status"] for receipt in receipts] == ["Stored", "Quarantined", "Stored"]
    assert len({receipt["ReceiptId"] for receipt in receipts}) == 3
    parent = Message.objects.get(parent=None, direction="in")
    assert [part.receipt_id for part in parent.parts.order_by("part")] == [
        receipt["ReceiptId"] for receipt in receipts
    ]
    assert parent.receipt_id not in {receipt["ReceiptId"] for receipt in receipts}
    again = heska.post(result_url(lab_request), [good, odd, examples.load("07")])
    assert again.status_code == 200
    assert [receipt["Status"] for receipt in again.json()["Receipts"]] == ["Duplicate"] * 3
    assert parent.parts.count() == 3


@pytest.mark.parametrize("wrapper", ["Results", "LabReports"])
def test_a_wrapper_whose_parts_are_all_filed(heska, lab_request, wrapper):
    answer = heska.post(result_url(lab_request), {wrapper: [examples.load("06")]})
    assert answer.status_code == 201
    assert [receipt["Status"] for receipt in answer.json()["Receipts"]] == ["Stored"]
    assert (
        heska.post(result_url(lab_request), b"\xef\xbb\xbf" + examples.raw("07")).status_code == 201
    )


def test_an_array_that_takes_too_long_is_stored_and_filed_later(heska, lab_request, monkeypatch):
    """A thousand parts took 14 s, and their sender, answered 503 after 4.5, was told to send again
    what had been stored."""
    monkeypatch.setattr(filing, "ARRAY_SECONDS", 0)
    parts = [examples.load("06"), examples.load("07")]
    answer = heska.post(result_url(lab_request), parts)
    assert answer.status_code == 202
    receipts = answer.json()["Receipts"]
    assert [receipt["Status"] for receipt in receipts] == ["Received", "Received"]
    again = heska.post(result_url(lab_request), parts).json()["Receipts"]
    assert again == [{**receipt, "Status": "Duplicate"} for receipt in receipts]
    Message.objects.update(not_before=timezone.now())
    journal.sweep()
    assert set(Message.objects.filter(direction="in").values_list("state", flat=True)) == {"filed"}
    assert [part.receipt_id for part in Message.objects.exclude(part=None).order_by("part")] == [
        receipt["ReceiptId"] for receipt in receipts
    ]


def test_an_array_is_split_by_the_batch(heska, lab_request, django_assert_max_num_queries):
    message, _ = journal.receive(
        vendor="heska", clinic=lab_request.clinic, sender="x", target="/x", headers={}, raw=b"[]"
    )
    with django_assert_max_num_queries(12), transaction.atomic():
        parts = journal.split(message=message, parts=[b"%d" % number for number in range(50)])
        again = journal.split(message=message, parts=[b"%d" % number for number in range(50)])
    assert [bytes(part.raw) for part in parts] == [b"%d" % number for number in range(50)]
    assert [part.pk for part in again] == [part.pk for part in parts]


def test_an_array_in_an_array_is_not_understood_however_often_it_is_read(heska, lab_request):
    heska.post(result_url(lab_request), [[examples.load("06")]])
    _, part = Message.objects.filter(direction="in").order_by("pk")
    for _ in range(2):
        replaying.replay(part.pk)
    assert Message.objects.filter(direction="in").count() == 2
    part.refresh_from_db()
    assert (part.state, part.cause) == (
        "quarantined",
        "This is JSON, but no message: it is not an object.",
    )


def test_an_array_without_end_is_one_quarantined_row(heska, lab_request):
    answer = heska.post(result_url(lab_request), b"[" + b"1," * 5_000 + b"1]")
    assert (answer.status_code, answer.json()["Status"]) == (202, "Quarantined")
    assert Message.objects.filter(direction="in").count() == 1


def story(request):
    """Four messages of one run, as they come over the wire."""
    first, correction = examples.load("06"), examples.load("07")
    first["Tests"][0]["Status"] = "Preliminary"
    final = copy.deepcopy(first) | {"ReportVersion": 2, "ReportedAt": "2026-03-02T16:40:00Z"}
    final["Tests"][0] |= {"Status": "Final"}
    final["Tests"][0]["Results"][0]["Value"] = "6.20"
    late = copy.deepcopy(correction) | {"ReportVersion": 4, "ReportedAt": "2026-03-02T18:00:00Z"}
    late["Tests"] = late["Tests"][:1]
    late["Tests"][0]["Results"][0]["Value"] = "150"
    return [first, final, correction, late]


@pytest.mark.parametrize("start", range(4))
def test_every_order_of_arrival_through_the_door(heska, lab_request, start):
    patient = lab_request.patient
    for order in itertools.permutations([0, 1, 2, 3]):
        if order[0] != start:
            continue
        request = make_request(patient, panels=("HHEM-1", "HDC-3"))
        messages = story(request)
        for number in order:
            body = messages[number] | {"LabReportId": request.lab_report_id}
            for test in body["Tests"]:
                test["TestRequestId"] = f"{request.lab_report_id}-{test['TestRequestId'][-1]}"
            answer = heska.post(result_url(request), body)
            assert (answer.status_code, answer.json()["Status"]) == (201, "Stored")
            again = heska.post(result_url(request) + "/", body)
            assert (again.status_code, again.json()["Status"]) == (200, "Duplicate")
        request.refresh_from_db()
        run = request.runs.get(test_code="HHEM-1")
        rows = {row.code: row.value_text for row in run.observations.filter(current=True)}
        assert (rows["WBC"], rows["PLT"], rows["MPV"]) == ("6.20", "150", "*****")
        assert len(rows) == 5
        assert run.versions.get(current=True).report_version == 4
        assert request.state == "complete"


# 401 and 403: who posts.

BAD_TOKENS = ["Bearer nonsense", "Bearer ", "Bearer a b", "Basic eDp5", "nonsense", "Bearer é"]


def test_without_a_token(client, lab_request):
    answer = client.post(result_url(lab_request), {}, content_type="application/json")
    assert answer.status_code == 401
    assert answer["Content-Type"] == PROBLEM
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "error=" not in answer["WWW-Authenticate"]
    assert not Message.objects.exists()


@pytest.mark.parametrize("header", BAD_TOKENS)
def test_a_bad_token_stores_nothing(client, lab_request, header):
    answer = client.post(
        result_url(lab_request),
        examples.raw("06"),
        content_type="application/json",
        headers={"authorization": header},
    )
    assert answer.status_code == 401
    assert answer["Content-Type"] == PROBLEM
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert set(answer.json()) == {"type", "title", "status"}
    assert not Message.objects.exists()


def test_expired_revoked_and_unknown_tokens_get_the_same_bytes(heska, client, lab_request, clinic):
    url, model = result_url(lab_request), get_access_token_model()

    def refused(token):
        answer = client.post(
            url, "{}", content_type="application/json", headers={"authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer["WWW-Authenticate"]
        return answer.content

    unknown = refused("never-was")
    model.objects.update(expires=timezone.now())
    assert refused(heska.token) == unknown
    other = Heska(client, clinic)
    model.objects.all().delete()
    assert refused(other.token) == unknown
    gone = Heska(client, clinic)
    InboundClient.objects.all().delete()
    assert refused(gone.token) == unknown


def test_a_token_in_the_address_or_the_body_is_none(heska, client, lab_request):
    url = result_url(lab_request)
    asked = client.post(f"{url}?access_token={heska.token}", "{}", content_type="application/json")
    assert asked.status_code == 401
    assert client.post(url, {"access_token": heska.token}).status_code == 401


def test_a_token_without_the_scope(heska, lab_request):
    get_access_token_model().objects.update(scope="something:else")
    answer = heska.post(result_url(lab_request), examples.raw("06"))
    assert answer.status_code == 403
    assert answer["Content-Type"] == PROBLEM
    assert 'error="insufficient_scope"' in answer["WWW-Authenticate"]
    assert not Message.objects.exists()


@pytest.mark.parametrize("path", ["clinic-0077", "no-such-clinic", "a%00b"])
def test_a_path_that_is_not_the_tokens_own(heska, clinic, path):
    make_clinic(public_id="clinic-0077")
    answer = heska.post(f"/api/unmatchedlabresults/{path}", examples.raw("08"))
    assert answer.status_code == 403
    assert answer["Content-Type"] == PROBLEM
    assert set(answer.json()) == {"type", "title", "status", "ReceiptId"}
    message = message_of(answer)
    assert (message.state, message.clinic) == ("quarantined", clinic)
    assert not UnmatchedResult.objects.exists()
    again = heska.post(f"/api/unmatchedlabresults/{path}", examples.raw("08"))
    assert again.status_code == 403
    assert again.json()["ReceiptId"] == message.receipt_id


def test_the_clinics_client_id_with_heska_resolves_too(heska, clinic):
    connect(acting_user=None, clinic=clinic, client_id="6f1c-clinic-0042", client_secret="s")
    answer = heska.post("/api/unmatchedlabresults/6f1c-clinic-0042/", examples.raw("08"))
    assert answer.status_code == 201
    assert UnmatchedResult.objects.get().clinic == clinic


def test_another_clinics_key_is_answered_like_an_unknown_one(heska, clinic):
    theirs = make_request(make_patient(make_clinic()), accepted=True)
    body = examples.load("08")
    unknown = heska.post("/api/labresults/k9d2c7e1f0a84bX5mQ2rTz00", body)
    other = heska.post(result_url(theirs), {**body, "LabReportId": theirs.lab_report_id})
    assert unknown.status_code == other.status_code == 202

    def same(answer):
        receipt = answer.json()["ReceiptId"]
        headers = {k: sorted(v.split("; ")) for k, v in answer.headers.items()}
        headers.pop("X-Request-ID", None)
        return answer.content.replace(receipt.encode(), b""), headers

    assert same(unknown) == same(other)
    assert {orphan.clinic for orphan in UnmatchedResult.objects.all()} == {clinic}
    assert {orphan.reason for orphan in UnmatchedResult.objects.all()} == {"unknown_key"}
    theirs.refresh_from_db()
    assert theirs.state == "accepted"
    assert not theirs.runs.exists()


@pytest.mark.parametrize("key", ["a%00b", "%ed%a0%80", "x" * 280, "é", "../../x", "%2e%2e"])
def test_an_odd_key_is_just_unknown(heska, clinic, key):
    answer = heska.post(f"/api/labresults/{key}", examples.raw("08"))
    if answer.status_code != 404:  # the address is no address of ours
        assert (answer.status_code, answer.json()["Status"]) == (202, "Held")
        assert UnmatchedResult.objects.get().reason == "unknown_key"


def test_the_payload_never_decides_the_clinic(heska, clinic):
    other = make_clinic(public_id="clinic-0077")
    body = examples.load("08") | {"ClinicId": "clinic-0077"}
    assert heska.post("/api/unmatchedlabresults/clinic-0042", body).status_code == 201
    assert UnmatchedResult.objects.get().clinic == clinic
    assert not UnmatchedResult.objects.filter(clinic=other).exists()


def test_a_vendor_wide_client_goes_by_the_address(client, clinic, lab_request):
    wide = Heska(client, None)
    assert wide.post(result_url(lab_request), examples.raw("06")).status_code == 201
    other = make_clinic(public_id="clinic-0077")
    assert wide.post("/api/unmatchedlabresults/clinic-0077", examples.raw("08")).status_code == 201
    assert UnmatchedResult.objects.get().clinic == other
    for url in ("/api/labresults/unknown", "/api/unmatchedlabresults/unknown"):
        answer = wide.post(url, examples.raw("08"))
        assert (answer.status_code, answer.json()["Status"]) == (202, "Quarantined")
        assert message_of(answer).clinic is None


# What cannot be read.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        examples.raw("06")[:-20],
        b'{"a": NaN}',
        b'{"a": "\xff"}',
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b"<xml/>",
    ],
)
def test_not_json_at_all(heska, lab_request, body):
    answer = heska.post(result_url(lab_request), body)
    assert answer.status_code == 400
    assert answer["Content-Type"] == PROBLEM
    assert set(answer.json()) == {"type", "title", "status", "detail", "ReceiptId"}
    assert answer.json()["type"] == "about:blank#not-json"
    assert answer.json()["detail"].endswith("The bytes were kept.")
    message = message_of(answer)
    assert (message.state, bytes(message.raw)) == ("quarantined", body)
    # The same answer for the same bytes: a 200 would tell the sender that all is well.
    again = heska.post(result_url(lab_request), body)
    assert (again.status_code, again.content) == (400, answer.content)
    message.refresh_from_db()
    assert message.redeliveries == 1


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("text/plain", {}),
        ("application/xml", {}),
        ("multipart/form-data; boundary=x", {}),
        ("application/x-www-form-urlencoded", {}),
        ("application/json; charset=latin-1", {}),
        ("application/json; charset=utf-16", {}),
        ("application/json", {"content-encoding": "gzip"}),
        ("application/json", {"content-encoding": "br"}),
    ],
)
def test_another_kind_of_body(heska, lab_request, content_type, headers):
    answer = heska.post(result_url(lab_request), examples.raw("06"), content_type, **headers)
    assert answer.status_code == 415
    assert answer["Content-Type"] == PROBLEM
    message = message_of(answer)
    assert (message.state, bytes(message.raw)) == ("quarantined", examples.raw("06"))
    assert not LabResult.objects.exists()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json;charset=UTF-8",
        'text/json; charset="utf-8"',
        "application/hl7+json",
        "Application/JSON",
    ],
)
def test_kinds_that_are_read(heska, lab_request, content_type):
    answer = heska.post(result_url(lab_request), examples.raw("06"), content_type)
    assert answer.status_code == 201


def test_too_large(heska, lab_request, settings):
    settings.INTAKE_MAX_BYTES = 100_000
    body = b'{"a": "' + b"x" * 100_000 + b'"}'
    answer = heska.post(result_url(lab_request), body)
    assert answer.status_code == 413
    assert answer["Content-Type"] == PROBLEM
    assert set(answer.json()) == {"type", "title", "status", "ReceiptId"}
    message = message_of(answer)
    assert (bytes(message.raw), message.declared_size) == (body[: 64 * 1024], len(body))
    assert message.state == "quarantined"
    assert heska.post(result_url(lab_request), body).json() == answer.json()
    exact = b'{"a": "' + b"x" * (100_000 - 9) + b'"}'
    assert heska.post(result_url(lab_request), exact).status_code == 202


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head", "trace"])
def test_only_post(client, lab_request, method):
    for url in (result_url(lab_request), "/api/unmatchedlabresults/clinic-0042/"):
        answer = getattr(client, method)(url)
        assert answer.status_code == 405
        assert answer["Allow"] == "POST"


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "nonsense", ""])
def test_no_result_is_refused_for_what_the_sender_would_like_to_read(heska, lab_request, accept):
    url = f"{result_url(lab_request)}?format=xml"
    answer = heska.post(url, examples.raw("06"), accept=accept)
    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/json"


def test_nothing_is_ever_redirected(heska, client, lab_request, settings):
    for url in (result_url(lab_request), "/api/unmatchedlabresults/x", "/api/oauth/token"):
        for slash in ("", "/"):
            assert client.post(url + slash).status_code not in (301, 302, 307, 308)


# A crash, and a database that refuses.


def test_a_failure_in_filing_is_202_and_the_sweeper_files_it(heska, lab_request, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(results, "file_report", broken)
        answer = heska.post(result_url(lab_request), examples.raw("06"))
    assert answer.status_code == 202
    assert answer.json()["Status"] == "Received"
    message = message_of(answer)
    assert (message.state, bytes(message.raw)) == ("received", examples.raw("06"))
    assert "ZeroDivisionError" in message.cause
    assert journal.sweep() == 0  # not at once
    Message.objects.update(not_before=timezone.now())
    assert journal.sweep() == 1
    message.refresh_from_db()
    assert (message.state, message.cause, message.request) == ("filed", "", lab_request)
    again = heska.post(result_url(lab_request), examples.raw("06"))
    assert (again.status_code, again.json()["Status"]) == (200, "Duplicate")


def test_a_redelivery_files_what_failed_before(heska, lab_request, monkeypatch):
    def broken(**_):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(results, "file_report", broken)
        first = heska.post(result_url(lab_request), examples.raw("06"))
    again = heska.post(result_url(lab_request), examples.raw("06"))
    assert again.json() == {"ReceiptId": first.json()["ReceiptId"], "Status": "Duplicate"}
    assert message_of(first).state == "filed"


@pytest.mark.django_db(transaction=True)
def test_the_bytes_are_committed_before_anything_is_read(heska, lab_request, monkeypatch):
    seen = []

    def look(message, **_):
        seen.append((connection.in_atomic_block, Message.objects.filter(pk=message.pk).exists()))
        raise SystemError("the process dies here")

    monkeypatch.setattr(filing, "file_stored", look)
    answer = heska.post(result_url(lab_request), b"not even json")
    assert seen == [(False, True)]
    assert answer.status_code == 202
    monkeypatch.undo()
    Message.objects.update(not_before=timezone.now())
    journal.sweep()
    assert Message.objects.get(direction="in").state == "quarantined"


@pytest.mark.parametrize("error", [OperationalError, DatabaseError])
def test_a_database_that_refuses_is_503(heska, lab_request, monkeypatch, error):
    def refuse(*_, **__):
        raise error("disk full")

    monkeypatch.setattr(journal.quick, "insert_unless_there", refuse)
    answer = heska.post(result_url(lab_request), examples.raw("06"))
    assert answer.status_code == 503
    assert answer["Retry-After"] == "30"
    assert answer["Content-Type"] == PROBLEM
    assert "ReceiptId" not in answer.json()
    monkeypatch.undo()
    assert heska.post(result_url(lab_request), examples.raw("06")).status_code == 201


def test_a_database_that_goes_away_after_the_commit_is_202(heska, lab_request, monkeypatch):
    def gone(*_, **__):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(results, "file_report", gone)
    monkeypatch.setattr(journal, "filing_failed", gone)
    answer = heska.post(result_url(lab_request), examples.raw("06"))
    assert (answer.status_code, answer.json()["Status"]) == (202, "Received")


def test_a_message_that_can_never_be_filed_does_not_block_the_queue(
    heska, lab_request, monkeypatch
):
    def broken(*_, **__):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(results, "file_report", broken)
        heska.post(result_url(lab_request), examples.raw("06"))
        heska.post(result_url(lab_request), [examples.load("07")])
        for _ in range(3):
            Message.objects.update(not_before=timezone.now())
            assert journal.sweep() == 2
            assert journal.sweep() == 0
        assert not Message.objects.exclude(state="received").filter(direction="in").exists()
        # What fails before a part is even reached waits too, and ends.
        patch.setattr(filing, "file_stored", broken)
        for _ in range(3):
            Message.objects.update(not_before=timezone.now())
            journal.sweep()
    alone, array, part = Message.objects.filter(direction="in").order_by("pk")
    assert (alone.state, alone.attempts) == ("quarantined", journal.MAX_ATTEMPTS)
    assert "tried 5 times" in alone.cause and "ZeroDivisionError" in alone.cause
    assert (array.state, part.state) == ("quarantined", "quarantined")
    for message in (alone, array):
        replaying.replay(message.pk)
    assert set(Message.objects.filter(direction="in").values_list("state", flat=True)) == {"filed"}


def test_a_body_that_was_cut_is_quarantined_even_when_the_process_died_before(heska, clinic):
    message, _ = journal.receive(
        vendor="heska",
        clinic=clinic,
        sender="x",
        target="/api/labresults/k",
        headers={},
        raw=b'{"a',
        declared_size=10**9,
    )
    Message.objects.update(not_before=timezone.now())
    journal.sweep()
    message.refresh_from_db()
    assert message.state == "quarantined"


# Messages that are unlike what we expect, but well-formed: never refused, never pending.

ODD = [
    {"Tests": [{"TestRunId": "r", "Results": [{"AnalyteCode": "A", "Value": "1"}]},
               {"TestRunId": "r", "Results": [{"AnalyteCode": "B", "Value": "2"}]}]},
    {"Tests": [{"TestRunId": "r" * 500}, {"TestRunId": "r" * 400}]},
    {"Tests": [{"TestCode": "x"}, {"TestCode": "x"}]},
    {"ReportVersion": "--5", "Tests": [{}]},
    {"ReportVersion": -5, "Tests": [{}]},
    {"ReportedAt": "9999-12-31T23:59:59.9999999", "Tests": [{"RunAt": "9999-12-31T23:59:59"}]},
    {"ReportedAt": "0001-01-01T00:00:00Z", "Tests": [{"RunAt": "0001-01-02T00:00:00+14:00"}]},
    {"MessageId": "\x00\ud800" * 300, "Tests": [{"TestName": "\x00" * 500}]},
    {"Tests": [{"Results": [{"AnalyteCode": "x" * 300, "Sequence": "9" * 99, "Value": "1" * 999},
                            {"Units": "u" * 300, "AbnormalFlag": "f" * 300},
                            {"ReferenceText": "1" * 900}]}]},
    {"Tests": [{"Results": [{"Sequence": -1, "Value": {"a": [1, {"b": "\x00"}]}},
                            {"Sequence": 1.5}]}]},
    {"Tests": [{"Results": [{"Value": "1" + "0" * 60 + "e300", "ReferenceLow": "1e399"}]}]},
    {"HeskaReportId": "x" * 500, "Patient": {"Breed": "n" * 5000, "Weight": 31.4}, "Tests": [{}]},
    {"Tests": [{"Attachments": [{}, {"Data": "\x00"}, {"FileName": "../" * 100, "Data": "AAAA"}]}]},
    {"Tests": [{"Comments": [None], "Status": {"a": 1}, "Analyzer": "HT5"}, None, 5]},
    {"Status": "???", "Patient": [], "Client": "x", "Doctor": 5, "Tests": [{"Results": "x"}]},
]  # fmt: skip


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("where", ["request", "unmatched"])
def test_well_formed_json_is_never_refused_and_never_left_pending(heska, lab_request, body, where):
    urls = {"request": result_url(lab_request), "unmatched": "/api/unmatchedlabresults/clinic-0042"}
    answer = heska.post(urls[where], body)
    message = message_of(answer)
    assert (answer.status_code, answer.json()["Status"], message.cause) == (201, "Stored", "")
    assert message.state == ("filed" if where == "request" else "unmatched")
    assert TestRun.objects.count() == len(
        [test for test in body["Tests"] if isinstance(test, dict)]
    )

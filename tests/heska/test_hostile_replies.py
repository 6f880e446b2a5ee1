"""Heska's reply is somebody else's bytes. Whatever it is, an order ends in a state that a person
can read, and is taken for accepted only where the answer says so or says nothing."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from integrations.heska import answers, client
from integrations.heska.answers import Reply
from integrations.heska.services import delivery
from integrations.heska.wire import outbound
from labs.models import LabRequest, Message, RequestedTest, Submission
from labs.services.orders import outbox
from tests.factories import make_clinic, make_patient, make_request
from tests.heska import examples

pytestmark = pytest.mark.django_db
ID = "VL-3F7K2M9Q"
UNKNOWN, ACCEPTED, REJECTED = "unknown", "accepted", "rejected"
NOT_UNDERSTOOD = "receipt was not understood"


@pytest.fixture
def request_(connected: Any) -> LabRequest:
    clinic = make_clinic()
    connected(clinic)
    request = make_request(make_patient(clinic), panels=("HHEM-1", "HDC-3"))
    old, request.lab_report_id = request.lab_report_id, ID
    request.save(update_fields=["lab_report_id"])
    for test in request.tests.all():
        test.test_request_id = test.test_request_id.replace(old, ID)
        test.save(update_fields=["test_request_id"])
    return request


def sent(request: LabRequest) -> Submission:
    delivery.deliver(request.submission.pk)
    return Submission.objects.get(request=request)


DEEP = b'{"LabReportId": "VL-3F7K2M9Q", "x": ' + b"[" * 70 + b"]" * 70 + b"}"
WRAPPED = {"value": {"HttpStatusCode": 400, "Message": "Invalid BreedId 370"}, "statusCode": 400}
SUCCESSES = [
    # body, headers, state, sentence, words
    (b"", {}, ACCEPTED, "", ""),
    (b" \r\n", {}, ACCEPTED, "", ""),
    (b"OK", {}, ACCEPTED, NOT_UNDERSTOOD, ""),
    (b"null", {}, ACCEPTED, NOT_UNDERSTOOD, ""),
    (b"[]", {}, ACCEPTED, NOT_UNDERSTOOD, ""),
    (b'"yes"', {}, ACCEPTED, NOT_UNDERSTOOD, ""),
    (b"17", {}, ACCEPTED, NOT_UNDERSTOOD, ""),
    (b'{"LabReportId": "VL-3F7K2M9Q", "Hes', {}, ACCEPTED, NOT_UNDERSTOOD, ""),
    (b'{"LabReportId": "VL-3F7K2M9Q", "LabReportId": "VL-3F7K2M9Q"}', {}, ACCEPTED, "", ""),
    (b'{"HeskaReportId": "\xff\xfe"}', {}, ACCEPTED, NOT_UNDERSTOOD, ""),
    (DEEP, {}, ACCEPTED, NOT_UNDERSTOOD, ""),
    (b"\xef\xbb\xbf" + b'{"HeskaReportId": "94877"}', {}, ACCEPTED, "", ""),
    (b'{"LAB_REPORT_ID": "vl-3f7k2m9q", "heska_report_id": "9"}', {}, ACCEPTED, "", ""),
    (b'{"HeskaReportId": {"a": 1}, "Tests": "none", "Status": 7}', {}, ACCEPTED, "", ""),
    (b'{"HeskaReportId": "a\\u0000b", "Tests": [null, 1, "x", []]}', {}, ACCEPTED, "", ""),
    (b'{"Tests": [{"TestRequestId": "x", "Status": "Accepted"}]}', {}, ACCEPTED, "", ""),
    # A test that will not be run is told of, also where nobody can say which it is.
    ({"Tests": [{"TestRequestId": "x", "Status": "Rejected"}]}, {}, ACCEPTED, "x it says: Rej", ""),
    (
        {"Tests": [{"TestCode": "Q", "Status": "NotAvailable", "Message": "No Q here"}]},
        {},
        ACCEPTED,
        "Of Q it says: NotAvailable No Q here",
        "",
    ),
    # Another order's.
    (b'{"LabReportId": "VL-OTHER"}', {}, UNKNOWN, "another order", ""),
    (b'{"labReportId": "VL-OTHER", "Hes', {}, UNKNOWN, "another order", ""),
    (b'[{"LabReportId": "VL-OTHER"}]', {}, UNKNOWN, "another order", ""),
    (b'{"LabReportId":"VL-3F7K2M9Q","LabReportId":"VL-X"}', {}, UNKNOWN, "another order", ""),
    # No answer of Heska's.
    (b"<html>Sign in</html>", {}, UNKNOWN, "web page", ""),
    (b"\xef\xbb\xbf<!DOCTYPE html>", {}, UNKNOWN, "web page", ""),
    (b"<!-- proxy -->\n<body>Sign in", {}, UNKNOWN, "web page", ""),
    (b"<h1>It works!</h1>", {}, UNKNOWN, "web page", ""),
    (b"Sign in", {"Content-Type": "text/html"}, UNKNOWN, "web page", ""),
    (gzip.compress(b"{}"), {"Content-Encoding": "gzip"}, UNKNOWN, "packed", ""),
    (gzip.compress(b" " * 10**8), {"Content-Encoding": "gzip"}, UNKNOWN, "packed", ""),
    (b"{}", {"Content-Encoding": "br"}, UNKNOWN, "packed", ""),
    (b" " * (1024 * 1024), {}, ACCEPTED, "", ""),
    (b" " * (1024 * 1024 + 1), {}, UNKNOWN, "too long", ""),
    # A refusal inside a success.
    (WRAPPED, {}, REJECTED, "refused", "Invalid BreedId 370"),
    ({"Status": "Rejected", "Message": "No such clinic"}, {}, REJECTED, "refused", "No such"),
    ({"isSuccess": False, "message": "No"}, {}, REJECTED, "refused", "No"),
    ({"value": WRAPPED["value"]}, {}, REJECTED, "refused", "Invalid BreedId 370"),
    ({**WRAPPED, "statusCode": 200}, {}, REJECTED, "refused", "Invalid BreedId 370"),
    ({"value": {"Status": "Rejected", "Message": "No"}}, {}, REJECTED, "refused", "No"),
    # It is there already, as a 409 says.
    ({"Code": "DUPLICATE_LAB_REPORT", "HeskaReportId": "9"}, {}, ACCEPTED, "", ""),
    ({"value": {"HttpStatusCode": 409}, "statusCode": 409}, {}, ACCEPTED, "", ""),
    ({"title": "Bad", "status": 422}, {}, REJECTED, "refused", "Bad"),
    ({"StatusCode": 500, "ErrorMessage": "Oh"}, {}, UNKNOWN, "not available", "Oh"),
    ({"StatusCode": 0, "IsSuccess": True}, {}, ACCEPTED, "", ""),
    ({"statusCode": 202, "message": "Accepted"}, {}, ACCEPTED, "", ""),
]


@pytest.mark.parametrize(
    ("body", "headers", "state", "sentence", "words"),
    SUCCESSES,
    ids=[str(number) for number in range(len(SUCCESSES))],
)
@pytest.mark.parametrize("status", [200, 202])
def test_a_2xx(request_, fake_heska, status, body, headers, state, sentence, words):
    fake_heska.on("/labreports", (status, body, headers))
    row = sent(request_)
    assert row.state == state
    assert sentence in row.last_error
    assert words in row.provider_words
    assert row.may_have_arrived == (state != REJECTED)
    assert "\0" not in row.external_id
    message = Message.objects.get(call="order")
    assert message.status_code in (status, None, 400, 422, 500)
    # The page of a proxy, and whatever else was said, is in the journal as it came.
    if message.reply is not None and "too long" not in row.last_error:
        said = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert bytes(message.reply) == said


REFUSALS = [(case["case"], case) for case in examples.load("05")]
STATES = {
    "401 gateway, missing key": ("held", "subscription key", "Access denied due to missing"),
    "401 gateway, bad key": ("held", "subscription key", "Access denied due to invalid"),
    "401 backend, token missing or expired": ("queued", "token", "Access token is missing."),
    "401 plain text, bad credentials": ("queued", "token", "Invalid User or Password"),
    "400 validation problem": ("rejected", "refused", "One or more validation"),
    "400 wrapped business error": ("rejected", "refused", "Invalid BreedId 370"),
    "400 bare JSON string": ("rejected", "refused", "TestCode:ZZZ is not valid"),
    "404 gateway": ("held", "address or path", "Resource not found"),
    "409 duplicate LabReportId": ("accepted", "", ""),
    "429 gateway": ("queued", "busy", "Rate limit is exceeded."),
    "500 backend": ("unknown", "not available", "Internal server error"),
    "503 HTML from a proxy": ("unknown", "not available", ""),
}


@pytest.mark.parametrize(("name", "case"), REFUSALS)
def test_every_body_of_example_05(request_, fake_heska, name, case):
    state, sentence, words = STATES[name]
    body = case["body"].encode() if case.get("contentType") else case["body"]
    headers = {"Content-Type": case.get("contentType", "application/json")}
    fake_heska.on("/labreports", (case["status"], body, headers | case.get("headers", {})))
    row = sent(request_)
    assert row.state == state
    assert sentence in row.last_error
    assert row.provider_words.startswith(words)
    assert bool(row.provider_words) == bool(words)
    # One sentence and no jargon: no braces, no HTML.
    assert not set("{}<>") & set(row.last_error)
    message = Message.objects.get(call="order")
    assert message.status_code == case["status"]


def test_a_test_refused_by_its_code_alone_is_refused(request_, fake_heska):
    said = {"TestCode": "hdc-3", "Status": "Rejected", "Message": "No analyzer offers HDC-3"}
    fake_heska.on("/labreports", (200, {"Tests": [said]}, {}))
    assert sent(request_).last_error == ""
    states = dict(RequestedTest.objects.values_list("panel__code", "state"))
    assert states == {"HHEM-1": "requested", "HDC-3": "refused"}


def test_a_refusal_as_a_duplicate_is_an_acceptance(request_, fake_heska):
    """A second order of it would run it twice."""
    said = {"Code": "DUPLICATE_LAB_REPORT", "HeskaReportId": "94877"}
    fake_heska.on("/labreports", (400, said, {}))
    row = sent(request_)
    assert (row.state, row.external_id) == ("accepted", "94877")


def test_what_is_no_answer_at_all_leaves_it_unknown(request_, fake_heska):
    fake_heska.on("/labreports", (199, b"", {}))
    assert sent(request_).state == "unknown"


REDIRECTS = {
    "plain": ({"Location": "https://elsewhere.example/"}, b"Moved"),
    "to nowhere": ({"Location": "http://[::bad"}, b"Moved"),
    "packed": (
        {"Location": "https://elsewhere.example/", "Content-Encoding": "gzip"},
        gzip.compress(b" " * 30_000_000),
    ),
    "endless": ({"Location": "https://elsewhere.example/"}, b"x" * 5_000_000),
}


@pytest.mark.parametrize("kind", REDIRECTS)
def test_a_redirect_is_not_even_looked_at(request_, fake_heska, kind):
    """requests reads and unpacks all of a redirect's body to see where it leads."""
    headers, body = REDIRECTS[kind]
    fake_heska.on("/labreports", (302, body, headers))
    tracemalloc.start()
    row = sent(request_)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
    assert row.crashes == 0
    assert ("too long" if kind == "endless" else "address or path is wrong") in row.last_error
    assert bool(Message.objects.get(call="order").reply) == (kind != "endless")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_a_proxys_page_is_nobodys_refusal(request_, fake_heska, status):
    """Contract: HTML from a proxy is transient, whatever its status."""
    fake_heska.on("/labreports", (status, b"<html>No</html>", {"Content-Type": "text/html"}))
    row = sent(request_)
    assert row.state in ("queued", "unknown")
    assert "web page" in row.last_error
    assert row.provider_words == ""


def test_409_about_another_order_is_no_acceptance(request_, fake_heska):
    fake_heska.on("/labreports", (409, {"LabReportId": "VL-OTHER", "HeskaReportId": "1"}, {}))
    row = sent(request_)
    assert (row.state, row.external_id) == ("unknown", "")


# Anything at all. What is drawn is steered to what looks like an answer.

NAMES = st.sampled_from(
    [
        *("LabReportId", "HeskaReportId", "Status", "statusCode", "HttpStatusCode", "isSuccess"),
        *("Tests", "TestRequestId", "Message", "Code", "errors", "value", "title", "error"),
    ]
)
WORDS = st.sampled_from([ID, "VL-OTHER", "Rejected", "Accepted", "400", f"{ID}-1", "\0", "\ud800"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 700) | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=15,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
MANY = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def said_ours(body: bytes) -> bool:
    """By another reading than the product's: does it name only our order, or none?"""
    try:
        value = json.loads(body)
    except ValueError:
        return True
    if not isinstance(value, dict):
        return True
    found = [
        each
        for name, each in value.items()
        if name.replace("_", "").lower() == "labreportid" and isinstance(each, str) and each.strip()
    ]
    return all(each.strip().lower() == ID.lower() for each in found)


@MANY
@given(body=BODIES, status=st.sampled_from([200, 201, 202, 400, 401, 403, 404, 409, 422, 500]))
@example(body=b'{"LabReportId": "VL-OTHER"}', status=200)
@example(body=b'{"Status": "Rejected"}', status=200)
def test_any_reply_ends_in_a_state_and_a_sentence(request_, monkeypatch, body, status):
    def post(*_: Any) -> Reply:
        return Reply(status=status, headers={"content-type": "application/json"}, body=body)

    monkeypatch.setattr(client, "_post", post)
    monkeypatch.setattr(client, "get_token", lambda *_, **__: ("jwt", delivery.tokens.EARLY * 60))
    with transaction.atomic():  # every example begins with the same order
        row = sent(request_)
        refused = list(RequestedTest.objects.values_list("state", "refusal"))
        transaction.set_rollback(True)
    assert row.state in {"accepted", "unknown", "queued", "rejected", "held"}
    assert row.state == "accepted" or row.last_error
    assert len(row.last_error) < 200
    assert len(row.provider_words) <= outbound.MAX_WORDS
    assert row.crashes == 0
    if row.state == "accepted":
        assert status in (200, 201, 202, 409)
        assert said_ours(body)
    for state, words in refused:
        assert (state == "refused") == bool(words)


@MANY
@given(body=BODIES)
def test_any_reply_to_the_call_for_a_token(body):
    found = outbound.read_token(body, 1_700_000_000.0)
    if found is not None:
        token, seconds = found
        assert token.isascii()
        assert token.isprintable()
        assert 0 <= seconds <= outbound.MAX_TOKEN_SECONDS


@MANY
@given(
    text=st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
)
def test_any_retry_after(text):
    for headers in ({"retry-after": text}, {"retry-after": text, "date": text}):
        wait = answers.retry_after(Reply(status=503, headers=headers, body=b""))
        assert wait is None or 1 <= wait.total_seconds() <= 3600


def test_retry_after_by_their_own_clock():
    """A day off ours, either way."""
    for day in ("20", "22"):
        headers = {
            "date": f"Wed, {day} Oct 2026 07:28:00 GMT",
            "retry-after": f"Wed, {day} Oct 2026 07:29:40 GMT",
        }
        wait = answers.retry_after(Reply(status=503, headers=headers, body=b""))
        assert wait is not None
        assert wait.total_seconds() == 100


def test_a_crash_of_our_own_is_settled_and_counted(request_, monkeypatch):
    """An order whose body can't be made must not crash one worker after the other."""

    def broken(_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(outbound, "order_body", broken)
    for count in range(1, 6):
        row = sent(request_)
        assert row.crashes == count
        assert row.may_have_arrived is False
        Submission.objects.update(not_before=row.created_at)
    assert row.state == "needs_attention"
    assert "5 times" in row.last_error
    monkeypatch.undo()
    outbox.resubmit(acting_user=None, submission=row)

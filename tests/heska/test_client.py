"""The way out over real HTTP: which answer means what, and what a hostile or broken peer can do."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from integrations.heska import client
from integrations.heska.answers import HeskaError
from integrations.heska.conf import Endpoint
from tests.heska import examples

KEY = "subscription-key-secret"
ERRORS = {case["case"]: case for case in examples.load("05")}


@pytest.fixture
def endpoint(fake_heska):
    return Endpoint(
        base_url=fake_heska.url,
        subscription_key=KEY,
        token_path="/oauth/token",
        submit_path="/labreports",
        token_encoding="form",
        allow_insecure=True,
    )


def submit(endpoint):
    return client.submit(endpoint, token="jwt-1", lab_report_id="VL-3F7K2M9Q", body='{"a": "é"}')


def refused(endpoint, fake, status, body, headers=None, *, token_call=False):
    path = "/oauth/token" if token_call else "/labreports"
    fake.on(path, (status, body, headers or {}))
    with pytest.raises(HeskaError) as error:
        if token_call:
            client.get_token(endpoint, client_id="c", client_secret="s")
        else:
            submit(endpoint)
    assert error.value.status == status
    assert str(error.value)
    assert KEY not in str(error.value) + error.value.words
    return error.value


def jwt(**claims):
    """With times counted from now."""
    told = json.dumps({name: round(time.time()) + at for name, at in claims.items()})
    return f"x.{base64.urlsafe_b64encode(told.encode()).decode().rstrip('=')}.z"


def from_table(endpoint, fake, case, **options):
    found = ERRORS[case]
    body = found["body"]
    if "contentType" in found and found["contentType"] != "application/json":
        body = body.encode()
    headers = {"Content-Type": found.get("contentType", "application/json")}
    return refused(
        endpoint, fake, found["status"], body, headers | found.get("headers", {}), **options
    )


def test_what_an_order_call_looks_like(endpoint, fake_heska):
    fake_heska.on("/labreports", (200, examples.raw("04"), {}))
    reply, answer = submit(endpoint)
    (call,) = fake_heska.calls
    assert call.headers["Ocp-Apim-Subscription-Key"] == KEY
    assert call.headers["Authorization"] == "Bearer jwt-1"
    assert call.headers["Idempotency-Key"] == "VL-3F7K2M9Q"
    assert call.headers["Content-Type"] == "application/json"
    assert call.body == '{"a": "é"}'.encode()
    assert reply.status == 200
    assert answer.receipt.external_id == "94877"


def test_what_it_says_of_each_test(endpoint, fake_heska):
    fake_heska.on("/labreports", (200, examples.raw("04"), {}))
    sent = examples.raw("03").decode()
    _, answer = client.submit(endpoint, token="jwt-1", lab_report_id="VL-3F7K2M9Q", body=sent)
    first, second = answer.receipt.tests
    assert (first.accepted, second.accepted) == (True, False)
    assert second.words == "No analyzer at this clinic offers HDC-3"


@pytest.mark.parametrize(
    ("encoding", "content_type", "body"),
    [
        (
            "form",
            "application/x-www-form-urlencoded",
            "grant_type=client_credentials&client_id=c%26d&client_secret=s+%C3%A9",
        ),
        (
            "json",
            "application/json",
            {"grant_type": "client_credentials", "client_id": "c&d", "client_secret": "s é"},
        ),
        (
            "json-pascal",
            "application/json",
            {"GrantType": "client_credentials", "ClientId": "c&d", "ClientSecret": "s é"},
        ),
    ],
)
def test_what_a_token_call_looks_like(endpoint, fake_heska, encoding, content_type, body):
    fake_heska.on("/oauth/token", (200, {"AccessToken": "jwt", "ExpiresIn": "1800"}, {}))
    token, holds = client.get_token(
        replace(endpoint, token_encoding=encoding), client_id="c&d", client_secret="s é"
    )
    (call,) = fake_heska.calls
    assert call.headers["Ocp-Apim-Subscription-Key"] == KEY
    assert "Authorization" not in call.headers
    assert call.headers["Content-Type"] == content_type
    assert (json.loads(call.body) if isinstance(body, dict) else call.body.decode()) == body
    assert token == "jwt"
    assert holds == timedelta(seconds=1800)


@pytest.mark.parametrize("case", ["401 gateway, missing key", "401 gateway, bad key"])
def test_the_subscription_key_is_the_operators_business(endpoint, fake_heska, case):
    for token_call in (False, True):
        error = from_table(endpoint, fake_heska, case, token_call=token_call)
        assert (error.permanent, error.set_up, error.stale_token) == (True, True, False)
        assert "HESKA_SUBSCRIPTION_KEY" in str(error)
        assert error.words.startswith("Access denied due to")


BAD_KEY = ERRORS["401 gateway, bad key"]["body"]


@pytest.mark.parametrize("status", [401, 403])
def test_the_second_subscription_key_is_tried_once_where_the_first_is_refused(
    endpoint, fake_heska, status
):
    both = replace(endpoint, next_key="the-next-key")
    fake_heska.on("/labreports", (status, BAD_KEY, {}), (201, b"", {}))
    submit(both)
    keys = [call.headers["Ocp-Apim-Subscription-Key"] for call in fake_heska.calls]
    assert keys == [KEY, "the-next-key"]
    one, other = fake_heska.calls
    assert (one.body, one.path) == (other.body, other.path)
    assert one.headers["Idempotency-Key"] == other.headers["Idempotency-Key"]
    fake_heska.calls.clear()
    error = refused(both, fake_heska, status, BAD_KEY, token_call=True)
    assert len(fake_heska.calls) == 2, "once, and not again and again"
    assert error.set_up and error.stops_clinic and "the-next-key" not in error.words


def test_the_second_subscription_key_is_for_that_refusal_alone(endpoint, fake_heska):
    both = replace(endpoint, next_key="the-next-key")
    for status, words in [
        (401, "Access token is missing."),
        (403, "Out of call volume quota for this subscription key."),
        (503, "The subscription key service is down."),
        (422, "No subscription key in sight."),
    ]:
        refused(both, fake_heska, status, {"message": words})
    fake_heska.on("/labreports", (401, b"<html>invalid subscription key", {}))
    with pytest.raises(HeskaError):
        submit(both)
    assert {call.headers["Ocp-Apim-Subscription-Key"] for call in fake_heska.calls} == {KEY}
    assert len(fake_heska.calls) == 5


def test_a_401_otherwise_may_be_mended_by_a_fresh_token(endpoint, fake_heska):
    error = from_table(endpoint, fake_heska, "401 backend, token missing or expired")
    assert (error.permanent, error.set_up, error.stale_token) == (True, True, True)
    assert error.words == "Access token is missing."
    error = from_table(endpoint, fake_heska, "401 plain text, bad credentials", token_call=True)
    assert (error.permanent, error.set_up, error.stale_token) == (True, True, False)
    assert error.words == "Invalid User or Password"
    assert "client id and secret" in str(error)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (
            "400 validation problem",
            "One or more validation errors occurred. "
            "Patient.Species: The Species field is required.",
        ),
        ("400 wrapped business error", "Invalid BreedId 370"),
        ("400 bare JSON string", "TestCode:ZZZ is not valid"),
    ],
)
def test_refusals_are_shown_in_heskas_own_words(endpoint, fake_heska, case, words):
    error = from_table(endpoint, fake_heska, case)
    assert (error.permanent, error.set_up, error.outcome_unknown) == (True, False, False)
    assert error.words == words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"title": "Bad", "detail": "No such breed"}, "No such breed"),
        ({"error": "invalid_request", "error_description": "no"}, "no"),
        ({"reason": "Because"}, '{"reason": "Because"}'),
        ([{"message": "x"}], '[{"message": "x"}]'),
        (b"plain words", "plain words"),
        (b"\xff\x00", "\ufffd\ufffd"),
        (b"", ""),
        ({"message": "w" * 9000}, "w" * 500),
    ],
)
def test_words_of_any_other_shape(endpoint, fake_heska, body, words):
    assert refused(endpoint, fake_heska, 422, body).words == words


def test_404_and_redirects_are_a_wrong_path(endpoint, fake_heska):
    error = from_table(endpoint, fake_heska, "404 gateway")
    assert (error.permanent, error.set_up) == (True, True)
    for status in (301, 302, 307, 308):
        fake_heska.calls.clear()
        fake_heska.on("/other", (200, examples.raw("04"), {}))
        error = refused(endpoint, fake_heska, status, b"", {"Location": f"{fake_heska.url}/other"})
        assert (error.permanent, error.set_up) == (True, True)
        # Neither the order nor the key went anywhere else.
        assert [call.path for call in fake_heska.calls] == ["/labreports"]


def test_409_is_an_acceptance(endpoint, fake_heska):
    case = ERRORS["409 duplicate LabReportId"]
    fake_heska.on("/labreports", (409, case["body"], {}))
    _, answer = submit(endpoint)
    assert answer.receipt.external_id == "94877"
    fake_heska.on("/labreports", (409, b"gone", {}))
    assert submit(endpoint)[1].receipt.external_id == ""


def test_403_by_its_text(endpoint, fake_heska):
    quota = {"statusCode": 403, "message": "Out of call volume quota. Replenished in 01:00:00."}
    error = refused(endpoint, fake_heska, 403, quota, {"Retry-After": "600"})
    assert (error.permanent, error.retry_after) == (False, timedelta(seconds=600))
    error = refused(endpoint, fake_heska, 403, {"message": "Forbidden"})
    assert (error.permanent, error.set_up, error.stale_token) == (True, True, False)


@pytest.mark.parametrize(
    ("case", "unknown"),
    [("429 gateway", False), ("500 backend", True), ("503 HTML from a proxy", True)],
)
def test_passing_faults(endpoint, fake_heska, case, unknown):
    error = from_table(endpoint, fake_heska, case)
    assert (error.permanent, error.outcome_unknown) == (False, unknown)
    assert "<html" not in error.words
    if case == "429 gateway":
        assert error.retry_after == timedelta(seconds=11)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_all_passing_faults_are_sent_again(endpoint, fake_heska, status):
    assert not refused(endpoint, fake_heska, status, b"").permanent


@pytest.mark.parametrize("status", [400, 402, 405, 406, 410, 413, 415, 418, 422, 451])
def test_all_other_refusals_are_not(endpoint, fake_heska, status):
    error = refused(endpoint, fake_heska, status, b"")
    assert (error.permanent, error.set_up) == (True, False)
    # A refused token call is never the order's fault.
    assert refused(endpoint, fake_heska, status, b"", token_call=True).set_up


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("11", 11),
        (" 11 ", 11),
        ("0", 1),
        ("99999999999999999999", 3600),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Fri, 31 Foo 2026 23:59:59 GMT", None),
    ],
)
def test_retry_after(endpoint, fake_heska, header, seconds):
    error = refused(endpoint, fake_heska, 503, b"", {"Retry-After": header})
    assert error.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_retry_after_as_a_date(endpoint, fake_heska):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    error = refused(endpoint, fake_heska, 429, b"", {"Retry-After": date})
    assert timedelta(seconds=80) < error.retry_after <= timedelta(seconds=100)


# A 2xx.


@pytest.mark.parametrize("body", [b"", b"  ", b"OK", b"null", b"[]", b'{"a": 1', b'{"a":1,"a":1}'])
def test_an_empty_or_unreadable_2xx_is_accepted(endpoint, fake_heska, body):
    fake_heska.on("/labreports", (202, body, {}))
    _, answer = submit(endpoint)
    assert answer.receipt.external_id == ""
    assert bool(answer.receipt.note) == bool(body.strip())


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html><body>Sign in</body></html>", "text/plain"),
        (b"\n <!DOCTYPE html><html>", "application/json"),
        (b"<!-- proxy --><body>Sign in</body>", "text/html; charset=utf-8"),
    ],
)
def test_a_web_page_with_a_200_says_nothing_of_the_order(endpoint, fake_heska, body, content_type):
    fake_heska.on("/labreports", (200, body, {"Content-Type": content_type}))
    with pytest.raises(HeskaError) as error:
        submit(endpoint)
    assert (error.value.permanent, error.value.outcome_unknown) == (False, True)


def test_an_answer_about_another_order_is_not_this_ones(endpoint, fake_heska):
    fake_heska.on("/labreports", (200, {"LabReportId": "VL-OTHER", "HeskaReportId": "1"}, {}))
    with pytest.raises(HeskaError) as error:
        submit(endpoint)
    assert (error.value.permanent, error.value.outcome_unknown) == (False, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        {"access_token": ""},
        {"access_token": None},
        {"access_token": "a b"},
        {"access_token": "a\r\nX: y"},
        {"access_token": "é"},
        {"token": "x"},
    ],
)
def test_an_answer_without_a_usable_token(endpoint, fake_heska, body):
    fake_heska.on("/oauth/token", (200, body, {}))
    with pytest.raises(HeskaError) as error:
        client.get_token(endpoint, client_id="c", client_secret="s")
    assert not error.value.permanent


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"expires_in": 3600}, 3600),
        ({"expires_in": "60"}, 60),
        ({"expires_in": 999999999}, 86400),
        ({"expires_in": -5}, 0),
        ({"access_token": "x.y.z"}, 600),
        # Issued a day ahead of our clock, and a day behind it: for half an hour both.
        ({"claims": {"iat": 86_400, "exp": 88_200}}, 1800),
        ({"claims": {"iat": -86_400, "exp": -84_600}}, 1800),
        ({"claims": {"exp": 1800}}, 1800),
        ({"claims": {"exp": -86_400}}, 600),
        ({"access_token": "x.eyJleHAiOiAxZTMwMH0.z"}, 86400),  # {"exp": 1e300}
        ({"access_token": "x.eyJleHAiOiBOYU59.z"}, 600),  # {"exp": NaN}
        ({"access_token": "x.W10.z"}, 600),  # []
        ({}, 600),
    ],
)
def test_for_how_long_a_token_holds(endpoint, fake_heska, fields, seconds):
    # Made here, not when the file is loaded: that may be many minutes ago.
    told = {"access_token": jwt(**fields["claims"])} if "claims" in fields else fields
    fake_heska.on("/oauth/token", (200, {"access_token": "jwt", **told}, {}))
    _, holds = client.get_token(endpoint, client_id="c", client_secret="s")
    assert abs(holds.total_seconds() - seconds) < 10


# A broken or hostile peer.


def test_nobody_there_is_surely_unsent(endpoint):
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        with pytest.raises(HeskaError) as error:
            submit(replace(endpoint, base_url=f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert (error.value.permanent, error.value.outcome_unknown) == (False, False)


def hang_up(handler):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def half_an_answer(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"LabReportId": ')
    handler.wfile.flush()
    hang_up(handler)


def slow(handler):
    time.sleep(1.5)
    hang_up(handler)


def drip(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)


def drip_chunks(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(b"1\r\n \r\n")
            handler.wfile.flush()
            time.sleep(0.1)


def flood(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(10**9))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(10_000):
            handler.wfile.write(b"x" * 65_536)


@pytest.mark.parametrize("fault", [hang_up, half_an_answer, slow, drip, drip_chunks, flood])
def test_what_breaks_after_sending_is_an_unknown_outcome(endpoint, fake_heska, monkeypatch, fault):
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)
    monkeypatch.setattr(client, "TOTAL_SECONDS", 0.6)
    fake_heska.on("/labreports", fault)
    started = time.monotonic()
    with pytest.raises(HeskaError) as error:
        submit(endpoint)
    assert (error.value.permanent, error.value.outcome_unknown) == (False, True)
    # `drip` sends for ten seconds, a byte at a time, each well within the read timeout.
    assert time.monotonic() - started < 4


def test_chunked_and_ordinary_answers_are_read_whole(endpoint, fake_heska):
    def chunked(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in (b'{"HeskaRep', b'ortId": "9', b'4877"}'):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            handler.wfile.flush()
            time.sleep(0.05)
        handler.wfile.write(b"0\r\n\r\n")

    fake_heska.on("/labreports", chunked)
    assert submit(endpoint)[1].receipt.external_id == "94877"
    padded = {"HeskaReportId": "94877", "Padding": "x" * 900_000}
    fake_heska.on("/labreports", (200, padded, {}))
    assert submit(endpoint)[1].receipt.external_id == "94877"


# Where it may go at all.


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:{port}",
        "http://heska.example",
        "https://127.0.0.1",
        "https://localhost",
        "https://[::1]:8443",
        "https://user:secret@heska.example",
        "https://heska.example/#x",
        "ftp://heska.example",
        "file:///etc/passwd",
        "heska.example",
        "https://",
        "",
    ],
)
def test_no_call_leaves_for_an_address_that_is_not_safe(endpoint, fake_heska, base_url):
    base_url = base_url.format(port=fake_heska.port)
    with pytest.raises(HeskaError) as error:
        submit(replace(endpoint, base_url=base_url, allow_insecure=False))
    assert (error.value.permanent, error.value.set_up) == (True, True)
    assert "HESKA_BASE_URL" in str(error.value)
    assert not fake_heska.calls


def test_nothing_of_the_environment_changes_the_call(endpoint, fake_heska, monkeypatch, tmp_path):
    fake_heska.on("/labreports", (200, b"", {}))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login l password p\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.devnull)
    submit(endpoint)
    (call,) = fake_heska.calls
    assert call.headers["Authorization"] == "Bearer jwt-1"


def test_no_secret_is_logged(endpoint, fake_heska, caplog):
    caplog.set_level(logging.DEBUG)
    fake_heska.on("/oauth/token", (200, {"access_token": "jwt-secret"}, {}))
    client.get_token(endpoint, client_id="c", client_secret="clinic-secret")
    fake_heska.on("/labreports", (500, b"", {}))
    with pytest.raises(HeskaError):
        submit(endpoint)
    assert not [s for s in (KEY, "clinic-secret", "jwt-secret", "jwt-1") if s in caplog.text]

"""The journal of calls: what was said, both ways, and never a secret."""

from __future__ import annotations

import json

import pytest

from integrations.heska.services import delivery
from integrations.heska.wire import masking
from labs.models import Message, Submission
from tests.factories import make_clinic, make_patient, make_request
from tests.heska.conftest import TOKEN

pytestmark = pytest.mark.django_db
SECRETS = ["subscription-key-secret", "c-secret", "jwt-1"]


@pytest.fixture
def submission(connected):
    clinic = make_clinic(public_id="clinic-0042")
    connected(clinic)
    return Submission.objects.get(request=make_request(make_patient(clinic)))


def calls(submission):
    delivery.deliver(submission.pk)
    return list(Message.objects.filter(submission=submission).order_by("pk"))


def everything(message):
    return "".join(
        (
            json.dumps(message.headers),
            bytes(message.raw).decode(),
            json.dumps(message.reply_headers),
            bytes(message.reply or b"").decode(errors="replace"),
            message.cause,
        )
    )


def test_both_calls_are_kept_without_their_secrets(submission, fake_heska):
    fake_heska.on("/labreports", (200, {"HeskaReportId": "9"}, {"X-Request": "abc"}))
    token, order = calls(submission)
    assert (token.call, token.status_code, token.target) == ("token", 200, "/oauth/token")
    assert (order.call, order.status_code, order.target) == ("order", 200, "/labreports")
    assert order.headers["authorization"] == "(hidden)"
    assert order.headers["ocp-apim-subscription-key"] == "(hidden)"
    assert order.headers["idempotency-key"] == submission.request.lab_report_id
    assert order.reply_headers["x-request"] == "abc"
    assert json.loads(bytes(order.reply)) == {"HeskaReportId": "9"}
    assert b"client_id=c-id" in bytes(token.raw)
    assert json.loads(bytes(token.reply)) == {
        "access_token": "(hidden)",
        "token_type": "Bearer",
        "expires_in": 3600,
    }
    assert order.milliseconds is not None
    for secret in SECRETS:
        assert secret not in everything(token) + everything(order)


@pytest.mark.parametrize(
    "reply",
    [
        (500, b"c-secret and subscription-key-secret are wrong", {"X-Echo": "c-secret"}),
        (401, {"message": "client_secret=c-secret"}, {}),
        (200, b'{"access_token": "jwt-9", "expires', {}),
        (200, b"jwt-9", {"Set-Cookie": "session=jwt-9"}),
        (200, {"Data": {"AccessToken": "jwt-9"}}, {}),
        (200, [{"token": "jwt-9"}], {}),
    ],
)
def test_what_is_echoed_or_cannot_be_read_gives_no_secret_away(submission, fake_heska, reply):
    fake_heska.on("/oauth/token", reply)
    (token,) = calls(submission)
    for secret in [*SECRETS, "jwt-9"]:
        assert secret not in everything(token)
    assert bytes(token.reply)


def test_an_order_that_echoes_its_token(submission, fake_heska):
    fake_heska.on("/oauth/token", (200, {**TOKEN, "access_token": "a-long-token"}, {}))
    fake_heska.on("/labreports", (400, {"message": "Bearer a-long-token is not welcome"}, {}))
    _, order = calls(submission)
    assert "not welcome" in everything(order)
    assert "a-long-token" not in everything(order)
    submission.refresh_from_db()
    # What staff read on the request's page, too.
    assert submission.provider_words == "Bearer (hidden) is not welcome"


def test_a_test_refused_with_a_secret_in_its_words(submission, fake_heska):
    test = submission.request.tests.first()
    said = {
        "TestRequestId": test.test_request_id,
        "Status": "Rejected",
        "Message": "No such test for subscription-key-secret",
    }
    fake_heska.on("/labreports", (200, {"Status": "Accepted", "Tests": [said]}, {}))
    calls(submission)
    test.refresh_from_db()
    assert test.refusal == "No such test for (hidden)"


def test_a_secret_is_found_in_a_form_and_in_json():
    secret = 'a+b/c "d"é'
    for body in (f"x={secret}", "x=a%2Bb%2Fc+%22d%22%C3%A9", json.dumps({"x": secret})):
        assert "b" not in masking.without(body.encode(), [secret]).decode().replace("x", "")


def test_a_call_without_an_answer_says_why(submission, fake_heska):
    def hang_up(handler):
        handler.close_connection = True

    fake_heska.on("/labreports", hang_up)
    _, order = calls(submission)
    assert (order.status_code, bytes(order.reply or b"")) == (None, b"")
    assert order.cause == "The connection to Heska broke before it answered."


def test_a_cached_token_is_not_called_for(submission, fake_heska):
    calls(submission)
    other = make_request(submission.request.patient).submission
    (order,) = calls(other)
    assert order.call == "order"
    assert len(fake_heska.to("/oauth/token")) == 1
    assert TOKEN["access_token"] in fake_heska.to("/labreports")[-1].headers["Authorization"]

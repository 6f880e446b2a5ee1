"""Refused credentials stop one clinic's queue, and nobody else's, until a person has acted."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from integrations.heska import connections
from integrations.heska.models import Connection
from integrations.heska.services import delivery
from labs import vendors
from labs.errors import InvalidInput, NotAllowed
from labs.models import LabEvent, LabRequest, Role, Submission
from labs.services.orders import ordering, outbox, sweeping
from tests.factories import make_clinic, make_patient, make_request, make_staff
from tests.heska.conftest import TOKEN

pytestmark = pytest.mark.django_db
REFUSED = (401, b"Invalid User or Password", {})
KEY_REFUSED = (
    401,
    {"statusCode": 401, "message": "Access denied due to invalid subscription key."},
    {},
)


@pytest.fixture
def elm(connected: Any) -> Any:
    clinic = make_clinic("Elm")
    connected(clinic)
    return clinic


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(vendors.get("heska"), "wake_all", found.extend)
    return found


def order(clinic: Any) -> LabRequest:
    return make_request(make_patient(clinic))


def deliver(request: LabRequest) -> tuple[str, str]:
    """Of outbox and request."""
    Submission.objects.filter(pk=request.submission.pk).update(not_before=timezone.now())
    delivery.deliver(request.submission.pk)
    return look(request)


def look(request: LabRequest) -> tuple[str, str]:
    request.submission.refresh_from_db()
    request.refresh_from_db()
    return request.submission.state, request.state


def reconnect(clinic: Any) -> None:
    connections.connect(
        acting_user=None, clinic=clinic, client_id="new-id", client_secret="new-secret"
    )


def test_refused_credentials_hold_all_orders_of_the_clinic(elm, fake_heska, woken):
    first, second = order(elm), order(elm)
    fake_heska.on("/oauth/token", REFUSED)
    assert deliver(first) == ("held", "needs_attention")
    # The other one was not asked about, and says why it waits all the same.
    assert look(second) == ("held", "needs_attention")
    for request in (first, second):
        assert "refuses this clinic's credentials" in request.submission.last_error
        assert request.submission.provider_words == "Invalid User or Password"
    # So does one that is placed now; nobody is asked, and no attempt is counted.
    third = order(elm)
    assert deliver(third) == ("held", "needs_attention")
    assert third.submission.attempts == 0
    assert sweeping.sweep(hurry=True) == 0
    assert len(fake_heska.calls) == 1
    assert Connection.objects.get().refused_at is not None


def test_other_clinics_go_on(elm, fake_heska, settings):
    oak = make_clinic("Oak")
    connections.connect(acting_user=None, clinic=oak, client_id="oak", client_secret="s")
    fake_heska.on("/oauth/token", REFUSED, (200, TOKEN, {}))
    assert deliver(order(elm))[0] == "held"
    assert deliver(order(oak)) == ("accepted", "accepted")


def test_new_credentials_let_them_go_again(
    elm, fake_heska, woken, django_capture_on_commit_callbacks
):
    first, second = order(elm), order(elm)
    fake_heska.on("/oauth/token", REFUSED, (200, TOKEN, {}))
    deliver(first)
    with django_capture_on_commit_callbacks(execute=True):
        reconnect(elm)
    assert sorted(woken) == sorted([first.submission.pk, second.submission.pk])
    assert look(first) == look(second) == ("queued", "queued")
    assert (first.submission.attempts, first.submission.first_attempt_at) == (0, None)
    assert deliver(first) == deliver(second) == ("accepted", "accepted")
    assert b"client_id=new-id" in fake_heska.to("/oauth/token")[-1].body


def test_a_persons_try_again_asks_once_more(elm, fake_heska):
    first, second = order(elm), order(elm)
    fake_heska.on("/oauth/token", REFUSED, REFUSED, (200, TOKEN, {}))
    deliver(first)
    outbox.resubmit(acting_user=make_staff(clinic=elm), submission=second.submission)
    assert look(first) == look(second) == ("queued", "queued")
    assert deliver(second)[0] == look(first)[0] == "held"
    outbox.resubmit(acting_user=None, submission=first.submission)
    assert deliver(first)[0] == deliver(second)[0] == "accepted"
    assert len(fake_heska.to("/oauth/token")) == 3
    with pytest.raises(NotAllowed):
        connections.resume(acting_user=make_staff(), clinic=elm)


def test_a_second_401_on_an_order_stops_the_clinic(elm, fake_heska):
    assert deliver(order(elm))[0] == "accepted"
    fake_heska.on("/labreports", (401, {"message": "Access token is missing."}, {}))
    stuck, other = order(elm), order(elm)
    before = len(fake_heska.calls)
    assert deliver(stuck)[0] == look(other)[0] == "held"
    # Two orders and one token at most (reliability.md, E5).
    assert [call.path for call in fake_heska.calls[before:]] == [
        "/labreports",
        "/oauth/token",
        "/labreports",
    ]


def test_two_tokens_in_a_row_that_were_just_given_and_refused(elm, fake_heska):
    fake_heska.on("/labreports", (401, {"message": "Access token is missing."}, {}))
    request = order(elm)
    assert deliver(request)[0] == "queued"
    assert deliver(request)[0] == "held"
    assert len(fake_heska.to("/labreports")) == len(fake_heska.to("/oauth/token")) == 2


def test_a_403_stops_the_clinic_and_a_web_page_with_one_does_not(elm, fake_heska):
    page = {"Content-Type": "text/html"}
    fake_heska.on("/labreports", (403, b"<html>Blocked</html>", page), (403, b"Forbidden", {}))
    request = order(elm)
    assert deliver(request)[0] == "queued"
    assert "web page" in request.submission.last_error
    assert deliver(request)[0] == "held"
    assert Connection.objects.get().refused_at is not None


def test_a_wrong_path_holds_the_order_and_not_the_clinic(elm, fake_heska):
    """It may be this order's alone: a poison order must not block the others."""
    fake_heska.on("/labreports", (404, {"message": "Resource not found"}, {}), (200, b"", {}))
    first, second = order(elm), order(elm)
    assert deliver(first) == ("held", "needs_attention")
    assert deliver(second) == ("accepted", "accepted")
    outbox.resubmit(acting_user=None, submission=first.submission)
    assert deliver(first) == ("accepted", "accepted")


def test_another_subscription_key_lets_them_go_by_themselves(elm, fake_heska, settings):
    fake_heska.on("/oauth/token", KEY_REFUSED, (200, TOKEN, {}))
    request = order(elm)
    assert deliver(request)[0] == "held"
    assert "HESKA_SUBSCRIPTION_KEY" in request.submission.last_error
    assert sweeping.sweep(hurry=True) == 0  # with the same key nothing is tried
    settings.HESKA_SUBSCRIPTION_KEY = "another"
    assert sweeping.sweep(hurry=True) == 1
    assert deliver(request)[0] == "accepted"


def test_a_clinic_that_is_connected_later_sends_what_waited(connected, fake_heska):
    clinic = make_clinic()
    request = order(clinic)
    assert deliver(request) == ("held", "needs_attention")
    connected(clinic)
    assert look(request) == ("queued", "queued")


def test_of_very_many_the_rest_is_held_when_it_is_due_and_released_by_the_sweep(
    elm, fake_heska, monkeypatch
):
    monkeypatch.setattr(outbox, "HOLD_BATCH", 2)
    orders = [order(elm) for _ in range(5)]
    fake_heska.on("/oauth/token", REFUSED, (200, TOKEN, {}))
    assert deliver(orders[0])[0] == "held"
    assert [look(each)[0] for each in orders].count("queued") == 2
    assert [deliver(each)[0] for each in orders[1:]] == ["held"] * 4
    assert len(fake_heska.calls) == 1
    reconnect(elm)
    for waiting in (3, 1, 0):
        assert [look(each)[0] for each in orders].count("held") == waiting
        sweeping.sweep()
    assert {deliver(each)[0] for each in orders} == {"accepted"}


def test_held_too_late_is_released_by_the_sweep(elm, fake_heska):
    """Settled as held after `connect` had released the others."""
    request = order(elm)
    Submission.objects.update(state="held")
    assert sweeping.sweep(hurry=True) == 1
    assert deliver(request)[0] == "accepted"


def test_refused_while_new_credentials_were_entered_stops_nothing(elm, fake_heska):
    request = order(elm)

    def meanwhile(handler: Any) -> None:
        reconnect(elm)
        handler.send_response(401)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    stopped = connections.stop
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "stop", lambda *args: reconnect(elm) or stopped(*args))
        fake_heska.on("/oauth/token", REFUSED, (200, TOKEN, {}))
        assert deliver(request)[0] == "queued"
    assert Connection.objects.get().refused_at is None
    assert deliver(request)[0] == "accepted"


def test_administrators_are_told_once_and_in_words(
    elm, fake_heska, mailoutbox, django_capture_on_commit_callbacks
):
    make_staff(Role.ADMIN, clinic=elm, email="admin@elm.example")
    make_staff(Role.ADMIN, clinic=elm, email="gone@elm.example", is_active=False)
    make_staff(Role.VET, clinic=elm, email="vet@elm.example")
    make_staff(Role.ADMIN, email="admin@oak.example")
    fake_heska.on("/oauth/token", REFUSED)
    first, second = order(elm), order(elm)
    with django_capture_on_commit_callbacks(execute=True):
        deliver(first)
        deliver(second)
    (mail,) = mailoutbox
    assert mail.to == ["admin@elm.example"]
    assert "refuses this clinic's credentials" in mail.body
    assert "Invalid User or Password" in mail.body
    assert "c-secret" not in mail.body
    assert f"https://pims.example/heska/{elm.public_id}/\n" in mail.body
    assert LabEvent.objects.filter(verb="heska.refused").count() == 1


def test_a_mail_server_that_is_down_keeps_nothing(
    elm, fake_heska, monkeypatch, django_capture_on_commit_callbacks
):
    def down(**_: Any) -> None:
        raise ConnectionRefusedError

    make_staff(Role.ADMIN, clinic=elm, email="admin@elm.example")
    monkeypatch.setattr(connections, "send_mail", down)
    fake_heska.on("/oauth/token", REFUSED)
    with django_capture_on_commit_callbacks(execute=True):
        assert deliver(order(elm))[0] == "held"


def test_what_is_held_can_be_cancelled(elm, fake_heska):
    request = order(elm)
    fake_heska.on("/oauth/token", REFUSED)
    deliver(request)
    said = ordering.cancel_request(acting_user=None, request=request, reason="not needed")
    assert "nothing to remove" in said
    assert look(request) == ("cancelled", "cancelled")
    with pytest.raises(InvalidInput):
        outbox.resubmit(acting_user=None, submission=request.submission)
    reconnect(elm)
    assert look(request) == ("cancelled", "cancelled")

"""The key under which a clinic's secret was stored is lost: nothing falls over, everything that
needs the secret says what to do, and doing it mends it."""

from __future__ import annotations

import html

import pytest
from django.conf import settings
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.heska import connections
from integrations.heska.models import Connection
from integrations.heska.services import addresses, delivery
from labs.models import LabRequest, Submission
from labs.services.orders import outbox, sweeping
from tests import factories
from tests.heska.conftest import TOKEN

pytestmark = pytest.mark.django_db
KEYS = list(settings.FIELD_ENCRYPTION_KEYS)  # with which the secret was stored
OTHER = ["Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE="]
ADVICE = "Enter the client id and the secret again"


@pytest.fixture
def elm(connected, settings, fake_heska):
    """A clinic whose key is lost."""
    clinic = factories.make_clinic("Elm Street")
    connected(clinic)
    fake_heska.on("/oauth/token", (200, TOKEN, {}))
    settings.FIELD_ENCRYPTION_KEYS = OTHER
    return clinic


@pytest.fixture
def page(elm):
    client = Client()
    client.force_login(
        factories.make_staff("admin", clinic=elm, username="ada", email="ada@example.com")
    )
    return client


def post(client, elm, name, **fields):
    answer = client.post(reverse(f"heska_pages:{name}", args=[elm.public_id]), fields, follow=True)
    return answer.status_code, html.unescape(answer.content.decode())


def deliver(request):
    Submission.objects.update(not_before=timezone.now())
    delivery.deliver(request.submission.pk)
    return Submission.objects.get(request=request)


def test_a_test_of_the_connection_says_it(page, elm, fake_heska):
    status, said = post(page, elm, "test")
    assert (status, ADVICE in said) == (200, True)
    assert not fake_heska.calls


def test_a_test_order_says_it_and_orders_nothing(page, elm):
    status, said = post(page, elm, "test_order", panel="HHEM-1", agreed="on")
    assert (status, ADVICE in said) == (200, True)
    assert not LabRequest.objects.exists()


def test_the_commands_say_it(elm):
    with pytest.raises(CommandError, match=ADVICE):
        call_command("check_heska", clinic=elm.public_id)
    with pytest.raises(CommandError, match="you enter the secret again"):
        call_command("health", clinic=elm.public_id)


def test_an_order_waits_and_says_it_until_the_secret_is_entered_anew(
    page, elm, fake_heska, django_capture_on_commit_callbacks
):
    first, second = (factories.make_request(factories.make_patient(elm)) for _ in range(2))
    with django_capture_on_commit_callbacks(execute=True):
        row = deliver(first)
    assert (row.state, row.crashes) == ("held", 0)
    assert ADVICE in row.last_error
    # With the whole queue, and the administrators are told.
    assert Submission.objects.get(request=second).state == "held"
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]
    assert ADVICE in mail.outbox[0].body
    sweeping.sweep(hurry=True)
    assert Submission.objects.filter(state="held").count() == 2  # nothing is tried in vain
    # “Try again” on a page asks once more, and says the same.
    outbox.resubmit(acting_user=None, submission=row)
    assert deliver(first).state == "held"
    status, said = post(page, elm, "credentials", client_id="c-id", client_secret="new")
    assert (status, "Heska gave a token" in said) == (200, True)
    fake_heska.on("/labreports", (200, b"", {}))
    assert [deliver(each).state for each in (first, second)] == ["accepted"] * 2


def test_put_back_by_the_operator_it_goes_by_itself(elm, settings, fake_heska):
    request = factories.make_request(factories.make_patient(elm))
    assert deliver(request).state == "held"
    settings.FIELD_ENCRYPTION_KEYS = [*OTHER, *KEYS]
    sweeping.sweep(hurry=True)
    fake_heska.on("/labreports", (200, b"", {}))
    assert deliver(request).state == "accepted"


def test_entered_anew_while_the_order_found_out_it_is_tried_again(elm, monkeypatch):
    request = factories.make_request(factories.make_patient(elm))
    stop = connections.stop_unreadable

    def late(clinic, settle):
        connections.store(acting_user=None, clinic=clinic, client_id="c-id", client_secret="new")
        return stop(clinic, settle)

    monkeypatch.setattr(connections, "stop_unreadable", late)
    row = deliver(request)
    assert row.state == "queued"
    assert Connection.objects.get().refused_at is None


def test_the_way_in_does_not_need_it(elm):
    assert addresses.clinic_named("c-id", of=elm) == elm

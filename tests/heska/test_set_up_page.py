"""The page where a clinic's administrator connects it to Heska, and sees how it goes."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.heska import connections, contacts
from integrations.heska.health import health
from integrations.heska.models import Connection, Contact, InboundClient
from labs.models import (
    Clinic,
    JournalCheck,
    LabEvent,
    LabRequest,
    Message,
    Submission,
    SubmissionState,
)
from labs.services.intake import journal
from tests import factories
from tests.heska import examples
from tests.heska.conftest import TOKEN

pytestmark = pytest.mark.django_db
SECRET = "a-secret-that-nobody-sees-again"
ERRORS = {case["case"]: case for case in examples.load("05")}
BAD_PAIR = (401, b"Invalid User or Password", {"Content-Type": "text/plain"})
BAD_KEY = (401, ERRORS["401 gateway, bad key"]["body"], {})


@pytest.fixture
def elm(db):
    return factories.make_clinic("Elm Street")


@pytest.fixture
def ada(elm):
    return factories.make_staff("admin", clinic=elm, first_name="Ada", last_name="Admin")


@pytest.fixture
def page(ada):
    client = Client()
    client.force_login(ada)
    return client


@pytest.fixture
def heska(settings, fake_heska):
    """Heska that gives tokens, and no clinic connected yet."""
    settings.HESKA_BASE_URL = fake_heska.url
    settings.HESKA_SUBSCRIPTION_KEY = "key-one"
    settings.HESKA_ALLOW_INSECURE = True
    fake_heska.on("/oauth/token", (200, TOKEN, {}))
    return fake_heska


def at(name: str, clinic: Clinic, *more: str) -> str:
    return reverse(f"heska_pages:{name}", args=[clinic.public_id, *more])


def read(client: Client, clinic: Clinic) -> str:
    response = client.get(at("health", clinic))
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return response.content.decode()


def enter(client: Client, clinic: Clinic, secret: str = SECRET, **fields: str):
    form = {"client_id": "from-heska", "client_secret": secret, **fields}
    return client.post(at("credentials", clinic), form, follow=True)


def told(client: Client, clinic: Clinic, name: str, **form: str) -> str:
    return client.post(at(name, clinic), form, follow=True).content.decode()


def codes(clinic: Clinic) -> set[str]:
    return {trouble.code for trouble in health(clinic).troubles}


# Who may


@pytest.mark.parametrize("role", ["technician", "vet"])
def test_other_roles_get_a_plain_sentence(elm, role):
    client = Client()
    client.force_login(factories.make_staff(role, clinic=elm))
    response = client.get(at("health", elm))
    assert response.status_code == 403
    assert "Only an administrator of the clinic" in response.content.decode()
    assert at("health", elm) not in client.get("/").content.decode()


def test_the_menu_leads_administrators_there(page, elm):
    assert at("health", elm) in page.get("/").content.decode()


def test_another_clinics_is_missing(page, elm, ada, heska):
    oak = factories.make_clinic("Oak Hollow")
    connections.connect(acting_user=None, clinic=oak, client_id="oaks", client_secret="s")
    key = InboundClient.objects.get(clinic=oak).application.client_id
    nobody = factories.make_clinic("Never")
    Clinic.objects.filter(pk=nobody.pk).update(public_id="gone")
    for name in ("health", "missing"):
        assert page.get(at(name, oak)).status_code == 404
    for name in ("credentials", "test", "address", "hours", "make_client"):
        assert page.post(at(name, oak)).status_code == 404
    assert page.post(at("revoke", oak, key)).status_code == 404
    # Nor by the own clinic's address.
    assert page.post(at("revoke", elm, key)).status_code == 404
    assert InboundClient.objects.get(clinic=oak)
    assert Connection.objects.get().client_id == "oaks"
    assert heska.calls == []
    shown = read(page, elm)
    assert key not in shown and "oaks" not in shown and oak.name not in shown
    # Where somebody is an administrator here and a technician there, each counts where it is.
    oak.membership_set.create(user=ada, role="technician")
    assert page.get(at("health", oak)).status_code == 403
    assert page.post(at("make_client", oak)).status_code == 403
    assert page.post(at("revoke", oak, key)).status_code == 403
    assert page.post(at("revoke", elm, key)).status_code == 404
    assert InboundClient.objects.get(clinic=oak)


def test_an_open_page_acts_on_the_clinic_that_it_shows(page, elm, ada, heska):
    oak = factories.make_clinic("Oak Hollow")
    oak.membership_set.create(user=ada, role="admin")
    page.post(reverse("labs:clinic"), {"clinic": oak.public_id})
    enter(page, elm)
    assert Connection.objects.get().clinic == elm


# What Heska gave us


def test_a_pair_is_tested_stored_and_never_shown(page, elm, ada, heska):
    response = enter(page, elm)
    shown = response.content.decode()
    assert "Heska gave a token for it" in shown
    assert re.search(r"entered .* by Ada Admin", shown)
    assert SECRET not in shown and SECRET not in read(page, elm)
    stored = Connection.objects.get(clinic=elm)
    assert (stored.client_id, stored.client_secret, stored.entered_by) == (
        "from-heska",
        SECRET,
        ada,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_secret FROM heska_connection")
        assert SECRET not in cursor.fetchone()[0]
    event = LabEvent.objects.get(verb="heska.credentials_entered")
    assert (event.actor, event.clinic) == (ada, elm)
    assert event.data == {"client_id": "from-heska", "tested": True}
    assert SECRET not in str(list(LabEvent.objects.values()))
    assert not InboundClient.objects.exists(), "the other direction is made when it is asked for"


def test_a_pair_that_heska_refuses_replaces_nothing(page, elm, heska):
    enter(page, elm)
    heska.on("/oauth/token", BAD_PAIR)
    response = enter(page, elm, "another secret", client_id="typed-wrong", untested="on")
    shown = response.content.decode()
    assert response.status_code == 422
    assert "Nothing was changed: Heska refuses this pair." in shown
    assert "Invalid User or Password" in shown
    assert "another secret" not in shown, "what was typed is not echoed"
    assert 'value="typed-wrong"' in shown
    stored = Connection.objects.get()
    assert (stored.client_id, stored.client_secret) == ("from-heska", SECRET)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((503, {"message": "Down for maintenance"}, {}), "Down for maintenance"),
        (BAD_KEY, "HESKA_SUBSCRIPTION_KEY"),
    ],
)
def test_a_pair_that_cannot_be_tested_is_stored_only_on_request(page, elm, heska, answer, said):
    heska.on("/oauth/token", answer)
    response = enter(page, elm)
    assert response.status_code == 422
    assert "could not be tested" in response.content.decode()
    assert said in response.content.decode()
    assert not Connection.objects.exists()
    shown = enter(page, elm, untested="on").content.decode()
    assert "Stored without a test" in shown
    assert Connection.objects.get().client_secret == SECRET
    assert LabEvent.objects.get(verb="heska.credentials_entered").data["tested"] is False


def test_a_new_pair_lets_held_orders_go(page, elm, heska):
    enter(page, elm)
    Connection.objects.update(refused_at=timezone.now(), token="old")
    request = factories.make_request(factories.make_patient(elm))
    Submission.objects.filter(request=request).update(state=SubmissionState.HELD)
    assert {"refused", "held"} <= codes(elm)
    enter(page, elm, "a new one")
    stored = Connection.objects.get()
    assert (stored.refused_at, stored.token) == (None, "")
    request.submission.refresh_from_db()
    assert request.submission.state == SubmissionState.QUEUED


def test_another_clinics_client_id_is_refused(page, elm, heska):
    oak = factories.make_clinic("Oak Hollow")
    connections.connect(acting_user=None, clinic=oak, client_id="from-heska", client_secret="s")
    response = enter(page, elm)
    assert response.status_code == 422
    assert "Another clinic is connected with this client id" in response.content.decode()
    assert heska.calls == [], "Heska is not even asked"


# The test


def test_the_test_says_what_heska_says(page, elm, heska):
    assert "Enter the client id and secret" in told(page, elm, "test")
    enter(page, elm)
    shown = told(page, elm, "test")
    assert re.search(r"Heska gave a token\. It took \d+ ms, at \d\d:\d\d:\d\d\.", shown)
    heska.on("/oauth/token", (503, {"message": "Back at six"}, {}))
    shown = told(page, elm, "test")
    assert "Heska is not available (error 503)." in shown and "Back at six" in shown
    way = health(elm).ways["token_out"]
    assert way.fails and way.words == "Back at six"
    assert "token_out" in codes(elm)
    heska.on("/oauth/token", (200, TOKEN, {}))
    told(page, elm, "test")
    assert not health(elm).ways["token_out"].fails
    assert LabEvent.objects.filter(verb="heska.tested").count() == 3


def test_each_subscription_key_is_tested(page, elm, heska, settings):
    enter(page, elm)
    settings.HESKA_SUBSCRIPTION_KEY_NEXT = "key-two"
    heska.calls.clear()
    heska.on("/oauth/token", BAD_KEY, (200, TOKEN, {}))
    shown = told(page, elm, "test")
    keys = [call.headers["Ocp-Apim-Subscription-Key"] for call in heska.calls]
    assert keys == ["key-one", "key-two"]
    assert "With HESKA_SUBSCRIPTION_KEY: Heska does not accept" in shown
    assert "With HESKA_SUBSCRIPTION_KEY_NEXT: Heska gave a token." in shown
    assert "key-one" not in shown and "key-two" not in shown
    assert not health(elm).ways["token_out"].fails, "one of the two is enough"


def test_a_good_test_lets_a_stopped_queue_go(page, elm, heska):
    enter(page, elm)
    Connection.objects.update(refused_at=timezone.now(), refused_why="Heska refuses.")
    told(page, elm, "test")
    assert Connection.objects.get().refused_at is None


# What Heska needs


def token_status(client_id: str, secret: str) -> int:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    kind = "application/x-www-form-urlencoded"
    return Client().post("/api/oauth/token", urlencode(form), content_type=kind).status_code


def given(page: Client, clinic: Clinic) -> tuple[str, str]:
    response = page.post(at("make_client", clinic))
    assert "no-store" in response["Cache-Control"]
    shown = response.content.decode()
    four = dict(re.findall(r'id="once-(\w+)">([^<]+)<', shown))
    assert four["token"] == "http://localhost:8000/api/oauth/token"
    assert four["unmatched"].endswith(f"/api/unmatchedlabresults/{clinic.public_id}")
    return four["id"], four["secret"]


def test_the_four_things_are_shown_once_and_work(page, elm, ada):
    client_id, secret = given(page, elm)
    assert len(secret) == 128
    shown = read(page, elm)
    assert secret not in shown and client_id in shown and "once-secret" not in shown
    assert "last token never" in shown
    assert token_status(client_id, secret) == 200
    assert "last token never" not in read(page, elm)
    made = LabEvent.objects.get(verb="heska.client_created")
    assert (made.actor, made.data) == (ada, {"client_id": client_id})


def test_rotation_without_a_gap(page, elm):
    first, second = given(page, elm), given(page, elm)
    assert token_status(*first) == token_status(*second) == 200
    ask = page.get(at("revoke", elm, first[0])).content.decode()
    assert first[0] in ask and "It is the only one" not in ask
    assert InboundClient.objects.count() == 2, "looking revokes nothing"
    page.post(at("revoke", elm, first[0]))
    assert token_status(*first) == 401
    assert token_status(*second) == 200
    assert "It is the only one" in page.get(at("revoke", elm, second[0])).content.decode()
    assert LabEvent.objects.get(verb="heska.client_revoked").data["client_id"] == first[0]


def test_which_client_results_came_by(page, elm):
    one, other = given(page, elm)[0], given(page, elm)[0]
    message = factories.make_message(elm)
    journal.quarantine(message=message, cause="This is no JSON.")
    Message.objects.filter(pk=message.pk).update(sender=one)
    keys = {key.client_id: key.result_at for key in health(elm).keys}
    assert keys == {one: message.received_at, other: None}


def test_the_operators_client_is_named_and_not_revoked_here(page, elm):
    access = connections.create_client(acting_user=None, clinic=None)
    shown = read(page, elm)
    assert "The operator's, for every clinic".replace("'", "&#x27;") in shown or (
        "The operator's, for every clinic" in shown
    )
    assert access.client_id not in shown
    assert page.post(at("revoke", elm, access.client_id)).status_code == 404
    assert "no_client" not in codes(elm)


# How it goes


def test_a_token_refused_to_heska_names_the_client_id_alone(page, elm):
    client_id, secret = given(page, elm)
    assert token_status(client_id, secret) == 200
    assert "token_in" not in codes(elm)
    assert token_status(client_id, "wrong-secret-of-heska") == 401
    way = health(elm).ways["token_in"]
    assert way.fails
    assert way.why == f"The client secret is wrong. Client id {client_id}."
    assert "token_in" in codes(elm)
    assert "wrong-secret-of-heska" not in read(page, elm)
    row = InboundClient.objects.get()
    assert token_status(client_id, "again") == 401
    assert InboundClient.objects.get().refused_at == row.refused_at, "noted every ten seconds"
    assert token_status(client_id, secret) == 200
    assert "token_in" not in codes(elm)


def test_a_stranger_leaves_no_trace(page, elm):
    assert token_status("whoever", "whatever") == 401
    assert not Contact.objects.exists()
    assert health(elm).ways["token_in"].bad_at is None


def test_heskas_own_pair_used_the_wrong_way_is_said(page, elm, heska):
    enter(page, elm)
    given(page, elm)
    assert token_status("from-heska", SECRET) == 401
    assert "That pair is for the other direction" in read(page, elm)


def test_a_call_of_a_worker_is_noted(elm, connected, fake_heska):
    from integrations.heska.services.delivery import deliver

    connected(elm)
    fake_heska.on("/oauth/token", (503, b"", {}), (200, TOKEN, {}))
    request = factories.make_request(factories.make_patient(elm))
    deliver(request.submission.pk)
    assert health(elm).ways["token_out"].fails
    Connection.objects.update(token_not_before=None)
    Submission.objects.update(not_before=timezone.now())
    deliver(request.submission.pk)
    found = health(elm)
    assert not found.ways["token_out"].fails and found.ways["token_out"].bad_at
    assert found.ways["order"].good_at and not found.ways["order"].fails


def test_a_refused_order_shows_heskas_words(elm, connected, fake_heska):
    from integrations.heska.services.delivery import deliver

    connected(elm)
    fake_heska.on("/labreports", (400, {"message": "Invalid BreedId 370"}, {}))
    request = factories.make_request(factories.make_patient(elm))
    deliver(request.submission.pk)
    way = health(elm).ways["order"]
    assert (way.why, way.words) == ("Heska answered 400.", "Invalid BreedId 370")
    assert "stuck" in codes(elm)


def test_a_note_that_cannot_be_written_is_in_nobodys_way(elm, monkeypatch, caplog):
    from django.db import OperationalError

    def full(*_: object, **__: object) -> None:
        raise OperationalError("disk full")

    monkeypatch.setattr(Contact.objects, "filter", full)
    contacts.went_well(elm.pk, contacts.Kind.TOKEN)
    assert "Not noted" in caplog.text


def test_an_untouched_clinic_is_told_where_to_begin(elm):
    assert codes(elm) == {"not_connected", "no_client"}


def test_a_healthy_clinic_has_no_trouble(page, elm, heska):
    enter(page, elm)
    assert token_status(*given(page, elm)) == 200
    factories.make_result(factories.make_request(factories.make_patient(elm), accepted=True))
    assert codes(elm) == set()
    assert "all is well" in read(page, elm)


def test_the_age_of_both_secrets(page, elm, heska):
    enter(page, elm)
    assert token_status(*given(page, elm)) == 200
    a_year_ago = timezone.now() - timedelta(days=366)
    Connection.objects.update(entered_at=a_year_ago)
    InboundClient.objects.update(created_at=a_year_ago)
    assert codes(elm) == {"credentials_old", "client_old"}
    assert "366 days ago" in read(page, elm)


def test_a_lost_encryption_key_is_said_and_the_page_still_opens(page, elm, heska, settings):
    enter(page, elm)
    settings.FIELD_ENCRYPTION_KEYS = ["Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE="]
    assert "unreadable" in codes(elm)
    shown = read(page, elm)
    assert "FIELD_ENCRYPTION_KEYS" in shown
    assert "<details open><summary>Replace it by a new pair" in shown


def test_what_the_page_advises_after_a_lost_key_mends_it(page, elm, heska, settings):
    enter(page, elm)
    Connection.objects.update(refused_at=timezone.now(), refused_why="Refused.", held_with="x")
    request = factories.make_request(factories.make_patient(elm))
    settings.FIELD_ENCRYPTION_KEYS = ["Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE="]
    submission = Submission.objects.get(request=request)
    assert connections.hold_if_stopped(submission.pk)
    connections.look_again()
    answer = enter(page, elm)
    assert answer.status_code < 400
    assert "unreadable" not in codes(elm)
    submission.refresh_from_db()
    assert submission.state == "queued"


def test_the_queue_and_its_oldest(page, elm, heska):
    enter(page, elm)
    request = factories.make_request(factories.make_patient(elm))
    assert health(elm).queue.waiting == 1
    assert "stalled" not in codes(elm)
    Submission.objects.filter(request=request).update(
        not_before=timezone.now() - timedelta(minutes=6)
    )
    assert "stalled" in codes(elm)


@pytest.mark.parametrize(("seconds", "said"), [(80, False), (100, True)])
def test_a_worker_that_stands_still_is_said_here_when_the_request_says_it(
    page, elm, heska, seconds, said
):
    enter(page, elm)
    request = factories.make_request(factories.make_patient(elm))
    Submission.objects.update(not_before=timezone.now() - timedelta(seconds=seconds))
    own = page.get(reverse("labs:request", args=[request.lab_report_id])).content.decode()
    assert ("the program that sends stands still" in own) == said
    assert ("stalled" in codes(elm)) == said


def test_what_waits_on_the_way_in(elm):
    waits = factories.make_message(elm)
    Message.objects.filter(pk=waits.pk).update(pending_since=timezone.now() - timedelta(minutes=6))
    factories.make_unmatched(elm, received_at=timezone.now() - timedelta(hours=25))
    aside = factories.make_message(elm)
    journal.quarantine(message=aside, cause="This is no JSON.")
    assert {"pending", "orphan", "quarantined"} <= codes(elm)
    assert not {"dead", "unbalanced"} & codes(elm)
    Message.objects.filter(pk=aside.pk).update(attempts=journal.MAX_ATTEMPTS)
    JournalCheck.objects.create(
        clinic=elm, checked_at=timezone.now(), holds=False, received=2, accounted=1, lost=["x"]
    )
    assert {"dead", "unbalanced"} <= codes(elm)
    assert health(elm).ways["result"].why == "This is no JSON."


# Silence


def out(clinic: Clinic, ago: timedelta) -> LabRequest:
    """An order that Heska took so long ago, and of which nothing has come."""
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    moment = timezone.now() - ago
    Submission.objects.filter(request=request).update(accepted_at=moment)
    LabRequest.objects.filter(pk=request.pk).update(requested_at=moment)
    return request


def around_the_clock(clinic: Clinic) -> None:
    Clinic.objects.filter(pk=clinic.pk).update(open_days="1234567", opens="00:00", closes="00:00")
    clinic.refresh_from_db()


def test_silence_in_opening_hours_while_orders_are_out(elm):
    around_the_clock(elm)
    assert "silent" not in codes(elm), "nothing is out"
    out(elm, timedelta(hours=3))
    assert "silent" not in codes(elm)
    out(elm, timedelta(hours=5))
    assert "silent" in codes(elm)
    # Anything that comes breaks it: the older order was perhaps never run.
    factories.make_unmatched(elm)
    assert "silent" not in codes(elm)


def test_silence_while_closed_is_no_news(elm):
    closed = str(timezone.localdate().isoweekday() % 7 + 1)
    Clinic.objects.filter(pk=elm.pk).update(
        open_days=closed, opens="12:00", closes="12:01", timezone="UTC"
    )
    elm.refresh_from_db()
    out(elm, timedelta(hours=9))
    assert "silent" not in codes(elm)


def test_the_hours_are_the_administrators(page, elm, ada):
    form = {"days": ["1", "7"], "opens": "07:30", "closes": "22:00", "quiet_hours": "2"}
    shown = page.post(at("hours", elm), form, follow=True).content.decode()
    assert "The opening hours were changed" in shown and 'value="07:30"' in shown
    elm.refresh_from_db()
    assert (elm.open_days, elm.quiet_hours) == ("17", 2)
    event = LabEvent.objects.get(verb="clinic.hours_changed")
    assert (event.actor, event.data["opens"]) == (ada, "07:30")
    response = page.post(at("hours", elm), {**form, "days": [], "quiet_hours": "0"})
    assert response.status_code == 422
    assert "Choose at least one day." in response.content.decode()


# Requested, and never came


def test_the_list_for_heska(page, elm, settings):
    old = out(elm, timedelta(hours=25))
    patient = old.patient
    new = out(elm, timedelta(hours=23))
    come = out(elm, timedelta(hours=30))
    factories.make_result(come)
    cancelled = out(elm, timedelta(hours=30))
    LabRequest.objects.filter(pk=cancelled.pk).update(
        cancelled_at=timezone.now(), state="cancelled"
    )
    oaks = out(factories.make_clinic("Oak Hollow"), timedelta(hours=30))
    body = page.get(at("missing", elm))
    text = body.content.decode("utf-8-sig")
    assert body["Content-Disposition"].startswith("attachment")
    lines = text.splitlines()
    assert len(lines) == 2 and lines[0].startswith("Lab report id,")
    assert old.lab_report_id in lines[1] and old.submission.external_id in lines[1]
    assert "HHEM-1" in lines[1]
    for other in (new, come, cancelled, oaks):
        assert other.lab_report_id not in text
    shown = read(page, elm)
    assert old.lab_report_id in shown and "missing" in codes(elm)
    assert patient.owner is not None
    for private in (patient.name, patient.owner.last_name, patient.patient_id):
        assert private not in text


def test_an_order_whose_outcome_is_not_known_is_on_the_list(elm):
    request = out(elm, timedelta(hours=25))
    Submission.objects.filter(request=request).update(accepted_at=None, may_have_arrived=True)
    (row,) = health(elm).missing
    assert row.note == "Sent; Heska gave no clear answer"

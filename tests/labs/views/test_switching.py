"""Colleagues change places at a workstation by PIN, and with nobody's rights but their own."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP

from labs.errors import InvalidInput
from labs.models import Clinic, LabEvent, Membership, Pin, Role, SecondFactor
from labs.services.people import pins, second_factor
from labs.views.access import ENTERED, PROVEN
from tests import factories

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
PIN = "830517"


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


def person(clinic: Clinic, username: str, role: str = Role.TECHNICIAN, pin: str = PIN) -> User:
    user = factories.make_staff(
        role, clinic=clinic, username=username, password=PASSWORD, is_staff=role == Role.ADMIN
    )
    if pin:
        pins.set_pin(user, pin)
    return user


def workstation(username: str = "toni") -> Client:
    client = Client()
    form = {"username": username, "password": PASSWORD}
    assert client.post("/login/", form)["Location"] == "/"
    return client


def switch(client: Client, user: User, pin: str = PIN, **more: str) -> int:
    return client.post("/switch/", {"who": user.pk, "pin": pin, **more}).status_code


def who(client: Client) -> int:
    return int(client.session["_auth_user_id"])


def code_of(user: User, seconds: int = 0) -> str:
    app = TOTP(base64.b32decode(SecondFactor.objects.get(user=user).key))
    app.time = timezone.now().timestamp() + seconds
    return f"{app.token():06d}"


def test_a_colleague_takes_over_with_a_new_key_and_their_rights_only(clinic: Clinic) -> None:
    toni, vera = person(clinic, "toni"), person(clinic, "vera", Role.RECEPTION)
    client = workstation()
    session = client.session
    session[ENTERED] = {"1": 9_999_999_999}
    session.save()
    old, csrf = (
        client.session.session_key,
        client.cookies["csrf"].value if "csrf" in client.cookies else "",
    )
    answer = client.post("/switch/", {"who": vera.pk, "pin": PIN, "next": "/unmatched/"})
    assert answer["Location"] == "/unmatched/" and who(client) == vera.pk
    assert client.session.session_key != old and ENTERED not in client.session
    assert client.get("/unmatched/").status_code == 403, "the desk's rights, not the technician's"
    stolen = Client()
    stolen.cookies["session"] = old
    assert "/login/" in stolen.get("/patients/")["Location"]
    assert csrf == "" or client.cookies["csrf"].value != csrf
    row = LabEvent.objects.get(verb="staff.switched")
    assert (row.actor, row.clinic, row.data["after"]) == (vera, clinic, toni.pk)
    assert switch(client, toni) == 302 and who(client) == toni.pk


def test_it_needs_a_session_and_a_colleague_of_this_clinic(clinic: Clinic) -> None:
    person(clinic, "toni")
    eve = person(factories.make_clinic("Oak"), "eve")
    gone = person(clinic, "gone")
    gone.is_active = False
    gone.save()
    locum = person(clinic, "locum")
    Membership.objects.filter(user=locum).update(ends_at=timezone.now() - timedelta(minutes=1))
    bare = person(clinic, "bare", pin="")
    assert Client().post("/switch/", {"who": eve.pk, "pin": PIN})["Location"].startswith("/login/")
    client = workstation()
    before = who(client)
    for user in (eve, gone, locum, bare):
        assert switch(client, user) == 422 and who(client) == before, user
    assert f'value="{eve.pk}"' not in client.get("/switch/").content.decode()


def test_wrong_pins_lock_at_that_workstation_until_the_password(clinic: Clinic) -> None:
    toni, vera = person(clinic, "toni"), person(clinic, "vera")
    client, there = workstation(), workstation()
    there.cookies.pop("device")
    there = Client()
    there.post("/login/", {"username": "toni", "password": PASSWORD})
    for _ in range(5):
        assert switch(client, vera, "111222") == 422
    assert switch(client, vera) == 422 and who(client) == toni.pk, "locked, though right"
    assert switch(there, vera) == 302, "at the other workstation nobody is locked out"
    client.post("/logout/")
    client.post("/login/", {"username": "vera", "password": PASSWORD})
    client.post("/logout/")
    client.post("/login/", {"username": "toni", "password": PASSWORD})
    assert switch(client, vera) == 302
    verbs = list(LabEvent.objects.values_list("verb", flat=True))
    assert verbs.count("staff.pin_failed") == 5 and verbs.count("staff.pin_locked") == 1


def test_going_from_place_to_place_does_not_help(clinic: Clinic) -> None:
    person(clinic, "toni")
    vera = person(clinic, "vera")
    for number in range(10):
        switch(workstation(), vera, f"11122{number}")
    assert switch(workstation(), vera) == 422
    with time_machine.travel(timezone.now() + timedelta(days=3), tick=False):
        assert switch(workstation(), vera) == 422, "no waiting ends it"


def test_an_administrator_needs_the_code_as_well(clinic: Clinic) -> None:
    toni, ana = person(clinic, "toni"), person(clinic, "ana", Role.ADMIN)
    client = workstation()
    assert switch(client, ana) == 422 and who(client) == toni.pk, "without a factor at all"
    second_factor.begin(ana)
    second_factor.confirm(ana, code_of(ana, -30))
    assert switch(client, ana) == 422 and who(client) == toni.pk
    assert switch(client, ana, code="000000") == 422 and who(client) == toni.pk
    SecondFactor.objects.update(throttling_failure_count=0)
    assert switch(client, ana, "111222", code=code_of(ana)) == 422 and who(client) == toni.pk
    assert switch(client, ana, code=code_of(ana)) == 302 and who(client) == ana.pk
    assert client.get("/admin/").status_code == 200
    assert switch(client, toni) == 302
    assert client.get("/audit/").status_code == 403 and client.get("/admin/").status_code == 302


@pytest.mark.parametrize("change", ["password", "disabled"])
def test_it_ends_with_whoever_signed_in_there(clinic: Clinic, change: str) -> None:
    toni, vera = person(clinic, "toni"), person(clinic, "vera")
    wim = person(clinic, "wim")
    client = workstation()
    assert switch(client, vera) == 302
    if change == "password":
        toni.set_password("another horse battery")
    else:
        toni.is_active = False
    toni.save()
    assert switch(client, wim) == 422 and who(client) == vera.pk


def test_twelve_hours_count_from_the_password(clinic: Clinic) -> None:
    toni, vera = person(clinic, "toni"), person(clinic, "vera")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = workstation()
        for number in range(25):
            clock.shift(timedelta(minutes=29))
            last = switch(client, (vera, toni)[number % 2])
        assert last == 302 and "_auth_user_id" not in client.session


def test_the_way_back_stays_on_this_site(clinic: Clinic) -> None:
    person(clinic, "toni")
    vera = person(clinic, "vera")
    form = {"who": vera.pk, "pin": PIN, "next": "https://elsewhere.example/"}
    assert workstation().post("/switch/", form)["Location"] == "/"


@pytest.mark.parametrize(
    "pin",
    [
        *("123456", "654321", "000000", "121212", "123123", "112233", "135791", "147258", "789456"),
        *("123321", "010203", "202020", "559955", "12345", "1234567", "12345a", "１２３４５６", ""),
    ],
)
def test_weak_ones_are_refused(clinic: Clinic, pin: str) -> None:
    with pytest.raises(InvalidInput):
        pins.set_pin(person(clinic, "vera", pin=""), pin)


def test_setting_one_asks_for_the_password(clinic: Clinic) -> None:
    toni = person(clinic, "toni", pin="")
    client = workstation()
    form = {"pin": PIN, "again": PIN}
    assert client.post("/account/pin/", {**form, "password": "no"}).status_code == 422
    assert (
        client.post("/account/pin/", {"pin": PIN, "again": "1", "password": PASSWORD}).status_code
        == 422
    )
    assert not Pin.objects.exists()
    assert client.post("/account/pin/", {**form, "password": PASSWORD}).status_code == 302
    with connection.cursor() as cursor:
        cursor.execute("SELECT digest FROM labs_pin")
        stored = cursor.fetchone()[0]
    assert stored.startswith("gAAAA") and PIN not in Pin.objects.get(user=toni).digest
    client.post("/account/pin/off/")
    assert not Pin.objects.exists()


@pytest.mark.parametrize("after", ["nowhere", "healthz"])
def test_an_odd_way_back_is_no_error(clinic: Clinic, after: str) -> None:
    person(clinic, "toni")
    vera = person(clinic, "vera")
    client = workstation()
    assert switch(client, vera, next=after) == 302 and who(client) == vera.pk


def test_changing_places_leads_to_no_other_site(clinic: Clinic) -> None:
    person(clinic, "toni")
    vera = person(clinic, "vera")
    for away in (
        "https://example.org/",
        "//example.org/",
        "/\\example.org/",
        "javascript:alert(1)",
    ):
        client = workstation()
        answer = client.post("/switch/", {"who": vera.pk, "pin": PIN, "next": away})
        assert (answer.status_code, answer["Location"]) == (302, "/"), away


def test_whoever_signed_in_there_must_work_at_that_clinic_today(clinic: Clinic) -> None:
    """One password of a clinic stands behind every PIN of it: not that of another clinic's
    colleague, and not that of who has left."""
    toni, vera, wim = (person(clinic, name) for name in ("toni", "vera", "wim"))
    oak = factories.make_clinic("Oak")
    olga = person(oak, "olga")
    Membership.objects.create(user=vera, clinic=oak, role=Role.TECHNICIAN)
    client = workstation()
    assert switch(client, vera) == 302
    client.post("/clinic/", {"clinic": oak.public_id})
    assert switch(client, olga) == 422 and who(client) == vera.pk, "toni never worked at Oak"
    client.post("/clinic/", {"clinic": clinic.public_id})
    Membership.objects.filter(user=toni).update(ends_at=timezone.now() - timedelta(minutes=1))
    assert switch(client, wim) == 422 and who(client) == vera.pk, "toni has left"
    Membership.objects.filter(user=toni).update(ends_at=None)
    assert switch(client, wim) == 302


def test_guessing_at_the_address_keeps_no_administrator_from_switching(clinic: Clinic) -> None:
    person(clinic, "toni")
    ana = person(clinic, "ana", Role.ADMIN)
    second_factor.begin(ana)
    second_factor.confirm(ana, code_of(ana, -30))
    client = workstation()
    for number in range(40):
        Client().post("/login/", {"username": f"nobody{number}", "password": "wrong"})
    assert switch(client, ana, code=code_of(ana)) == 302


def test_one_s_own_page_leads_to_one_thing_at_most(clinic: Clinic) -> None:
    """The second factor while there is none, then the PIN."""
    user = person(clinic, "toni", pin="")
    client = workstation()

    def leading() -> list[str]:
        page = client.get("/account/").content.decode()
        return re.findall(r'<button class="btn primary">([^<]*)<', page)

    assert leading() == ["Set it up"]
    pins.set_pin(user, PIN)
    assert leading() == ["Set it up"]
    pins.take_off(user)
    second_factor.begin(user)
    second_factor.confirm(user, code_of(user))
    session = client.session
    session[PROVEN] = SecondFactor.objects.get(user=user).pk
    session.save()
    assert leading() == ["Set the PIN"]
    pins.set_pin(user, PIN)
    assert leading() == []

"""A session ends when nobody uses it, and at once when its password or its login does."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, Patient
from tests import factories

pytestmark = pytest.mark.django_db
PAGE = "/patients/"
POLL = {"HX-Request": "true", "HX-Current-URL": "http://testserver/"}


@pytest.fixture
def alice() -> User:
    return factories.make_staff(username="alice", password="correct horse battery")


@pytest.fixture
def signed_in(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def test_use_keeps_it_and_half_an_hour_without_ends_it(signed_in: Client) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(4):
            clock.shift(timedelta(minutes=29))
            assert signed_in.get(PAGE).status_code == 200
        clock.shift(timedelta(minutes=31))
        assert signed_in.get(PAGE)["Location"].startswith("/login/")


def test_what_a_page_asks_by_itself_is_no_use(signed_in: Client) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(30):
            clock.shift(timedelta(minutes=1))
            answer = signed_in.get(reverse("labs:nav"), {"v": "x"}, headers=POLL)
            assert answer.status_code == 200
        clock.shift(timedelta(minutes=1))
        answer = signed_in.get(reverse("labs:nav"), {"v": "x"}, headers=POLL)
        assert answer["HX-Redirect"].startswith("/login/")


def test_a_form_that_is_sent_too_late_does_nothing(signed_in: Client) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        clock.shift(timedelta(minutes=31))
        answer = signed_in.post("/patients/new/", {"name": "Rex", "species": "dog"})
    assert answer.status_code == 302 and not Patient.objects.exists()


def test_it_ends_after_twelve_hours_of_use_too(signed_in: Client) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(25):
            clock.shift(timedelta(minutes=29))
            last = signed_in.get(PAGE).status_code
    assert last == 302


@pytest.mark.parametrize("change", ["password", "disabled", "signed out"])
def test_it_ends_at_once(change: str, signed_in: Client, alice: User) -> None:
    stolen = Client()
    stolen.cookies = signed_in.cookies.copy()
    assert stolen.get(PAGE).status_code == 200
    if change == "password":
        alice.set_password("another horse battery")
        alice.save()
    elif change == "disabled":
        alice.is_active = False
        alice.save()
    else:
        signed_in.post("/logout/")
    assert stolen.get(PAGE).status_code == 302


def test_a_clinic_says_how_long(signed_in: Client, alice: User) -> None:
    Clinic.objects.update(idle_minutes=90)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert signed_in.get(PAGE).status_code == 200  # from its first page on
        clock.shift(timedelta(minutes=89))
        assert 'data-idle="90"' in signed_in.get(PAGE).content.decode()
        clock.shift(timedelta(minutes=91))
        assert signed_in.get(PAGE)["Location"].startswith("/login/")


def test_whoever_is_at_work_on_a_page_says_so_and_asking_does_not(signed_in: Client) -> None:
    still = reverse("labs:still")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        clock.shift(timedelta(minutes=20))
        assert signed_in.post(f"{still}?v=1").status_code == 204
        clock.shift(timedelta(minutes=20))
        answer = signed_in.get(still, {"v": "1"}, headers={"HX-Request": "true"}).json()
        assert len(answer["who"]) == 16 and answer["token"]
        clock.shift(timedelta(minutes=11))
        ended = signed_in.get(still, {"v": "1"}, headers={"HX-Request": "true"}).json()
        assert ended == {"who": ""}, "asking kept it alive"

"""A screen on the wall: what it shows, and that it opens nothing else."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from labs.models import Alarm, Clinic, LabEvent, LabRequest, Priority, Role, WallScreen
from labs.services.reviews import alarms
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def boss(clinic: Clinic) -> Client:
    client = Client()
    client.force_login(factories.make_staff(Role.ADMIN, clinic=clinic, username="ana"))
    return client


def make(boss: Client, name: str = "Laboratory") -> str:
    """The path of the link that the page shows."""
    page = boss.post("/screens/new/", {"name": name}).content.decode()
    found = re.search(r'id="link">http://localhost:8000(/wall/\w+/)<', page)
    assert found and 'src="data:image/svg+xml' in page
    return found[1]


def paired(boss: Client, name: str = "Laboratory") -> Client:
    screen = Client()
    assert screen.post(make(boss, name))["Location"] == "/wall/"
    return screen


def test_it_is_made_paired_and_seen(boss: Client) -> None:
    link = make(boss)
    assert link not in boss.get("/screens/").content.decode(), "shown once"
    screen = Client()
    assert screen.get("/wall/").status_code == 403
    assert screen.get(link).status_code == 200, "looking at the link spends nothing"
    assert screen.post(link)["Location"] == "/wall/"
    assert screen.get("/wall/").status_code == 200
    cookie = screen.cookies["wall"]
    assert cookie["httponly"] and cookie["samesite"] == "Strict"
    row = WallScreen.objects.get()
    assert row.seen_at and cookie.value not in row.digest and link.strip("/")[5:] not in row.digest
    assert "waits for its link" not in boss.get("/screens/").content.decode()
    assert [e.verb for e in LabEvent.objects.filter(verb__startswith="screen.")] == [
        "screen.made",
        "screen.paired",
    ]


def test_a_link_works_once_and_for_an_hour(boss: Client) -> None:
    link = make(boss)
    assert Client().post(link).status_code == 302
    assert Client().post(link).status_code == 404 and Client().get(link).status_code == 404
    late = make(boss, "Corridor")
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        assert Client().get(late).status_code == 404 and Client().post(late).status_code == 404
    thief = Client()
    thief.cookies["wall"] = late.strip("/").removeprefix("wall/")
    assert thief.get("/wall/").status_code == 403, "a link's text is no key"


def test_it_ends_at_once(boss: Client) -> None:
    screen = paired(boss)
    pk = WallScreen.objects.get().pk
    boss.post(f"/screens/{pk}/revoke/")
    assert screen.get("/wall/").status_code == 403
    poll = screen.get("/wall/", {"v": "x"}, headers={"HX-Request": "true"})
    assert poll["HX-Redirect"] == "/wall/" and not poll.content
    assert "shows nothing any more" in boss.get("/screens/").content.decode()
    assert ">Laboratory<" not in boss.get("/screens/").content.decode()
    assert boss.post(f"/screens/{pk}/link/").status_code == 409


def test_a_new_link_shuts_out_what_had_the_old_one(boss: Client) -> None:
    screen = paired(boss)
    page = boss.post(f"/screens/{WallScreen.objects.get().pk}/link/").content.decode()
    assert screen.get("/wall/").status_code == 403
    link = re.search(r"(/wall/\w+/)<", page)
    assert link and Client().post(link[1]).status_code == 302


def test_it_signs_nobody_in(boss: Client, clinic: Clinic) -> None:
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    screen = paired(boss)
    for path in ("/", "/patients/", f"/requests/{request.lab_report_id}/", "/admin/", "/screens/"):
        assert "/login/" in screen.get(path)["Location"], path
    assert "session" not in screen.cookies


def test_who_is_signed_in_there_sees_the_screen_s_clinic_alone(
    boss: Client, clinic: Clinic
) -> None:
    other = factories.make_clinic("Oak Hollow")
    factories.make_request(factories.make_patient(other, name="Hushpuppy"), accepted=True)
    screen = paired(boss)
    screen.force_login(factories.make_staff(Role.VET, clinic=other))
    page = screen.get("/wall/").content.decode()
    assert clinic.name in page and "Hushpuppy" not in page and "Oak" not in page


def test_names_are_the_pet_s_and_an_initial(boss: Client, clinic: Clinic) -> None:
    owner = factories.make_owner(
        clinic, last_name="Montgomery", first_name="Quentin", phone="555-2368"
    )
    patient = factories.make_patient(clinic, name="Biscuit", owner=owner, patient_id="P-777")
    request = factories.make_request(patient, accepted=True)
    low = factories.make_row("GLU", "1.1", flag="LL")
    factories.make_result(request, factories.make_report([factories.make_run([low])]))
    page = paired(boss).get("/wall/").content.decode()
    assert "Biscuit M." in page and "CRITICAL" in page
    for told in (
        "Montgomery",
        "Quentin",
        "555-2368",
        "P-777",
        request.lab_report_id,
        "GLU",
        "1.1<",
    ):
        assert told not in page, told


def test_it_says_what_nobody_has_acknowledged(boss: Client, clinic: Clinic) -> None:
    """Of every alarm, told to everybody yet or not, and of this clinic alone."""
    other = factories.make_clinic("Oak Hollow")
    low = factories.make_row("GLU", "1.1", flag="LL")
    screen = paired(boss)
    for place in (other, clinic):
        assert "nobody has acknowledged" not in screen.get("/wall/").content.decode()
        request = factories.make_request(factories.make_patient(place), accepted=True)
        factories.make_result(request, factories.make_report([factories.make_run([low])]))
    page = screen.get("/wall/").content.decode()
    assert "<b>1</b> <span>result has to be looked at now" in page
    version = page.partition('{"v": "')[2].partition('"')[0]
    vet = factories.make_staff(Role.VET, clinic=clinic)
    alarm = Alarm.objects.get(clinic=clinic)
    alarms.acknowledge(acting_user=vet, alarm=alarm, expected_result=alarm.result_id)
    ask = {"headers": {"HX-Request": "true"}}
    fresh = screen.get("/wall/", {"v": version}, **ask)
    assert fresh.status_code == 200
    assert "nobody has acknowledged" not in fresh.content.decode()


def test_stat_comes_before_what_came_earlier(boss: Client, clinic: Clinic) -> None:
    for number in range(7):
        factories.make_request(factories.make_patient(clinic, name=f"Rex {number}"), accepted=True)
    urgent = factories.make_request(factories.make_patient(clinic, name="Luna"), accepted=True)
    LabRequest.objects.filter(pk=urgent.pk).update(priority=Priority.STAT)
    page = paired(boss).get("/wall/").content.decode()
    assert page.index("Luna") < page.index("Rex 0") and "STAT" in page and "and 3 more" in page


def test_it_stays_fresh_and_is_seen_once_a_minute(boss: Client, clinic: Clinic) -> None:
    screen = paired(boss)
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=False) as clock:
        page = screen.get("/wall/").content.decode()
        version = page.partition('{"v": "')[2].partition('"')[0]
        ask = {"headers": {"HX-Request": "true"}}
        assert screen.get("/wall/", {"v": version}, **ask).status_code == 204
        seen = WallScreen.objects.get().seen_at
        clock.shift(timedelta(seconds=30))
        factories.make_unmatched(clinic)
        fresh = screen.get("/wall/", {"v": version}, **ask)
        assert fresh.status_code == 200 and "<html" not in fresh.content.decode()
        assert "<b>1</b> <span>unmatched" in fresh.content.decode()
        assert WallScreen.objects.get().seen_at == seen
        clock.shift(timedelta(seconds=31))
        screen.get("/wall/", {"v": version}, **ask)
        assert WallScreen.objects.get().seen_at > seen


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_a_name_is_asked_for(boss: Client, name: str) -> None:
    assert boss.post("/screens/new/", {"name": name}).status_code == 422
    assert not WallScreen.objects.exists()

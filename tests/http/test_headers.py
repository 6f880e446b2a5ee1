"""What each answer says to a browser, and what nobody outside may choose: where a sign-in leads,
the host that links name, a column that a form doesn't have."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.urls import reverse

from labs.models import Membership, Patient, Role
from tests.http.cells import lines
from tests.http.posts import OWNED
from tests.http.test_table import clients, taken_back, world
from tests.http.world import World

__all__ = ["clients", "world"]  # fixtures
pytestmark = pytest.mark.django_db
PAGES = {line.name: line for line in lines() if line.method == "GET" and line.name != "admin:login"}
Clients = dict[str, tuple[Client, dict[str, str]]]


def ready(clients: Clients, role: str) -> Client:
    client, cookies = clients[role]
    client.cookies.clear()
    client.cookies.load(cookies)
    return client


@pytest.mark.parametrize("name", PAGES)
def test_every_answer_says_what_a_browser_may_do(name: str, clients: Clients, world: World) -> None:
    """Also of an error, of a file and of what leads elsewhere."""
    wrong = []
    for role in ("anonymous", "admin", "entered"):
        for whose in ("own", "missing"):
            url = reverse(name, args=world.arguments(PAGES[name].kind, whose))
            with taken_back(), override_settings(SECURE_HSTS_SECONDS=31_536_000):
                answer = ready(clients, role).get(url)
            policy = answer.get("Content-Security-Policy", "")
            if "default-src 'none'" not in policy or "unsafe" in policy or "*" in policy:
                wrong.append(f"{role} {whose} Content-Security-Policy {policy}")
            if "frame-ancestors 'none'" not in policy or answer.get("X-Frame-Options") != "DENY":
                wrong.append(f"{role} {whose} may be framed")
            for header, expected in (
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "same-origin"),
                ("Cross-Origin-Opener-Policy", "same-origin"),
            ):
                if answer.get(header) != expected:
                    wrong.append(f"{role} {whose} {header}: {answer.get(header)}")
            if "no-store" not in answer.get("Cache-Control", ""):
                wrong.append(f"{role} {whose} may be kept: {answer.get('Cache-Control')}")
    assert wrong == []


def test_a_year_of_https_only() -> None:
    """Set where the public address is https; see tests/pims/test_checks.py for the check of it."""
    with override_settings(SECURE_HSTS_SECONDS=365 * 86400, SECURE_HSTS_INCLUDE_SUBDOMAINS=True):
        answer = Client().get("/login/", secure=True)
    assert answer["Strict-Transport-Security"].startswith("max-age=31536000; includeSubDomains")


ELSEWHERE = [
    "https://pwned.invalid/",
    "//pwned.invalid/",
    "/\\pwned.invalid/",
    "\\\\pwned.invalid",
    "http:pwned.invalid",
    "javascript:alert(1)",
    "/\t/pwned.invalid",
    "https:///pwned.invalid",
    "\t//pwned.invalid",
    "https://testserver@pwned.invalid/",
]


@pytest.mark.parametrize("there", ELSEWHERE)
def test_no_form_leads_to_another_site(there: str, clients: Clients, world: World) -> None:
    patient: Any = world.own.rows["patient"]
    with taken_back():
        person = Client()
        user = world.people["technician"]
        user.set_password("correct horse battery")
        user.save()
        form = {"username": "technician", "password": "correct horse battery", "next": there}
        answers = [person.post("/login/", form)]
        technician = ready(clients, "technician")
        answers += [
            technician.get("/login/", {"next": there}),
            technician.post("/clinic/", {"clinic": world.own.clinic.public_id, "next": there}),
            technician.get("/search/", {"q": patient.patient_id, "next": there}),
        ]
        user.set_unusable_password()
    for answer in answers:
        place = answer.get("Location", "/")
        assert place.startswith("/") and not place.startswith(("//", "/\\", "/\t"))
        assert "pwned" not in place.partition("?")[0]


@pytest.mark.parametrize("host", ["pwned.invalid", "testserver.pwned.invalid", "testserver:x@p"])
def test_another_host_is_refused(host: str, clients: Clients, world: World) -> None:
    """Else a link in an answer would lead there, and a cache would hand it to the next."""
    for path in ("/login/", "/", "/admin/"):
        for header in ("HTTP_HOST", "HTTP_X_FORWARDED_HOST"):
            with taken_back():
                answer = ready(clients, "technician").get(path, **{header: host})
            assert header == "HTTP_X_FORWARDED_HOST" or answer.status_code == 400
            assert host not in answer.content.decode() + answer.get("Location", "")
    assert "*" not in settings.ALLOWED_HOSTS


def test_fields_that_a_form_does_not_have_are_not_read(clients: Clients, world: World) -> None:
    """Every column of a patient and of a request, by name and by database name."""
    other: Any = world.other
    extra = {
        "id": "1",
        "pk": "1",
        "uuid": str(other.rows["patient"].uuid),
        "clinic": str(other.clinic.pk),
        "clinic_id": str(other.clinic.pk),
        "owner": str(other.rows["owner"].pk),
        "owner_id": str(other.rows["owner"].pk),
        "is_test": "on",
        "created_at": "2001-01-01",
        "latest_visit": "2001-01-01",
        "role": "admin",
        "is_superuser": "on",
        "is_staff": "on",
        "acting_user": str(world.people["root"].pk),
        "state": "complete",
        "result_key": "chosen-by-me",
        "lab_report_id": "VL-CHOSEN",
    }
    technician = ready(clients, "technician")
    with taken_back():
        answer = technician.post("/patients/new/", {**extra, **OWNED, "name": "Massy"})
        assert answer.status_code == 302
        made = Patient.objects.get(name="Massy")
        assert made.clinic == world.own.clinic and made.uuid != other.rows["patient"].uuid
        assert made.owner is None or made.owner.clinic == world.own.clinic
        assert (made.is_test, made.latest_visit, made.created_at.year > 2001) == (False, None, True)
        answer = technician.post(
            f"/patients/{made.uuid}/edit/",
            {**extra, **OWNED, "name": "Massy", "patient_id": made.patient_id},
        )
        made.refresh_from_db()
        assert made.clinic == world.own.clinic and not made.is_test
        panel = world.own.rows["open"].tests.get().panel.code  # type: ignore[attr-defined]
        order = {"patient": made.uuid, "panels": panel, "priority": "routine"}
        assert technician.post("/requests/new/", {**extra, **order}).status_code == 302
        placed = made.labrequest_set.get()
        assert (placed.clinic, placed.requested_by) == (made.clinic, world.people["technician"])
        assert placed.state != "complete" and placed.result_key != "chosen-by-me"
        assert placed.lab_report_id != "VL-CHOSEN"
    assert world.people["technician"].is_superuser is False
    assert Membership.objects.get(user=world.people["technician"], ends_at=None).role == (
        Role.TECHNICIAN
    )

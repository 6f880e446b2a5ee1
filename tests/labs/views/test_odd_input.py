"""What no browser sends and anybody can: a NUL, numbers without end, text without end. Every
address of the staff site answers something, and never that the program failed. PostgreSQL is the
one that refuses most of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from labs.models import Clinic, LabRequest
from labs.services.registry import merging
from tests import factories

pytestmark = pytest.mark.django_db
ODD = {
    "nul": "a\0b",
    "digits": "9" * 5000,
    "past 64 bits": "99999999999999999999",
    "long": "x" * 3_000,
}
# Every field that a form or a view of ours reads.
FIELDS = (
    *("note", "reason", "word", "words", "why", "code", "kind", "species", "version", "run", "q"),
    *("seen", "page", "state", "day", "patient", "panels", "beside", "candidate", "request", "v"),
    *("typed_name", "next", "shown", "name", "breed", "sex", "patient_id", "owner_id", "label"),
    *("owner_first_name", "owner_last_name", "owner_phone", "microchip", "weight_kg", "clinic"),
    *("birth_date", "deceased_on", "doctor", "notes", "collected_at", "collected_by", "fasting"),
    *(
        "what",
        "person",
        "due_on",
        "sign",
        "back",
        "result",
        "vet",
        "analyte",
        "unit",
        "low",
        "high",
        "minutes",
    ),
    *("priority", "form_key", "username", "password", "client_id", "client_secret", "panel"),
    *("pin", "again", "who", "token", "idle_minutes"),
    *("days", "opens", "closes", "quiet_hours", "not_there", "emergency", "show", "name_typed"),
)


def addresses(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    """Of the staff site and the set-up page, as they are written in the urls."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            if not route.startswith(("admin/", "api/")):
                yield from addresses(each.url_patterns, route)
        elif isinstance(each, URLPattern):
            yield route


ALL = sorted(set(addresses()))


@pytest.fixture
def clinic(db: None) -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def client(clinic: Clinic) -> Client:
    """An administrator: the one who may do everything."""
    signed_in = Client(raise_request_exception=False)
    signed_in.force_login(factories.make_staff("admin", clinic=clinic))
    return signed_in


def filled(route: str, request: LabRequest, odd: str | None) -> str:
    """With what is there; or with what is odd, where the address takes any text."""
    orphan = factories.make_unmatched(request.clinic)
    message = factories.make_message(request.clinic)
    text = quote(odd) if odd else None
    own = orphan.uuid if route.startswith("unmatched") else request.patient.uuid
    if route.startswith("owners"):
        own = request.patient.owner.uuid
    if route.startswith("merges"):
        other = factories.make_patient(request.clinic)
        own = merging.merge(acting_user=None, survivor=request.patient, merged=other).uuid
    for name, value in {
        "<str:lab_report_id>": text or request.lab_report_id,
        "<str:receipt_id>": text or message.receipt_id,
        "<str:code>": text or "none",
        "<str:client_id>": text or "none",
        "<slug:clinic>": request.clinic.public_id,
        "<uuid:uuid>": str(own),
        "<int:pk>": text or "1",
        "<uidb64>": text or "MQ",
        "<str:token>": text or "none",
        "<token>": text or "none",
    }.items():
        route = route.replace(name, value)
    assert "<" not in route, route
    return f"/{route}"


@pytest.mark.parametrize("route", ALL)
def test_every_address_with_odd_fields(route: str, clinic: Clinic, client: Client) -> None:
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    factories.make_result(request)
    address = filled(route, request, None)
    if address == "/logout/":
        return
    for what, odd in ODD.items():
        fields = dict.fromkeys(FIELDS, odd)
        known = {"patient": str(request.patient.uuid), "panels": "HHEM-1", "name": "N\0" + odd}
        asked = {**fields, **known, "patient": odd}
        for answer in (
            client.get(address, asked, headers={"HX-Request": "true"} if what == "digits" else {}),
            client.post(address, fields),
            client.post(address, fields | known),
        ):
            assert answer.status_code < 500, (what, address)


@pytest.mark.parametrize("route", [route for route in ALL if "<str:" in route or "<int:" in route])
def test_every_address_that_takes_any_text(route: str, clinic: Clinic, client: Client) -> None:
    request = factories.make_request(factories.make_patient(clinic))
    for what, odd in ODD.items():
        if what == "long":
            continue
        address = filled(route, request, odd)
        for answer in (client.get(address), client.post(address)):
            assert answer.status_code in (302, 404, 405), (what, address)


def test_a_nul_is_kept_as_the_sign_for_what_cannot_be_shown(clinic: Clinic, client: Client) -> None:
    request = factories.make_request(factories.make_patient(clinic))
    client.post(f"/requests/{request.lab_report_id}/cancel/", {"reason": "wrong\0animal"})
    request.refresh_from_db()
    assert request.cancelled_reason == "wrong\ufffdanimal"

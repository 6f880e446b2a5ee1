"""What may be hung on an address (searches, filters, orders, pages, `?clinic=`, pickers) opens no
other clinic's record, on any page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.http.cells import lines
from tests.http.test_table import clients, taken_back, world
from tests.http.world import Place, World

__all__ = ["clients", "world"]  # fixtures
pytestmark = pytest.mark.django_db
PAGES = {line.name: line for line in lines() if line.method == "GET" and line.name != "admin:login"}
# Part of the word, so that a page which repeats what was asked tells nothing by that.
PART = "ushpupp"


def queries(place: Place) -> Iterator[str]:
    clinic, rows = place.clinic, place.rows
    patient: Any = rows["patient"]
    request: Any = rows["request"]
    yield f"q={PART}"
    yield f"patient={patient.uuid}"
    yield f"owner={rows['owner'].pk}&clinic={clinic.pk}"
    yield f"patient={patient.pk}"
    yield f"clinic={clinic.public_id}"
    yield f"clinic__id__exact={clinic.pk}"
    yield f"clinic__exact={clinic.pk}"
    yield "state=all"
    yield "state=matched&page=1"
    yield "show=running"
    yield "o=-1.2&p=0"
    yield "page=2"
    yield f"candidate={patient.uuid}&q={PART}"
    yield f"beside={request.lab_report_id}"
    yield f"owner__last_name__startswith={PART}"
    yield f"patient__clinic__id__exact={clinic.pk}"
    yield f"clinic__patient__owner__last_name__contains={PART}"


@pytest.mark.parametrize("name", PAGES)
def test_no_question_opens_another_clinic(
    name: str, clients: dict[str, tuple[Client, dict[str, str]]], world: World
) -> None:
    for role in ("technician", "admin", "entered"):
        assert dict(told_by(role, name, clients, world)) == {}, role


def told_by(
    role: str, name: str, clients: dict[str, tuple[Client, dict[str, str]]], world: World
) -> Iterator[tuple[str, list[str]]]:
    """What each question to that page tells of the other clinic."""
    client, cookies = clients[role]
    client.cookies.clear()
    client.cookies.load(cookies)
    url = reverse(name, args=world.arguments(PAGES[name].kind, "own"))
    with taken_back():
        if client.get(url).status_code in (302, 403):
            return  # no page for that role, whatever is asked
        asked = list(queries(world.other))
        if name.startswith("admin:") and "changelist" not in name:
            asked = ["&".join(asked[:3])]  # a page of one row reads none but a picker's
        for query in asked:
            page = client.get(f"{url}?{query}")
            text = f"{page.get('Location', '')}{page.content.decode(errors='replace')}"
            found = [word for word in world.other.ids() if word not in query and word in text]
            # A superuser chooses among all clinics.
            if found and not (role == "entered" and "labs_clinic" in name):
                yield query, found


PICKERS = [
    ("patient", "owner"),
    ("visit", "patient"),
    ("membership", "user"),
    ("labrequest", "patient"),
    ("labevent", "actor"),
]


@pytest.mark.parametrize(("model", "field"), PICKERS)
@pytest.mark.parametrize("role", ["technician", "admin", "root", "entered"])
@pytest.mark.parametrize("term", ["", PART])
def test_autocomplete(
    role: str,
    model: str,
    field: str,
    term: str,
    clients: dict[str, tuple[Client, dict[str, str]]],
    world: World,
) -> None:
    client, cookies = clients[role]
    client.cookies.clear()
    client.cookies.load(cookies)
    with taken_back():
        page = client.get(
            reverse("admin:autocomplete"),
            {"app_label": "labs", "model_name": model, "field_name": field, "term": term},
        )
    told = [word for word in world.other.ids() if word in page.content.decode()]
    assert told == []
    if role == "admin" and field in ("owner", "patient") and model in ("patient", "visit"):
        assert bool(page.json()["results"]) is (term == "")  # it does find one's own

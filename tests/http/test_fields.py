"""Another clinic's ids in the fields of one's own forms: hidden ones, pickers, lists with tick
boxes, and names that a form does not have. Each must be answered byte for byte and statement for
statement like an id that nobody has, tell nothing of the other clinic, and leave its rows alone."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import models
from django.test import Client
from django.urls import reverse

from labs.models import LabEvent
from labs.views import care
from tests.http import posts
from tests.http.cells import Line, lines
from tests.http.test_table import Answer, changes, clients, taken_back, world
from tests.http.world import MISSING_PK, NOBODY, Place, Statements, World

__all__ = ["clients", "world"]  # fixtures
pytestmark = pytest.mark.django_db
FORMS = [
    line
    for line in lines()
    if line.method == "POST"
    and line.name.startswith(("labs:", "admin:", "heska_pages:"))
    and line.audience
    not in ("nobody*", "nobody", "halves", "linked", "public", "guests", "leavers")
    and line.status != "403"
]
DONE = ("200", "204", "302", "422")
# Each form is posted by the first of these who may.
ROLES = ("vet", "admin", "desk", "entered")
# Names that views read beside what `posts` fills in, or might if somebody bound a whole model.
BESIDE = {
    "clinic": ("clinic", "public_id"),
    "clinic_id": ("clinic", "pk"),
    "patient": ("patient", "uuid"),
    "patient_id": ("patient", "patient_id"),
    "owner": ("owner", "owner_id"),
    "owner_id": ("owner", "owner_id"),
    "request": ("open", "lab_report_id"),
    "beside": ("open", "lab_report_id"),
    "candidate": ("patient", "uuid"),
    "with": ("patient", "uuid"),
    "survivor": ("patient", "uuid"),
    "ruled_out": ("patient", "uuid"),
    "person": ("vet", "pk"),
    "vet": ("vet", "pk"),
    "who": ("vet", "pk"),
    "user": ("vet", "pk"),
    "run": ("run", "pk"),
    "result": ("labs_labresult", "pk"),
    "expected": ("labs_labresult", "pk"),
    "sign": ("open", "lab_report_id"),
    "emergency": ("emergency", "code"),
    "key": ("patient", "pk"),
    "weight_set-0-patient": ("patient", "pk"),
}
CONTENT_TYPE = 'FROM "django_content_type"'
NAMES = ("pk", "uuid", "lab_report_id", "patient_id", "owner_id", "public_id", "code")


def rows_of(place: Place) -> dict[str, models.Model]:
    request: Any = place.rows["request"]
    return {**place.rows, "clinic": place.clinic, "run": request.runs.get()}


def nobodys(value: Any) -> str:
    """An id of the same kind and shape that nothing has."""
    if isinstance(value, int):
        return str(MISSING_PK)
    return str(NOBODY) if isinstance(value, UUID) else re.sub(r"[^\W\d]", "Q", str(value))


def swaps(
    world: World, fields: dict[str, Any]
) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """What is changed, the form's fields with the other clinic's id, and with one of nobody."""
    own, other = rows_of(world.own), rows_of(world.other)
    for name, given in fields.items():
        if not isinstance(given, str):
            continue  # a file
        # Any number is the primary key of something.
        if given.isdigit() and name not in BESIDE:
            continue
        for kind, column in ((kind, column) for kind in own for column in NAMES):
            part = str(getattr(own[kind], column, ""))
            if len(part) and (given == part or given.startswith(f"{part}:")):
                theirs = getattr(other[kind], column)
                strange, missing = (given.replace(part, str(v)) for v in (theirs, nobodys(theirs)))
                yield name, {name: strange}, {name: missing}
                break
    beside = {
        name: getattr(other[kind], column)
        for name, (kind, column) in BESIDE.items()
        if not fields.get(name)
    }
    yield (
        ", ".join(beside),
        {name: f"{value}" for name, value in beside.items()},
        {name: nobodys(value) for name, value in beside.items()},
    )


@pytest.mark.parametrize("line", FORMS, ids=lambda line: f"{line.name} {line.kind}")
def test_their_ids_in_my_form_are_nobody_s(
    line: Line, clients: dict[str, tuple[Client, dict[str, str]]], world: World
) -> None:
    # Red where nobody may: a form that is never posted would prove nothing.
    role = next(role for role in ROLES if line.expected(role)["own"].rstrip("!") in DONE)
    with time_machine.travel(datetime.now(UTC), tick=False):
        wrong = list(told(line, role, clients, world))
    assert not wrong, "\n".join(wrong)


def test_a_form_that_looks_past_the_border_is_seen(
    clients: dict[str, tuple[Client, dict[str, str]]],
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A negative control: a picker that finds anybody, as it was once."""

    def anybody(request: Any, lab_request: Any) -> Any:
        return User.objects.filter(pk=request.POST["person"]).first()

    monkeypatch.setattr(care, "_person", anybody)
    (line,) = (line for line in FORMS if line.name == "labs:follow_up")
    assert any("other statements" in each for each in told(line, "vet", clients, world))


def told(
    line: Line, role: str, clients: dict[str, tuple[Client, dict[str, str]]], world: World
) -> Iterator[str]:
    client, cookies = clients[role]
    arguments = world.arguments(line.kind, "own")
    url = reverse(line.name, args=arguments)
    fields = posts.data(world, line.name, role, "own")

    def post(changed: dict[str, str]) -> tuple[Answer, str, int]:
        client.cookies.clear()
        client.cookies.load(cookies)
        statements = Statements()
        with taken_back():
            before, theirs = changes(), LabEvent.objects.filter(clinic=world.other.clinic).count()
            for file in (each for each in fields.values() if not isinstance(each, str)):
                file.seek(0)  # it was sent before
            with statements.watch():
                response = client.post(url, fields | changed)
            wrote = changes() > before
            touched = LabEvent.objects.filter(clinic=world.other.clinic).count() - theirs
        answer = Answer(response, wrote, statements.found, url, arguments)
        # Where something was made, its own new ids are in the answer.
        body = "" if wrote else re.sub(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", "", answer.bytes)
        body = re.sub(r"Content-Length: \d+", "", body)
        for value in sorted(set(changed.values()), key=len, reverse=True):
            body = body.replace(value, "ID") if len(value) > 4 else body
        for field, value in changed.items():
            body = body.replace(f'name="{field}" value="{value}"', f'name="{field}" value="ID"')
        # Which model is which is asked once in a process.
        answer.statements = [each for each in answer.statements if CONTENT_TYPE not in each]
        return answer, body, touched

    for name, theirs, nobody in swaps(world, fields):
        cell = f"{role} {line.name}: their {name}"
        (strange, body, touched), (missing, like, _) = post(theirs), post(nobody)
        if strange.status != missing.status:
            yield f"{cell}: {strange.status}, of nobody {missing.status}"
        elif body != like:
            yield f"{cell}: answers otherwise than for one of nobody:\n" + "\n".join(
                difflib.unified_diff(body.splitlines(), like.splitlines(), n=0)
            )
        if strange.statements != missing.statements:
            yield f"{cell}: other statements than for one of nobody:\n" + "\n".join(
                difflib.unified_diff(strange.statements, missing.statements, n=0)
            )
        if touched:
            yield f"{cell}: writes into the other clinic"
        carried = str(theirs)
        found = [w for w in world.other.ids() if w not in carried and w in strange.text]
        if found:
            yield f"{cell}: tells {found}"

"""The permission table, asked of the application cell by cell.

One test for each address; its cells are role, method and object. Beside the status each answer is
looked at for what only the other clinic may read, and another clinic's object must answer byte
for byte and statement for statement like one that does not exist.
"""

from __future__ import annotations

import difflib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.urls import reverse

from labs.models import LabEvent
from tests.http import posts
from tests.http.cells import METHODS, ROLES, Line, lines, routes, without
from tests.http.world import Statements, World, make_world

LINES = lines()
BY_NAME: dict[str, list[Line]] = defaultdict(list)
for _line in LINES:
    BY_NAME[_line.name].append(_line)
CHANCE = ("X-Request-ID", "Expires", "Last-Modified")
# The last is where the admin sends whoever signs out without being signed in.
DOORS = ("/admin/login/?next=", "/login/?next=", "/admin/#")
pytestmark = pytest.mark.django_db


def changes() -> int:
    """How many the audit has; that somebody looked is none."""
    return LabEvent.objects.exclude(verb__endswith=".viewed").count()


@contextmanager
def taken_back() -> Iterator[None]:
    block = transaction.atomic()
    block._from_testcase = True  # so that the journal's own `durable` block may stand inside
    with block:
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """One for all cells: each is asked in a savepoint that is taken back."""
    with django_db_blocker.unblock(), taken_back():
        yield make_world()


@pytest.fixture(scope="module")
def clients(world: World) -> dict[str, tuple[Client, dict[str, str]]]:
    made = {}
    for role in ROLES:
        client = world.client(role)
        made[role] = client, {name: morsel.value for name, morsel in client.cookies.items()}
    return made


@pytest.fixture
def ask(world: World, clients: dict[str, tuple[Client, dict[str, str]]]) -> Any:
    def ask_once(role: str, name: str, method: str, kind: str, whose: str) -> Answer:
        arguments = world.arguments(kind, whose)
        url = reverse(name, args=arguments)
        client, cookies = clients[role]
        client.cookies.clear()
        client.cookies.load(cookies)
        given: dict[str, Any] = {}
        if method == "POST" and name in ("heska:result", "heska:unmatched"):
            given = {"data": posts.body(name), "content_type": "application/json"}
        elif method == "POST":
            given = {"data": posts.data(world, name, role, whose)}
            if name == "heska:token":
                given["content_type"] = "application/json"
        statements = Statements()
        with taken_back():
            before = changes()
            with statements.watch():
                response = client.generic(method, url) if not given else client.post(url, **given)
            wrote = changes() > before
        return Answer(response, wrote, statements.found, url, arguments)

    return ask_once


class Answer:
    def __init__(
        self,
        response: Any,
        wrote: bool,
        statements: list[str],
        url: str,
        arguments: tuple[Any, ...],
    ) -> None:
        self.status = str(response.status_code) + ("!" if wrote else "")
        place = response.get("Location", "")
        if response.status_code == 302 and place.startswith("/login/?"):
            self.status = "302 login"
        elif response.status_code == 302 and place.startswith("/admin/login/?"):
            self.status = "302 admin"
        body = response.content.decode(errors="replace")
        head = "\n".join(
            f"{name}: {value}" for name, value in sorted(response.items()) if name not in CHANCE
        )
        cookies = "\n".join(sorted(response.cookies))
        self.text = f"{head}\n{body}"
        self.bytes = without(f"{self.status}\n{head}\n{cookies}\n{body}", url, arguments)
        self.statements = statements


@pytest.mark.parametrize("name", BY_NAME)
def test_what_everybody_gets(name: str, ask: Any, world: World) -> None:
    wrong = []
    for line, role in itertools.product(BY_NAME[name], ROLES):
        answers = {}
        # A page that says how long something waits says otherwise in the next minute.
        with time_machine.travel(datetime.now(UTC), tick=False):
            for whose, expected in line.expected(role).items():
                cell = f"{role} {line.method} {name} of {line.kind} {whose}"
                answer = answers[whose] = ask(role, name, line.method, line.kind, whose)
                if answer.status != expected:
                    wrong.append(f"{cell}: {answer.status}, expected {expected}")
        wrong += [
            f"{role} {line.method} {name}: tells {word!r}"
            for word in leaks(world, role, line, answers)
        ]
        wrong += differences(line, role, answers)
    assert not wrong, "\n".join(wrong)


def leaks(world: World, role: str, line: Line, answers: dict[str, Answer]) -> Iterator[str]:
    """Words and ids of the other clinic, where the person has no business there."""
    if role in ("two", "rival", "wide"):
        return
    for whose, answer in answers.items():
        asked = {str(a) for a in world.arguments(line.kind, whose)}
        # The page may repeat the address that one asked for, and a superuser chooses a clinic.
        if role in ("root", "entered") and "labs_clinic" in line.name:
            continue
        yield from (w for w in world.other.ids() if w not in asked and w in answer.text)


def differences(line: Line, role: str, answers: dict[str, Answer]) -> Iterator[str]:
    """Between another clinic's object and a missing one."""
    # Of the rival's client the other clinic is its own; the installation's client has all.
    strange = "own" if role == "rival" else "other"
    expected = line.expected(role)
    if role == "wide" or expected.get(strange) != expected.get("missing", "") or not expected:
        return
    other, missing = answers[strange], answers["missing"]
    cell = f"{role} {line.method} {line.name}"
    if other.bytes != missing.bytes:
        yield f"{cell}: another clinic's answers otherwise than a missing one:\n" + "\n".join(
            difflib.unified_diff(other.bytes.splitlines(), missing.bytes.splitlines(), n=0)
        )
    if other.statements != missing.statements:
        yield f"{cell}: another clinic's costs other statements than a missing one:\n" + "\n".join(
            [*other.statements, "---", *missing.statements]
        )


def test_no_address_is_without_a_line(world: World) -> None:
    """Whoever adds an address says here who may use it. Addresses without a name are a second
    spelling of one that has it."""
    named = {(name, pattern.count("<")) for name, pattern in routes() if name}
    lined = {(line.name, len(world.arguments(line.kind, "missing"))) for line in LINES}
    assert sorted(named - lined) == [], "these have no line in tests/http/table.py"
    assert sorted(lined - named) == [], "these lines have no address"
    patterns = {pattern.rstrip("/") for name, pattern in routes() if name}
    nameless = {pattern for name, pattern in routes() if not name}
    assert {p for p in nameless if p.rstrip("/") not in patterns} == {
        # Django's own redirect to the page of a row; each is looked at below.
        p
        for p in nameless
        if p.startswith("admin/") and p.endswith("/<path:object_id>/")
    }


@pytest.mark.parametrize("name", BY_NAME)
def test_methods_that_no_line_names_are_refused(
    name: str, clients: dict[str, tuple[Client, dict[str, str]]], world: World
) -> None:
    named = {line.method for line in BY_NAME[name]}
    # Who may GET may ask for the head of it. The admin reads the POST of a page without a form
    # like a GET.
    like_get = {"HEAD"} if "GET" in named else set()
    posted = {"POST"} if name.startswith("admin:") else set()
    strange = [method for method in METHODS if method not in named | like_get | posted]
    url = reverse(name, args=world.arguments(BY_NAME[name][0].kind, "own"))
    taken = {}
    for role in ("anonymous", "technician", "admin", "heska"):
        client, cookies = clients[role]
        client.cookies.clear()
        client.cookies.load(cookies)
        with taken_back():
            for method in strange:
                response = client.generic(method, url)
                # Whoever is not signed in may be shown to the door before all else.
                at_door = (response.get("Location", "") + "#").startswith(DOORS)
                if response.status_code != 405 and not at_door:
                    taken[role, method] = response.status_code
    assert taken == {}

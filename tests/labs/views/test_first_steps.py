"""The list of what a new clinic has still to do: there until it is done, or hidden."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from integrations.heska.connections import connect
from labs.models import Analyzer, Clinic, LabEvent
from tests import factories

SignIn = Callable[[User], Client]
WORKLIST = "labs:worklist"


def steps(client: Client) -> list[tuple[bool, str]]:
    text = client.get(reverse(WORKLIST)).content.decode()
    part = text.partition('id="t-first"')[2].partition("</ol>")[0]
    found = re.findall(r'<li><span class="chip (\w+)">[^<]+</span> <(?:s|b|a[^>]*)>([^<]+)<', part)
    return [(chip == "done", title) for chip, title in found]


def test_each_step_is_ticked_by_what_is_there(clinic: Clinic, ada: User, signed_in: SignIn) -> None:
    client = signed_in(ada)
    # Another clinic's rows tick nothing here.
    oak = factories.make_clinic("Oak")
    factories.make_request(factories.make_patient(oak), accepted=True)
    Analyzer.objects.create(clinic=oak, model="Element HT5")
    factories.make_staff("vet", clinic=oak)
    titles = [
        *("Add your staff", "List your analyzers", "Connect Heska"),
        *("Import your patients", "Send a test"),
    ]
    assert steps(client) == [(False, title) for title in titles]
    done: list[Callable[[], object]] = [
        lambda: factories.make_staff("vet", clinic=clinic),
        lambda: Analyzer.objects.create(clinic=clinic, model="Element HT5"),
        lambda: connect(acting_user=None, clinic=clinic, client_id="c", client_secret="s"),
        lambda: factories.make_patient(clinic),
    ]
    for count, act in enumerate(done, start=1):
        act()
        assert [each for each, _ in steps(client)] == [True] * count + [False] * (5 - count)
    factories.make_request(factories.make_patient(clinic), accepted=True)
    assert steps(client) == []


def test_it_is_for_administrators_and_can_be_hidden(
    clinic: Clinic, ada: User, bob: User, signed_in: SignIn
) -> None:
    assert steps(signed_in(bob)) == []
    assert signed_in(bob).post(reverse("labs:hide_first_steps")).status_code == 403
    client = signed_in(ada)
    assert len(steps(client)) == 5
    client.post(reverse("labs:hide_first_steps"))
    client.post(reverse("labs:hide_first_steps"))
    assert steps(client) == []
    assert LabEvent.objects.filter(verb="clinic.first_steps_hidden", clinic=clinic).count() == 1

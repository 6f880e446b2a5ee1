"""“Add patient” and “Emergency code” sent twice: a double click, an answer that was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.urls import reverse

from labs.models import Clinic, EmergencyCode, Owner, Patient
from tests import factories
from tests.labs.views.test_sent_twice import key_in

SignIn = Callable[[User], Client]
PARALLEL = 12
NALA = {
    "name": "Nala",
    "species": "dog",
    "sex": "F",
    "weight_kg": "12.5",
    "owner_first_name": "Lea",
    "owner_last_name": "Ferri",
}


def opened(client: Client) -> dict[str, str]:
    page = client.get(reverse("labs:new_patient")).content.decode()
    return NALA | {"form_key": key_in(page)}


def add(client: Client, fields: dict[str, str]) -> Any:
    return client.post(reverse("labs:new_patient"), fields)


def ruled_out() -> dict[str, str]:
    return {"ruled_out": str(Patient.objects.get().uuid)}


def test_a_patient_is_added_once_with_one_owner(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    fields = opened(client)
    first, second = add(client, fields), add(client, fields)
    assert first["Location"] == second["Location"]
    assert (Patient.objects.count(), Owner.objects.count()) == (1, 1)
    # Another form adds another one, also the very same, of whoever has seen the first.
    other = opened(client)
    assert add(client, other).status_code == 422
    assert add(client, other | ruled_out()).status_code == 302
    assert Patient.objects.count() == 2


def test_what_says_something_else_by_now_is_not_taken_for_the_first(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    fields = opened(client)
    add(client, fields)
    for other in ({"name": "Nola"}, {"owner_last_name": "Moser"}, {"patient_id": "P-77"}):
        answer = add(client, fields | other)
        assert answer.status_code == 422
        page = answer.content.decode()
        assert "this form was sent before" in page
        assert Patient.objects.count() == 1
        assert key_in(page) != fields["form_key"]
    # Pressed once more, it is meant.
    meant = fields | {"name": "Nola", "form_key": key_in(page)} | ruled_out()
    assert add(client, meant).status_code == 302
    assert Patient.objects.count() == 2


def test_the_key_of_another_clinic_says_nothing(
    clinic: Clinic, alice: User, charlie: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    fields = opened(client)
    add(client, fields)
    assert add(signed_in(charlie), fields).status_code == 302
    assert Patient.objects.filter(clinic=clinic).count() == 1
    assert Patient.objects.count() == 2


def test_an_emergency_code_is_given_once(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    fields = {"form_key": key_in(client.get(reverse("labs:worklist")).content.decode())}
    give = reverse("labs:give_emergency")
    first, second = client.post(give, fields), client.post(give, fields)
    assert first["Location"] == second["Location"]
    assert EmergencyCode.objects.count() == 1
    for key in ("", "made up", str(uuid4())):
        client.post(give, {"form_key": key})
    assert EmergencyCode.objects.count() == 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["new_patient", "give_emergency"])
def test_of_twelve_at_one_moment_one_acts(what: str) -> None:
    clinic = factories.make_clinic()
    alice = factories.make_staff(clinic=clinic)
    fields = NALA | {"form_key": str(uuid4())}
    clients = [Client() for _ in range(PARALLEL)]
    for client in clients:
        client.force_login(alice)
    ready = threading.Barrier(PARALLEL)

    def send(client: Client) -> tuple[int, str]:
        try:
            ready.wait(timeout=60)
            answer = client.post(reverse(f"labs:{what}"), fields)
            return answer.status_code, answer.get("Location", "")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = set(pool.map(send, clients))
    assert len(answers) == 1 and answers.pop()[0] == 302
    if what == "new_patient":
        assert (Patient.objects.count(), Owner.objects.count()) == (1, 1)
    else:
        assert EmergencyCode.objects.count() == 1

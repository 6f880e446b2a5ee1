from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic
from labs.report import Identity
from labs.services import matching
from tests import factories

SignIn = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


def queue(client: Client, state: str = "waiting") -> str:
    return client.get(reverse("labs:unmatched"), {"state": state}).content.decode()


def test_the_queue_shows_what_was_typed_and_how_long_it_waits(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    now = timezone.now()
    factories.make_unmatched(
        clinic,
        patient_name="TYPED",
        patient_id="000000",
        owner_last_name="FERRI",
        received_at=now - timedelta(hours=25),
    )
    factories.make_unmatched(clinic, patient_name="", received_at=now - timedelta(hours=3))
    factories.make_unmatched(clinic)
    page = queue(signed_in(alice))
    assert "TYPED" in page and "000000" in page and "FERRI" in page
    assert "no name typed" in page and "Run without a request" in page
    assert 'chip age red">1 day' in page and 'chip age amber">3 h 00' in page
    assert "Element HT5" in page and "1 value" in page


def test_a_contradiction_is_said_in_words(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    request = factories.make_request(
        factories.make_patient(clinic, name="Moss", species="cat"), accepted=True
    )
    factories.make_result(
        request,
        factories.make_report(
            identity=Identity(patient_name="TIGER", species="Canine", species_code="dog")
        ),
    )
    page = queue(signed_in(alice))
    assert "Contradicts the request it was sent for" in page
    assert request.lab_report_id in page and "Name TIGER; the request is for Moss." in page


def test_each_state_has_its_list(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    patient = factories.make_patient(clinic, name="Record")
    held, matched, dismissed = (
        factories.make_unmatched(clinic, patient_name=name) for name in ("HELD", "GONE", "QC")
    )
    matching.hold(acting_user=alice, unmatched=held, expected_version=held.version, reason="Ask")
    matching.match(
        acting_user=alice, unmatched=matched, patient=patient, expected_version=matched.version
    )
    matching.dismiss(
        acting_user=alice, unmatched=dismissed, expected_version=dismissed.version, reason="QC run"
    )
    client = signed_in(alice)
    assert "HELD" in queue(client) and "by alice: Ask" in queue(client)
    assert "GONE" not in queue(client) and "QC" not in queue(client, "held")
    assert "GONE" in queue(client, "matched") and "Record" in queue(client, "matched")
    assert "QC run" in queue(client, "dismissed")
    address = reverse("labs:unmatched_history", args=[matched.uuid])
    history = client.get(address).content.decode()
    assert "<b>alice</b> put the result on the patient&#x27;s record" in history
    assert "<b>Heska</b> delivered a result that belongs to no request" in history


@pytest.mark.usefixtures("still_clock")
def test_polling_answers_204_until_something_changes(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    found = re.search(r'\{"v": "([^"]+)"\}', queue(client))
    assert found is not None
    address = reverse("labs:unmatched")
    assert client.get(address, {"v": found[1]}, headers=HTMX).status_code == 204
    factories.make_unmatched(clinic)
    changed = client.get(address, {"v": found[1]}, headers=HTMX)
    assert changed.status_code == 200 and "BISCUIT" in changed.content.decode()

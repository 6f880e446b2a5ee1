"""Automatic matching is off; in shadow it is noted beside what people did, and attaches nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from labs.matching.rule import sentences
from labs.models import Clinic, MatchDecision, Patient, UnmatchedResult
from labs.queries.orphaned import shadow
from labs.queries.orphaned.automatic import MODEL
from labs.queries.orphaned.candidates import candidates_for
from labs.queries.orphaned.orphans import runs_of
from labs.services.orphaned import matching
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic(automatic="shadow")


@pytest.fixture
def biscuit(clinic: Clinic) -> Patient:
    return factories.make_patient(clinic, patient_id="P-10482", sex="M")


@pytest.fixture
def client(clinic: Clinic) -> Client:
    client = Client()
    client.force_login(factories.make_staff("admin", clinic=clinic, username="ada"))
    return client


def orphan(clinic: Clinic, **typed: str) -> UnmatchedResult:
    return factories.make_unmatched(clinic, owner_last_name="Example", **typed)


def attach(client: Client, unmatched: UnmatchedResult, patient: Patient, **said: Any) -> Any:
    found = candidates_for(unmatched, runs=runs_of(unmatched), chosen=patient.uuid)[0]
    form = {"version": unmatched.version, "candidate": patient.uuid, "seen": found.seen_key}
    answer = client.post(f"/unmatched/{unmatched.uuid}/", {**form, **said})
    assert answer.status_code == 302
    return MatchDecision.objects.get(unmatched=unmatched, active=True)


def counts(clinic: Clinic) -> tuple[int, int, int]:
    found = shadow.shadow(clinic)
    assert found is not None
    return found.agree, found.differ, found.silent


def test_where_it_is_off_nothing_is_noted(client: Client) -> None:
    clinic = Clinic.objects.get()
    assert Clinic._meta.get_field("automatic").get_default() == "off"
    Clinic.objects.update(automatic="off")
    biscuit = factories.make_patient(clinic, patient_id="P-10482")
    decision = attach(client, orphan(clinic, patient_id="P-10482"), biscuit)
    assert "shadow" not in decision.evidence
    clinic.refresh_from_db()
    assert shadow.shadow(clinic) is None


def test_what_it_would_have_done_is_noted_and_nothing_is_attached_by_itself(
    clinic: Clinic, biscuit: Patient, client: Client
) -> None:
    waiting = orphan(clinic, patient_id="P-10482")
    assert waiting.state == "open" and not MatchDecision.objects.exists()
    noted = attach(client, waiting, biscuit).evidence["shadow"]
    assert noted == {"patient": str(biscuit.uuid), "against": [], "model": MODEL}
    assert counts(clinic) == (1, 0, 0)
    # Nothing but a name: left to a person.
    silent = attach(client, orphan(clinic), biscuit).evidence["shadow"]
    assert silent["patient"] is None and silent["against"]


def decide(clinic: Clinic, said: Patient | None, did: Patient) -> UnmatchedResult:
    waiting = factories.make_unmatched(clinic)
    patient = str(said.uuid) if said else None
    noted = {"shadow": {"patient": patient, "against": [], "model": MODEL}}
    matching.match(
        acting_user=None,
        unmatched=waiting,
        patient=did,
        expected_version=waiting.version,
        evidence=noted,
    )
    waiting.refresh_from_db()
    return waiting


def test_it_is_proven_by_enough_that_agree_and_none_that_does_not(
    clinic: Clinic, biscuit: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "NEEDED", 3)
    olive = factories.make_patient(clinic, name="Olive")
    decide(clinic, None, biscuit)
    agreed = [decide(clinic, biscuit, biscuit) for _ in range(3)]
    found = shadow.shadow(clinic)
    assert found is not None and found.proven and counts(clinic) == (3, 0, 1)
    # One that it agreed with was taken back: then it had been as wrong as the person.
    matching.unmatch(
        acting_user=None,
        unmatched=agreed[0],
        expected_version=agreed[0].version,
        reason="Not his",
    )
    decide(clinic, olive, biscuit)
    decide(clinic, biscuit, biscuit)
    found = shadow.shadow(clinic)
    assert found is not None and not found.proven and counts(clinic) == (3, 2, 1)


def test_the_screen_says_it_in_the_sentences_of_the_rule_itself(
    clinic: Clinic, biscuit: Patient, client: Client
) -> None:
    decide(clinic, biscuit, biscuit)
    page = client.get("/unmatched/").content.decode()
    assert "in shadow: 1 as people did, 0 otherwise" in page
    for sentence in (*sentences()[0], *sentences()[1]):
        assert sentence.replace("'", "&#x27;") in page
    technician = Client()
    technician.force_login(factories.make_staff(clinic=clinic))
    assert "Automatic matching" not in technician.get("/unmatched/").content.decode()

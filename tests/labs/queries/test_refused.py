"""A match that was taken back is not proposed again, also not for what follows."""

from __future__ import annotations

import pytest

from labs.models import UnmatchedResult
from labs.queries.orphaned.refused import refused
from labs.report import Identity
from labs.services.intake import results
from labs.services.orphaned import matching, splitting
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    return factories.make_clinic()


@pytest.fixture
def alice(clinic):
    return factories.make_staff(clinic=clinic, username="alice")


@pytest.fixture
def patient(clinic):
    return factories.make_patient(clinic)


def report(version=1, **typed):
    runs = [factories.make_run(key=key, test_code=key) for key in ("HHEM-1", "HDC-3")]
    return factories.make_report(
        runs, external_id="94912", version=version, identity=Identity(**typed)
    )


def decide(action, user, orphan, **options):
    orphan.refresh_from_db()
    return action(acting_user=user, unmatched=orphan, expected_version=orphan.version, **options)


@pytest.fixture
def orphan(clinic, alice, patient):
    """Once matched to the patient, and taken back."""
    orphan = factories.make_unmatched(clinic, report(patient_name="BISCUIT"))
    decide(matching.match, alice, orphan, patient=patient)
    decide(matching.unmatch, alice, orphan, reason="Not him")
    return orphan


def test_with_who_and_why(orphan, patient):
    decision = refused(orphan)[patient.pk]
    assert (decision.actor.username, decision.reason) == ("alice", "Not him")
    assert refused(factories.make_unmatched(orphan.clinic)) == {}


def test_a_match_made_anew_refuses_nothing(alice, orphan, patient):
    decide(matching.match, alice, orphan, patient=patient)
    assert refused(orphan) == {}


def test_a_later_version_that_became_a_result_of_its_own(clinic, orphan, patient):
    more = report(2, patient_name="BISCUIT", patient_id="P-7")
    results.file_report(message=factories.make_message(clinic), report=more, result_key=None)
    other = UnmatchedResult.objects.exclude(pk=orphan.pk).get()
    assert list(refused(other)) == [patient.pk]


def test_not_one_that_speaks_of_another_animal_under_that_id(clinic, orphan):
    other = factories.make_unmatched(clinic, report(patient_name="REX"))
    assert other != orphan
    assert refused(other) == {}


def test_after_a_split_either_half_may_be_that_animals(alice, orphan, patient):
    part = decide(splitting.split, alice, orphan, runs=[orphan.runs.earliest("pk").pk])
    assert refused(orphan) == refused(part) == {}
    decide(matching.match, alice, part, patient=patient)
    decide(matching.unmatch, alice, part, reason="The other half is his")
    assert list(refused(part)) == [patient.pk]
    assert refused(orphan) == {}

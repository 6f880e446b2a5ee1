"""Which earlier value stands beside a new one: a wrong one would mislead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from labs.models import LabRequest, Patient
from labs.queries.readings.history import KEEP, history
from labs.report import Identity, Row
from tests import factories

pytestmark = pytest.mark.django_db
CBC = ("WBC", "10^3/uL", "Element HT5", "")


def measured(patient: Patient, days: float, row: Row, **run: Any) -> LabRequest:
    request = factories.make_request(patient, accepted=True)
    at = timezone.now() - timedelta(days=days)
    identity = run.pop("identity", None)
    factories.make_result(
        request,
        factories.make_report([factories.make_run([row], run_at=at, **run)], identity=identity),
    )
    return request


def test_newest_first_and_only_a_few() -> None:
    patient = factories.make_patient()
    for days in range(KEEP + 3):
        measured(patient, days, factories.make_row("WBC", str(days)))
    found = history(patient)[CBC]
    assert [earlier.text for earlier in found] == [str(days) for days in range(KEEP)]


def test_other_units_analyzers_specimens_and_patients_stay_apart() -> None:
    patient = factories.make_patient()
    other = factories.make_patient(patient.clinic)
    measured(patient, 1, factories.make_row("WBC", "1"))
    measured(patient, 2, factories.make_row("WBC", "2", unit="10^9/L"))
    measured(patient, 3, factories.make_row("WBC", "3"), analyzer_model="Element POC")
    measured(patient, 4, factories.make_row("WBC", "4"), specimen_type="Citrate blood")
    measured(other, 5, factories.make_row("WBC", "5"))
    found = history(patient)
    assert [earlier.text for earlier in found[CBC]] == ["1"]
    assert len(found) == 4


def test_what_is_no_value_is_no_earlier_value() -> None:
    patient = factories.make_patient()
    measured(patient, 1, factories.make_row("WBC", "*****"))
    measured(patient, 2, factories.make_row("WBC", "Failed iQC"))
    measured(patient, 3, factories.make_row("WBC", "9"), status="cancelled")
    cat = Identity(species="Feline", species_code="cat")
    as_cat = measured(patient, 4, factories.make_row("WBC", "8"), identity=cat)
    assert as_cat.state != "complete"  # a contradiction: it waits for a person
    unknown = Identity(species="", species_code="")
    measured(patient, 5, factories.make_row("WBC", "7"), identity=unknown)
    assert history(patient) == {}


def test_a_corrected_value_replaces_the_one_before() -> None:
    patient = factories.make_patient()
    request = factories.make_request(patient, accepted=True)
    run = factories.make_run([factories.make_row("WBC", "2")])
    factories.make_result(request, factories.make_report([run]))
    again = factories.make_run(
        [factories.make_row("WBC", "14")], key=run.key, status="corrected", run_at=run.run_at
    )
    factories.make_result(request, factories.make_report([again], version=2, status="corrected"))
    assert [earlier.text for earlier in history(patient)[CBC]] == ["14"]


def test_only_before_a_moment_and_without_a_request() -> None:
    patient = factories.make_patient()
    measured(patient, 9, factories.make_row("WBC", "9"))
    now = measured(patient, 1, factories.make_row("WBC", "1"))
    before = timezone.now() - timedelta(days=5)
    assert [e.text for e in history(patient, before=before)[CBC]] == ["9"]
    assert [e.text for e in history(patient, without=now)[CBC]] == ["9"]
    assert history(patient, codes=["PLT"]) == {}

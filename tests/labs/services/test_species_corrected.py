"""The species on a record was wrong: what stands on it is held against the limits of the right one,
by whichever way it is put right, and exactly as it was filed where that is taken back."""

from __future__ import annotations

from typing import Any

import pytest

from labs.models import Alarm, Clinic, Observation, Patient, Role, TestRun
from labs.report import Identity
from labs.services.intake import results
from labs.services.registry import merging, patients
from labs.services.registry.imports import import_patients
from labs.services.reviews import limits
from tests import factories

pytestmark = pytest.mark.django_db
OURS = ("critical_low", "critical_high", "critical_source", "flag_computed", "warnings")


@pytest.fixture
def clinic() -> Clinic:
    """7.9 is critical for its cats alone."""
    made = factories.make_clinic()
    ada = factories.make_staff(Role.ADMIN, clinic=made, username="ada")
    given = {"acting_user": ada, "clinic": made, "analyte": "K", "unit": "mmol/L", "low": "1"}
    limits.set_limit(**given, species="cat", high="6")
    limits.set_limit(**given, species="dog", high="9")
    return made


@pytest.fixture
def mia(clinic: Clinic) -> Patient:
    """A cat that was entered as a dog."""
    return factories.make_patient(clinic, name="Mia", patient_id="P-1", species="dog")


def filed(patient: Patient, *, typed: str | None) -> TestRun:
    """A potassium of 7.9, for the species that was typed at the analyzer; None where the message
    speaks of no animal."""
    request = factories.make_request(patient, accepted=True)
    row = factories.make_row("K", "7.9", unit="mmol/L", low="3.6", high="5.5")
    identity = typed and Identity(
        patient_id=patient.patient_id, patient_name=patient.name, species_code=typed
    )
    report = factories.make_report([factories.make_run([row])], identity=identity or None)
    results.file_report(
        message=factories.make_message(patient.clinic),
        report=report,
        result_key=request.result_key,
    )
    return request.runs.get()


def stored(run: TestRun) -> dict[str, Any]:
    return Observation.objects.values(*OURS).get(run=run, current=True)


def edit(patient: Patient, species: str) -> None:
    patients.update_patient(acting_user=None, patient=patient, species=species)


def bring(patient: Patient, species: str) -> None:
    content = f"patient_id,name,species\n{patient.patient_id},{patient.name},{species}\n"
    import_patients(acting_user=None, clinic=patient.clinic, content=content.encode())


@pytest.mark.parametrize("correct", [edit, bring])
def test_a_corrected_species_takes_its_results_along(mia: Patient, correct: Any) -> None:
    run = filed(mia, typed="dog")
    before = stored(run)
    assert (before["critical_source"], before["flag_computed"]) == ("clinic", "H")
    assert not Alarm.objects.exists()

    correct(mia, "cat")
    now = stored(run)
    assert (now["flag_computed"], now["critical_high"], now["critical_source"]) == (
        *("HH", "6"),
        "clinic",
    )
    assert Alarm.objects.get(ended="").run == run

    correct(mia, "dog")
    assert stored(run) == before
    assert Alarm.objects.get().ended == Alarm.Ended.REASSESSED


@pytest.mark.parametrize("correct", [edit, bring])
def test_what_was_typed_for_the_right_species_is_read_by_its_ranges_and_limits(
    mia: Patient, correct: Any
) -> None:
    run = filed(mia, typed="cat")
    # Not by a dog's: its ranges are void there.
    assert (stored(run)["flag_computed"], stored(run)["critical_high"]) == ("", "9")
    correct(mia, "cat")
    assert (stored(run)["flag_computed"], stored(run)["critical_high"]) == ("HH", "6")
    calm = filed(mia, typed="cat")
    assert stored(calm) == stored(run)
    correct(mia, "dog")
    assert (stored(run)["flag_computed"], stored(run)["critical_high"]) == ("", "9")


@pytest.mark.parametrize("correct", [edit, bring])
def test_what_names_no_animal_follows_too(mia: Patient, correct: Any) -> None:
    run = filed(mia, typed=None)
    assert (stored(run)["flag_computed"], stored(run)["critical_high"]) == ("H", "9")
    correct(mia, "cat")
    assert (stored(run)["flag_computed"], stored(run)["critical_high"]) == ("HH", "6")
    correct(mia, "dog")
    assert (stored(run)["flag_computed"], stored(run)["critical_high"]) == ("H", "9")


def test_another_animals_results_are_left_alone(mia: Patient) -> None:
    rex = factories.make_patient(mia.clinic, name="Rex", patient_id="P-2", species="dog")
    run = filed(rex, typed="dog")
    edit(mia, "cat")
    assert stored(run)["flag_computed"] == "H"
    assert not Alarm.objects.exists()


def test_records_of_two_species_are_merged_and_separated(mia: Patient) -> None:
    cat = factories.make_patient(mia.clinic, name="Mia", patient_id="P-2", species="cat")
    run = filed(mia, typed="dog")
    before = stored(run)
    merge = merging.merge(acting_user=None, survivor=cat, merged=mia)
    assert stored(run)["flag_computed"] == "HH"
    assert Alarm.objects.get(ended="").run == run
    merging.undo(acting_user=None, merge=merge, reason="Two animals")
    assert stored(run) == before
    assert not Alarm.objects.filter(ended="").exists()

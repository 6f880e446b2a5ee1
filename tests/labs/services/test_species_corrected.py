"""The species on a record was wrong: what stands on it is held against the limits of the right one,
by whichever way it is put right, and exactly as it was filed where that is taken back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client, RequestFactory
from django.urls import reverse

from labs.errors import Stale
from labs.models import (
    Alarm,
    Clinic,
    LabRequest,
    Observation,
    Patient,
    ReviewState,
    Role,
    TestRun,
)
from labs.report import Identity, Report
from labs.services.intake import results
from labs.services.orphaned import matching, splitting
from labs.services.registry import imports, merging, patients
from labs.services.registry.imports import import_patients
from labs.services.reviews import limits, review
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


@pytest.fixture
def vet(clinic: Clinic) -> User:
    return factories.make_staff(Role.VET, clinic=clinic)


def report_of(typed: str | None, external_id: str, value: str = "7.9", name: str = "Mia") -> Report:
    row = factories.make_row("K", value, unit="mmol/L", low="3.6", high="5.5")
    identity = typed and Identity(patient_name=name, species_code=typed)
    return factories.make_report(
        [factories.make_run([row])], external_id=external_id, identity=identity or None
    )


def filed(patient: Patient, *, typed: str | None, value: str = "7.9") -> TestRun:
    """A potassium of 7.9, for the species that was typed at the analyzer; None where the message
    speaks of no animal."""
    request = factories.make_request(patient, accepted=True)
    results.file_report(
        message=factories.make_message(patient.clinic),
        report=report_of(typed, request.submission.external_id, value, patient.name),
        result_key=request.result_key,
    )
    return request.runs.get()


def stored(run: TestRun) -> dict[str, Any]:
    return Observation.objects.values(*OURS).get(run=run, current=True)


def edit(patient: Patient, to: str) -> None:
    patients.update_patient(acting_user=None, patient=patient, species=to)


def bring(patient: Patient, to: str) -> None:
    content = f"patient_id,name,species\n{patient.patient_id},{patient.name},{to}\n"
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


# What people see and sign.


@pytest.mark.parametrize("typed", [None, "cat", "dog"])
def test_the_page_shows_the_flag_that_rings(
    mia: Patient, vet: User, client: Client, typed: str | None
) -> None:
    run = filed(mia, typed=typed)
    edit(mia, "cat")
    client.force_login(vet)
    page = client.get(reverse("labs:request", args=[run.request])).content.decode()
    table = page.split("<table")[1].split("</table")[0]
    assert "critical high" in table and "not assessed" not in table


@pytest.mark.parametrize("correct", [edit, bring])
def test_who_was_shown_the_other_species_flags_signs_nothing(
    mia: Patient, vet: User, correct: Any
) -> None:
    run = filed(mia, typed="dog")
    shown = LabRequest.objects.get(pk=run.request_id)
    correct(mia, "cat")
    with pytest.raises(Stale):
        review.sign(acting_user=vet, request=shown, expected_version=shown.version)
    assert Alarm.objects.get().ended == ""


@pytest.mark.parametrize("merged", [False, True])
def test_what_was_signed_of_the_other_species_opens_again(
    mia: Patient, vet: User, merged: bool
) -> None:
    run, within = filed(mia, typed="dog"), filed(mia, typed="dog", value="4.0")
    for each in (run, within):
        request = LabRequest.objects.get(pk=each.request_id)
        review.sign(acting_user=vet, request=request, expected_version=request.version)
    if merged:
        cat = factories.make_patient(mia.clinic, name="Mia", patient_id="P-2", species="cat")
        merging.merge(acting_user=None, survivor=cat, merged=mia)
    else:
        edit(mia, "cat")
    run.refresh_from_db()
    assert run.review_state == ReviewState.CHANGED
    assert LabRequest.objects.get(pk=run.request_id).reviewed_at is None


# Whoever decides at that moment.


def test_a_match_goes_by_the_species_of_now(mia: Patient) -> None:
    orphan = factories.make_unmatched(mia.clinic, report_of("dog", "UM-x"))
    loaded_before = Patient.objects.get(pk=mia.pk)
    edit(mia, "cat")
    request = matching.match(
        acting_user=None,
        unmatched=orphan,
        patient=loaded_before,
        expected_version=orphan.version,
    )
    assert stored(request.runs.get())["flag_computed"] == "HH"


def test_the_administration_takes_them_along(
    mia: Patient, django_capture_on_commit_callbacks: Any
) -> None:
    run = filed(mia, typed="dog")
    asked = RequestFactory().post("/")
    asked.user = factories.make_staff(Role.ADMIN, clinic=mia.clinic)
    mia.species = "cat"
    form = SimpleNamespace(changed_data=["species"])
    with django_capture_on_commit_callbacks(execute=True):
        site.get_model_admin(Patient).save_model(asked, mia, form, True)
    assert stored(run)["critical_high"] == "6"


def test_a_correction_of_a_part_that_names_no_animal(mia: Patient) -> None:
    row = factories.make_row("K", "7.9", unit="mmol/L", low="3.6", high="5.5")
    first = factories.make_report(
        [factories.make_run([row], key=key) for key in "ab"],
        external_id="U1",
        identity=Identity(patient_name="MIA"),
    )
    message = factories.make_message(mia.clinic)
    results.file_report(message=message, report=first, result_key=None)
    message.refresh_from_db()
    orphan = message.unmatched
    assert orphan is not None
    part = splitting.split(
        acting_user=None,
        unmatched=orphan,
        runs=[orphan.runs.get(run_key="b").pk],
        expected_version=orphan.version,
    )
    request = matching.match(
        acting_user=None, unmatched=part, patient=mia, expected_version=part.version
    )
    run = request.runs.get()
    again = factories.make_run([row._replace(value="9.9")], key="b", status="corrected")
    later = factories.make_report([again], version=2, external_id="U1", identity=None)
    later_message = factories.make_message(mia.clinic)
    results.file_report(message=later_message, report=later, result_key=None)
    assert (stored(run)["critical_high"], stored(run)["flag_computed"]) == ("9", "HH")


def in_a_thread(act: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    got: list[object] = []

    def run() -> None:
        try:
            got.append(act())
        except Exception as error:
            got.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, got


def go_on(go: threading.Event, *threads: threading.Thread) -> None:
    """After the second one has come to where it waits for the first."""
    time.sleep(1)
    go.set()
    for thread in threads:
        thread.join()


def raised(got: list[object]) -> list[object]:
    return [each for each in got if isinstance(each, Exception)]


needs_locks = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite has one writer at a time, whatever is locked"
)


@needs_locks
@pytest.mark.django_db(transaction=True)
def test_a_result_that_is_filed_at_that_moment_follows(
    mia: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = factories.make_request(mia, accepted=True)
    read, go = threading.Event(), threading.Event()
    real = results.runs.store

    def slowly(**given: Any) -> Any:
        stored = real(**given)
        read.set()
        go.wait(20)
        return stored

    monkeypatch.setattr(results.runs, "store", slowly)
    message = factories.make_message(mia.clinic)
    report = report_of(None, request.submission.external_id)
    one, said = in_a_thread(
        lambda: results.file_report(message=message, report=report, result_key=request.result_key)
    )
    assert read.wait(20)
    two, edited = in_a_thread(lambda: edit(Patient.objects.get(pk=mia.pk), "cat"))
    go_on(go, one, two)
    assert not raised(said + edited)
    row = Observation.objects.get(run__request=request)
    assert (row.critical_high, row.flag_computed) == ("6", "HH")


@needs_locks
@pytest.mark.django_db(transaction=True)
def test_an_import_and_an_edit_at_one_moment(mia: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for the other for ever, and what is edited meanwhile is not written over by
    what was read before."""
    run = filed(mia, typed="dog")
    content = b"patient_id,name,species,breed\nP-1,Mia,dog,Manx\n"
    read, go = threading.Event(), threading.Event()
    real = imports._follow_merges

    def slowly(*given: Any) -> Any:
        read.set()
        go.wait(20)
        return real(*given)

    monkeypatch.setattr(imports, "_follow_merges", slowly)
    clinic = mia.clinic
    one, brought = in_a_thread(
        lambda: import_patients(acting_user=None, clinic=clinic, content=content)
    )
    assert read.wait(20)
    two, edited = in_a_thread(lambda: edit(Patient.objects.get(pk=mia.pk), "cat"))
    go_on(go, one, two)
    assert not raised(brought + edited)
    mia.refresh_from_db()
    assert (mia.species, mia.breed, stored(run)["critical_high"]) == ("cat", "Manx", "6")

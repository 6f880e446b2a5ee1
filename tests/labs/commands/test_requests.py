from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError

from labs.models import LabRequest, Patient
from labs.queries.readings.observations import KEYS
from labs.report import Identity
from tests.factories import (
    make_clinic,
    make_patient,
    make_report,
    make_request,
    make_result,
    make_row,
    make_run,
)
from tests.shell import answer, said

pytestmark = pytest.mark.django_db


def test_import_patients_and_visits(tmp_path: Path) -> None:
    clinic = make_clinic()
    patients, visits = tmp_path / "patients.csv", tmp_path / "visits.csv"
    patients.write_text("patient_id,name,species\nP-1,Biscuit,dog\n,Pepper,cat\n")
    visits.write_text("patient_id,at,doctor\nP-1,2026-03-02T09:15,Dr. Vale\n")
    report = answer("import_patients", "--clinic", clinic.public_id, str(patients))
    given = Patient.objects.get(name="Pepper").patient_id
    assert report == {
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "given": [{"line": 3, "patient_id": given}],
        "weights": 0,
    }
    assert answer("import_visits", "--clinic", clinic.public_id, str(visits))["created"] == 1
    assert "1 patients are new" in said(
        "import_patients", "--clinic", clinic.public_id, str(patients)
    )  # the one that has neither id nor owner


def test_a_refused_file_is_told_line_by_line(tmp_path: Path) -> None:
    clinic = make_clinic()
    path = tmp_path / "patients.csv"
    path.write_text("name,species\n,dog\nA,\n")
    with pytest.raises(CommandError) as caught:
        said("import_patients", "--clinic", clinic.public_id, str(path))
    assert str(caught.value).splitlines() == [
        "Nothing was imported; the file has 2 problems:",
        "line 2: name is empty.",
        "line 3: species is empty.",
    ]
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        said("import_patients", "--clinic", clinic.public_id, str(tmp_path / "none.csv"))


def test_place_request() -> None:
    clinic = make_clinic()
    make_patient(clinic, patient_id="P-1")
    args = ["--clinic", clinic.public_id, "--patient", "P-1", "--doctor", "Sample, Sam"]
    placed = answer("place_request", *args, "--test", "HHEM-1", "HDC-3", "--test", "HHEM-1")
    request = LabRequest.objects.get()
    assert placed == {
        "lab_report_id": request.lab_report_id,
        "result_endpoint": f"http://localhost:8000/api/labresults/{request.result_key}",
        "state": "Queued",
    }
    assert request.doctor == "Sample, Sam"
    assert [test.panel.code for test in request.tests.all()] == ["HHEM-1", "HDC-3"]


@pytest.mark.parametrize(
    ("patient", "test", "words"),
    [
        ("P-9", "HHEM-1", "has no patient with the id “P-9”"),
        ("P-2", "HHEM-1", "has no patient with the id “P-2”"),
        ("P-1", "ABC", "There is no test “ABC”. The tests are HHEM-1"),
        ("P-3", "HHEM-1", "recorded as deceased"),
    ],
)
def test_place_request_says_what_is_wrong(patient: str, test: str, words: str) -> None:
    clinic = make_clinic()
    make_patient(clinic, patient_id="P-1")
    make_patient(make_clinic("Oak"), patient_id="P-2")
    make_patient(clinic, patient_id="P-3", deceased=True)
    args = ["--clinic", clinic.public_id, "--patient", patient, "--test", test]
    with pytest.raises(CommandError, match=words):
        said("place_request", *args)
    assert not LabRequest.objects.exists()


def test_show_request_as_it_was_placed() -> None:
    request = make_request(panels=("HHEM-1", "HDC-3"))
    assert answer("show_request", request.lab_report_id) == {
        "state": "Queued",
        "tests": [
            {"code": "HHEM-1", "name": "CBC", "state": "Requested", "refusal": None},
            {"code": "HDC-3", "name": "Kidney panel", "state": "Requested", "refusal": None},
        ],
        "attempts": 0,
        "last_error": None,
        "observations": [],
    }


def test_show_request_lists_what_is_current_as_delivered() -> None:
    request = make_request(accepted=True)
    rows = [
        make_row("WBC", "6.130", flag="N"),
        make_row("PLT", "< 2", unit="10^3/uL", low="126", high="660", flag="L", sequence="2"),
        make_row("MPV", "*****", unit="fL", low="", high="", sequence="3"),
        make_row("HGB", None, unit="", low="", high="", sequence="4"),
    ]
    identity = Identity(species="Canine", species_code="dog")
    report = make_report([make_run(rows)], identity=identity)
    make_result(request, report)
    shown = answer("show_request", request.lab_report_id)
    assert (shown["state"], shown["attempts"]) == ("Complete", 1)
    assert [tuple(row) for row in shown["observations"]] == [KEYS] * 4
    assert [tuple(row.values()) for row in shown["observations"]] == [
        ("HHEM-1", "WBC", "6.130", 6.13, None, "10^3/uL", 4.0, 16.53, "N", "N", None),
        # Delivered as low; critical by the limits that count where a clinic has set none.
        ("HHEM-1", "PLT", "< 2", 2, "<", "10^3/uL", 126, 660, "L", "LL", None),
        ("HHEM-1", "MPV", "*****", None, None, "fL", None, None, None, None, "not_calculable"),
        ("HHEM-1", "HGB", None, None, None, None, None, None, None, None, "missing"),
    ]
    text = said("show_request", request.lab_report_id)
    assert text.splitlines()[0] == "Complete; attempts to send: 1"
    assert "  PLT        < 2 10^3/uL L (126 to 660)" in text


def test_ranges_for_another_species_call_nothing() -> None:
    request = make_request(make_patient(species="dog"), accepted=True)
    identity = Identity(species="", species_code="")
    report = make_report([make_run([make_row("WBC", "1.0", flag="L")])], identity=identity)
    make_result(request, report)
    (row,) = answer("show_request", request.lab_report_id)["observations"]
    assert (row["low"], row["flag_delivered"], row["flag_computed"]) == (4.0, "L", None)


def test_show_request_of_an_unknown_one() -> None:
    with pytest.raises(CommandError, match="There is no request “VL-NONE”"):
        said("show_request", "VL-NONE")

"""What contradicts a request, and that absence never does."""

from __future__ import annotations

import pytest

from labs.models import LabRequest, Patient
from labs.report import Identity, Report
from labs.services.intake.identity import contradictions, differs, same_text
from tests.factories import make_patient

PATIENT = Patient(patient_id="P-1", name="Zoë", species="dog", sex="F", microchip="985 112 003")
REQUEST = LabRequest(patient=PATIENT, lab_report_id="VL-1")


def against(external_id="94877", **fields):
    identity = {k: v for k, v in fields.items() if k in Identity.__dataclass_fields__}
    report = {k: v for k, v in fields.items() if k not in identity}
    return contradictions(
        Report(status="final", identity=Identity(**identity) if identity else None, **report),
        REQUEST,
        external_id,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"lab_report_id": "VL-2"},
        {"lab_report_id": "vl-1"},
        {"external_id": "94878"},
    ],
)
def test_ids_that_disagree(fields):
    report = Report(status="final", **fields)
    assert len(contradictions(report, REQUEST, "94877")) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"patient_id": "P-2"},
        {"patient_name": "Zoey"},
        {"patient_name": "Rex"},
        {"species": "FELINE", "species_code": "cat"},
        {"sex": "CM", "sex_code": "M"},
        {"microchip": "985112004"},
    ],
)
@pytest.mark.django_db
def test_an_animal_that_is_another_one(fields, monkeypatch):
    # On file: only then can other records have been merged into it.
    patient = make_patient(patient_id="P-1", name="Zoë", sex="F", microchip="985 112 003")
    monkeypatch.setattr(REQUEST, "patient", patient)
    assert len(against(**fields)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"lab_report_id": "VL-1"},
        {"patient_name": ""},
        {"patient_name": "  zoË "},
        {"patient_name": "ZOE\u0308"},
        {"patient_id": "p-1"},
        {"species": "Canine", "species_code": "dog"},
        {"species": "K9"},
        {"sex": "SF", "sex_code": "F"},
        {"sex": "?"},
        {"microchip": "985-112-003"},
        {"owner_last_name": "Somebody else"},
        {"birth_date": "1999-01-01"},
        {"weight": "99"},
        {"doctor": "Another"},
    ],
)
def test_absence_and_other_spellings_never_contradict(fields):
    assert against(**fields) == []


def test_what_we_do_not_know_ourselves_is_no_contradiction():
    unknown = LabRequest(
        patient=Patient(patient_id="P-1", name="Zoë", species="dog"), lab_report_id="VL-1"
    )
    report = Report(
        status="final",
        external_id="94877",
        identity=Identity(sex="CM", sex_code="M", microchip="985112004"),
    )
    assert contradictions(report, unknown, "") == []


def test_same_text():
    assert same_text(" Big  Red", "big red")
    assert not same_text("Big Red", "BigRed")
    assert not same_text("1", "10")


def test_two_typed_identities_differ_only_where_both_say_something():
    typed = Identity(patient_id="1", patient_name="BISCUIT ").as_json()
    assert not differs(typed, Identity())
    assert not differs(typed, Identity(patient_name="Biscuit"))
    assert not differs(Identity().as_json(), Identity(patient_name="Rex"))
    assert differs(typed, Identity(patient_id="1", patient_name="Rex"))
    assert differs(typed, Identity(patient_id="2"))
    assert differs(Identity(microchip="1").as_json(), Identity(microchip="2"))

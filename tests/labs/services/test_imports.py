from __future__ import annotations

import threading
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from labs.errors import NotAllowed, SentBefore
from labs.models import Clinic, LabEvent, Owner, Patient, Visit
from labs.services.intake import journal
from labs.services.registry import imports
from labs.services.registry.csv_file import ImportRefused
from labs.services.registry.imports import check_patients, import_patients, import_visits
from tests.factories import VENDOR, make_clinic, make_patient, make_staff

pytestmark = pytest.mark.django_db

HEADER = (
    "patient_id,name,species,breed,sex,neutered,birth_date,weight_kg,microchip,deceased,"
    "owner_id,owner_first_name,owner_last_name,owner_phone,owner_email"
)
BISCUIT = (
    "P-10482,Biscuit,dog,Labrador,CM,,2019-04-02,31.40,985 112 000 000 001,no,"
    "C-2207,Ana,Example,555-0100,ana@example.com"
)


def bring(clinic: Clinic, *lines: str, header: str = HEADER) -> dict[str, object]:
    return import_patients(
        acting_user=None, clinic=clinic, content="\n".join([header, *lines]).encode()
    )


def refused(clinic: Clinic, *lines: str, header: str = HEADER) -> list[str]:
    with pytest.raises(ImportRefused) as caught:
        bring(clinic, *lines, header=header)
    return [str(problem) for problem in caught.value.problems]


def test_a_line_becomes_a_patient_with_owner_and_weight() -> None:
    clinic = make_clinic()
    assert bring(clinic, BISCUIT) == {
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "given": [],
        "weights": 1,
    }
    patient = Patient.objects.select_related("owner").get(clinic=clinic)
    assert (patient.patient_id, patient.species, patient.sex, patient.neutered) == (
        "P-10482",
        "dog",
        "M",
        True,
    )
    assert (patient.birth_date, patient.birth_date_estimated) == (date(2019, 4, 2), False)
    assert (patient.microchip, patient.deceased) == ("985112000000001", False)
    assert patient.weight_set.get().kg == Decimal("31.40")
    owner = patient.owner
    assert owner is not None
    assert (owner.owner_id, owner.last_name, owner.email) == (
        "C-2207",
        "Example",
        "ana@example.com",
    )
    assert LabEvent.objects.get(verb="patients.imported").data == {"created": 1, "updated": 0}


def test_the_same_file_again_changes_nothing() -> None:
    clinic = make_clinic()
    lines = [BISCUIT, ",Pepper,cat,,,,,,,,,Sam,Sample,,", ",Kitten,cat,,,,,,,,C-9,,,,"]
    bring(clinic, *lines)
    again = bring(clinic, *lines)
    assert (again["created"], again["updated"], again["unchanged"], again["weights"]) == (
        0,
        0,
        3,
        0,
    )
    assert Patient.objects.count() == 3
    assert Owner.objects.count() == 3


def test_empty_cells_and_missing_columns_leave_what_is_stored() -> None:
    clinic = make_clinic()
    bring(clinic, BISCUIT)
    report = bring(clinic, "P-10482,Biscotti,dog", header="patient_id,name,species")
    assert (report["created"], report["updated"]) == (0, 1)
    patient = Patient.objects.select_related("owner").get()
    assert (patient.name, patient.breed, patient.microchip) == (
        "Biscotti",
        "Labrador",
        "985112000000001",
    )
    assert patient.owner is not None


def test_a_patient_without_an_id_is_given_one() -> None:
    clinic = make_clinic()
    report = bring(clinic, ",Pepper,cat,,,,,,,,C-1,Sam,Sample,,")
    patient = Patient.objects.get()
    assert report["given"] == [{"line": 2, "patient_id": patient.patient_id}]
    assert patient.patient_id.startswith("P-")


def test_two_animals_of_one_owner_with_one_name_are_not_guessed() -> None:
    clinic = make_clinic()
    twin = ",Kitten,cat,,,,,,,,C-1,Sam,Sample,,"
    bring(clinic, twin, twin)
    problems = refused(clinic, twin)
    assert "several animals called Kitten" in problems[0]


def test_owners_without_an_id_are_one_person_unless_something_contradicts() -> None:
    clinic = make_clinic()
    bring(
        clinic,
        "P-1,A,dog,,,,,,,,,Sam,Sample,555-0101,",
        "P-2,B,dog,,,,,,,,,Sam,Sample,,",
        "P-3,C,dog,,,,,,,,,Sam,Sample,555-0199,",
    )
    owners = dict(Patient.objects.values_list("patient_id", "owner__phone"))
    assert owners == {"P-1": "555-0101", "P-2": "555-0101", "P-3": "555-0199"}


def test_a_weight_is_stored_only_when_it_differs_from_the_latest() -> None:
    clinic = make_clinic()
    for kg in ("31.4", "31.40", "30.9"):
        bring(clinic, f"P-1,Biscuit,dog,{kg}", header="patient_id,name,species,weight_kg")
    weights = Patient.objects.get().weight_set.values_list("kg", flat=True)
    assert list(weights) == [Decimal("30.9"), Decimal("31.4")]


def test_all_problems_are_told_at_once_by_line_and_nothing_is_written() -> None:
    clinic = make_clinic()
    problems = refused(
        clinic,
        BISCUIT,
        "P-1,,dog,,maybe,,02/03/2020,heavy,,,,,,,",
        "",
        "P-10482,Twin,cat,,F,,2031-01-01,,,,C-2207,Bob,,,not-mail",
        "P-3,Short,dog",
        "P-4,Rex,dog,,MN,no,2019-13,,,perhaps,,,,,",
    )
    assert problems == [
        "line 3: name is empty.",
        "line 3: the birth date “02/03/2020” is not understood; use YYYY-MM-DD.",
        "line 3: the sex “maybe” is not understood; use M, F, MN, FS or U.",
        "line 3: the weight “heavy” is no number such as 31.4 (in kg).",
        "line 5: 2031-01-01 is in the future.",
        "line 5: “not-mail” is no e-mail address.",
        "line 5: patient_id P-10482 is also on line 2.",
        "line 5: owner C-2207 has another first name here than on line 2.",
        "line 5: owner C-2207 has another email here than on line 2.",
        "line 6: it has 3 cells, but the header has 15.",
        "line 7: the birth date “2019-13” is no date.",
        "line 7: deceased is “perhaps”; use yes or no.",
        "line 7: sex and neutered contradict each other.",
    ]
    assert not Patient.objects.exists()
    assert not Owner.objects.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfpatient_id;name;species\r\nP-1;Z\xc3\xbcs;cat\r\n",
        b"Patient_ID\tname\tspecies\r\nP-1\tZ\xc3\xbcs\tcat",
        "patient_id,name,species\nP-1,Züs,cat\n".encode("utf-16"),
        b'\n\n"patient_id","name","species",,\nP-1,"Z\xc3\xbcs",cat,,\n'.replace(b",,", b""),
    ],
)
def test_files_as_spreadsheets_write_them(content: bytes) -> None:
    clinic = make_clinic()
    import_patients(acting_user=None, clinic=clinic, content=content)
    assert Patient.objects.get().name == "Züs"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: the file is empty."),
        (b"name,species,colour\nA,dog,red", "line 1: the column “colour” is not known."),
        (b"name\nA", "line 1: the column “species” is missing."),
        (b"name,species,name\nA,dog,B", "line 1: the column “name” is there twice."),
        (b"name,species\nZ\xfcs,cat", "line 2: this is not UTF-8."),
        (b'name,species\nA,dog\n"B,cat\n', "line 3: from here on it is no CSV"),
        (b"name,species\nA\0,dog", "line 2: it holds a NUL."),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_with_its_line(
    content: bytes, problem: str
) -> None:
    with pytest.raises(ImportRefused) as caught:
        import_patients(acting_user=None, clinic=make_clinic(), content=content)
    assert str(caught.value.problems[0]).startswith(problem)


@pytest.mark.parametrize(
    ("words", "species", "breed"),
    [
        ("Canine", "dog", ""),
        ("FELINE", "cat", ""),
        ("equine", "horse", ""),
        ("other", "other", ""),
        ("Rabbit", "other", "Rabbit"),
    ],
)
def test_species_words(words: str, species: str, breed: str) -> None:
    bring(make_clinic(), f"P-1,A,{words}", header="patient_id,name,species")
    patient = Patient.objects.get()
    assert (patient.species, patient.breed) == (species, breed)


@pytest.mark.parametrize(
    ("words", "sex", "neutered"),
    [
        ("M", "M", None),
        ("f", "F", None),
        ("MN", "M", True),
        ("CM", "M", True),
        ("FS", "F", True),
        ("SF", "F", True),
        ("M/N", "M", True),
        ("Male neutered", "M", True),
        ("Spayed Female", "F", True),
        ("Gelding", "M", True),
        ("stallion", "M", False),
        ("intact female", "F", False),
        ("mare", "F", None),
        ("U", "U", None),
        ("", "U", None),
    ],
)
def test_sex_words(words: str, sex: str, neutered: bool | None) -> None:
    bring(make_clinic(), f"P-1,A,dog,{words}", header="patient_id,name,species,sex")
    patient = Patient.objects.get()
    assert (patient.sex, patient.neutered) == (sex, neutered)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-04-02", (date(2019, 4, 2), False)),
        ("2019-04", (date(2019, 4, 1), True)),
        ("2019", (date(2019, 1, 1), True)),
    ],
)
def test_birth_dates_may_be_estimates(text: str, expected: tuple[date, bool]) -> None:
    bring(make_clinic(), f"P-1,A,dog,{text}", header="patient_id,name,species,birth_date")
    patient = Patient.objects.get()
    assert (patient.birth_date, patient.birth_date_estimated) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", (True, None)),
        ("no", (False, None)),
        ("", (False, None)),
        ("2024-05-01", (True, date(2024, 5, 1))),
    ],
)
def test_deceased_may_be_the_date(text: str, expected: tuple[bool, date | None]) -> None:
    bring(make_clinic(), f"P-1,A,dog,{text}", header="patient_id,name,species,deceased")
    patient = Patient.objects.get()
    assert (patient.deceased, patient.deceased_on) == expected


def test_the_same_ids_in_another_clinic_are_other_animals() -> None:
    here, there = make_clinic(), make_clinic("Oak Road Veterinary Clinic")
    bring(here, BISCUIT)
    bring(there, BISCUIT.replace("Biscuit", "Waffle"))
    assert Patient.objects.get(clinic=here).name == "Biscuit"
    assert Patient.objects.get(clinic=there).name == "Waffle"
    assert Owner.objects.count() == 2


def test_only_its_administrators_may_import() -> None:
    clinic = make_clinic()
    ada = make_staff("admin", clinic=clinic)
    for stranger in (
        make_staff("admin", clinic=make_clinic("Oak Road Veterinary Clinic")),
        make_staff("vet", clinic=clinic),
    ):
        with pytest.raises(NotAllowed):
            import_patients(acting_user=stranger, clinic=clinic, content=HEADER.encode())
        with pytest.raises(NotAllowed):
            check_patients(acting_user=stranger, clinic=clinic, content=HEADER.encode())
    import_patients(acting_user=ada, clinic=clinic, content=f"{HEADER}\n{BISCUIT}".encode())
    event = LabEvent.objects.get(verb="patients.imported")
    assert (event.actor, event.source) == (ada, "")


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row of ours, the words that names are looked up by among them."""
    return {
        model._meta.label: list(model._base_manager.order_by("pk").values())
        for model in apps.get_app_config("labs").get_models()
    }


# One file each of what an import knows: new, changed, as it was, weighed, without an id, merged
# away, refused for a cell, for what is on record, and for the file as a whole.
FILES = [
    f"{HEADER}\n{BISCUIT}\n,Milo,cat,,,,,,,,,,,,\n,Pepper,cat,,,,,4.1,,,,Sam,Sample,,",
    "patient_id,name,species,weight_kg\nP-1,Ada II,dog,9\nP-2,Bo,cat,\n",
    "patient_id,name,species\nP-GONE,Ada,dog\n",
    "patient_id,name,species,owner_last_name\nP-1,,dog,\nP-9,X,dog,Twice\n",
    "patient_id,colour\nP-1,red\n",
    "",
]


@pytest.mark.parametrize("text", FILES)
def test_a_check_writes_nothing_and_says_what_the_import_says(text: str) -> None:
    clinic = make_clinic()
    ada = make_staff("admin", clinic=clinic)
    known = [make_patient(clinic, name=name, patient_id=i) for name, i in (("Ada", "P-1"),)]
    make_patient(clinic, name="Bo", species="cat", patient_id="P-2")
    make_patient(clinic, name="Ada", patient_id="P-GONE", merged_into=known[0])
    for owner_id in ("C-1", "C-2"):
        Owner.objects.create(clinic=clinic, owner_id=owner_id, last_name="Twice")
    before = everything()
    check = check_patients(acting_user=ada, clinic=clinic, content=text.encode())
    assert everything() == before
    try:
        report = import_patients(acting_user=ada, clinic=clinic, content=text.encode())
    except ImportRefused as refused:
        assert (check.report, check.problems) == (None, refused.problems)
    else:
        assert check.report is not None and not check.problems
        # An id that is given is another one each time.
        lines = [[given["line"] for given in each["given"]] for each in (check.report, report)]
        assert lines[0] == lines[1]
        assert check.report | {"given": []} == report | {"given": []}
        assert everything() != before


def test_a_check_shows_the_first_lines_as_they_were_read() -> None:
    clinic = make_clinic()
    lines = [BISCUIT, *(f",Cat {n},cat,,,,,,,,C-1,,Moser,," for n in range(20))]
    check = check_patients(
        acting_user=None, clinic=clinic, content="\n".join([HEADER, *lines]).encode()
    )
    assert len(check.lines) == imports.SHOWN
    assert [line.number for line in check.lines] == list(range(2, 2 + imports.SHOWN))
    assert [line.patient_id for line in check.lines[:3]] == ["P-10482", "", ""]
    assert "owner_id" not in check.lines[0].patient


def test_a_form_that_is_sent_twice_adds_its_animals_once() -> None:
    clinic = make_clinic()
    key, content = uuid4(), b"name,species\nMilo,cat\nBo,dog\n"
    import_patients(acting_user=None, clinic=clinic, content=content, form_key=key)
    with pytest.raises(SentBefore):
        import_patients(acting_user=None, clinic=clinic, content=content, form_key=key)
    assert Patient.objects.count() == 2
    import_patients(acting_user=None, clinic=clinic, content=content, form_key=uuid4())
    assert Patient.objects.count() == 4


def test_statements_come_by_the_batch_not_by_the_row(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    clinic = make_clinic()
    lines = [f"P-{n},A{n},dog,C-{n},Owner{n},{n + 1}" for n in range(400)]
    header = "patient_id,name,species,owner_id,owner_last_name,weight_kg"
    # About twenty of them count the names (labs/models/vocabulary.py); the more columns a patient
    # has, the fewer of them go into one statement on SQLite.
    content = "\n".join([header, *lines]).encode()
    with django_assert_max_num_queries(48):  # one more to take it back
        check_patients(acting_user=None, clinic=clinic, content=content)
    with django_assert_max_num_queries(47):
        bring(clinic, *lines, header=header)
    with django_assert_max_num_queries(10):
        bring(clinic, *lines, header=header)


def visits(clinic: Clinic, *lines: str) -> dict[str, object]:
    content = "\n".join(["patient_id,at,doctor", *lines]).encode()
    return import_visits(acting_user=None, clinic=clinic, content=content)


def test_visits_are_in_the_clinics_time_zone_and_upserted() -> None:
    clinic = make_clinic(timezone="America/Denver")
    make_patient(clinic, patient_id="P-1")
    lines = ["P-1,2026-03-02T09:15,", "P-1,2026-03-02T18:00:00Z,Dr. Vale"]
    assert visits(clinic, *lines) == {"created": 2, "updated": 0, "unchanged": 0}
    assert visits(clinic, lines[1], "P-1,2026-03-02 09:15,Dr. Lind") == {
        "created": 0,
        "updated": 1,
        "unchanged": 1,
    }
    stored = {f"{visit.at:%H:%M}": visit.doctor for visit in Visit.objects.all()}
    assert stored == {"16:15": "Dr. Lind", "18:00": "Dr. Vale"}


def test_visits_tell_all_problems_at_once() -> None:
    clinic = make_clinic()
    make_patient(clinic, patient_id="P-1")
    make_patient(make_clinic("Oak Road Veterinary Clinic"), patient_id="P-2")
    with pytest.raises(ImportRefused) as caught:
        visits(
            clinic,
            "P-1,2026-03-02T09:15,",
            "P-1,2026-03-02T16:15Z,",
            "P-2,2026-03-02T09:15,",
            "P-1,tomorrow,",
            "P-1,2026-03-02,",
            ",2026-03-02T09:15,",
        )
    assert [str(problem) for problem in caught.value.problems] == [
        "line 3: the same visit is on line 2.",
        "line 4: there is no patient P-2; import the patients first.",
        "line 5: the time “tomorrow” is not understood; use 2026-03-02T09:15.",
        "line 6: “2026-03-02” has no time of day; use 2026-03-02T09:15.",
        "line 7: patient_id is empty.",
    ]
    assert not Visit.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_results_are_taken_while_a_clinic_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row that is of a clinic looks whether there is such a clinic, and PostgreSQL let none of
    them in while an import held it: a long import meant 503 for the laboratory."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time, whatever is locked")
    clinic = make_clinic()
    came: list[bool] = []

    def receive() -> None:
        try:
            _, new = journal.receive(
                vendor=VENDOR,
                clinic=clinic,
                sender="tests",
                target="/api/unmatchedlabresults/any",
                headers={},
                raw=b"{}",
            )
            came.append(new)
        finally:
            connections.close_all()

    write = imports._write_patients

    def write_while_a_result_comes(*arguments: Any) -> dict[str, Any]:
        thread = threading.Thread(target=receive)
        thread.start()
        thread.join(timeout=2)
        assert came == [True]
        return write(*arguments)

    monkeypatch.setattr(imports, "_write_patients", write_while_a_result_comes)
    bring(clinic, BISCUIT)


def test_what_was_written_is_counted_by_its_keys() -> None:
    """By the clinic and their ids PostgreSQL looks through the whole clinic for every 500 of a
    first import: 30,000 animals took four times as long."""
    clinic = make_clinic()
    lines = [f"P-{n},A{n},dog" for n in range(600)]
    with CaptureQueriesContext(connection) as captured:
        bring(clinic, *lines, header="patient_id,name,species")
    said = [each["sql"] for each in captured]
    written = max(at for at, sql in enumerate(said) if sql.startswith('INSERT INTO "labs_patient"'))
    read = [sql for sql in said[written + 1 :] if 'FROM "labs_patient"' in sql]
    assert read
    assert not [sql for sql in read if '"labs_patient"."patient_id" IN' in sql]

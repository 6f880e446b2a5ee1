"""A clinic's own codes: who may set them, what is refused, and what they change in results."""

from __future__ import annotations

import pytest

from labs.errors import InvalidInput, NotAllowed
from labs.models import ClinicCode, LabEvent, Observation
from labs.queries.orders.codes import codes_page
from labs.services.orders.codes import remove_code, set_code
from tests.factories import (
    make_clinic,
    make_patient,
    make_report,
    make_request,
    make_result,
    make_row,
    make_run,
    make_staff,
)

pytestmark = pytest.mark.django_db


def deliver(clinic, *codes, **run):
    request = make_request(make_patient(clinic), accepted=True)
    rows = [make_row(code, sequence=str(i)) for i, code in enumerate(codes, 1)]
    make_result(request, make_report([make_run(rows, **run)]))
    return request


def read(request):
    rows = Observation.objects.filter(run__request=request).select_related("analyte")
    return {row.code: row.analyte.code if row.analyte else None for row in rows}


def test_a_delivered_code_is_taken_by_the_entry_that_the_clinic_names():
    elm, oak = make_clinic("Elm"), make_clinic("Oak")
    before = deliver(elm, "Creat", "WBC")
    assert read(before) == {"Creat": None, "WBC": "WBC"}
    set_code(acting_user=None, clinic=elm, kind="analyte", word="CREAT", code="CREA")
    assert read(deliver(elm, "Creat", "WBC")) == {"Creat": "CREA", "WBC": "WBC"}
    assert read(before) == {"Creat": None, "WBC": "WBC"}  # until it is read again
    assert read(deliver(oak, "Creat")) == {"Creat": None}  # I3


def test_a_code_of_the_catalogue_stays_its_own():
    clinic = make_clinic()
    set_code(acting_user=None, clinic=clinic, kind="analyte", word="Crea", code="BUN")
    assert read(deliver(clinic, "Crea", "CREA", "crea")) == {
        "Crea": "Crea",
        "CREA": "CREA",
        "crea": "CREA",
    }


def test_a_test_that_is_ordered_under_another_code_is_answered_under_it():
    clinic = make_clinic()
    set_code(acting_user=None, clinic=clinic, kind="test", word="HHEM-1", code="CBC5")
    request = deliver(clinic, "WBC", test_code="CBC5", test_name="Blood count", test_request_id="")
    assert request.state == "complete"
    other = deliver(make_clinic(), "WBC", test_code="CBC5", test_name="x", test_request_id="")
    assert other.state != "complete"


def test_only_administrators_set_codes_and_each_change_is_recorded():
    clinic = make_clinic()
    ada = make_staff("admin", clinic=clinic)
    for role in ("technician", "vet"):
        with pytest.raises(NotAllowed):
            set_code(
                acting_user=make_staff(role, clinic=clinic),
                clinic=clinic,
                kind="breed",
                word="Akbash",
                code="ANASH",
                species="dog",
            )
    with pytest.raises(NotAllowed):  # an administrator elsewhere
        set_code(acting_user=make_staff("admin"), clinic=clinic, kind="sex", word="male", code="X")
    for code in ("ANASH", "ANASH", "OTHER"):
        own = set_code(
            acting_user=ada, clinic=clinic, kind="breed", word=" akbash ", code=code, species="dog"
        )
    with pytest.raises(NotAllowed):
        remove_code(acting_user=make_staff("vet", clinic=clinic), own=own)
    remove_code(acting_user=ada, own=own)
    told = [
        (event.verb, event.actor, event.data["code"], event.data["was"])
        for event in LabEvent.objects.filter(clinic=clinic)
    ]
    assert told == [
        ("code.set", ada, "ANASH", ""),
        ("code.set", ada, "OTHER", "ANASH"),
        ("code.removed", ada, "", "OTHER"),
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "x"}, "Choose what the code is for"),
        ({"word": " "}, "Give the word"),
        ({"word": "x" * 101}, "Give the word"),
        ({"species": ""}, "Choose the species"),
        ({"code": " "}, "Give the laboratory's code"),
        ({"code": "X" * 21}, "Give the laboratory's code"),
        ({"code": "É"}, "Give the laboratory's code"),
        ({"kind": "test", "word": "NONE-1"}, "There is no test “NONE-1”"),
        ({"kind": "analyte", "code": "NONE"}, "There is no value “NONE”"),
    ],
)
def test_what_can_be_no_code_is_said(fields, words):
    given = {"kind": "breed", "word": "Akbash", "code": "ANASH", "species": "dog"} | fields
    with pytest.raises(InvalidInput, match=words):
        set_code(acting_user=None, clinic=make_clinic(), **given)
    assert not ClinicCode.objects.exists()


def test_what_is_unmapped_is_listed_with_its_counts_and_for_its_clinic_alone():
    clinic, other = make_clinic(), make_clinic("Oak")
    for _ in range(2):
        make_patient(clinic, breed="Street Dog")
    make_patient(clinic, breed="street dog ")
    make_patient(clinic, breed="Gone", deceased=True)
    make_patient(clinic, breed="Akbash Mix")
    make_patient(clinic, breed="Labrador Retriever")
    make_patient(clinic, species="other", breed="Ferret")
    make_patient(other, breed="Oak Dog")
    deliver(clinic, "Creat", "WBC")
    deliver(clinic, "Creat", "Odd")
    deliver(other, "Theirs")
    page = codes_page(clinic)
    assert [(word.sent.word, word.animals) for word in page.species] == [("other", 1)]
    assert [(word.sent.word.casefold().strip(), word.animals) for word in page.breeds] == [
        ("street dog", 3),
        ("ferret", 1),
    ]
    assert [(word.sent.word, word.sent.code) for word in page.substituted] == [
        ("Akbash Mix", "MIX")
    ]
    assert {each.code: each.times for each in page.strange} == {"Creat": 2, "Odd": 1}
    set_code(acting_user=None, clinic=clinic, kind="analyte", word="creat", code="CREA")
    set_code(
        acting_user=None, clinic=clinic, kind="breed", word="Street dog", code="MIX", species="dog"
    )
    page = codes_page(clinic)
    assert [each.code for each in page.strange] == ["Odd"]
    assert [word.sent.word for word in page.breeds] == ["Ferret"]


def test_no_order_is_taken_for_a_species_without_a_code():
    clinic = make_clinic()
    ferret = make_patient(clinic, species="other", name="Fritz")
    with pytest.raises(InvalidInput, match="no code for the species of Fritz"):
        make_request(ferret)
    set_code(acting_user=None, clinic=clinic, kind="species", word="other", code="FERRET")
    assert make_request(ferret).state == "queued"

"""From the clinic's words to Heska's codes: exactly, by the clinic's own say, or not at all."""

from __future__ import annotations

import json

import pytest

from integrations.heska.services import delivery
from integrations.heska.wire import codes
from integrations.heska.wire.tables import SPECIES_OUT, breeds
from labs.models import ClinicCode, LabEvent, Patient
from labs.services.orders.codes import remove_code, set_code
from tests.factories import make_clinic, make_patient, make_request


@pytest.mark.parametrize(
    ("species", "breed", "code", "how"),
    [
        ("dog", "Labrador Retriever", "LABRE", "code"),
        ("dog", "  labrador   RETRIEVER ", "LABRE", "code"),
        ("dog", "Akbash Mix", "MIX", "substitute"),
        ("dog", "Akbash", "UNK", "substitute"),
        ("dog", "Belgian Shepherd Dog Mix", "Shepherd Mix", "substitute"),
        ("dog", "Löwchen", "LOWCH", "code"),
        ("dog", "Goldendoodle of Elm Street", "Goldendoodle of Elm Street", "words"),
        ("cat", "Labrador Retriever", "Labrador Retriever", "words"),
        ("horse", "Haflinger", "Haflinger", "words"),
        ("dog", " ", "UNK", "missing"),
    ],
)
def test_a_breed_goes_by_its_exact_name_or_says_so(species, breed, code, how):
    sent = codes.breed_sent(species, breed, {})
    assert (sent.code, sent.how) == (code, how)


def test_what_the_clinic_says_comes_first():
    own = {
        ("breed", "dog", "akbash"): "ANASH",
        ("species", "", "other"): "FERRET",
        ("sex", "", "sex unknown"): "X",
        ("test", "", "hhem-1"): "CBC5",
    }
    assert codes.breed_sent("dog", "AKBASH", own).code == "ANASH"
    assert codes.breed_sent("cat", "Akbash", own).code == "Akbash"
    assert codes.species_sent("other", own).code == "FERRET"
    assert codes.species_sent("other", {}).how == "none"
    assert codes.sex_sent("U", None, own).code == "X"
    assert codes.sex_sent("M", True, own).code == "CM"
    assert codes.test_sent("HHEM-1", own) == "CBC5"
    assert codes.test_sent("HDC-1", own) == "HDC-1"


def test_no_breed_of_the_table_is_spoilt_and_every_code_has_a_name():
    assert not [name for _, name in breeds() if "ã" in name or "¶" in name]
    for species in ("dog", "cat"):
        known = dict(codes.known("breed", species))
        used = {code for (s, _), code in breeds().items() if s == SPECIES_OUT[species]}
        assert set(known) == used
    assert dict(codes.known("breed", "dog"))["MIX"] == "mixed breed"
    assert codes.known("breed", "horse") == []


def sent_body(request, fake_heska):
    delivery.deliver(request.submission.pk)
    return json.loads(fake_heska.to("/labreports")[-1].body)


@pytest.mark.django_db
def test_an_order_goes_out_under_the_clinics_own_codes_and_no_other_clinics(connected, fake_heska):
    elm, oak = make_clinic("Elm"), make_clinic("Oak")
    connected(elm)
    for kind, word, code, species in (
        ("breed", "Akbash", "ANASH", "dog"),
        ("test", "HHEM-1", "CBC5", ""),
        ("sex", "Male neutered", "MN", ""),
    ):
        set_code(acting_user=None, clinic=elm, kind=kind, word=word, code=code, species=species)
    animal = {"breed": "Akbash", "sex": "M", "neutered": True}
    body = sent_body(make_request(make_patient(elm, **animal)), fake_heska)
    assert (body["Patient"]["Breed"], body["Patient"]["Sex"]) == ("ANASH", "MN")
    assert body["Tests"][0]["TestCode"] == "CBC5"
    # I3: the other clinic's records go by the table.
    from integrations.heska.connections import connect

    connect(acting_user=None, clinic=oak, client_id="oak-id", client_secret="oak-secret")
    body = sent_body(make_request(make_patient(oak, **animal)), fake_heska)
    assert (body["Patient"]["Breed"], body["Patient"]["Sex"]) == ("UNK", "CM")
    assert body["Tests"][0]["TestCode"] == "HHEM-1"


@pytest.mark.django_db
def test_a_species_goes_once_it_has_a_code(connected, fake_heska):
    clinic = make_clinic()
    connected(clinic)
    request = make_request(make_patient(clinic))
    Patient.objects.update(species="other")
    delivery.deliver(request.submission.pk)
    assert not fake_heska.calls
    own = set_code(acting_user=None, clinic=clinic, kind="species", word="other", code="FERRET")
    ferret = make_patient(clinic, species="other")
    assert sent_body(make_request(ferret), fake_heska)["Patient"]["Species"] == "FERRET"
    remove_code(acting_user=None, own=own)
    assert not ClinicCode.objects.exists()
    assert [event.verb for event in LabEvent.objects.filter(verb__startswith="code.")] == [
        "code.set",
        "code.removed",
    ]

"""The marked test order: it goes like any other, and nothing that comes for it is ever filed."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from integrations.heska import rehearsal
from integrations.heska.health import health
from integrations.heska.models import Connection
from integrations.heska.services.delivery import deliver
from labs.errors import InvalidInput, NotAllowed
from labs.models import LabEvent, LabRequest, MessageState, Panel, Patient, Sex, UnmatchedResult
from labs.queries.orphaned.candidates import candidates_for
from labs.queries.registry.patients import search
from labs.services.orders import emergency_codes, ordering
from labs.services.orders.emergency import choose
from labs.services.orphaned import matching
from labs.services.registry import imports, patients
from labs.services.registry.csv_file import ImportRefused
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def elm(connected):
    clinic = factories.make_clinic()
    connected(clinic)
    return clinic


@pytest.fixture
def ada(elm):
    return factories.make_staff("admin", clinic=elm)


def cbc() -> Panel:
    return Panel.objects.get(code="HHEM-1")


def send(clinic, user=None) -> LabRequest:
    return rehearsal.order(acting_user=user, clinic=clinic, panel=cbc())


def test_nothing_is_sent_without_the_tick(elm, ada, fake_heska):
    client = Client()
    client.force_login(ada)
    address = reverse("heska_pages:test_order", args=[elm.public_id])
    response = client.post(address, {"panel": "HHEM-1"})
    assert response.status_code == 422
    assert "nothing was sent" in response.content.decode()
    assert not LabRequest.objects.exists() and not Patient.objects.exists()
    page = client.post(address, {"panel": "HHEM-1", "agreed": "on"}, follow=True).content.decode()
    request = LabRequest.objects.get()
    assert f"The test order {request} is on its way" in page
    assert LabEvent.objects.get(verb="request.test").actor == ada
    deliver(request.submission.pk)
    (call,) = fake_heska.to("/labreports")
    assert b"TEST DO NOT RUN" in call.body and b"Do not run" in call.body
    assert (
        "Heska took it"
        in client.get(reverse("heska_pages:health", args=[elm.public_id])).content.decode()
    )


def test_its_patient_gets_no_animals_name(elm, ada):
    first = send(elm, ada)
    ordering.cancel_request(acting_user=ada, request=first, reason="tested")
    with pytest.raises(InvalidInput, match="is no animal"):
        patients.update_patient(acting_user=ada, patient=first.patient, name="Rex")
    table = f"patient_id,name,species\n{rehearsal.PATIENT_ID},Rex,cat\n"
    with pytest.raises(ImportRefused) as refused:
        imports.import_patients(acting_user=ada, clinic=elm, content=table.encode())
    (problem,) = refused.value.problems
    assert (problem.line, "is no animal" in problem.what) == (2, True)
    client = Client()
    client.force_login(ada)
    form = {"name": "Rex", "species": "cat", "sex": Sex.UNKNOWN}
    page = client.post(reverse("labs:edit_patient", args=[first.patient.uuid]), form)
    assert (page.status_code, "is no animal" in page.content.decode()) == (422, True)
    # However it was done, the next order says what it is.
    Patient.objects.update(name="Rex", species="cat", deceased=True)
    again = send(elm, ada)
    assert (again.patient.name, again.patient.species) == (rehearsal.NAME, "dog")
    assert Patient.objects.get().name == rehearsal.NAME


def test_one_at_a_time(elm, ada):
    first = send(elm, ada)
    with pytest.raises(InvalidInput, match="is still open"):
        send(elm, ada)
    ordering.cancel_request(acting_user=ada, request=first, reason="tested")
    assert send(elm, ada).patient == first.patient
    assert Patient.objects.filter(is_test=True).count() == 1


def test_only_administrators_and_only_where_connected(elm):
    with pytest.raises(NotAllowed):
        send(elm, factories.make_staff("vet", clinic=elm))
    with pytest.raises(InvalidInput, match="Enter the client id"):
        send(factories.make_clinic("Oak"))
    Patient.objects.create(clinic=elm, patient_id=rehearsal.PATIENT_ID, name="Rex", species="dog")
    with pytest.raises(InvalidInput, match="Give it another"):
        send(elm)
    assert Connection.objects.count() == 1


def test_whatever_comes_for_it_is_held_for_a_person(elm):
    """With its key, its id and its name, so that nothing contradicts (I2)."""
    request = send(elm)
    deliver(request.submission.pk)
    message = factories.make_result(request)
    assert message.state == MessageState.UNMATCHED
    orphan = UnmatchedResult.objects.get()
    assert orphan.contradictions == [
        "The order was a test, on no animal: whatever was run for it is another's."
    ]
    assert not request.runs.exists()
    assert [c.patient for c in candidates_for(orphan, runs=orphan.runs.all())] == []


def test_it_is_no_animal_for_anybody(elm, ada):
    test = send(elm).patient
    orphan = factories.make_unmatched(elm, patient_name=test.name, patient_id=test.patient_id)
    with pytest.raises(InvalidInput, match="is no animal"):
        matching.match(
            acting_user=ada, unmatched=orphan, patient=test, expected_version=orphan.version
        )
    with pytest.raises(InvalidInput, match="is no animal"):
        ordering.place_request(acting_user=ada, patient=test, panels=[cbc()])
    code = emergency_codes.give(acting_user=ada, clinic=elm)
    with pytest.raises(InvalidInput, match="is no animal"):
        choose(acting_user=ada, code=code, patient=test)
    for text in ("", test.name, test.patient_id):
        assert test not in search(elm.pk, Patient.objects.filter(clinic=elm), text, 1).rows
    assert [c.patient for c in candidates_for(orphan, runs=orphan.runs.all())] == []
    client = Client()
    client.force_login(ada)
    for address in (reverse("labs:patients"), reverse("labs:typeahead")):
        assert test.name not in client.get(address).content.decode()


def test_it_is_neither_missing_nor_silence(elm):
    from datetime import timedelta

    from django.utils import timezone

    request = send(elm)
    deliver(request.submission.pk)
    moment = timezone.now() - timedelta(days=2)
    LabRequest.objects.update(requested_at=moment)
    request.submission.__class__.objects.update(accepted_at=moment)
    found = health(elm)
    assert found.missing == [] and found.waiting_since is None

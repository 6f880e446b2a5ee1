"""The counted names are those of the records, whoever writes them and by whichever way."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from labs.models import Clinic, NameCount, Owner, Patient, Visit
from labs.queries.orphaned import vocabulary
from labs.services.registry import patients
from labs.services.registry.imports import import_patients, import_visits
from labs.services.registry.patients import update_patient
from tests import factories
from tests.shell import lines, said

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


def counts(clinic: Clinic, kind: str = "name") -> dict[str, int]:
    """Those that anybody bears; and that all are in step."""
    assert vocabulary.differences(clinic) == []
    rows = NameCount.objects.filter(clinic=clinic, kind=kind, count__gt=0)
    return dict(rows.values_list("key", "count"))


def test_services_keep_them(clinic: Clinic) -> None:
    bella = patients.create_patient(acting_user=None, clinic=clinic, name="Bella", species="dog")
    patients.create_patient(acting_user=None, clinic=clinic, name="BELLA", species="cat")
    assert counts(clinic) == {"bella": 2}
    update_patient(acting_user=None, patient=bella, name="Béla", species="cat", breed="Mix")
    assert counts(clinic) == {"bella": 1, "bela": 1}
    assert counts(clinic, "species") == {"cat": 2}
    owner = patients.create_owner(acting_user=None, clinic=clinic, last_name="Smith-Jones")
    update_patient(acting_user=None, patient=bella, owner=owner)
    assert counts(clinic, "surname") == {"smith jones": 1}
    owner.last_name = "O'Brien"
    owner.save()
    assert counts(clinic, "surname") == {"obrien": 1}
    update_patient(acting_user=None, patient=bella, owner=None)
    assert counts(clinic, "surname") == {}


CSV = """patient_id,name,species,owner_id,owner_last_name,microchip
P-1,Bella,dog,C-1,Smith,985112000000001
P-2,Bella,cat,C-1,Smith,
P-3,Max,dog,C-2,Müller,
"""


def test_an_import_keeps_them_and_so_does_the_next_one(clinic: Clinic) -> None:
    import_patients(acting_user=None, clinic=clinic, content=CSV.encode())
    assert counts(clinic) == {"bella": 2, "max": 1}
    assert counts(clinic, "surname") == {"smith": 2, "muller": 1}
    changed = CSV.replace("P-2,Bella,cat", "P-2,Luna,cat").replace("C-1,Smith", "C-1,Okafor")
    import_patients(acting_user=None, clinic=clinic, content=changed.encode())
    assert counts(clinic) == {"bella": 1, "luna": 1, "max": 1}
    assert counts(clinic, "surname") == {"okafor": 2, "muller": 1}
    assert Patient.objects.get(patient_id="P-1").chip_key == "985112000000001"
    import_visits(
        acting_user=None,
        clinic=clinic,
        content=b"patient_id,at,doctor\nP-1,2026-03-02T09:15,Hart\nP-1,2026-03-01T09:15,Hart\n",
    )
    bella = Patient.objects.get(patient_id="P-1")
    assert bella.latest_visit == Visit.objects.latest("at").at


def test_an_import_costs_no_statement_for_each_animal(
    clinic: Clinic, django_assert_max_num_queries: Any
) -> None:
    head, *_ = CSV.splitlines()
    lines_ = [f"P-{n},Pet {n},dog,C-{n},Owner {n}," for n in range(400)]
    with django_assert_max_num_queries(45):
        import_patients(
            acting_user=None, clinic=clinic, content="\n".join([head, *lines_]).encode()
        )
    assert len(counts(clinic)) == 400


def test_the_admin_keeps_them(clinic: Clinic) -> None:
    admin = factories.make_staff("admin", clinic=clinic, is_staff=True)
    owner = factories.make_owner(clinic, last_name="Smith")
    bella = factories.make_patient(clinic, name="Bella", owner=owner)
    client = Client()
    client.force_login(admin)
    form = {
        "clinic": clinic.pk,
        "owner_id": owner.owner_id,
        "first_name": "Ana",
        "last_name": "Lind",
        "phone": "",
        "email": "",
    }
    assert client.post(f"/admin/labs/owner/{owner.pk}/change/", form).status_code == 302
    assert counts(clinic, "surname") == {"lind": 1}
    form = {
        "clinic": clinic.pk,
        "name": "Stella",
        "patient_id": bella.patient_id,
        "owner": owner.pk,
        "species": "dog",
        "sex": "U",
        "weight_set-TOTAL_FORMS": 0,
        "weight_set-INITIAL_FORMS": 0,
    }
    response = client.post(f"/admin/labs/patient/{bella.pk}/change/", form)
    assert response.status_code == 302, response.content.decode()
    assert counts(clinic) == {"stella": 1}


def test_bulk_writes_and_deletions_keep_them(clinic: Clinic) -> None:
    owner = factories.make_owner(clinic, last_name="Smith")
    Patient.objects.bulk_create(
        [
            Patient(clinic=clinic, patient_id=f"P-{n}", name="Bella", species="dog", owner=owner)
            for n in range(5)
        ]
    )
    assert counts(clinic) == {"bella": 5}
    Patient.objects.filter(patient_id__in=["P-0", "P-1"]).update(name="Max")
    assert counts(clinic) == {"bella": 3, "max": 2}
    Owner.objects.filter(pk=owner.pk).update(last_name="Okafor")
    assert counts(clinic, "surname") == {"okafor": 5}
    Patient.objects.get(patient_id="P-0").delete()
    Patient.objects.filter(patient_id="P-2").delete()
    assert counts(clinic) == {"bella": 2, "max": 1}
    other = factories.make_owner(clinic, last_name="Lind")
    Patient.objects.filter(owner=owner).update(owner=other)  # a merge of two clients
    assert counts(clinic, "surname") == {"lind": 3}
    patient = Patient.objects.get(patient_id="P-1")
    patient.name, patient.microchip = "Rex", "985 112 1"
    patient.save(update_fields=["name", "microchip"])
    assert counts(clinic) == {"bella": 2, "rex": 1}
    patient.refresh_from_db()
    assert (patient.name_key, patient.chip_key) == ("rex", "9851121")


def test_the_patient_of_test_orders_is_not_counted(clinic: Clinic) -> None:
    factories.make_patient(clinic, name="Test", is_test=True, owner=None)
    assert counts(clinic) == {}


def test_clinics_are_counted_apart(clinic: Clinic) -> None:
    factories.make_patient(clinic, name="Bella")
    factories.make_patient(name="Max")
    assert counts(clinic) == {"bella": 1}
    assert vocabulary.registry_of(clinic.pk).names.counts == {"bella": 1}


def test_what_was_rolled_back_was_never_counted(clinic: Clinic) -> None:
    factories.make_patient(clinic, name="Bella")
    with pytest.raises(RuntimeError), transaction.atomic():
        factories.make_patient(clinic, name="Max")
        assert vocabulary.registry_of(clinic.pk).names.counts == {"bella": 1, "max": 1}
        raise RuntimeError
    assert counts(clinic) == {"bella": 1}
    assert vocabulary.registry_of(clinic.pk).names.counts == {"bella": 1}


def test_the_command_finds_what_is_not_in_step_and_counts_anew(clinic: Clinic) -> None:
    factories.make_patient(clinic, name="Bella")
    assert lines("check_names")[0]["in_step"] is True
    with connection.cursor() as cursor:  # as something else would that writes here
        cursor.execute("UPDATE labs_patient SET name = 'Max'")
        cursor.execute("UPDATE labs_namecount SET count = 7 WHERE kind = 'species'")
    found = vocabulary.differences(clinic)
    assert any("found by something else" in each for each in found)
    assert any("7 counted, 1 there" in each for each in found)
    with pytest.raises(Exception, match="not in step"):
        said("check_names", "--clinic", clinic.public_id)
    assert lines("check_names", "--rebuild")[0]["in_step"] is True
    assert counts(clinic) == {"max": 1}


def test_a_request_is_heard_of_too(clinic: Clinic) -> None:
    patient = factories.make_patient(clinic)
    before = timezone.now()
    factories.make_request(patient)
    patient.refresh_from_db()
    assert patient.latest_visit is not None and patient.latest_visit >= before


@pytest.mark.django_db(transaction=True)
def test_a_process_reads_what_is_new_and_never_what_is_old() -> None:
    clinic = factories.make_clinic()
    first = factories.make_patient(clinic, name="Bella")
    assert vocabulary.registry_of(clinic.pk).names.counts == {"bella": 1}
    factories.make_patient(clinic, name="Max")
    Patient.objects.filter(pk=first.pk).update(name="Luna")
    assert vocabulary.registry_of(clinic.pk).names.counts == {"luna": 1, "max": 1}


@pytest.mark.django_db(transaction=True)
def test_two_who_write_at_once_are_both_counted() -> None:
    clinic = factories.make_clinic()
    patient = factories.make_patient(clinic, name="Bella", owner=None)
    barrier = threading.Barrier(4)

    def rename(name: str) -> None:
        try:
            mine = Patient.objects.get(pk=patient.pk)
            barrier.wait(10)
            for number in range(5):
                factories.make_patient(clinic, name="Max", owner=None, patient_id=f"{name}{number}")
                mine.name = name
                mine.save()
        finally:
            connection.close()

    threads = [threading.Thread(target=rename, args=(f"N{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert counts(clinic)["max"] == 20

"""The benchmark's short way into the database leaves what an import would have left."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.models import F, Max

from bench.matching import registry
from bench.matching.load import load
from labs.models import LabRequest, Owner, Patient, Visit, Weight
from labs.queries.orphaned.vocabulary import differences

LOADED = (Owner, Patient, Weight, Visit)


def indexes() -> set[str]:
    with connection.cursor() as cursor:
        return {
            name
            for model in LOADED
            for name in connection.introspection.get_constraints(cursor, model._meta.db_table)
        }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("visits", [True, False])
def test_names_are_in_step_and_indexes_are_back(visits: bool) -> None:
    before = indexes()
    made = registry.make(700, 5, datetime(2026, 3, 2, 17, 0, tzinfo=UTC))
    clinic = load(made, visits=visits)
    assert indexes() == before
    assert differences(clinic) == []
    on_file = [animal for animal in made.animals if not animal.held_out]
    assert Patient.objects.count() == Weight.objects.count() == len(on_file)
    assert Owner.objects.count() == len({animal.owner.number for animal in on_file})
    for animal in on_file[::50]:
        patient = Patient.objects.get(pk=animal.number)
        assert (patient.name, patient.patient_id, patient.birth_date, patient.microchip) == (
            animal.name,
            animal.patient_id,
            animal.born,
            animal.chip,
        )
        assert patient.owner is not None and patient.owner.last_name == animal.owner.surname
        assert patient.owner.first_key == patient.owner.derive_first_key()
        assert float(patient.weight_set.get().kg) == round(animal.kg, 3)
    seen = Patient.objects.annotate(last=Max("visit__at"))
    assert not seen.exclude(latest_visit=None, last=None).exclude(latest_visit=F("last")).exists()
    assert Visit.objects.exists() == LabRequest.objects.exists() == visits
    # What is added afterwards gets a key of its own.
    owner = Owner.objects.create(clinic=clinic, owner_id="new", last_name="Smith")
    Patient.objects.create(clinic=clinic, owner=owner, patient_id="new", name="A", species="dog")
    assert differences(clinic) == []

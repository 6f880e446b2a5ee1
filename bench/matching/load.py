"""The made-up clinic into the database, as an import would bring it in."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from bench.matching.registry import Animal
from bench.matching.registry import Clinic as Made
from labs.models import (
    Clinic,
    LabRequest,
    Owner,
    Panel,
    Patient,
    RequestedTest,
    RequestState,
    Visit,
    Weight,
)

BATCH = 5000


def load(made: Made, *, visits: bool) -> tuple[Clinic, dict[int, int]]:
    """The clinic, and each stored animal's number by its patient's key."""
    clinic = Clinic.objects.create(name="Benchmark Clinic")
    animals = [animal for animal in made.animals if not animal.held_out]
    owners: dict[int, Owner] = {}
    for animal in animals:
        number = animal.owner.number
        if number not in owners:
            owners[number] = Owner(
                clinic=clinic, owner_id=f"C-{number}", last_name=animal.owner.surname[:100]
            )
    Owner.objects.bulk_create(list(owners.values()), batch_size=BATCH)
    numbers: dict[int, int] = {}
    stored: dict[int, Patient] = {}
    wanted = {animal.number for animal in _whose_visits(made)}
    for start in range(0, len(animals), 50_000):
        some = [_patient(clinic, owners, animal) for animal in animals[start : start + 50_000]]
        Patient.objects.bulk_create(some, batch_size=BATCH)
        Weight.objects.bulk_create(
            [
                Weight(patient=patient, kg=Decimal(str(animal.kg)), measured_on=made.day.date())
                for patient, animal in zip(some, animals[start:], strict=False)
            ],
            batch_size=BATCH,
        )
        for patient, animal in zip(some, animals[start:], strict=False):
            numbers[patient.pk] = animal.number
            if animal.number in wanted:
                stored[animal.number] = patient
    if visits:
        _visits(made, clinic, stored)
    return clinic, numbers


def _patient(clinic: Clinic, owners: dict[int, Owner], animal: Animal) -> Patient:
    return Patient(
        clinic=clinic,
        owner=owners[animal.owner.number],
        patient_id=animal.patient_id,
        name=animal.name[:100],
        species=animal.species,
        breed=animal.breed,
        sex=animal.sex,
        birth_date=animal.born,
        microchip=animal.chip,
        deceased=animal.deceased is not None,
        deceased_on=animal.deceased,
    )


def _whose_visits(made: Made) -> list[Animal]:
    return [*made.here, *(a for a, _ in made.around), *(a for a, _ in made.staged_here)]


def _visits(made: Made, clinic: Clinic, stored: dict[int, Patient]) -> None:
    here = [animal for animal in made.here if animal.number in stored]
    visits = [(animal, animal.seen or made.day, animal.doctor) for animal in here]
    visits += [
        (animal, at, made.doctors[animal.number % len(made.doctors)])
        for animal, at in (*made.around, *made.staged_here)
        if animal.number in stored
    ]
    Visit.objects.bulk_create(
        [
            Visit(clinic=clinic, patient=stored[animal.number], at=at, doctor=f"Dr {doctor}")
            for animal, at, doctor in visits
        ],
        batch_size=BATCH,
    )
    panel = Panel.objects.get(code="HHEM-1")
    for animal in here:
        if animal.requested:
            request = LabRequest.objects.create(
                clinic=clinic,
                patient=stored[animal.number],
                state=RequestState.ACCEPTED,
                requested_at=(animal.seen or made.day) + timedelta(minutes=5),
                doctor=f"Dr {animal.doctor}",
            )
            RequestedTest.objects.create(
                request=request, panel=panel, position=1, test_request_id=f"{request}-1"
            )

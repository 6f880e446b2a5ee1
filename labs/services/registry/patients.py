"""Writing patients and their owners, weights and visits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from labs import ids, roles
from labs.errors import InvalidInput, Stale
from labs.models import Clinic, Owner, Patient, Visit, Weight, vocabulary
from labs.services.clinics import sentences
from labs.services.events import record
from labs.services.reviews import species as species_of_results

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_KG = Decimal(9999)


def new_patient_id() -> str:
    """For a patient without an id of the practice's: `P-` and six characters to read aloud."""
    return f"P-{ids.readable(6)}"


def new_owner_id() -> str:
    return f"C-{ids.readable(6)}"


def require_animal(patient: Patient) -> None:
    """Raises InvalidInput for the patient of test orders (I2: a result on it is on no animal)."""
    if patient.is_test:
        raise InvalidInput(f"{patient} is no animal: it is there for test orders alone.")


def followed(patient: Patient) -> Patient:
    """The record that is used today: what names one that was merged away means the other one. One
    query, and one more where it was merged. Nothing is locked: whoever writes then calls
    `keep_standing`."""
    rows = Patient.objects.select_related("clinic", "owner")
    into = Patient.objects.filter(pk=patient.pk).values_list("merged_into", flat=True).first()
    return rows.get(pk=into) if into else patient


def keep_standing(patient: Patient) -> str:
    """Until the end of the caller's transaction nobody merges this record away, or corrects its
    species: returned as it is now. Raises Stale where somebody has merged it."""
    rows = Patient.objects.select_for_update(no_key=True).only("merged_into", "species")
    now = rows.get(pk=patient.pk)
    into = now.merged_into
    if into is not None:
        raise Stale(
            f"{patient} was merged into {into} in the meantime. Nothing was written; go on with "
            f"{into}."
        )
    return str(now.species)


def create_patient(
    *,
    acting_user: User | None,
    clinic: Clinic,
    name: str,
    species: str,
    patient_id: str = "",
    owner: Owner | None = None,
    weight_kg: Decimal | None = None,
    weighed_on: date | None = None,
    **fields: Any,
) -> Patient:
    """Add a patient to the clinic; `fields` are further columns of Patient.

    Raises InvalidInput for an id that is taken, an owner of another clinic or a value that does not
    fit; NotAllowed.
    """
    roles.require(acting_user, clinic, "edit_patient")
    if owner is not None and owner.clinic_id != clinic.pk:
        raise InvalidInput("This owner is not in the clinic.")
    patient = Patient(
        clinic=clinic,
        name=name.strip(),
        species=species,
        patient_id=patient_id.strip() or new_patient_id(),
        owner=owner,
        **fields,
    )
    with transaction.atomic():
        _save(patient)
        if weight_kg is not None:
            record_weight(
                acting_user=acting_user,
                patient=patient,
                kg=weight_kg,
                measured_on=weighed_on or today(clinic),
            )
        record(
            "patient.created",
            clinic=clinic,
            acting_user=acting_user,
            source="command",
            patient=patient,
        )
    return patient


def update_patient(*, acting_user: User | None, patient: Patient, **fields: Any) -> None:
    """Change columns of a patient. Raises as `create_patient`, and for the patient of test orders:
    under another name it would be taken for an animal. Stale where it was merged away.

    Where the species was wrong, its results are held against the limits of the right one."""
    roles.require(acting_user, patient.clinic, "edit_patient")
    require_animal(patient)
    owner = fields.get("owner")
    if owner is not None and owner.clinic_id != patient.clinic_id:
        raise InvalidInput("This owner is not in the clinic.")
    for field, value in fields.items():
        setattr(patient, field, value)
    with transaction.atomic():
        # The names' lock before the animal's, as everywhere.
        vocabulary.lock(patient.clinic_id)
        keep_standing(patient)
        _save(patient, only=fields)
        if fields:
            record(
                "patient.changed",
                clinic=patient.clinic,
                acting_user=acting_user,
                source="command",
                patient=patient,
                fields=sorted(fields),
            )
    if "species" in fields:
        species_of_results.follow([patient.pk])


def create_owner(
    *, acting_user: User | None, clinic: Clinic, owner_id: str = "", **fields: Any
) -> Owner:
    """Add an owner; without an id one is given. Raises InvalidInput, NotAllowed."""
    roles.require(acting_user, clinic, "edit_patient")
    owner = Owner(clinic=clinic, owner_id=owner_id.strip() or new_owner_id(), **fields)
    with transaction.atomic():
        _save(owner)
        record(
            "owner.created",
            clinic=clinic,
            acting_user=acting_user,
            source="command",
            owner=owner.owner_id,
        )
    return owner


def update_owner(*, acting_user: User | None, owner: Owner, **fields: Any) -> None:
    """Change columns of an owner; the surname on the animals follows. Raises InvalidInput,
    NotAllowed."""
    roles.require(acting_user, owner.clinic, "edit_patient")
    changed = sorted(name for name, value in fields.items() if getattr(owner, name) != value)
    for name in changed:
        setattr(owner, name, fields[name])
    with transaction.atomic():
        _save(owner, only=changed)
        if changed:
            record(
                "owner.changed",
                clinic=owner.clinic,
                acting_user=acting_user,
                source="command",
                owner=owner.owner_id,
                fields=changed,
            )


def record_weight(
    *,
    acting_user: User | None,
    patient: Patient,
    kg: Decimal,
    measured_on: date,
    weighed: bool = False,
) -> Weight | None:
    """Add a weighing, unless it only repeats the latest one; `weighed`: it stood on the scales, so
    that the same weight on another day is news too. Raises InvalidInput where it is not
    above 0 and at most 9999 kg, NotAllowed, Stale."""
    roles.require(acting_user, patient.clinic, "edit_patient")
    if not 0 < kg <= MAX_KG:
        raise InvalidInput(f"A weight of {kg} kg cannot be right.")
    with transaction.atomic():
        keep_standing(patient)
        latest = patient.weight_set.first()
        repeats = latest is not None and latest.kg == kg
        if latest is not None and repeats and not (weighed and latest.measured_on < measured_on):
            return None
        return Weight.objects.create(patient=patient, kg=kg, measured_on=measured_on)


def record_visit(
    *, acting_user: User | None, patient: Patient, at: datetime, doctor: str = ""
) -> Visit:
    """Note an appointment or check-in; a second one at the same moment only sets the doctor. Raises
    NotAllowed, Stale."""
    roles.require(acting_user, patient.clinic, "edit_patient")
    with transaction.atomic():
        keep_standing(patient)
        visit, _ = Visit.objects.update_or_create(
            patient=patient,
            at=at,
            defaults={"clinic": patient.clinic, "doctor": doctor[:100]},
        )
    return visit


def today(clinic: Clinic) -> date:
    """The date in the clinic's own time zone."""
    return timezone.now().astimezone(clinic.zone).date()


def _save(row: Patient | Owner, only: Iterable[str] | None = None) -> None:
    """`only`: what else is in those columns by now stays."""
    try:
        row.full_clean()
    except ValidationError as error:
        raise InvalidInput(sentences(error)) from error
    row.save(update_fields=only)

"""Making clinics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import transaction

from labs.errors import InvalidInput
from labs.models import Clinic
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def create_clinic(
    *,
    name: str,
    timezone: str = "UTC",
    public_id: str = "",
    acting_user: User | None = None,
) -> Clinic:
    """Make a clinic; without `public_id` it is given one.

    Raises InvalidInput for an empty name, an unknown time zone (IANA names), or a public id that is
    taken or holds anything but letters, digits, hyphens and underscores.
    """
    clinic = Clinic(name=name.strip(), timezone=timezone)
    if public_id:
        clinic.public_id = public_id
    try:
        clinic.full_clean()
    except ValidationError as error:
        raise InvalidInput(sentences(error)) from error
    with transaction.atomic():
        clinic.save()
        record("clinic.created", clinic=clinic, acting_user=acting_user, source="command")
    return clinic


def sentences(error: ValidationError) -> str:
    """A model's complaints as `field: sentence`, one after the other."""
    return " ".join(
        f"{field.replace('_', ' ').capitalize()}: {' '.join(said)}"
        for field, said in error.message_dict.items()
    )

"""Making clinics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import transaction

from labs import roles
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


def set_opening_hours(
    *,
    acting_user: User | None,
    clinic: Clinic,
    days: Sequence[int],
    opens: time,
    closes: time,
    quiet_hours: int,
) -> None:
    """When results are to be expected. `days` as ISO says, Monday is 1; `closes` as `opens` is
    around the clock. Raises InvalidInput for no day, or a day or a limit that is none; NotAllowed.
    """
    roles.require(acting_user, clinic, "administer")
    if not days or not set(days) <= set(range(1, 8)):
        raise InvalidInput("Choose the days on which the clinic is open.")
    if not 1 <= quiet_hours <= 100:
        raise InvalidInput("Give a number of hours from 1 to 100.")
    clinic.open_days = "".join(str(day) for day in sorted(set(days)))
    clinic.opens, clinic.closes, clinic.quiet_hours = opens, closes, quiet_hours
    with transaction.atomic():
        clinic.save(update_fields=["open_days", "opens", "closes", "quiet_hours"])
        record(
            "clinic.hours_changed",
            clinic=clinic,
            acting_user=acting_user,
            source="command",
            days=clinic.open_days,
            opens=f"{opens:%H:%M}",
            closes=f"{closes:%H:%M}",
            quiet_hours=quiet_hours,
        )


def sentences(error: ValidationError) -> str:
    """A model's complaints as `field: sentence`, one after the other."""
    return " ".join(
        f"{field.replace('_', ' ').capitalize()}: {' '.join(said)}"
        for field, said in error.message_dict.items()
    )


def hide_first_steps(*, acting_user: User, clinic: Clinic) -> None:
    """Take the list of what a new clinic has still to do off the worklist. Raises NotAllowed."""
    roles.require(acting_user, clinic, "administer")
    with transaction.atomic():
        if Clinic.objects.filter(pk=clinic.pk, first_steps_hidden=False).update(
            first_steps_hidden=True
        ):
            record("clinic.first_steps_hidden", clinic=clinic, acting_user=acting_user)

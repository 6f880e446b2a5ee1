"""A form that adds patients and is sent twice, by a second click or because the answer to the first
was lost: it adds them once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from django.db import transaction

from labs import roles
from labs.errors import SentBefore
from labs.models import Clinic, Patient, vocabulary

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def key_of(form_key: UUID | None, number: int) -> UUID | None:
    """Of the animals that one form adds each has its own; the first has the form's."""
    return form_key if form_key is None or not number else uuid5(form_key, str(number))


def once(
    *,
    acting_user: User | None,
    clinic: Clinic,
    form_key: UUID | None,
    add: Callable[[], list[Patient]],
    says: Callable[[list[Patient]], bool],
) -> list[Patient]:
    """What `add` gives, in one transaction, with `key_of` on each; or what it gave when the form
    came for the first time. `says`: whether these are what the form says now. Of several at one
    moment one adds: the clinic's names are locked, as for every animal that is added.

    Raises SentBefore where the form says something else by now; NotAllowed; what `add` raises.
    """
    roles.require(acting_user, clinic, "edit_patient")
    with transaction.atomic():
        vocabulary.lock(clinic.pk)
        made = _made(clinic, form_key)
        if not made:
            return add()
    if not says(made):
        names = ", ".join(str(each) for each in made)
        raise SentBefore(
            f"Nothing was added now: this form was sent before, and added {names}. If another one "
            "is meant, press the button once more."
        )
    return made


def _made(clinic: Clinic, form_key: UUID | None) -> list[Patient]:
    if form_key is None:
        return []
    rows = Patient.objects.filter(clinic=clinic).select_related("owner")
    made: list[Patient] = []
    while (found := rows.filter(form_key=key_of(form_key, len(made))).first()) is not None:
        made.append(found)
    return made
